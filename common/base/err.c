/* err.c - failure as a value, and the one way to die */
#include "common/base/err.h"

#include "common/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXIT_BUG 70     /* EX_SOFTWARE */

bool err_set(struct err *e, enum err_class cls, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return false;
    e->cls = cls;
    e->sys = 0;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return false;
}

bool err_sys(struct err *e, const char *fmt, ...)
{
    int sys = errno;
    char text[sizeof e->text];
    va_list ap;

    if (!e)
        return false;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(e, ERR_TEMP, "%s: %s", text, strerror(sys));
    e->sys = sys;
    return false;
}

bool err_wrap(struct err *e, const char *fmt, ...)
{
    char old[sizeof e->text], text[sizeof e->text];
    va_list ap;

    if (!e)
        return false;
    memcpy(old, e->text, sizeof old);
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (snprintf(e->text, sizeof e->text, "%s: %s", text, old) >= (int)sizeof e->text)
        memcpy(e->text + sizeof e->text - 4, "...", 4);
    return false;
}

void err_clear(struct err *e)
{
    if (e)
        *e = (struct err){ .cls = ERR_OK };
}

void die(const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    LOG(ERROR, "process.fatal", KS("text", text));
    _exit(EXIT_BUG);
}
