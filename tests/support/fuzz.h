/* fuzz.h - what fuzz targets share: a property that must hold, and input cut into pieces */
#pragma once

#include "common/base/buf.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property of our code, not of the input: its failure is the finding. */
static inline void must(bool holds)
{
    if (!holds)
        abort();
}

/* The first byte of the input chooses how the rest is cut; 0 is "whole". */
static inline struct strv fuzz_input(const uint8_t *data, size_t size, size_t *chunk)
{
    *chunk = size > 0 && data[0] > 0 ? data[0] : SIZE_MAX;
    return size > 0 ? strv_make((const char *)data + 1, size - 1) : strv_make("", 0);
}

static inline void must_be_printable(struct strv s)
{
    for (size_t i = 0; i < s.n; i++)
        must(byte_is_print((unsigned char)s.p[i]));
}
