/* policy.c - the table of checks, and what each answers */
#include "smtpd/policy.h"

#include "smtpd/engine.h"
#include "smtpd/report.h"
#include "smtpd/verbs.h"

#include "common/mail/reply.h"
#include "conf/auth.h"
#include "conf/conf.h"

#include <stdio.h>

#define NOTHING strv_make("", 0)

static enum policy_verdict refuse(struct refusal *r, enum reply_id id)
{
    *r = (struct refusal){ .id = id, .detail = NOTHING };
    snprintf(r->rule, sizeof r->rule, "%s", reply_table[id].name);
    return POLICY_REFUSE;
}

/* The same with the place in the operator's files that says so. */
static enum policy_verdict refuse_by(struct refusal *r, enum reply_id id, const struct conf_head *head,
                                     const char *section, const char *field)
{
    char where[256];

    conf_where_text(conf_where(head, section, field), where, sizeof where);
    *r = (struct refusal){ .id = id, .detail = NOTHING };
    snprintf(r->rule, sizeof r->rule, "%s.%s %s", section, field, where);
    return POLICY_REFUSE;
}

/* --- MAIL --- */

static enum policy_verdict mail_size(struct engine *e, struct refusal *r)
{
    const struct conf_listen *l = e->service->listen;

    if (e->envelope.declared <= (uint64_t)l->max_message_size)
        return POLICY_PASS;
    return refuse_by(r, RE_TOO_BIG, &l->head, "listen", "max_message_size");
}

static enum policy_verdict mail_auth(struct engine *e, struct refusal *r)
{
    const struct conf_listen *l = e->service->listen;

    if (l->auth != CONF_AUTH_REQUIRE || e->login)
        return POLICY_PASS;
    return refuse_by(r, RE_NEED_AUTH, &l->head, "listen", "auth");
}

/* Which senders are an account's own: the address that is its login, what auth.senders grants it, and the
   null sender, with which programs answer (RFC 3834). Without this check one stolen password writes in
   everybody's name. Only where users hand in their mail: elsewhere an authenticated host may forward what
   others wrote. */
static enum policy_verdict mail_sender(struct engine *e, struct refusal *r)
{
    struct buf *text = &e->service->scratch;

    if (!e->login || !e->service->listen->submission || address_is_null(&e->envelope.sender.address))
        return POLICY_PASS;
    buf_reset(text);
    address_format(&e->envelope.sender.address, text);
    if (strv_ieq(buf_view(text), SV(e->login)))
        return POLICY_PASS;
    if (e->service->conf->auth->senders[0] == '\0')
        return refuse_by(r, RE_NOT_YOUR_SENDER, &e->service->conf->auth->head, "auth", "senders");
    e->wait = AWAIT_SENDER;
    e->ops->sender(e->arg, SV(e->login));
    return POLICY_WAIT;
}

static bool sender_is_in(struct strv sender, struct strv allowed)
{
    struct strv item;
    size_t at;

    while (strv_cut(&allowed, ',', &item)) {
        item = strv_trim(item);
        if (strv_is(item, "*") || strv_ieq(item, sender))
            return true;
        if (item.n > 1 && item.p[0] == '@' && strv_rfind(sender, '@', &at) &&
            strv_ieq(strv_from(sender, at), item))
            return true;
    }
    return false;
}

void engine_sender_answer(struct engine *e, struct strv allowed)
{
    struct buf *text = &e->service->scratch;
    struct refusal r = { .id = RE_TEMPORARY, .rule = "auth.senders" };

    if (e->wait != AWAIT_SENDER)
        return;
    e->wait = AWAIT_NOTHING;
    buf_reset(text);
    address_format(&e->envelope.sender.address, text);
    if (allowed.p && sender_is_in(buf_view(text), allowed)) {
        policy_resume(e, NULL);
        return;
    }
    if (allowed.p)
        refuse_by(&r, RE_NOT_YOUR_SENDER, &e->service->conf->auth->head, "auth", "senders");
    policy_resume(e, &r);
}

/* Never refuses: the confirmed name is wanted in Received and in the log, and its look-up began at connect.
 */
static enum policy_verdict mail_name(struct engine *e, struct refusal *r)
{
    (void)r;
    if (!e->name_pending)
        return POLICY_PASS;
    e->wait = AWAIT_NAME;
    return POLICY_WAIT;
}

/* A new cleanup is there in less than a second as a rule: answering 451 at once would delay good mail by the
   client's retry time, and make a client that knows no pause fill the log. */
static enum policy_verdict mail_queue(struct engine *e, struct refusal *r)
{
    (void)r;
    if (e->ops->tx_ready(e->arg))
        return POLICY_PASS;
    e->wait = AWAIT_CLEANUP;
    return POLICY_WAIT;
}

/* --- RCPT --- */

static enum policy_verdict transaction_alive(struct engine *e, struct refusal *r)
{
    if (e->envelope.tx != TX_LOST)
        return POLICY_PASS;
    refuse(r, RE_TEMPORARY);
    snprintf(r->rule, sizeof r->rule, "cleanup-lost");
    return POLICY_REFUSE;
}

static enum policy_verdict rcpt_count(struct engine *e, struct refusal *r)
{
    const struct conf_listen *l = e->service->listen;

    if (e->envelope.accepted < l->max_recipients)
        return POLICY_PASS;
    return refuse_by(r, RE_TOO_MANY_RCPT, &l->head, "listen", "max_recipients");
}

/* May this client send there? Own domains and relay.to are open to everybody, but only for what they are: a
   local part that a mailer behind us would route again (a%b@own, "a@b"@own, b!a@own) asks for relaying in
   disguise. A source route was dropped by the parser, so @own:a@b is judged as a@b, and a@[192.0.2.1] is
   foreign like any other domain that the configuration does not name. */
static enum policy_verdict rcpt_relay(struct engine *e, struct refusal *r)
{
    const struct conf *conf = e->service->conf;
    const struct conf_relay *relay = conf->relay;
    const struct address *a = &e->envelope.rcpt.address;
    bool own_domain = a->kind == ADDRESS_LOCAL || conf_is_host_contact(conf, a->local, a->domain) ||
                      (a->kind == ADDRESS_DOMAIN && conf_domain_is_own(conf, a->domain));
    bool backup = a->kind == ADDRESS_DOMAIN && conf_strings_have(&relay->to, a->domain);

    e->envelope.rcpt_local = own_domain;
    if (e->own)
        return POLICY_PASS;
    if (!own_domain && !backup)
        return refuse_by(r, RE_RELAY_DENIED, &relay->head, "relay", "from");
    if (!address_local_is_routed(a->local))
        return POLICY_PASS;
    refuse(r, RE_RELAY_DENIED);
    snprintf(r->rule, sizeof r->rule, "routed-local-part");
    return POLICY_REFUSE;
}

static enum policy_verdict rcpt_exists(struct engine *e, struct refusal *r)
{
    struct buf *text = &e->service->scratch;

    (void)r;
    buf_reset(text);
    address_format(&e->envelope.rcpt.address, text);
    e->wait = AWAIT_RCPT;
    e->ops->tx_rcpt(e->arg, e->envelope.given, buf_view(text), e->envelope.rcpt_local);
    return POLICY_WAIT;
}

/* --- the whole message --- */

static enum policy_verdict message_size(struct engine *e, struct refusal *r)
{
    const struct conf_listen *l = e->service->listen;

    if (body_size(&e->body) <= (uint64_t)l->max_message_size)
        return POLICY_PASS;
    return refuse_by(r, RE_TOO_BIG, &l->head, "listen", "max_message_size");
}

/* CVE-2023-51764 and its relatives: two servers that disagree about where a line ends disagree about where a
   message ends. Nothing but CRLF ends one here, and what others could read otherwise does not come in. */
static enum policy_verdict message_newlines(struct engine *e, struct refusal *r)
{
    if (e->body.dot.bare_cr == 0 && e->body.dot.bare_lf == 0)
        return POLICY_PASS;
    return refuse(r, RE_BARE_DATA);
}

static enum policy_verdict message_nul(struct engine *e, struct refusal *r)
{
    return e->body.dot.nul == 0 ? POLICY_PASS : refuse(r, RE_NUL_DATA);
}

/* clang-format off */
const struct policy_check policy_checks[] = {
    { "auth",        POLICY_MAIL,    mail_auth },
    { "size",        POLICY_MAIL,    mail_size },
    { "sender",      POLICY_MAIL,    mail_sender },
    { "client-name", POLICY_MAIL,    mail_name },
    { "queue",       POLICY_MAIL,    mail_queue }, /* last: the transaction is opened behind it */
    { "transaction", POLICY_RCPT,    transaction_alive },
    { "recipients",  POLICY_RCPT,    rcpt_count },
    { "relay",       POLICY_RCPT,    rcpt_relay },
    { "exists",      POLICY_RCPT,    rcpt_exists },
    { "transaction", POLICY_DATA,    transaction_alive },
    { "transaction", POLICY_MESSAGE, transaction_alive },
    { "size",        POLICY_MESSAGE, message_size },
    { "newlines",    POLICY_MESSAGE, message_newlines },
    { "nul",         POLICY_MESSAGE, message_nul },
    { .name = NULL },
};
/* clang-format on */

/* What follows when all checks of a phase passed, and the phase's name in log lines. */
static const struct {
    const char *step;
    enum engine_step (*accepted)(struct engine *e);
} phases[] = {
    [POLICY_MAIL] = { "mail", mail_accepted },
    [POLICY_RCPT] = { "rcpt", rcpt_accepted },
    [POLICY_DATA] = { "data", data_accepted },
    [POLICY_MESSAGE] = { "message", message_accepted },
};

static int refusal_write(struct engine *e, const struct refusal *r)
{
    char enhanced[16], size[24];
    struct buf *text = &e->service->scratch;

    if (r->code) {
        buf_reset(text);
        buf_addv(text, r->text);
        strv_cstr(r->enhanced, enhanced, sizeof enhanced);
        reply_write(e->out, r->code, enhanced, buf_cstr(text));
        return r->code;
    }
    snprintf(size, sizeof size, "%lld", (long long)e->service->listen->max_message_size);
    reply_put(e->out, r->id, r->id == RE_TOO_BIG ? SV(size) : r->detail);
    return reply_table[r->id].code;
}

enum engine_step policy_refuse(struct engine *e, const struct refusal *r)
{
    size_t from = e->out->len;
    int code = refusal_write(e, r);

    report_refused(e, phases[e->policy].step, strv_from(buf_view(e->out), from), r->rule);
    switch (e->policy) {
    case POLICY_MAIL:
    case POLICY_MESSAGE: engine_reset(e); break;
    case POLICY_RCPT: engine_rcpt_forget(e); break;
    case POLICY_DATA:
        engine_reset(e); /* only a lost transaction is refused here: nothing of it is left to keep */
        break;
    }
    return engine_count_error(e, code);
}

static enum engine_step policy_run(struct engine *e)
{
    const struct policy_check *c;
    struct refusal r; /* outside of the loop: clearing it for each check was a fifth of the engine's time */

    for (; (c = &policy_checks[e->check])->name; e->check++) {
        if (c->phase != e->policy)
            continue;
        switch (c->run(e, &r)) {
        case POLICY_PASS: break;
        case POLICY_WAIT: return STEP_WAIT;
        case POLICY_REFUSE: return policy_refuse(e, &r);
        }
    }
    return phases[e->policy].accepted(e);
}

enum engine_step policy_begin(struct engine *e, enum policy_phase phase)
{
    e->policy = phase;
    e->check = 0;
    return policy_run(e);
}

enum engine_step policy_resume(struct engine *e, const struct refusal *r)
{
    if (r)
        return policy_refuse(e, r);
    e->check++;
    return policy_run(e);
}
