/* err.h - failure as a value: a class to act on, a text for a human */
#pragma once

#include <stdbool.h>
#include <stdnoreturn.h>

enum err_class { ERR_OK, ERR_TEMP, ERR_PERM, ERR_PROTO, ERR_LIMIT, ERR_CONF, ERR_BUG };

struct err {
    enum err_class cls;
    int sys;                    /* errno, or 0 */
    char text[400];
};

/* All three return false, so that one line both reports and leaves. err may be NULL. */
bool err_set(struct err *e, enum err_class cls, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool err_sys(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));      /* adds strerror(errno), TEMP */
bool err_wrap(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));      /* prefixes context */
void err_clear(struct err *e);

/* Out of memory and broken invariants only: logs, then _exit(70). mtad restarts the daemon. */
noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
