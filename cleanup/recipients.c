/* recipients.c - resolving a transaction's recipients; the verdict at RCPT is the one the commit uses */
#include "cleanup/recipients.h"

#include "cleanup/drop.h"
#include "cleanup/forward.h"
#include "cleanup/notice.h"
#include "cleanup/pipeline.h"
#include "cleanup/resolve.h"
#include "cleanup/service.h"
#include "common/base/log.h"
#include "common/mail/address.h"
#include "common/mail/params.h"
#include "conf/address.h"
#include "conf/conf.h"
#include "conf/top.h"

#include <stdio.h>

#define NOTIFY_OF_ALIAS 16u /* queued/envelope.h */

static uint64_t ask_mapd(void *ctx, const struct key_chain *chain, maps_done *done, void *arg)
{
    struct cleanup *cl = ctx;

    return maps_ask(cl->maps, chain, MAPS_DEADLINE_MS, done, arg);
}

static void cancel_mapd(void *ctx, uint64_t handle)
{
    struct cleanup *cl = ctx;

    maps_cancel(cl->maps, handle);
}

static void rcpt_answer(struct txn_rcpt *r, enum ipc_verdict verdict, int code, const char *enhanced,
                        struct strv text, struct strv rule)
{
    struct txn *t = r->txn;
    struct ipc_out *out = &t->cl->out;

    if (!t->peer)
        return;
    ipc_begin(out, IPC_TX_RCPT_REPLY, t->peer_txn);
    ipc_put_u64(out, TAG_RCPT_INDEX, r->index);
    ipc_put_u64(out, TAG_VERDICT, verdict);
    if (verdict != VERDICT_ACCEPT) {
        ipc_put_u64(out, TAG_CODE, (uint64_t)code);
        ipc_put_text(out, TAG_ENHANCED, SV(enhanced));
        ipc_put_clean(out, TAG_TEXT, text);
    }
    if (rule.n)
        ipc_put_clean(out, TAG_RULE, rule);
    channel_send(t->peer->ch, out);
}

static void rcpt_refuse(struct txn_rcpt *r, int code, const char *enhanced, struct strv text,
                        struct strv rule)
{
    enum ipc_verdict verdict = code < 500 ? VERDICT_TEMPFAIL : VERDICT_REFUSE;

    r->state = RCPT_REFUSED;
    LOG(DEBUG, "cleanup.rcpt.refused", KS("id", r->txn->id_text), KV("rcpt", txn_view(r->txn, r->rcpt)),
        KI("code", code), KV("text", text), KV("rule", rule));
    rcpt_answer(r, verdict, code, enhanced, text, rule);
}

/* RFC 3461 5.2.7.2: of an alias with several members the sender gets one receipt, "expanded", and none from
   its members. It is a recipient of its own in the envelope, to which nothing is delivered. */
void recipients_expanded(struct txn *t, struct txn_rcpt *r)
{
    struct txn_rcpt alias = *r;

    if (!(r->notify & PARAM_NOTIFY_SUCCESS))
        return;
    r->notify &= ~(uint64_t)PARAM_NOTIFY_SUCCESS;
    if (!r->notify)
        r->notify = PARAM_NOTIFY_NEVER;
    if (!t->sender.n)
        return;
    alias.notify = NOTIFY_OF_ALIAS;
    txn_final_add_target(t, &alias, txn_view(t, r->rcpt), SV_LIT("@expanded"));
}

static void rcpt_accept(struct txn_rcpt *r, const struct resolve_result *result)
{
    struct txn *t = r->txn;
    size_t max = (size_t)t->cl->conf->address->max_expansion;

    /* The rest of the recipients may come in a transaction of their own: RFC 5321 4.5.3.1.10. */
    if (t->accepted && t->final_n + result->leaf_n > max) {
        rcpt_refuse(r, 452, "4.5.3", SV_LIT("Too many recipients"), SV_LIT("address.max_expansion"));
        return;
    }
    if (result->leaf_n > 1)
        recipients_expanded(t, r);
    for (size_t i = 0; i < result->leaf_n; i++)
        txn_final_leaf(t, r, &result->leaves[i]);
    if (!buf_ok(&t->words)) {
        rcpt_refuse(r, 452, "4.5.3", SV_LIT("Too many recipients"), SV_LIT("envelope size"));
        txn_refuse(t, VERDICT_TEMPFAIL, 452, "4.5.3", "Too many recipients", "envelope size");
        return;
    }
    r->state = RCPT_ACCEPTED;
    t->accepted++;
    rcpt_answer(r, VERDICT_ACCEPT, 0, "", SV_LIT(""), result->rule);
}

static void use_result(struct txn_rcpt *r, const struct resolve_result *result)
{
    if (r->txn->notice)
        notice_resolved(r, result);
    else if (r->txn->drop)
        drop_resolved(r, result);
    else if (r->txn->forward)
        forward_resolved(r, result);
    else if (result->verdict == VERDICT_ACCEPT)
        rcpt_accept(r, result);
    else
        rcpt_refuse(r, result->code, result->enhanced, result->text, result->rule);
    resolve_free(&r->resolve);
}

/* ---- lists ---- */

static bool rcpt_address(const struct txn_rcpt *r, struct address *a)
{
    return address_parse(txn_view(r->txn, r->rcpt), ADDRESS_LOCAL_OK | ADDRESS_UTF8, a, NULL) &&
           recipients_complete(r->txn->cl->conf, a);
}

/* The whole list is one recipient: delivery sends it on with its owner as the sender. */
static void use_list(struct txn_rcpt *r)
{
    struct resolve_result result = *resolve_result(r->resolve);
    struct resolve_leaf leaf = { .target = SV_LIT("@list"), .local = true };
    struct address a;
    struct buf text;

    if (!rcpt_address(r, &a)) {
        use_result(r, &result);
        return;
    }
    buf_init(&text, 2 * ADDRESS_MAX);
    address_format(&a, &text);
    leaf.address = buf_view(&text);
    result.leaves = &leaf;
    result.leaf_n = 1;
    use_result(r, &result);
    buf_clear(&text);
    address_clear(&a);
}

static void on_owner(void *arg, const struct maps_answer *answer)
{
    struct txn_rcpt *r = arg;
    struct txn *t = r->txn;

    r->question = 0;
    t->resolving--;
    switch (answer->answer) {
    case ANSWER_FOUND: use_list(r); break;
    case ANSWER_ABSENT: use_result(r, resolve_result(r->resolve)); break;
    case ANSWER_FAILED: {
        struct resolve_result result = { .verdict = VERDICT_TEMPFAIL,
                                         .code = 451,
                                         .enhanced = "4.3.0",
                                         .text = SV_LIT("Address lookup failed, please try again later"),
                                         .rule = answer->why };

        use_result(r, &result);
        break;
    }
    }
    if (t->waiting && !t->resolving)
        resolve_run(t);
}

/* An alias foo with an owner-foo beside it is a list: what fails of it is told to the owner, not to who wrote
   to it. Mail of nobody (notices) stays nobody's. */
static bool list_asked(struct txn_rcpt *r, const struct resolve_result *result)
{
    struct txn *t = r->txn;
    struct cleanup *cl = t->cl;
    struct address a, owner;
    struct buf local;

    if (result->verdict != VERDICT_ACCEPT || !result->through_aliases || r->member || !t->sender.n ||
        !rcpt_address(r, &a))
        return false;
    buf_init(&local, 2 * ADDRESS_MAX);
    buf_adds(&local, "owner-");
    buf_addv(&local, a.local);
    if (!strv_istarts(a.local, SV_LIT("owner-")) &&
        address_make(buf_view(&local), a.domain, ADDRESS_UTF8, &owner, NULL)) {
        key_chain_reset(&cl->chain);
        keys_for_address(&cl->chain, cl->conf, &owner, KEYS_ALIASES | KEYS_OWN);
        if (cl->chain.n) {
            t->resolving++;
            r->question = maps_ask(cl->maps, &cl->chain, MAPS_DEADLINE_MS, on_owner, r);
        }
        address_clear(&owner);
    }
    buf_clear(&local);
    address_clear(&a);
    return r->question != 0;
}

static void conclude(struct txn_rcpt *r)
{
    const struct resolve_result *result = resolve_result(r->resolve);

    if (!list_asked(r, result))
        use_result(r, result);
}

static void on_resolved(void *arg, struct resolve *resolve)
{
    struct txn_rcpt *r = arg;
    struct txn *t = r->txn;

    (void)resolve;
    t->resolving--;
    conclude(r);
    if (t->waiting && !t->resolving)
        resolve_run(t);
}

/* postmaster without a domain (RFC 5321 4.5.1) is the postmaster here. */
bool recipients_complete(const struct conf *conf, struct address *a)
{
    const char *domain = conf->top->domains.n ? conf->top->domains.v[0] : conf->top->hostname;
    struct address full;

    if (a->kind != ADDRESS_LOCAL && !conf_is_host_contact(conf, a->local, a->domain))
        return true;
    if (!address_make(a->local, SV(domain), 0, &full, NULL))
        return false;
    address_clear(a);
    *a = full;
    return true;
}

void recipients_env(struct cleanup *cl, struct resolve_env *env)
{
    env->conf = cl->conf;
    env->ask = ask_mapd;
    env->cancel = cancel_mapd;
    env->ctx = cl;
    env->chain = &cl->chain;
}

void recipients_resolve(struct txn *t, struct txn_rcpt *r)
{
    struct cleanup *cl = t->cl;
    struct resolve_env env = { .id = t->id_text, .internal = t->drop || t->notice || t->forward };
    enum resolve_step step;
    struct address a;
    const char *why;

    if (!address_parse(txn_view(t, r->rcpt), ADDRESS_LOCAL_OK | ADDRESS_UTF8, &a, &why) ||
        !recipients_complete(cl->conf, &a)) {
        rcpt_refuse(r, 501, "5.1.3", SV_LIT("Bad recipient address syntax"), SV_LIT(""));
        return;
    }
    recipients_env(cl, &env);
    step = resolve_start(&env, &a, r->local, (size_t)cl->conf->address->max_expansion, on_resolved, r,
                         &r->resolve);
    address_clear(&a);
    if (step == RESOLVE_NOW)
        conclude(r);
    else
        t->resolving++;
}

void resolve_run(struct txn *t)
{
    t->waiting = t->resolving > 0;
    if (t->waiting)
        return;
    if (!t->accepted && !txn_is_refused(t))
        txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0",
                   "No recipient could be resolved, please try again later", "no recipients");
    if (txn_is_refused(t))
        txn_stop(t);
    else
        txn_next(t);
}
