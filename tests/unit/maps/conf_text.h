/* conf_text.h - a configuration for tests from its text, as a role sees it */
#pragma once

#include "conf/conf.h"
#include "tests/support/unit.h"

static inline struct conf *conf_of(const char *text, enum role role)
{
    struct conf_errors errs;
    struct conf *conf = NULL;
    struct buf words;

    conf_errors_init(&errs);
    if (!conf_parse_text(SV(text), "test.conf", role, &conf, &errs)) {
        buf_init(&words, 65536);
        conf_errors_text(&errs, &words);
        fail_msg("%s", buf_cstr(&words));
    }
    conf_errors_clear(&errs);
    return conf;
}
