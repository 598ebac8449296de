/* verb_rcpt.c - RCPT TO: one recipient; relay policy and cleanup's verdict decide (policy.c) */
#include "common/base/mem.h"
#include "common/mail/params.h"
#include "smtpd/verbs.h"

static bool take_notify(struct engine *e, const struct param *p)
{
    return e->envelope.rcpt_notify == 0 && p->has_value && param_notify(p->value, &e->envelope.rcpt_notify);
}

static bool take_orcpt(struct engine *e, const struct param *p)
{
    struct buf text;
    bool ok;

    if (e->envelope.rcpt_orcpt || !p->has_value)
        return false;
    buf_init(&text, PARAM_ORCPT_MAX);
    ok = param_orcpt(p->value, &text);
    if (ok)
        e->envelope.rcpt_orcpt = strv_dup(buf_view(&text));
    buf_clear(&text);
    return ok;
}

/* RE_OK, or the refusal with its detail. */
static enum reply_id take_params(struct engine *e, struct strv rest, struct strv *detail)
{
    struct param p;
    enum param_step step;

    while ((step = param_next(&rest, &p)) == PARAM_OK) {
        bool notify = strv_iis(p.keyword, "NOTIFY");

        *detail = p.keyword;
        if (!dsn_is_offered(e) || (!notify && !strv_iis(p.keyword, "ORCPT")))
            return RE_UNKNOWN_PARAM;
        if (!(notify ? take_notify(e, &p) : take_orcpt(e, &p)))
            return RE_BAD_PARAM;
    }
    *detail = p.keyword;
    return step == PARAM_BAD ? RE_BAD_PARAM : RE_OK;
}

enum engine_step verb_rcpt(struct engine *e, struct strv argument)
{
    struct envelope *v = &e->envelope;
    const char *why = "";
    struct strv rest, detail = strv_make("", 0);
    enum reply_id id;

    if (!path_parse(PATH_FORWARD, argument, 0, &v->rcpt, &rest, &why)) {
        v->given++;
        return engine_refuse(e, RE_BAD_RCPT, SV(why));
    }
    v->given++;
    id = take_params(e, rest, &detail);
    if (id != RE_OK) {
        enum engine_step next = engine_refuse(e, id, detail);

        engine_rcpt_forget(e);
        return next;
    }
    return policy_begin(e, POLICY_RCPT);
}

enum engine_step rcpt_accepted(struct engine *e)
{
    e->envelope.accepted++;
    engine_rcpt_forget(e);
    e->phase = PH_RCPT;
    return engine_reply(e, RE_RCPT_OK);
}
