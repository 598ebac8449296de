/* text.h - a configuration from a text, for tests */
#pragma once

#include "conf/conf.h"
#include "tests/support/unit.h"

/* NULL with the messages printed when it does not parse. */
static inline struct conf *conf_of(const char *name, struct strv text, enum role role)
{
    struct conf *conf = NULL;
    struct conf_errors errs;
    struct buf message;
    conf_errors_init(&errs);
    buf_init(&message, 1 << 16);
    if (!conf_parse_text(text, name, role, &conf, &errs)) {
        conf_errors_text(&errs, &message);
        print_error("%s", buf_cstr(&message));
    }
    conf_errors_clear(&errs);
    buf_clear(&message);
    return conf;
}

static inline struct conf *conf_must(const char *name, const char *text)
{
    struct conf *conf = conf_of(name, SV(text), ROLE_MTAD);
    if (!conf)
        fail_msg("%s: does not parse", name);
    return conf;
}
