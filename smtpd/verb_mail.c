/* verb_mail.c - MAIL FROM: sender and parameters, opens the transaction */
#include "common/base/clock.h"
#include "common/mail/params.h"
#include "common/mail/priority.h"
#include "conf/queue.h"
#include "smtpd/verbs.h"

/* Parameters are taken after HELO, too: old clients send SIZE there and mean it. */
static bool take_size(struct engine *e, const struct param *p)
{
    return p->has_value && param_size(p->value, &e->envelope.declared);
}

static bool take_body(struct engine *e, const struct param *p)
{
    enum param_body body;

    if (!p->has_value || !param_body(p->value, &body) || body == PARAM_BODY_BINARYMIME)
        return false;
    e->envelope.eight_bit = body == PARAM_BODY_8BITMIME;
    return true;
}

/* RFC 4954 5: who sent it first, as a server that we trust says. We trust none, and must not refuse it. */
static bool take_auth(struct engine *e, const struct param *p)
{
    (void)e;
    return p->has_value && p->value.n > 0;
}

static bool take_ret(struct engine *e, const struct param *p)
{
    return p->has_value && param_ret(p->value, &e->envelope.ret);
}

static bool take_envid(struct engine *e, const struct param *p)
{
    struct buf text;
    bool ok;

    buf_init(&text, PARAM_ENVID_MAX);
    ok = p->has_value && param_envid(p->value, &text);
    if (ok)
        e->envelope.envid = strv_dup(buf_view(&text));
    buf_clear(&text);
    return ok;
}

/* RFC 6710 5: who is not known may say that his mail can wait, not that it goes before that of others. */
static bool take_priority(struct engine *e, const struct param *p)
{
    int level;

    if (!p->has_value || !priority_parse(p->value, &level))
        return false;
    e->envelope.lowered = level > 0 && !e->own;
    e->envelope.priority = priority_of_level(e->envelope.lowered ? 0 : level);
    return true;
}

bool dsn_is_offered(const struct engine *e)
{
    return conf_notices_success(e->service->conf->queue);
}

static bool auth_is_offered(const struct engine *e)
{
    return e->tls && e->service->listen->auth != CONF_AUTH_NONE;
}

static const struct {
    const char *keyword;
    bool (*take)(struct engine *e, const struct param *p);
    bool (*offered)(const struct engine *e); /* NULL: always */
} mail_params[] = {
    { "SIZE", take_size, NULL },
    { "BODY", take_body, NULL },
    { "AUTH", take_auth, auth_is_offered },
    { "RET", take_ret, dsn_is_offered },
    { "ENVID", take_envid, dsn_is_offered },
    { "MT-PRIORITY", take_priority, NULL },
};

#define PARAM_COUNT (sizeof mail_params / sizeof *mail_params)

/* RE_OK, or the refusal with its detail. */
static enum reply_id take_params(struct engine *e, struct strv rest, struct strv *detail)
{
    unsigned seen = 0;
    struct param p;
    enum param_step step;

    while ((step = param_next(&rest, &p)) == PARAM_OK) {
        size_t i = 0;

        *detail = p.keyword;
        while (i < PARAM_COUNT && !strv_iis(p.keyword, mail_params[i].keyword))
            i++;
        if (i == PARAM_COUNT || (mail_params[i].offered && !mail_params[i].offered(e)))
            return RE_UNKNOWN_PARAM;
        if ((seen & 1u << i) || !mail_params[i].take(e, &p))
            return RE_BAD_PARAM;
        seen |= 1u << i;
    }
    *detail = p.keyword;
    return step == PARAM_BAD ? RE_BAD_PARAM : RE_OK;
}

enum engine_step verb_mail(struct engine *e, struct strv argument)
{
    const char *why = "";
    struct strv rest, detail = strv_make("", 0);
    enum reply_id id;

    if (!path_parse(PATH_REVERSE, argument, 0, &e->envelope.sender, &rest, &why))
        return engine_refuse(e, RE_BAD_SENDER, SV(why));
    id = take_params(e, rest, &detail);
    if (id != RE_OK) {
        engine_refuse(e, id, detail);
        engine_reset(e);
        return e->phase == PH_ENDED ? STEP_CLOSE : STEP_NEXT;
    }
    return policy_begin(e, POLICY_MAIL);
}

enum engine_step mail_accepted(struct engine *e)
{
    e->envelope.id = id_new();
    e->envelope.arrival = clock_wall_ms();
    e->envelope.tx = TX_OPENED;
    e->commands_mark = e->commands - 1;
    e->phase = PH_MAIL;
    e->ops->tx_open(e->arg);
    return engine_reply(e, e->envelope.lowered ? RE_SENDER_LOWERED : RE_SENDER_OK);
}
