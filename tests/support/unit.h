/* unit.h - what every cmocka file needs, in the order cmocka wants it, and a few words of its own */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/base/buf.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* A case of a table: its name and what it got, when they differ. */
static inline void expect_text(const char *name, struct strv got, const char *want)
{
    if (!strv_is(got, want))
        fail_msg("%s: got \"%.*s\", want \"%s\"", name, (int)got.n, got.p, want);
}

static inline void expect_bool(const char *name, bool got, bool want)
{
    if (got != want)
        fail_msg("%s: got %s", name, got ? "true" : "false");
}
