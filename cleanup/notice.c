/* notice.c - notices (RFC 3464): facts from queued to a message with the null sender and queued's origin */
#include "cleanup/notice.h"

#include "cleanup/notice_body.h"
#include "cleanup/pipeline.h"
#include "cleanup/recipients.h"
#include "cleanup/resolve.h"
#include "cleanup/service.h"
#include "cleanup/withhold.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/mail/address.h"
#include "common/mail/dsn.h"
#include "common/os/fd.h"
#include "conf/conf.h"
#include "conf/queue.h"
#include "conf/top.h"

#include <stdlib.h>

/* The request is one frame of 64 KiB; folding and the text for humans make at most a few times that. */
#define NOTICE_MAX (4u * 1024u * 1024u)
/* A message without its large body: queued keeps bodies over 256 KiB apart, and headers have as much. */
#define RETURN_MAX (1024u * 1024u)
#define WITHHELD   "delivery to where this address leads has failed"

struct notice {
    struct txn *txn;
    uint64_t request;          /* queued's number */
    struct notice *next, **at; /* in cleanup.notices */
    struct notice_body body;
};

static const struct {
    enum dsn_action action;
    const char *name;
} kinds[] = {
    [NOTICE_FAILURE] = { DSN_FAILED, "failure" },
    [NOTICE_DELAY] = { DSN_DELAYED, "delay" },
    [NOTICE_SUCCESS] = { DSN_DELIVERED, "success" },
    [NOTICE_RELAYED] = { DSN_RELAYED, "relayed" },
};

/* The host of "host[192.0.2.1]:25". */
static struct strv relay_host(struct strv relay)
{
    size_t at;

    return strv_find(relay, '[', &at) ? strv_sub(relay, 0, at) : SV_LIT("");
}

/* A reply of several lines came as one text with \n in it. Appends the lines; returns where. */
static struct span add_words(struct buf *words, struct strv s)
{
    struct span span = { words->len, 0 };

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n && s.p[i + 1] == 'n') {
            buf_addc(words, '\n');
            i++;
        } else {
            buf_addc(words, s.p[i]);
        }
    }
    span.n = words->len - span.at;
    return span;
}

struct facts {
    struct dsn dsn;
    struct dsn_rcpt *rcpts;   /* owned */
    struct span *diagnostics; /* owned: of each, in words */
    struct buf words;         /* owned */
};

static void facts_clear(struct facts *f)
{
    free(f->rcpts);
    free(f->diagnostics);
    buf_clear(&f->words);
}

static size_t count_rcpts(const struct ipc_in *in)
{
    struct ipc_in group;
    size_t at = 0, n = 0;

    while (ipc_next_group(in, TAG_RCPT, &at, &group))
        n++;
    return n;
}

/* RFC 3461 6.3 (d): what the sender gave, and nothing when he gave none. */
static void read_orcpt(struct facts *f, const struct ipc_in *group, struct span *orcpt)
{
    *orcpt = (struct span){ f->words.len, 0 };
    buf_addv(&f->words, ipc_get(group, TAG_ORCPT));
    orcpt->n = f->words.len - orcpt->at;
}

static struct withhold withhold_of(const struct ipc_in *group)
{
    struct strv to = ipc_get(group, TAG_RCPT);

    return (struct withhold){ .given = ipc_has(group, TAG_ORIGINAL) ? ipc_get(group, TAG_ORIGINAL) : to,
                              .target = to,
                              .what = ipc_get(group, TAG_TARGET) };
}

static struct span add_reply(struct facts *f, const struct withhold *hidden, struct strv reply, bool remote)
{
    struct span span = { f->words.len, 0 };

    if (!withhold_names(hidden, reply))
        return add_words(&f->words, reply);
    if (remote)
        withhold_reply(reply, &f->words);
    else
        buf_adds(&f->words, WITHHELD);
    span.n = f->words.len - span.at;
    return span;
}

static const enum dsn_action success_actions[] = {
    [SUCCESS_DELIVERED] = DSN_DELIVERED,
    [SUCCESS_RELAYED] = DSN_RELAYED,
    [SUCCESS_EXPANDED] = DSN_EXPANDED,
};

static void read_rcpt(struct facts *f, const struct ipc_in *group, enum dsn_action action, struct dsn_rcpt *r)
{
    struct withhold hidden = withhold_of(group);
    bool remote = ipc_get_u64(group, TAG_REMOTE) != 0;

    /* Whom the sender wrote to, never where that leads (RFC 3461 5.2.7). */
    r->rcpt = hidden.given;
    if (action == DSN_DELIVERED)
        action = success_actions[ipc_get_u64(group, TAG_KIND) % 3];
    r->action = action;
    if (!status_parse(ipc_get(group, TAG_ENHANCED), &r->status))
        r->status = action == DSN_FAILED    ? STATUS(5, 0, 0)
                    : action == DSN_DELAYED ? STATUS(4, 0, 0)
                                            : STATUS(2, 0, 0);
    if (remote && !withhold_names(&hidden, ipc_get(group, TAG_RELAY)))
        r->remote_mta = relay_host(ipc_get(group, TAG_RELAY));
    f->diagnostics[r - f->rcpts] = add_reply(f, &hidden, ipc_get(group, TAG_REPLY), remote);
    r->last_attempt_ms = (int64_t)ipc_get_u64(group, TAG_LAST_ATTEMPT);
    r->retry_until_ms = (int64_t)ipc_get_u64(group, TAG_RETRY_UNTIL);
}

/* Views into words are made when it does not grow any more. */
static void bind_words(struct facts *f, const struct ipc_in *in, const struct span *orcpts)
{
    struct strv words = buf_view(&f->words);
    struct ipc_in group;
    size_t at = 0;

    for (size_t i = 0; ipc_next_group(in, TAG_RCPT, &at, &group); i++) {
        struct strv text = strv_sub(words, f->diagnostics[i].at, f->diagnostics[i].n);

        f->rcpts[i].orcpt = strv_sub(words, orcpts[i].at, orcpts[i].n);
        if (ipc_get_u64(&group, TAG_REMOTE)) {
            f->rcpts[i].diagnostic = text;
            f->rcpts[i].reason = ipc_get(&group, TAG_TEXT);
        } else {
            f->rcpts[i].reason = text;
        }
    }
}

static void facts_read(struct facts *f, const struct ipc_in *in)
{
    size_t n = count_rcpts(in), at = 0;
    enum dsn_action action = kinds[ipc_get_u64(in, TAG_NOTICE)].action;
    struct span *orcpts = mem_array(n + 1, sizeof *orcpts);
    struct ipc_in group;

    *f = (struct facts){ .rcpts = mem_array(n + 1, sizeof *f->rcpts) };
    f->diagnostics = mem_array(n + 1, sizeof *f->diagnostics);
    buf_init(&f->words, 4 * IPC_FRAME_MAX);
    for (size_t i = 0; i < n && ipc_next_group(in, TAG_RCPT, &at, &group); i++) {
        read_orcpt(f, &group, &orcpts[i]);
        read_rcpt(f, &group, action, &f->rcpts[i]);
    }
    bind_words(f, in, orcpts);
    free(orcpts);
    f->dsn.rcpts = f->rcpts;
    f->dsn.rcpt_count = n;
}

/* The whole message, when it came along: its header and body become those that are returned. A large body
   comes behind it. */
static void read_whole(struct ipc_in *in, struct notice *n, struct buf *whole, struct dsn *dsn)
{
    uint64_t size = ipc_get_u64(in, TAG_BODY_SIZE), all = ipc_get_u64(in, TAG_SIZE);
    int fd = in->fd_count ? ipc_take_fd(in, 0) : -1;
    struct header_scan scan;
    char *bytes = size <= RETURN_MAX && fd >= 0 ? mem_new((size_t)size + 1) : NULL;

    if (bytes && fd_pread_full(fd, bytes, (size_t)size, 0) == (ssize_t)size)
        buf_add(whole, bytes, (size_t)size);
    free(bytes);
    fd_close(&fd);
    header_scan_init(&scan);
    if (whole->len == 0 || header_scan(&scan, buf_view(whole)) != HEADER_END)
        return;
    dsn->header = strv_sub(buf_view(whole), 0, scan.header_len);
    dsn->body = strv_from(buf_view(whole), scan.body_at);
    if (in->fd_count > 1 && all > size)
        notice_body_init(&n->body, ipc_take_fd(in, 1), all - size);
}

void notice_host(const struct cleanup *cl, struct dsn *d)
{
    d->hostname = SV(cl->conf->top->hostname);
    d->texts = cl->notice_texts;
    d->postmaster = SV(cl->conf->queue->postmaster);
    d->expire_s = cl->conf->queue->expire_after;
}

static bool compose(struct ipc_in *in, struct txn *t, struct buf *out)
{
    struct notice *n = t->notice;
    char about[ID_TEXT_SIZE];
    struct facts f;
    struct buf whole;
    bool has_8bit = false, ok;

    facts_read(&f, in);
    id_text(ipc_get_u64(in, TAG_ID), about);
    notice_host(t->cl, &f.dsn);
    f.dsn.is_double = strv_ends(ipc_get(in, TAG_ORIGIN), SV_LIT("/double"));
    f.dsn.to = ipc_get(in, TAG_SENDER);
    f.dsn.notice_id = SV(t->id_text);
    f.dsn.original_id = SV(about);
    f.dsn.envid = ipc_get(in, TAG_ENVID);
    f.dsn.arrival_ms = (int64_t)ipc_get_u64(in, TAG_ARRIVAL);
    f.dsn.now_ms = t->arrival_ms;
    f.dsn.header = ipc_get(in, TAG_HEADER);
    buf_init(&whole, RETURN_MAX + 1);
    read_whole(in, n, &whole, &f.dsn);
    has_8bit = n->body.fd >= 0;
    ok = f.dsn.rcpt_count > 0 && (has_8bit ? dsn_begin(&f.dsn, n->body.boundary, out)
                                           : dsn_compose(&f.dsn, out, &has_8bit));
    t->has_body_type = true;
    t->body_type = has_8bit ? BODY_8BITMIME : BODY_7BIT;
    t->priority = ipc_get_u64(in, TAG_PRIORITY);
    if (ok)
        LOG(INFO, "cleanup.notice.composed", KS("id", t->id_text), KS("about", about),
            KS("kind", kinds[ipc_get_u64(in, TAG_NOTICE)].name), KV("rcpt", ipc_get(in, TAG_SENDER)),
            KI("rcpts", f.dsn.rcpt_count));
    buf_clear(&whole);
    facts_clear(&f);
    return ok;
}

static void notice_new(struct txn *t, uint64_t request)
{
    struct notice *n = mem_new(sizeof *n);

    n->txn = t;
    n->request = request;
    n->body.fd = -1;
    n->next = t->cl->notices;
    n->at = &t->cl->notices;
    if (n->next)
        n->next->at = &n->next;
    t->cl->notices = n;
    t->notice = n;
}

void notice_free(struct notice **np)
{
    struct notice *n = *np;

    if (!n)
        return;
    *np = NULL;
    *n->at = n->next;
    if (n->next)
        n->next->at = n->at;
    notice_body_clear(&n->body);
    free(n);
}

/* A sender that is no address was let in by a mistake of ours; the notice must still reach a human. */
static struct strv notice_rcpt(const struct ipc_in *in)
{
    struct strv sender = ipc_get(in, TAG_SENDER);
    struct address a;

    if (!address_parse(sender, ADDRESS_UTF8, &a, NULL))
        return SV_LIT("postmaster");
    address_clear(&a);
    return sender;
}

void notice_on_compose(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct cleanup *cl = arg;
    struct txn *t = txn_new(cl);
    struct txn_rcpt *r;
    struct buf message;

    (void)ch;
    notice_new(t, in->txn);
    t->id = id_new();
    id_text(t->id, t->id_text);
    t->arrival_ms = clock_wall_ms();
    t->origin = txn_keep(t, ipc_get(in, TAG_ORIGIN));
    buf_init(&message, NOTICE_MAX);
    if (!compose(in, t, &message)) {
        LOG(ERROR, "cleanup.notice.failed", KS("id", t->id_text), KV("origin", ipc_get(in, TAG_ORIGIN)),
            KS("why", "could not be composed"));
        txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0", "The notice could not be composed", "");
    } else {
        txn_data(t, buf_view(&message));
        if (t->notice->body.fd < 0)
            txn_data_end(t);
    }
    buf_clear(&message);
    r = txn_rcpt_add(t, notice_rcpt(in));
    if (!txn_is_refused(t))
        recipients_resolve(t, r);
    if (txn_is_refused(t))
        txn_finish(t);
    else if (t->notice->body.fd >= 0)
        notice_pump(t);
    else
        pipeline_start(t);
}

void notice_pump(struct txn *t)
{
    if (!t->notice || t->phase != TXN_RECEIVING || !notice_body_pump(&t->notice->body, t))
        return;
    if (txn_is_refused(t))
        txn_finish(t);
    else
        pipeline_start(t);
}

void notice_resolved(struct txn_rcpt *r, const struct resolve_result *result)
{
    struct txn *t = r->txn;

    if (result->verdict == VERDICT_TEMPFAIL) {
        txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0", "The recipient of the notice cannot be resolved now",
                   "");
        return;
    }
    r->state = RCPT_ACCEPTED;
    t->accepted++;
    for (size_t i = 0; i < result->leaf_n; i++)
        txn_final_leaf(t, r, &result->leaves[i]);
    /* Nobody of that name here, or /dev/null: delivery says so in the log, and a failed notice makes no
       further one. Refusing would make queued ask for ever. */
    if (!t->final_n)
        txn_final_add(t, r, txn_view(t, r->rcpt), true);
}

void notice_finished(struct txn *t)
{
    struct cleanup *cl = t->cl;

    if (!txn_is_refused(t) || !cl->queued)
        return;
    LOG(WARN, "cleanup.notice.failed", KS("id", t->id_text), KV("origin", txn_view(t, t->origin)),
        KS("why", t->refused.text));
    ipc_begin(&cl->out, IPC_N_FAILED, t->notice->request);
    ipc_put_text(&cl->out, TAG_ORIGIN, txn_view(t, t->origin));
    ipc_put_clean(&cl->out, TAG_TEXT, SV(t->refused.text));
    channel_send(cl->queued, &cl->out);
}

void notices_abort(struct cleanup *cl)
{
    while (cl->notices) {
        struct txn *t = cl->notices->txn;

        t->phase = TXN_STAGES; /* what it submitted is lost: nothing will end it but this */
        txn_abort(t);
    }
}
