/* options.h - the command line of sendmail, mailq and newaliases (pure: one table) */
#pragma once

#include "common/base/err.h"
#include "common/base/strv.h"

enum sendmail_mode {
    MODE_SUBMIT,  /* -bm, and nothing said */
    MODE_SMTP,    /* -bs: SMTP on standard input and output */
    MODE_QUEUE,   /* -bp, mailq */
    MODE_ALIASES, /* -bi, newaliases */
    MODE_VERIFY,  /* -bv */
    MODE_FLUSH,   /* -q, -qR..., -qS..., -qI... */
    MODE_DAEMON,  /* -bd, -bD, -q1h: not this program's work */
    MODE_VERSION, /* -d0.1 */
    MODE_UNKNOWN, /* -bt, -bh, -bH */
};

struct options {
    enum sendmail_mode mode;
    bool extract;       /* -t */
    bool dots;          /* -i, -oi: a line with a dot alone is text */
    bool verbose;       /* -v */
    bool has_sender;    /* -f, -r */
    struct strv sender; /* without brackets; empty: the null reverse-path */
    const char *name;   /* -F; NULL: not given */
    const char *conf;   /* -C; NULL: not given */
    bool setting;       /* -O, a setting of sendmail.cf's: nothing here obeys it */
    uint64_t notify;    /* -N as bits, 0: not given */
    uint64_t ret;       /* -R: 1 full, 2 hdrs, 0: not given */
    const char *envid;  /* -V; NULL */
    char select;        /* R, S or I of -q */
    const char *match;  /* what follows it */
    char mode_letter;   /* of MODE_UNKNOWN */
    char **rcpts;       /* borrowed from argv */
    int rcpt_n;
};

/* argv[0] may name mailq or newaliases. False: err says what is wrong with the command line. */
bool options_parse(int argc, char **argv, struct options *out, struct err *err)
    __attribute__((warn_unused_result));

/* For the manual page and its test: letters of all options, with ':' behind those that take a value. */
const char *options_letters(void);
/* The letters of those that are taken and ignored. */
const char *options_ignored(void);
