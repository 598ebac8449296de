/* requeue.c - messages of the queue that an operator sends through cleanup again
 *
 * queued gives the message by descriptor, its origin, and its recipients, in as many frames as they need:
 * each as it stands, or to be looked for in today's tables. All of them are one transaction, so each address
 * that they lead to is there once. The content is not touched and no trace field is added: the message never
 * left this host. Everything that cannot be had, refusals too, refuses the whole, and it stays as it was.
 * A commit with that origin ends the recipients of the old message.
 */
#include "cleanup/requeue.h"

#include "cleanup/forward_inner.h"
#include "cleanup/recipients.h"
#include "cleanup/resolve.h"
#include "cleanup/service.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/mail/address.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>

#define BARRED_MAX (32u * 1024u * 1024u) /* bytes; queued's envelopes are smaller */
#define WORDS_MAX  (16u * 1024u * 1024u) /* of all recipients, each with the names that led to it */
#define ASKED_MAX  200u                  /* addresses of one message that tables are asked for at once */

static void refuse(struct txn *t, enum ipc_verdict verdict, int code, const char *enhanced, struct strv what,
                   struct strv why)
{
    char text[256];

    snprintf(text, sizeof text, "%.*s: %.*s", (int)(what.n < 100 ? what.n : 100), what.n ? what.p : "",
             (int)(why.n < 140 ? why.n : 140), why.n ? why.p : "");
    txn_refuse(t, verdict, code, enhanced, text, "requeue");
}

/* ---- addresses that tables are asked for ---- */

static void ask_more(struct txn *t)
{
    struct forward *f = t->forward;

    if (f->asking)
        return;
    f->asking = true;
    while (*f->unasked && t->resolving < ASKED_MAX && !txn_is_refused(t)) {
        struct txn_rcpt *r = *f->unasked;

        f->unasked = &r->next;
        if (r->state == RCPT_RESOLVING)
            recipients_resolve(t, r);
        if (r->state == RCPT_REFUSED)
            refuse(t, VERDICT_REFUSE, 501, "5.1.3", txn_view(t, r->rcpt),
                   SV_LIT("bad recipient address syntax"));
    }
    f->asking = false;
}

void requeue_left_out(struct txn *t, enum requeue_left why, struct strv address, struct strv original)
{
    struct cleanup *cl = t->cl;

    if (!cl->queued)
        return;
    ipc_begin(&cl->out, IPC_N_LEFT_OUT, t->forward->request);
    ipc_put_clean(&cl->out, TAG_RCPT, address);
    ipc_put_clean(&cl->out, TAG_ORIGINAL, original);
    ipc_put_u64(&cl->out, TAG_KIND, why);
    channel_send(cl->queued, &cl->out);
}

static void take_result(struct txn_rcpt *r, const struct resolve_result *result)
{
    struct txn *t = r->txn;

    if (result->verdict != VERDICT_ACCEPT) {
        refuse(t, result->verdict, result->code, result->enhanced, txn_view(t, r->rcpt), result->text);
        return;
    }
    if (!result->leaf_n)
        requeue_left_out(t, LEFT_NOBODY, txn_view(t, r->rcpt), txn_view(t, r->given));
    r->state = RCPT_ACCEPTED;
    t->accepted++;
    if (result->leaf_n > 1)
        recipients_expanded(t, r);
    for (size_t i = 0; i < result->leaf_n; i++)
        txn_final_leaf(t, r, &result->leaves[i]);
}

void requeue_resolved(struct txn_rcpt *r, const struct resolve_result *result)
{
    take_result(r, result);
    ask_more(r->txn);
}

/* ---- recipients ---- */

/* Who has the message already, or gets it from the old one. */
static bool take_barred(struct txn *t, uint64_t size)
{
    struct strv rest, entry, address;
    char *bytes;
    bool ok;

    if (!size)
        return true;
    if (size > BARRED_MAX)
        return false;
    bytes = mem_resize(NULL, (size_t)size, 1);
    ok = fd_pread_full(t->forward->fds[0], bytes, (size_t)size, (off_t)t->forward->sizes[0]) == (ssize_t)size;
    rest = strv_make(bytes, (size_t)size);
    while (ok && rest.n && strv_cut(&rest, '\0', &entry) && entry.n) {
        bool local = entry.p[0] == 'l';

        entry = strv_from(entry, 1);
        ok = strv_cut(&entry, '\n', &address) && entry.p;
        if (ok)
            txn_final_bar(t, address, local, entry);
    }
    free(bytes);
    return ok;
}

static struct txn_rcpt *add_rcpt(struct txn *t, const struct ipc_in *group)
{
    struct txn_rcpt *r = txn_rcpt_add(t, ipc_get(group, TAG_RCPT));

    r->local = ipc_get_u64(group, TAG_LOCAL) != 0;
    r->given = txn_keep(t, ipc_get(group, TAG_ORIGINAL));
    r->orcpt = txn_keep(t, ipc_get(group, TAG_ORCPT));
    r->has_notify = ipc_get_u64(group, TAG_NOTIFY) != 0;
    r->notify = ipc_get_u64(group, TAG_NOTIFY);
    return r;
}

static void take_kept(struct txn *t, const struct ipc_in *group)
{
    struct txn_rcpt *r = add_rcpt(t, group);
    struct strv target = ipc_get(group, TAG_TARGET);

    r->state = RCPT_ACCEPTED;
    t->accepted++;
    if (target.n)
        txn_final_add_target(t, r, ipc_get(group, TAG_RCPT), target);
    else
        txn_final_add(t, r, ipc_get(group, TAG_RCPT), r->local);
}

/* As at RCPT. The written form is what everything compares. */
static void take_resolved(struct txn *t, const struct ipc_in *group)
{
    struct strv text = ipc_get(group, TAG_RCPT);
    const char *why = "no address";
    struct txn_rcpt *r;
    struct address a;
    struct buf full;

    if (!address_parse(text, ADDRESS_LOCAL_OK | ADDRESS_UTF8, &a, &why) ||
        !recipients_complete(t->cl->conf, &a)) {
        refuse(t, VERDICT_REFUSE, 501, "5.1.3", text, SV(why ? why : "no address"));
        return;
    }
    buf_init(&full, 2 * ADDRESS_MAX);
    address_format(&a, &full);
    r = add_rcpt(t, group);
    r->rcpt = txn_keep(t, buf_view(&full));
    if (!r->given.n || strv_eq(txn_view(t, r->given), text))
        r->given = r->rcpt;
    r->local = a.kind == ADDRESS_DOMAIN && conf_domain_is_own(t->cl->conf, a.domain);
    buf_clear(&full);
    address_clear(&a);
}

static void take_rcpts(struct txn *t, const struct ipc_in *in)
{
    struct ipc_in group;
    size_t at = 0;

    while (ipc_next_group(in, TAG_RCPT, &at, &group) && !txn_is_refused(t)) {
        if (ipc_get_u64(&group, TAG_KIND) == REQUEUE_KEEP)
            take_kept(t, &group);
        else
            take_resolved(t, &group);
    }
    ask_more(t);
    t->forward->more = ipc_has(in, TAG_LAST) && !ipc_get_u64(in, TAG_LAST);
    if (!t->forward->more)
        forward_pump(t);
}

/* An operator may have written it. */
static void take_sender(struct txn *t, struct strv text)
{
    const char *why = NULL;
    struct address a;
    struct buf full;

    if (!text.n)
        return;
    if (!address_parse(text, ADDRESS_UTF8, &a, &why)) {
        refuse(t, VERDICT_REFUSE, 501, "5.1.7", text, SV(why ? why : "no sender address"));
        return;
    }
    buf_init(&full, 2 * ADDRESS_MAX);
    address_format(&a, &full);
    t->sender = txn_keep(t, buf_view(&full));
    buf_clear(&full);
    address_clear(&a);
}

void requeue_on_open(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct txn *t = txn_new(arg);
    char about[ID_TEXT_SIZE];

    (void)ch;
    forward_new(t, in);
    t->again = true;
    t->words.max = WORDS_MAX;
    t->forward->unasked = &t->rcpts;
    t->id = id_new();
    id_text(t->id, t->id_text);
    t->arrival_ms = (int64_t)ipc_get_u64(in, TAG_ARRIVAL);
    t->origin = txn_keep(t, ipc_get(in, TAG_ORIGIN));
    id_text(ipc_get_u64(in, TAG_ID), about);
    LOG(INFO, "cleanup.requeue.taken", KS("id", t->id_text), KS("about", about),
        KV("sender", ipc_get(in, TAG_SENDER)));
    take_sender(t, ipc_get(in, TAG_SENDER));
    if (FAULT_POINT("cleanup.requeue.take") != 0 || !take_barred(t, ipc_get_u64(in, TAG_COUNT)))
        txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0", "The message cannot be read now", "");
    take_rcpts(t, in);
}

void requeue_on_rcpts(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct cleanup *cl = arg;
    struct forward *f = cl->forwards;

    (void)ch;
    while (f && !(f->txn->again && f->more && f->request == in->txn))
        f = f->next;
    if (f)
        take_rcpts(f->txn, in);
}
