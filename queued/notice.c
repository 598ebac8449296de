/* notice.c - telling senders: composed by cleanup, over only when the notice itself is committed
 *
 * A notice's origin names the message, the recipients and the kind: "notice/ID/0-3,7/failure". The record of
 * the notice carries it, so that a crash at any point leaves either recipients that are still owed a notice,
 * or a notice in a segment that says they are not.
 */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/frame.h"
#include "common/base/dict.h"
#include "common/os/fd.h"
#include "conf/queue.h"
#include "queued/mailq.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define NOTICES_MAX 32u    /* composing at once */
#define DEADLINE_MS 600000 /* cleanup may wait for tables, not for ever */
#define RETRY_S     60u
#define LIST_MAX    400u   /* an origin is at most 512 bytes */
#define HEADER_MAX  32768u /* of the message, returned with the notice */
#define ROOM        60000u /* of the frame */
#define REPLY_MAX   2048u
/* When not all fit: one notice with shortened words, not ten with the same header in each. */
#define HEADER_LESS 8192u
#define REPLY_MIN   160u

struct notice {
    struct notice *next;
    uint64_t id, txn;
    enum ipc_notice kind;
    int64_t deadline; /* mono ms */
    const struct channel *ch; /* the cleanup that composes it; compared only */
    char *origin;     /* owned */
};

static const char *kind_name(enum ipc_notice kind)
{
    return kind == NOTICE_DELAY ? "delay" : kind == NOTICE_SUCCESS ? "success" : "failure";
}

static struct notice **notice_find(struct mailq *q, struct strv origin)
{
    struct notice **at = &q->notices;

    while (*at && !strv_is(origin, (*at)->origin))
        at = &(*at)->next;
    return at;
}

/* Recipients of the notice may be told of again, not before `after`. */
static void notice_undo(struct mailq *q, const struct notice *n, uint32_t after)
{
    uint32_t handle = ledger_find(&q->ledger, n->id), first, last;
    struct message *m;
    struct entry e;

    if (!handle || !origin_notice(SV(n->origin), &e))
        return;
    m = ledger_at(&q->ledger, handle);
    m->retry_notice = after;
    if (n->kind == NOTICE_DELAY) {
        m->flags = (uint16_t)(m->flags & ~MESSAGE_WARNING);
        return;
    }
    while (ranges_next(&e.list, &first, &last))
        for (uint32_t i = first; i <= last && i < m->rcpt_n; i++)
            message_rcpt(m, i)->noticing = 0;
}

static void notice_end(struct mailq *q, struct notice **at)
{
    struct notice *n = *at;

    *at = n->next;
    q->notice_n--;
    free(n->origin);
    free(n);
}

/* ---- composing ---- */

static bool rcpt_is_due(const struct message *m, const struct rcpt *r, enum ipc_notice kind)
{
    if (kind == NOTICE_FAILURE)
        return r->state == RCPT_OWED && !r->success && !r->noticing;
    if (kind == NOTICE_SUCCESS)
        return r->state == RCPT_OWED && r->success && !r->noticing;
    return (r->state == RCPT_WAIT || (r->state == RCPT_OPEN && r->words)) && rcpt_wants(m, r, NOTIFY_DELAY);
}

/* Addresses of the sender's that end at r, and what stood with him of a failure or delay stands with each
   (RFC 3461 5.2.6). A receipt is for the one that asked most (cleanup/txn.c). */
static size_t names(const struct envelope_rcpt *r, enum ipc_notice kind)
{
    size_t n = 1;

    for (size_t i = 0; kind != NOTICE_SUCCESS && i < r->also.n; i++)
        n += i == 0 || r->also.p[i] == '\n';
    return n;
}

/* Without the reply, of each name. */
static size_t rcpt_size(const struct envelope_rcpt *r, const struct words *w)
{
    return r->to.n + r->original.n + r->orcpt.n + r->also.n + r->target.n + words_relay(w).n + 256;
}

/* Bytes of a reply that are left for each when all are to fit. */
static size_t reply_share(struct mailq *q, struct message *m, enum ipc_notice kind, size_t room)
{
    size_t count = 0, used = 0, share;

    for (uint32_t i = 0; i < m->rcpt_n && used < room; i++) {
        struct rcpt *r = message_rcpt(m, i);

        if (!rcpt_is_due(m, r, kind))
            continue;
        used += rcpt_size(&q->envelope.rcpts[i], r->words) * names(&q->envelope.rcpts[i], kind);
        count += names(&q->envelope.rcpts[i], kind);
    }
    share = count && used < room ? (room - used) / count : 0;
    return share > REPLY_MAX ? REPLY_MAX : share < REPLY_MIN ? REPLY_MIN : share;
}

static void put_rcpt(struct mailq *q, struct message *m, uint32_t index, const struct envelope_rcpt *r,
                     enum ipc_notice kind, size_t reply_max)
{
    const struct words *w = message_rcpt(m, index)->words;
    struct ipc_out *o = &q->out;
    uint32_t tried = sched_part(q->ledger.sched, message_rcpt(m, index)->part)->tried;

    ipc_group_begin(o, TAG_RCPT);
    ipc_put_clean(o, TAG_RCPT, r->to);
    if (r->original.n)
        ipc_put_clean(o, TAG_ORIGINAL, r->original);
    if (r->orcpt.n)
        ipc_put_clean(o, TAG_ORCPT, r->orcpt);
    if (r->target.n)
        ipc_put_clean(o, TAG_TARGET, r->target);
    ipc_put_u64(o, TAG_OUTCOME, kind == NOTICE_FAILURE   ? OUTCOME_FAILED
                                : kind == NOTICE_SUCCESS ? OUTCOME_DELIVERED
                                                         : OUTCOME_DEFERRED);
    if (kind == NOTICE_SUCCESS)
        ipc_put_u64(o, TAG_KIND, message_rcpt(m, index)->success - 1u);
    ipc_put_clean(o, TAG_ENHANCED, words_enhanced(w));
    /* Our words of a success name mailboxes and programs, which are nobody else's business. */
    if (kind != NOTICE_SUCCESS || (w && w->remote))
        ipc_put_clean(o, TAG_REPLY, strv_sub(words_reply(w), 0, reply_max));
    ipc_put_clean(o, TAG_RELAY, words_relay(w));
    ipc_put_u64(o, TAG_REMOTE, w && w->remote);
    if (kind == NOTICE_FAILURE && w && w->remote && words_enhanced(w).n && words_enhanced(w).p[0] == '4') {
        /* A failure with a temporary status: time ran out. The peer's words do not say so. */
        buf_reset(&q->scratch);
        expiry_text(q, &q->scratch);
        ipc_put_clean(o, TAG_TEXT, buf_view(&q->scratch));
    }
    if (tried)
        ipc_put_u64(o, TAG_LAST_ATTEMPT, (uint64_t)tried * 1000);
    if (kind == NOTICE_DELAY)
        ipc_put_u64(o, TAG_RETRY_UNTIL, (uint64_t)(m->since + q->conf->expire_after * 1000));
    ipc_put_u64(o, TAG_RCPT_INDEX, index);
    ipc_group_end(o);
}

static void put_also(struct mailq *q, struct message *m, uint32_t index, const struct envelope_rcpt *r,
                     enum ipc_notice kind, size_t reply_max)
{
    struct envelope_rcpt one = *r;
    struct strv rest = r->also;

    one.orcpt = strv_make("", 0); /* what the sender gave with the first */
    while (kind != NOTICE_SUCCESS && rest.n && strv_cut(&rest, '\n', &one.original))
        if (!strv_is(one.original, "*"))
            put_rcpt(q, m, index, &one, kind, reply_max);
}

/* Puts as many due recipients as the frame and an origin hold; their list is in q->list. */
static uint32_t put_rcpts(struct mailq *q, struct message *m, enum ipc_notice kind, size_t room)
{
    struct list_writer list = { .out = &q->list };
    size_t share = reply_share(q, m, kind, room);
    uint32_t count = 0;

    buf_reset(&q->list);
    for (uint32_t i = 0; i < m->rcpt_n && q->list.len < LIST_MAX; i++) {
        struct rcpt *r = message_rcpt(m, i);
        const struct envelope_rcpt *e = &q->envelope.rcpts[i];
        size_t size, all;

        if (!rcpt_is_due(m, r, kind))
            continue;
        size = rcpt_size(e, r->words) + strv_sub(words_reply(r->words), 0, share).n;
        all = size * names(e, kind);
        if (all > room && (count > 0 || size > room))
            break;
        put_rcpt(q, m, i, e, kind, share);
        /* One whose many names do not fit is told of by the first: not never. */
        if (all <= room)
            put_also(q, m, i, e, kind, share);
        room -= all <= room ? all : size;
        list_write(&list, i);
        if (kind != NOTICE_DELAY)
            r->noticing = 1;
        count++;
    }
    list_finish(&list);
    return count;
}

/* The header block, cut behind a line when it is too long. */
static struct strv header_part(const struct bytes *bytes, size_t max)
{
    struct strv header = strv_sub(bytes->message, 0, bytes->sizes.header);
    size_t at;

    if (header.n <= max)
        return header;
    header = strv_sub(header, 0, max);
    return strv_rfind(header, '\n', &at) ? strv_sub(header, 0, at + 1) : strv_sub(header, 0, 0);
}

static void notice_remember(struct mailq *q, uint64_t id, uint64_t txn, enum ipc_notice kind, bool is_double)
{
    struct notice *n = mem_new(sizeof *n);
    char text[ID_TEXT_SIZE], origin[512];

    id_text(id, text);
    snprintf(origin, sizeof origin, "notice/%s/%s/%s", text, buf_cstr(&q->list),
             is_double ? "double" : kind_name(kind));
    *n = (struct notice){ .next = q->notices,
                          .id = id,
                          .txn = txn,
                          .kind = kind,
                          .deadline = loop_now(q->loop) + DEADLINE_MS,
                          .ch = q->cleanup,
                          .origin = mem_str(origin) };
    q->notices = n;
    q->notice_n++;
}

static bool message_is_due(struct mailq *q, uint32_t handle, enum ipc_notice kind)
{
    struct message *m = ledger_at(&q->ledger, handle);

    for (uint32_t i = 0; i < m->rcpt_n; i++)
        if (rcpt_is_due(m, message_rcpt(m, i), kind))
            return true;
    return false;
}

static bool message_owes(struct mailq *q, uint32_t handle)
{
    struct message *m = ledger_at(&q->ledger, handle);

    for (uint32_t i = 0; i < m->rcpt_n; i++)
        if (message_rcpt(m, i)->state == RCPT_OWED && !message_rcpt(m, i)->noticing)
            return true;
    return false;
}

/* The message itself, in memory that goes along by descriptor (RFC 3461 4.3: RET is about failures only), and
   a large body in its file. Without: only the header is returned. */
static void put_whole(struct mailq *q, uint64_t id, const struct bytes *bytes, enum ipc_notice kind)
{
    uint64_t size = bytes->message.n + q->envelope.big_size;
    int fd, big = -1;
    struct err err;

    if (kind != NOTICE_FAILURE || q->envelope.ret == 2 ||
        size > (uint64_t)conf_notices_return_size(q->conf))
        return;
    fd = memfd_create("notice", MFD_CLOEXEC);
    if (fd >= 0 && q->envelope.big)
        big = store_big_open(q->store, id, q->envelope.big_size, &err);
    if (fd < 0 || (q->envelope.big && big < 0) || !fd_write_full(fd, bytes->message.p, bytes->message.n)) {
        fd_close(&fd);
        fd_close(&big);
        return;
    }
    ipc_put_u64(&q->out, TAG_BODY_SIZE, bytes->message.n);
    ipc_put_fd(&q->out, fd);
    if (big >= 0)
        ipc_put_fd(&q->out, big);
}

/* False: there is nobody to tell, or the message cannot be read now. */
static bool notice_compose(struct mailq *q, uint32_t handle, enum ipc_notice kind)
{
    struct message *m = ledger_at(&q->ledger, handle);
    struct ipc_out *o = &q->out;
    struct bytes *bytes;
    struct strv header;
    struct err err;
    uint64_t txn;
    uint32_t count = 0;

    if (!message_is_due(q, handle, kind))
        return false;
    bytes = message_bytes(q, handle, &err);
    if (!bytes)
        return false;
    if (envelope_parse(bytes->envelope, &q->envelope, &err) && q->envelope.rcpt_n == m->rcpt_n) {
        header = header_part(bytes, HEADER_MAX);
        if (reply_share(q, m, kind, ROOM - header.n - q->envelope.sender.n) < REPLY_MAX)
            header = header_part(bytes, HEADER_LESS);
        txn = channel_txn_new(q->cleanup);
        ipc_begin(o, IPC_N_COMPOSE, txn);
        ipc_put_u64(o, TAG_ID, m->id);
        ipc_put_u64(o, TAG_NOTICE, kind);
        ipc_put_clean(o, TAG_SENDER, m->flags & MESSAGE_NULL ? SV(conf_notices_double_bounce(q->conf))
                                                             : q->envelope.sender);
        ipc_put_u64(o, TAG_ARRIVAL, q->envelope.arrival);
        if (q->envelope.envid.n)
            ipc_put_clean(o, TAG_ENVID, q->envelope.envid);
        /* RFC 6710: a notice is as urgent as what it is about. */
        if (q->envelope.priority)
            ipc_put_u64(o, TAG_PRIORITY, q->envelope.priority & PRIORITY_MAX);
        ipc_put_u64(o, TAG_SIZE, bytes->message.n + q->envelope.big_size);
        ipc_put_bytes(o, TAG_HEADER, header);
        count = put_rcpts(q, m, kind, ROOM - header.n - q->envelope.sender.n);
    }
    if (count > 0) {
        notice_remember(q, m->id, txn, kind, m->flags & MESSAGE_NULL);
        ipc_put_text(o, TAG_ORIGIN, SV(q->notices->origin));
        put_whole(q, m->id, bytes, kind);
        channel_send(q->cleanup, o);
    }
    bytes_unref(&bytes);
    return count > 0;
}

void notice_want(struct mailq *q, uint32_t handle)
{
    struct message *m = ledger_at(&q->ledger, handle);

    if (!(m->flags & MESSAGE_OWED)) {
        if (!message_owes(q, handle))
            return;
        m->flags |= MESSAGE_OWED;
        ids_push(&q->owed, m->id);
    }
    notice_pump(q);
}

void notice_pump(struct mailq *q)
{
    uint64_t id;

    while (q->cleanup && q->notice_n < NOTICES_MAX && ids_pop(&q->owed, &id)) {
        uint32_t handle = ledger_find(&q->ledger, id);
        struct message *m = handle ? ledger_at(&q->ledger, handle) : NULL;
        bool any;

        if (!m)
            continue;
        m->flags = (uint16_t)(m->flags & ~MESSAGE_OWED);
        any = notice_compose(q, handle, NOTICE_FAILURE);
        any = notice_compose(q, handle, NOTICE_SUCCESS) || any;
        if (!any && message_owes(q, handle))
            m->retry_notice = mailq_now_s(q) + RETRY_S;
        else if (message_owes(q, handle))
            notice_want(q, handle); /* the rest, in another notice */
    }
}

void notice_warn(struct mailq *q, uint32_t handle)
{
    struct message *m = ledger_at(&q->ledger, handle);

    if (!q->cleanup || q->notice_n >= NOTICES_MAX || !message_is_due(q, handle, NOTICE_DELAY))
        return;
    if (notice_compose(q, handle, NOTICE_DELAY))
        m->flags |= MESSAGE_WARNING;
    else
        m->retry_notice = mailq_now_s(q) + RETRY_S;
}

/* ---- how it went ---- */

void notice_committed(struct mailq *q, struct strv origin, uint64_t id, bool ok)
{
    struct notice **at = notice_find(q, origin);
    char text[ID_TEXT_SIZE], about[ID_TEXT_SIZE];
    uint32_t handle;
    struct entry e;

    if (!origin_notice(origin, &e))
        return;
    if (*at) {
        if (!ok)
            notice_undo(q, *at, mailq_now_s(q) + RETRY_S);
        notice_end(q, at);
    }
    if (ok) {
        id_text(id, text);
        id_text(e.id, about);
        LOG(INFO, "queue.notice.stored", KS("id", about), KS("notice", text),
            KS("kind", kind_name((enum ipc_notice)e.notice)));
        store_note(q->store, &e);
        handle = ledger_find(&q->ledger, e.id);
        if (handle)
            notice_want(q, handle);
    }
    notice_pump(q);
}

bool notice_is_over(struct mailq *q, struct strv origin)
{
    uint32_t handle, first, last;
    struct message *m;
    struct entry e;

    if (!origin_notice(origin, &e))
        return false;
    handle = ledger_find(&q->ledger, e.id);
    if (!handle)
        return true;
    m = ledger_at(&q->ledger, handle);
    if (e.notice == NOTICE_DELAY)
        return m->flags & MESSAGE_WARNED;
    while (ranges_next(&e.list, &first, &last))
        for (uint32_t i = first; i <= last && i < m->rcpt_n; i++)
            if (message_rcpt(m, i)->state != RCPT_DONE)
                return false;
    return true;
}

void notice_on_failed(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct mailq *q = arg;
    struct strv origin = ipc_get(in, TAG_ORIGIN);
    struct notice **at = notice_find(q, origin);
    char id[ID_TEXT_SIZE];

    (void)ch;
    if (!*at || dict_get(q->origins, origin))
        return;
    id_text((*at)->id, id);
    LOG(WARN, "queue.notice.failed", KS("id", id), KV("origin", origin), KV("reason", ipc_get(in, TAG_TEXT)));
    notice_undo(q, *at, mailq_now_s(q) + RETRY_S);
    notice_end(q, at);
    notice_pump(q);
}

/* Those that are being committed end with their commit. */
static void notices_drop(struct mailq *q, int64_t before, const struct channel *ch)
{
    struct notice **at = &q->notices;

    while (*at) {
        if ((*at)->deadline > before || (ch && (*at)->ch != ch) || dict_get(q->origins, SV((*at)->origin))) {
            at = &(*at)->next;
            continue;
        }
        notice_undo(q, *at, 0);
        notice_end(q, at);
    }
}

void notice_lost(struct mailq *q, const struct channel *ch)
{
    notices_drop(q, INT64_MAX, ch);
}

void notice_sweep(struct mailq *q)
{
    notices_drop(q, loop_now(q->loop), NULL);
    notice_pump(q);
}

void notice_clear(struct mailq *q)
{
    while (q->notices)
        notice_end(q, &q->notices);
    ids_clear(&q->owed);
}
