/* verb_rcpt.c - RCPT TO: one recipient; relay policy and cleanup's verdict decide (policy.c) */
#include "common/mail/params.h"
#include "smtpd/verbs.h"

enum engine_step verb_rcpt(struct engine *e, struct strv argument)
{
    struct envelope *v = &e->envelope;
    const char *why = "";
    struct strv rest;
    struct param p;
    enum param_step step;

    if (!path_parse(PATH_FORWARD, argument, 0, &v->rcpt, &rest, &why)) {
        v->given++;
        return engine_refuse(e, RE_BAD_RCPT, SV(why));
    }
    v->given++;
    step = param_next(&rest, &p);
    if (step != PARAM_END) {
        enum engine_step next =
            engine_refuse(e, step == PARAM_BAD ? RE_BAD_PARAM : RE_UNKNOWN_PARAM, p.keyword);

        path_clear(&v->rcpt);
        return next;
    }
    return policy_begin(e, POLICY_RCPT);
}

enum engine_step rcpt_accepted(struct engine *e)
{
    e->envelope.accepted++;
    path_clear(&e->envelope.rcpt);
    e->phase = PH_RCPT;
    return engine_reply(e, RE_RCPT_OK);
}
