/* verb_helo.c - HELO and EHLO: who the client says it is; ends any transaction (RFC 5321 4.1.4) */
#include "common/base/mem.h"
#include "common/mail/domain.h"
#include "smtpd/verbs.h"

#include <stdlib.h>

static bool helo_take(struct engine *e, struct strv argument, bool esmtp)
{
    if (!helo_ok(argument))
        return false;
    engine_reset(e);
    MEM_FREE(e->helo);
    e->helo = strv_dup(argument);
    e->esmtp = esmtp;
    e->phase = PH_READY;
    return true;
}

enum engine_step verb_helo(struct engine *e, struct strv argument)
{
    if (!helo_take(e, argument, false))
        return engine_refuse(e, RE_HELO_SYNTAX, strv_make("", 0));
    reply_put(e->out, RE_HELO, SV(e->service->conf->top->hostname));
    return STEP_NEXT;
}

enum engine_step verb_ehlo(struct engine *e, struct strv argument)
{
    if (!helo_take(e, argument, true))
        return engine_refuse(e, RE_HELO_SYNTAX, strv_make("", 0));
    buf_addv(e->out, buf_view(e->tls ? &e->service->ehlo_tls : &e->service->ehlo));
    return STEP_NEXT;
}
