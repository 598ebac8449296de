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
#include "conf/address.h"
#include "conf/conf.h"
#include "conf/top.h"

#include <stdio.h>

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

static void rcpt_accept(struct txn_rcpt *r, const struct resolve_result *result)
{
    struct txn *t = r->txn;
    size_t max = (size_t)t->cl->conf->address->max_expansion;

    /* The rest of the recipients may come in a transaction of their own: RFC 5321 4.5.3.1.10. */
    if (t->accepted && t->final_n + result->leaf_n > max) {
        rcpt_refuse(r, 452, "4.5.3", SV_LIT("Too many recipients"), SV_LIT("address.max_expansion"));
        return;
    }
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

static void conclude(struct txn_rcpt *r)
{
    const struct resolve_result *result = resolve_result(r->resolve);

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

    if (a->kind != ADDRESS_LOCAL)
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
