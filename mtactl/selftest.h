/* selftest.h - mtactl test: what its parts share; each check is one line, and each red one names its fix */
#pragma once

#include "mtactl/tool.h"

struct conf;
struct conf_head;

enum selftest_result { SELFTEST_OK, SELFTEST_FAILED, SELFTEST_NOTE };

struct selftest {
    struct tool *t;
    struct conf *conf;   /* owned */
    const char *to;      /* --to: a destination to look at */
    const char *send_to; /* --send-to: an address that gets a message */
    bool color;
    bool running; /* the host answers */
    bool down;    /* it is not there; else, when it does not answer, it may be */
    unsigned failed;
    struct rows status; /* owned: what mtad said */
};

/* check: its name; fix: what mends it, NULL with SELFTEST_OK. Printed at once. */
void selftest_tell(struct selftest *s, const char *check, enum selftest_result result, const char *fix,
                   const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* "listen main.conf:12" */
void selftest_where(const struct conf_head *head, const char *section, const char *field, char *dst,
                    size_t size);

/* selftest_smtp.c: every listener answered as a client sees it; may strangers relay? */
void selftest_listeners(struct selftest *s);
void selftest_relay(struct selftest *s);
/* selftest_mail.c: a message through the whole host; where mail leaves */
void selftest_local(struct selftest *s);
void selftest_send(struct selftest *s);
void selftest_outbound(struct selftest *s);
