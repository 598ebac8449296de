/* verb_starttls.c - STARTTLS: from the clear to a session that remembers nothing of it (RFC 3207 4.2) */
#include "common/base/mem.h"
#include "common/mail/command.h"
#include "smtpd/verbs.h"

#include <stdlib.h>

enum engine_step verb_starttls(struct engine *e, struct strv argument)
{
    (void)argument;
    if (!e->service->tls)
        return engine_refuse(e, RE_NOT_IMPLEMENTED, strv_make("", 0));
    if (e->tls)
        return engine_refuse(e, RE_TLS_TWICE, strv_make("", 0));
    engine_reply(e, RE_TLS_GO);
    engine_reset(e);
    e->phase = PH_START; /* nothing is read as a command until TLS is up */
    return STEP_TLS;
}

/* What was said in the clear may have been said by anybody: name, greeting and half a line are forgotten.
   What counts against the client stays. */
enum engine_step engine_secured(struct engine *e, struct strv cipher)
{
    bool implicit = e->service->listen->tls == CONF_TLS_IMPLICIT;

    MEM_FREE(e->helo);
    MEM_FREE(e->cipher);
    e->esmtp = false;
    e->tls = true;
    e->cipher = strv_dup(cipher);
    line_init(&e->lines, COMMAND_LINE_MAX);
    if (implicit)
        return engine_start(e, false);
    e->phase = PH_GREETED;
    return STEP_READ;
}
