/* forward.c - messages that a recipient sends on: queued's copy of the message, to new targets
 *
 * queued gives the message by descriptor, its origin, and the targets that a ~/.forward names. The new
 * message has the sender of the old one and a Delivered-To of who sends it on: who finds his own in it has a
 * loop, and the recipient fails with a notice. A commit with that origin finishes the recipient.
 */
#include "cleanup/forward_inner.h"

#include "cleanup/commit.h"
#include "cleanup/pipeline.h"
#include "cleanup/recipients.h"
#include "cleanup/requeue.h"
#include "cleanup/resolve.h"
#include "cleanup/service.h"
#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/mail/address.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "conf/address.h"
#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>

#define STEP     32768u        /* of the message, at once */
#define HELD_MAX (64u * 1024u) /* body bytes that wait for queued's credit before reading stops */

struct forward *forward_new(struct txn *t, struct ipc_in *in)
{
    struct forward *f = mem_new(sizeof *f);

    *f = (struct forward){ .txn = t, .request = in->txn, .next = t->cl->forwards, .at = &t->cl->forwards };
    f->fds[0] = ipc_take_fd(in, 0);
    f->fds[1] = in->fd_count > 1 ? ipc_take_fd(in, 1) : -1;
    f->sizes[0] = ipc_get_u64(in, TAG_SIZE);
    f->sizes[1] = ipc_get_u64(in, TAG_BODY_SIZE);
    f->has_notify = ipc_has(in, TAG_NOTIFY);
    f->notify = ipc_get_u64(in, TAG_NOTIFY);
    if (f->next)
        f->next->at = &f->next;
    t->cl->forwards = f;
    t->forward = f;
    return f;
}

void forward_free(struct forward **fp)
{
    struct forward *f = *fp;

    if (!f)
        return;
    *fp = NULL;
    *f->at = f->next;
    if (f->next)
        f->next->at = f->at;
    fd_close(&f->fds[0]);
    fd_close(&f->fds[1]);
    dict_free(&f->users, NULL);
    free(f);
}

/* ---- targets ---- */

/* The address that a target without a domain means: in the domain of who sends it on. */
static bool target_address(struct strv text, const struct address *rcpt, struct address *out)
{
    struct address bare;
    bool ok;

    if (address_parse(text, ADDRESS_UTF8, out, NULL))
        return true;
    if (!address_parse(text, ADDRESS_LOCAL_OK | ADDRESS_UTF8, &bare, NULL))
        return false;
    ok = address_make(bare.local, rcpt->domain, ADDRESS_UTF8, out, NULL);
    address_clear(&bare);
    return ok;
}

static struct txn_rcpt *rcpt_add(struct txn *t, struct strv address)
{
    struct txn_rcpt *r = txn_rcpt_add(t, address);

    r->orcpt = t->forward->orcpt;
    r->given = t->forward->given;
    r->has_notify = t->forward->has_notify;
    r->notify = t->forward->notify;
    return r;
}

/* One that needs no table: the mailbox of an own address, or a command or file of its ~/.forward. */
static void add_target(struct txn *t, struct strv address, struct strv target)
{
    struct txn_rcpt *r = rcpt_add(t, address);

    r->state = RCPT_ACCEPTED;
    t->accepted++;
    txn_final_add_target(t, r, address, target);
}

static void add_program(struct txn *t, struct strv rcpt, struct strv text)
{
    struct buf target;

    buf_init(&target, IPC_TEXT_MAX);
    buf_addc(&target, '~');
    buf_addv(&target, text);
    add_target(t, rcpt, buf_view(&target));
    buf_clear(&target);
}

static void add_address(struct txn *t, const struct address *a, bool own, bool final)
{
    struct buf text;

    buf_init(&text, 2 * ADDRESS_MAX);
    address_format(a, &text);
    if (own && final) {
        add_target(t, buf_view(&text), SV_LIT("\\"));
    } else {
        struct txn_rcpt *r = rcpt_add(t, buf_view(&text));

        r->local = own;
        recipients_resolve(t, r);
    }
    buf_clear(&text);
}

/* `\name` is a mailbox without further ado, and so is a user who names himself. */
static bool take_address(struct txn *t, struct strv text, struct strv rcpt_text, const struct address *rcpt)
{
    bool final = text.n > 1 && text.p[0] == '\\', own;
    struct address a;

    if (!target_address(final ? strv_from(text, 1) : text, rcpt, &a))
        return false;
    own = a.kind == ADDRESS_DOMAIN && conf_domain_is_own(t->cl->conf, a.domain);
    if (address_ieq(&a, rcpt))
        add_target(t, rcpt_text, SV_LIT("\\"));
    else
        add_address(t, &a, own, final);
    t->forward->names = t->forward->names || !(own && final);
    address_clear(&a);
    return true;
}

/* The members of a list whose owner is the sender now. */
static void add_list(struct txn *t, struct strv rcpt)
{
    struct txn_rcpt *r = rcpt_add(t, rcpt);

    r->local = r->member = true;
    recipients_resolve(t, r);
}

static void take_target(struct txn *t, struct strv text, struct strv rcpt_text, const struct address *rcpt)
{
    if (strv_is(text, "/dev/null"))
        t->accepted++;
    else if (strv_is(text, "@list"))
        add_list(t, rcpt_text);
    else if (text.n && (text.p[0] == '|' || (text.p[0] == '/' && !strv_has(text, '@'))))
        add_program(t, rcpt_text, text);
    else if (!take_address(t, text, rcpt_text, rcpt))
        LOG(WARN, "cleanup.forward.bad", KS("id", t->id_text), KV("rcpt", rcpt_text), KV("target", text));
}

static bool take_targets(struct txn *t, const struct ipc_in *in)
{
    struct strv rcpt_text = ipc_get(in, TAG_RCPT), text;
    struct address rcpt;
    size_t at = 0;

    if (!address_parse(rcpt_text, ADDRESS_UTF8, &rcpt, NULL))
        return false;
    while (ipc_next(in, TAG_TARGET, &at, &text) && !txn_is_refused(t))
        take_target(t, text, rcpt_text, &rcpt);
    address_clear(&rcpt);
    return t->rcpt_n > 0 || t->accepted > 0;
}

/* Two addresses of one user in a ~/.forward: the first is sent on by his, the others are his mailbox. With
   a copy for each, two users that name each other would multiply them with each step. */
static bool is_user_again(struct forward *f, struct strv user)
{
    if (!f->user.n || !user.n)
        return false;
    if (!f->users)
        f->users = dict_new();
    return dict_set(f->users, user, f) != NULL;
}

/* What a list that was sent on has in itself, a command, a file or a mailbox of its own name: for those the
   Delivered-To of the list is no loop. */
static void add_leaf(struct txn *t, const struct txn_rcpt *r, const struct resolve_leaf *leaf)
{
    struct buf target;

    if ((r->member && !leaf->target.n && strv_ieq(leaf->address, txn_view(t, r->rcpt))) ||
        (!leaf->target.n && is_user_again(t->forward, leaf->user))) {
        txn_final_add_target(t, r, leaf->address, SV_LIT("\\"));
        return;
    }
    if (!r->member || !leaf->target.n) {
        txn_final_leaf(t, r, leaf);
        return;
    }
    buf_init(&target, IPC_TEXT_MAX);
    buf_addc(&target, '=');
    buf_addv(&target, strv_from(leaf->target, 1));
    txn_final_add_target(t, r, leaf->address, buf_view(&target));
    buf_clear(&target);
}

void forward_resolved(struct txn_rcpt *r, const struct resolve_result *result)
{
    struct txn *t = r->txn;

    if (t->again) {
        requeue_resolved(r, result);
        return;
    }
    if (result->verdict == VERDICT_TEMPFAIL) {
        txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0", "A target of the forward cannot be resolved now", "");
        return;
    }
    r->state = RCPT_ACCEPTED;
    t->accepted++;
    /* Delivery fails who does not exist, and the sender hears of it. */
    if (result->verdict == VERDICT_REFUSE)
        txn_final_add(t, r, txn_view(t, r->rcpt), r->local);
    for (size_t i = 0; i < result->leaf_n; i++)
        add_leaf(t, r, &result->leaves[i]);
}

/* ---- the message ---- */

/* His ~/.forward is obeyed once whatever extension leads to it: two that name each other with nine extensions
   would send for ever. A filter that sends to an extension of its own is no loop, it chooses each time. */
static bool is_his(const struct txn *t, struct strv delivered)
{
    const struct conf *conf = t->cl->conf;
    struct strv user = txn_view(t, t->forward->user), base, ext;
    struct address a;
    bool his;

    if (!user.n || !t->forward->names || !address_parse(delivered, ADDRESS_UTF8, &a, NULL))
        return false;
    base = a.local;
    if (conf->address && conf->address->extension)
        address_split_extension(a.local, SV(conf->address->extension), &base, &ext);
    his = (strv_ieq(a.local, user) || strv_ieq(base, user)) && a.kind == ADDRESS_DOMAIN &&
          conf_domain_is_own(conf, a.domain);
    address_clear(&a);
    return his;
}

static bool is_loop(const struct txn *t)
{
    struct strv rest = buf_view(&t->head), rcpt = txn_view(t, t->forward->rcpt);
    struct header_field field;
    struct buf value;
    unsigned found = 0;

    buf_init(&value, HEADER_SIZE_MAX);
    while (header_next(&rest, &field)) {
        if (!strv_iis(field.name, "Delivered-To"))
            continue;
        buf_reset(&value);
        header_unfold(field.value, &value);
        found += strv_ieq(strv_trim(buf_view(&value)), rcpt) || is_his(t, strv_trim(buf_view(&value)));
    }
    buf_clear(&value);
    return found > 1; /* one is ours */
}

static void loop_check(struct txn *t)
{
    char text[256];
    struct strv rcpt = txn_view(t, t->forward->rcpt);

    if (t->again || t->forward->looked || !t->head_done)
        return;
    t->forward->looked = true;
    if (!is_loop(t))
        return;
    snprintf(text, sizeof text, "mail forwarding loop for %.*s", (int)(rcpt.n < 200 ? rcpt.n : 200), rcpt.p);
    txn_refuse(t, VERDICT_REFUSE, 554, "5.4.6", text, "Delivered-To");
}

static bool read_step(struct txn *t)
{
    struct forward *f = t->forward;
    static char piece[STEP];
    uint64_t left = f->sizes[f->part] - f->offset;
    size_t want = left < STEP ? (size_t)left : STEP;
    ssize_t n = f->fds[f->part] >= 0 ? fd_pread_full(f->fds[f->part], piece, want, (off_t)f->offset) : -1;

    if (n < 0 || (size_t)n != want)
        return false;
    f->offset += want;
    txn_data(t, strv_make(piece, want));
    commit_stream(t);
    if (f->offset == f->sizes[f->part]) {
        f->part++;
        f->offset = 0;
    }
    return true;
}

void forward_pump(struct txn *t)
{
    struct forward *f = t->forward;
    bool whole;

    if (!f || t->phase != TXN_RECEIVING)
        return;
    while (!txn_is_refused(t) && f->part < 2 && t->body.len < HELD_MAX) {
        if (f->sizes[f->part] == 0)
            f->part++;
        else if (!read_step(t))
            txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0", "The message cannot be read now", "");
        if (!txn_is_refused(t))
            loop_check(t);
    }
    whole = f->part == 2;
    if (whole && !txn_is_refused(t)) {
        txn_data_end(t);
        loop_check(t);
    }
    if (txn_is_refused(t))
        txn_finish(t);
    else if (whole)
        pipeline_start(t);
}

static void envelope_take(struct txn *t, const struct ipc_in *in)
{
    struct forward *f = t->forward;

    t->id = id_new();
    id_text(t->id, t->id_text);
    t->arrival_ms = (int64_t)ipc_get_u64(in, TAG_ARRIVAL);
    t->origin = txn_keep(t, ipc_get(in, TAG_ORIGIN));
    t->sender = txn_keep(t, ipc_get(in, TAG_SENDER));
    t->envid = txn_keep(t, ipc_get(in, TAG_ENVID));
    t->has_ret = ipc_has(in, TAG_RET);
    t->ret = ipc_get_u64(in, TAG_RET);
    t->has_body_type = ipc_has(in, TAG_BODY_TYPE);
    t->body_type = ipc_get_u64(in, TAG_BODY_TYPE);
    t->priority = ipc_get_u64(in, TAG_PRIORITY);
    f->rcpt = txn_keep(t, ipc_get(in, TAG_RCPT));
    f->given = txn_keep(t, ipc_get(in, TAG_ORIGINAL));
    f->user = txn_keep(t, ipc_get(in, TAG_USER));
    /* Only what the sender gave: of a list none is passed on (RFC 3461 4.2, 5.2.7.1), and where he gave none
       a server further on is not to hear of addresses on the way (5.2.1 (d)). */
    f->orcpt = txn_keep(t, ipc_get(in, TAG_ORCPT));
}

void forward_on_open(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct txn *t = txn_new(arg);
    char about[ID_TEXT_SIZE];

    (void)ch;
    forward_new(t, in);
    envelope_take(t, in);
    id_text(ipc_get_u64(in, TAG_ID), about);
    LOG(INFO, "cleanup.forward.taken", KS("id", t->id_text), KS("about", about),
        KV("rcpt", ipc_get(in, TAG_RCPT)), KV("sender", ipc_get(in, TAG_SENDER)));
    txn_data(t, SV_LIT("Delivered-To: "));
    txn_data(t, ipc_get(in, TAG_RCPT));
    txn_data(t, SV_LIT("\r\n"));
    if (FAULT_POINT("cleanup.forward.take") != 0 || !take_targets(t, in))
        txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.5", "None of the targets is one", "forward");
    forward_pump(t);
}

/* ---- the end ---- */

void forward_finished(struct txn *t)
{
    struct cleanup *cl = t->cl;
    bool failed = txn_is_refused(t);

    if (!cl->queued)
        return;
    if (failed)
        log_emit(LOG_LV_WARN, t->again ? "cleanup.requeue.refused" : "cleanup.forward.failed",
                 (const struct kv[]){ KS("id", t->id_text), KV("origin", txn_view(t, t->origin)),
                                      KS("why", t->refused.text), { .key = NULL } });
    ipc_begin(&cl->out, IPC_N_FORWARDED, t->forward->request);
    ipc_put_u64(&cl->out, TAG_VERDICT, t->refused.verdict);
    if (failed) {
        ipc_put_clean(&cl->out, TAG_ENHANCED, SV(t->refused.enhanced));
        ipc_put_clean(&cl->out, TAG_TEXT, SV(t->refused.text));
    }
    channel_send(cl->queued, &cl->out);
}

void forwards_abort(struct cleanup *cl)
{
    while (cl->forwards) {
        struct txn *t = cl->forwards->txn;

        t->phase = TXN_STAGES; /* what it submitted is lost: nothing will end it but this */
        txn_abort(t);
    }
}
