/* drop.c - local submissions: files of drop/ to messages
 *
 * queued gives the file's descriptor, its owner and its origin; a commit with that origin finishes the file.
 * Nothing in the file is believed: whoever may run postdrop wrote it. What cannot be told now is told to
 * queued as such, and it comes again; what can never be sent becomes a notice to the sender under the same
 * origin, so that the file ends with the notice's commit.
 */
#include "cleanup/drop.h"

#include "cleanup/commit.h"
#include "cleanup/notice.h"
#include "cleanup/pipeline.h"
#include "cleanup/recipients.h"
#include "cleanup/resolve.h"
#include "cleanup/service.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/mail/dropfile.h"
#include "common/mail/dsn.h"
#include "common/mail/intake.h"
#include "common/mail/mailbox.h"
#include "common/mail/params.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "conf/conf.h"
#include "conf/top.h"

#include <stdlib.h>
#include <unistd.h>

#define STEP       32768u        /* of a file, at once */
#define HELD_MAX   (64u * 1024u) /* body bytes that wait for queued's credit before reading stops */
#define NOTICE_MAX (1024u * 1024u)

struct drop {
    struct txn *txn;
    struct drop *next, **at; /* in cleanup.drops */
    uint64_t request;        /* queued's number */
    int fd;                  /* owned */
    uint64_t offset, size, uid;
    struct intake intake;
    struct buf chunk;                 /* owned */
    struct span name, login, warning; /* in txn.words */
    bool read;                        /* all of it */
    bool is_notice;                   /* about the file: the transaction is not what it holds */
};

static struct drop *drop_new(struct txn *t, const struct ipc_in *in, int fd)
{
    struct drop *d = mem_new(sizeof *d);

    *d = (struct drop){ .txn = t, .request = in->txn, .fd = fd, .next = t->cl->drops, .at = &t->cl->drops };
    d->size = ipc_get_u64(in, TAG_SIZE);
    d->uid = ipc_get_u64(in, TAG_UID);
    intake_init(&d->intake);
    buf_init(&d->chunk, DROP_HEAD_MAX + 4 * STEP);
    if (d->next)
        d->next->at = &d->next;
    t->cl->drops = d;
    t->drop = d;
    return d;
}

void drop_free(struct drop **dp)
{
    struct drop *d = *dp;

    if (!d)
        return;
    *dp = NULL;
    *d->at = d->next;
    if (d->next)
        d->next->at = d->at;
    fd_close(&d->fd);
    buf_clear(&d->chunk);
    free(d);
}

uint64_t drop_uid(const struct drop *d)
{
    return d->uid;
}

struct strv drop_warning(const struct txn *t)
{
    return txn_view(t, t->drop->warning);
}

/* ---- addresses ---- */

static struct strv host_domain(const struct conf *conf)
{
    return SV(conf->top->domains.n ? conf->top->domains.v[0] : conf->top->hostname);
}

/* In written form, completed with this host's domain; *own: mail for it ends here. */
static bool complete(const struct conf *conf, struct strv text, struct buf *out, bool *own)
{
    struct address a, full;
    bool bare;

    if (!address_parse(text, ADDRESS_LOCAL_OK, &a, NULL))
        return false;
    bare = a.kind == ADDRESS_LOCAL;
    if (bare) {
        if (!address_make(a.local, host_domain(conf), 0, &full, NULL)) {
            address_clear(&a);
            return false;
        }
        address_clear(&a);
        a = full;
    }
    *own = bare || conf_is_host_contact(conf, a.local, a.domain) ||
           (a.kind == ADDRESS_DOMAIN && conf_domain_is_own(conf, a.domain));
    buf_reset(out);
    address_format(&a, out);
    address_clear(&a);
    return buf_ok(out);
}

static bool add_rcpt(struct txn *t, struct strv text)
{
    struct txn_rcpt *r;
    struct buf full;
    bool own = false, ok;

    buf_init(&full, 2 * ADDRESS_MAX);
    ok = complete(t->cl->conf, text, &full, &own);
    if (ok) {
        r = txn_rcpt_add(t, buf_view(&full));
        r->local = own;
    }
    buf_clear(&full);
    return ok;
}

static void add_name(const struct drop *d, struct mailbox *out)
{
    buf_init(&out->name, MAILBOX_NAME_MAX);
    buf_addv(&out->name, txn_view(d->txn, d->name));
}

bool drop_from(const struct txn *t, struct mailbox *out)
{
    struct strv domain = host_domain(t->cl->conf);

    *out = (struct mailbox){ .had_route = false };
    if (!t->drop || t->drop->is_notice)
        return false;
    if (!(t->sender.n && address_parse(txn_view(t, t->sender), 0, &out->address, NULL)) &&
        !address_make(txn_view(t, t->drop->login), domain, 0, &out->address, NULL) &&
        !address_make(SV_LIT("postmaster"), domain, 0, &out->address, NULL))
        return false;
    add_name(t->drop, out);
    return true;
}

void drop_resolved(struct txn_rcpt *r, const struct resolve_result *result)
{
    struct txn *t = r->txn;

    if (result->verdict == VERDICT_TEMPFAIL) {
        LOG(WARN, "cleanup.drop.unresolved", KS("id", t->id_text), KV("origin", txn_view(t, t->origin)),
            KV("rcpt", txn_view(t, r->rcpt)), KV("text", result->text), KV("rule", result->rule));
        txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0", "A recipient cannot be resolved now", "");
        return;
    }
    r->state = RCPT_ACCEPTED;
    t->accepted++;
    /* A recipient that does not exist must not keep the message from the others: delivery fails him, and the
       sender hears of it. */
    if (result->verdict == VERDICT_REFUSE)
        txn_final_add(t, r, txn_view(t, r->rcpt), r->local);
    if (result->leaf_n > 1)
        recipients_expanded(t, r);
    for (size_t i = 0; i < result->leaf_n; i++)
        txn_final_leaf(t, r, &result->leaves[i]);
}

/* ---- reading ---- */

static void end_of_file(struct txn *t)
{
    struct drop *d = t->drop;

    buf_reset(&d->chunk);
    intake_end(&d->intake, &d->chunk);
    txn_data(t, buf_view(&d->chunk));
    txn_data_end(t);
    t->has_body_type = true;
    t->body_type = d->intake.has_8bit ? BODY_8BITMIME : BODY_7BIT;
    d->read = true;
}

static void message_bytes(struct txn *t, struct strv raw)
{
    struct drop *d = t->drop;
    struct buf text;

    buf_init(&text, 4 * STEP + DROP_HEAD_MAX * 2);
    intake_feed(&d->intake, raw, &text);
    txn_data(t, buf_view(&text));
    buf_clear(&text);
    commit_stream(t);
}

static ssize_t read_step(struct drop *d)
{
    ssize_t n;

    buf_reset(&d->chunk);
    n = fd_pread_full(d->fd, buf_reserve(&d->chunk, STEP), STEP, (off_t)d->offset);
    if (n > 0) {
        buf_commit(&d->chunk, (size_t)n);
        d->offset += (uint64_t)n;
    }
    return n;
}

void drop_pump(struct txn *t)
{
    struct drop *d = t->drop;

    if (!d || t->phase != TXN_RECEIVING || d->read)
        return;
    while (!txn_is_refused(t) && !d->read && t->body.len < HELD_MAX) {
        ssize_t n = read_step(d);

        if (n < 0 || d->offset > d->size || (n == 0 && d->offset != d->size))
            txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0", "The file cannot be read now", "");
        else if (n == 0)
            end_of_file(t);
        else
            message_bytes(t, buf_view(&d->chunk));
    }
    if (txn_is_refused(t))
        txn_finish(t);
    else if (d->read)
        pipeline_start(t);
}

/* The head of the file, and what of the message was read with it. */
static bool read_head(struct drop *d, struct drop_head *head, size_t *size, struct err *err)
{
    char *p;
    ssize_t n;

    for (;;) {
        p = buf_reserve(&d->chunk, STEP);
        n = p ? fd_pread_full(d->fd, p, STEP, (off_t)d->offset) : 0;
        if (n < 0)
            return err_sys(err, "read");
        buf_commit(&d->chunk, (size_t)n);
        d->offset += (uint64_t)n;
        if (drop_head_parse(buf_view(&d->chunk), head, size, err))
            return true;
        if (err->cls != ERR_OK)
            return false;
        if (n == 0)
            return err_set(err, ERR_PERM, "the envelope does not end");
    }
}

static bool take_head(struct txn *t, const struct drop_head *h, struct err *err)
{
    struct drop *d = t->drop;
    struct buf full;
    bool own, ok = true;

    buf_init(&full, 2 * ADDRESS_MAX);
    if (h->sender.n)
        ok = complete(t->cl->conf, h->sender, &full, &own);
    t->sender = txn_keep(t, buf_view(&full));
    buf_clear(&full);
    d->name = txn_keep(t, h->name);
    d->login = txn_keep(t, h->login);
    d->warning = txn_keep(t, h->warning);
    t->envid = txn_keep(t, h->envid);
    t->has_ret = h->ret != 0;
    t->ret = h->ret;
    for (size_t i = 0; ok && i < h->rcpt_n; i++)
        ok = add_rcpt(t, h->rcpts[i]);
    for (struct txn_rcpt *r = t->rcpts; r; r = r->next) {
        r->has_notify = h->notify != 0;
        r->notify = h->notify;
    }
    return ok || err_set(err, ERR_PERM, "an address is too long with this host's domain");
}

static void refuse_file(struct txn *t, const struct err *err)
{
    if (err->cls == ERR_PERM)
        txn_refuse(t, VERDICT_REFUSE, 554, "5.6.0", err->text, "drop");
    else
        txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0", err->text, "drop");
    t->sender = (struct span){ 0 }; /* nobody that can be trusted to be the sender */
    txn_finish(t);
}

static void resolve_all(struct txn *t)
{
    for (struct txn_rcpt *r = t->rcpts; r; r = r->next)
        recipients_resolve(t, r);
}

void drop_on_open(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct cleanup *cl = arg;
    struct txn *t = txn_new(cl);
    struct drop *d = drop_new(t, in, ipc_take_fd(in, 0));
    struct drop_head head = { .rcpts = NULL };
    struct err err = { .cls = ERR_OK };
    size_t size = 0, body;

    (void)ch;
    t->id = id_new();
    id_text(t->id, t->id_text);
    t->own = true;
    t->arrival_ms = (int64_t)ipc_get_u64(in, TAG_ARRIVAL);
    t->origin = txn_keep(t, ipc_get(in, TAG_ORIGIN));
    if (FAULT_POINT("cleanup.drop.parse") != 0 || !read_head(d, &head, &size, &err) ||
        !take_head(t, &head, &err)) {
        drop_head_clear(&head);
        refuse_file(t, &err);
        return;
    }
    LOG(INFO, "cleanup.drop.taken", KS("id", t->id_text), KV("origin", txn_view(t, t->origin)),
        KI("uid", d->uid), KV("sender", txn_view(t, t->sender)), KI("rcpts", head.rcpt_n),
        KI("size", d->size - size));
    drop_head_clear(&head);
    resolve_all(t);
    body = d->chunk.len - size;
    if (body)
        message_bytes(t, strv_from(buf_view(&d->chunk), size));
    drop_pump(t);
}

/* ---- the end ---- */

static bool notice_compose(const struct txn *t, struct txn *n, struct buf *out)
{
    struct dsn_rcpt *rcpts = mem_array(t->rcpt_n + 1, sizeof *rcpts);
    struct dsn dsn = {
        .to = txn_view(t, t->sender),
        .notice_id = SV(n->id_text),
        .original_id = SV(t->id_text),
        .envid = txn_view(t, t->envid),
        .arrival_ms = t->arrival_ms,
        .now_ms = n->arrival_ms,
        .rcpts = rcpts,
        .header = buf_view(&t->head),
    };
    bool has_8bit = false, ok;

    notice_host(t->cl, &dsn);
    for (const struct txn_rcpt *r = t->rcpts; r; r = r->next) {
        struct dsn_rcpt *d = &rcpts[dsn.rcpt_count];

        if (r->has_notify && !(r->notify & PARAM_NOTIFY_FAILURE))
            continue;
        dsn.rcpt_count++;
        *d = (struct dsn_rcpt){ .rcpt = txn_view(t, r->rcpt),
                                .action = DSN_FAILED,
                                .reason = SV(t->refused.text),
                                .last_attempt_ms = n->arrival_ms };
        if (!status_parse(SV(t->refused.enhanced), &d->status))
            d->status = STATUS(5, 0, 0);
    }
    ok = dsn.rcpt_count > 0 && dsn_compose(&dsn, out, &has_8bit) && buf_ok(out);
    n->has_body_type = true;
    n->body_type = has_8bit ? BODY_8BITMIME : BODY_7BIT;
    free(rcpts);
    return ok;
}

/* The sender hears that nobody gets it. The notice takes over the file's origin, and so the file. False when
   he does not want to hear: then the file is kept for the operator. */
static bool notice_start(struct txn *t)
{
    struct txn *n = txn_new(t->cl);
    struct drop *d = t->drop;
    struct buf message;
    bool ok;

    n->id = id_new();
    id_text(n->id, n->id_text);
    n->arrival_ms = clock_wall_ms();
    n->origin = txn_keep(n, txn_view(t, t->origin));
    buf_init(&message, NOTICE_MAX);
    ok = notice_compose(t, n, &message) && add_rcpt(n, txn_view(t, t->sender));
    if (ok) {
        LOG(INFO, "cleanup.notice.composed", KS("id", n->id_text), KS("about", t->id_text),
            KS("kind", "failure"), KV("rcpt", txn_view(t, t->sender)), KI("rcpts", t->rcpt_n));
        txn_data(n, buf_view(&message));
        txn_data_end(n);
        t->drop = NULL;
        n->drop = d;
        d->txn = n;
        d->is_notice = true;
        d->name = d->login = d->warning = (struct span){ 0 };
        resolve_all(n);
        if (txn_is_refused(n))
            txn_finish(n);
        else
            pipeline_start(n);
    } else {
        txn_free(&n);
    }
    buf_clear(&message);
    return ok;
}

void drop_finished(struct txn *t)
{
    struct cleanup *cl = t->cl;
    enum ipc_verdict verdict = t->refused.verdict;

    if (!cl->queued)
        return;
    /* More addresses than fit will not become fewer. */
    if (verdict == VERDICT_TEMPFAIL && !buf_ok(&t->words))
        verdict = VERDICT_REFUSE;
    if (verdict == VERDICT_REFUSE && !t->drop->is_notice && t->sender.n && buf_ok(&t->words) &&
        notice_start(t))
        return;
    ipc_begin(&cl->out, IPC_DROP_DONE, t->drop->request);
    ipc_put_u64(&cl->out, TAG_VERDICT, verdict);
    if (verdict != VERDICT_ACCEPT)
        ipc_put_clean(&cl->out, TAG_TEXT, SV(t->refused.text));
    channel_send(cl->queued, &cl->out);
}

void drops_abort(struct cleanup *cl)
{
    while (cl->drops) {
        struct txn *t = cl->drops->txn;

        t->phase = TXN_STAGES; /* what it submitted is lost: nothing will end it but this */
        txn_abort(t);
    }
}
