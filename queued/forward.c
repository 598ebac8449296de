/* forward.c - recipients whose ~/.forward sends the message on: submitted anew by cleanup, done by its commit
 *
 * deliverd names the targets and keeps the job; the recipient runs until this is over. The new message
 * carries "forward/ID/RCPT" as its origin, so a crash at any point leaves either a recipient that is tried
 * again, or a record that says he is done: the same message is never sent on twice.
 */
#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/frame.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "queued/mailq.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define DEADLINE_MS  600000 /* cleanup may wait for tables, not for ever */
#define FORWARDS_MAX 1000u  /* by users, of one message, in all its branches */
#define FORWARDS_LOST 10u   /* of a message whose forward is not known any more */

struct forward {
    struct forward *next;
    char *origin; /* owned */
    uint64_t id;
    uint32_t index;
    unsigned deliverd; /* who asked last, and the number of the question */
    uint64_t asked;
    uint64_t txn;             /* of the request to cleanup */
    const struct channel *ch; /* that cleanup; compared only */
    int64_t deadline;         /* mono ms */
    uint64_t left;            /* forwards, this one counted */
    bool user;                /* a user's ~/.forward, not a list */
    uint8_t receipt;          /* 1 + enum ipc_success of the receipt that is due here; 0: the new message's */
};

static struct forward **forward_find(struct mailq *q, struct strv origin)
{
    struct forward **at = &q->forwards;

    while (*at && !strv_is(origin, (*at)->origin))
        at = &(*at)->next;
    return at;
}

static void forward_end(struct forward **at)
{
    struct forward *f = *at;

    *at = f->next;
    free(f->origin);
    free(f);
}

static void answer(struct mailq *q, unsigned deliverd, uint64_t txn, enum ipc_verdict verdict,
                   struct strv enhanced, struct strv text)
{
    struct channel *ch = q->deliverds[deliverd].ch;

    if (!ch)
        return;
    ipc_begin(&q->out, IPC_J_FORWARDED, txn);
    ipc_put_u64(&q->out, TAG_VERDICT, verdict);
    if (enhanced.n)
        ipc_put_clean(&q->out, TAG_ENHANCED, enhanced);
    if (text.n)
        ipc_put_clean(&q->out, TAG_TEXT, text);
    channel_send(ch, &q->out);
}

/* No status: it is cleanup that was away, a matter of seconds. */
static void answer_later(struct mailq *q, const struct forward *f, const char *why)
{
    answer(q, f->deliverd, f->asked, VERDICT_TEMPFAIL, SV_LIT(""), SV(why));
}

/* ---- asking cleanup ---- */

/* Everything but a big body, in memory that goes along by descriptor. */
static int message_fd(const struct bytes *bytes)
{
    int fd = memfd_create("forward", MFD_CLOEXEC);

    if (fd >= 0 && !fd_write_full(fd, bytes->message.p, bytes->message.n))
        fd_close(&fd);
    return fd;
}

static void put_envelope(struct mailq *q, struct forward *f, const struct ipc_in *in)
{
    const struct envelope_rcpt *r = &q->envelope.rcpts[f->index];
    struct ipc_out *o = &q->out;
    bool list = ipc_has(in, TAG_SENDER);
    uint64_t notify = r->notify;
    struct strv target;
    size_t at = 0, targets = 0;

    ipc_put_u64(o, TAG_ID, f->id);
    ipc_put_text(o, TAG_ORIGIN, SV(f->origin));
    ipc_put_clean(o, TAG_SENDER, list ? ipc_get(in, TAG_SENDER) : q->envelope.sender);
    ipc_put_clean(o, TAG_RCPT, r->to);
    /* The owner of a list is to know which member fails; other senders only know whom they wrote to. */
    if (!list)
        ipc_put_clean(o, TAG_ORIGINAL, r->original.n ? r->original : r->to);
    if (ipc_has(in, TAG_USER))
        ipc_put_clean(o, TAG_USER, ipc_get(in, TAG_USER));
    for (; ipc_next(in, TAG_TARGET, &at, &target); targets++)
        ipc_put_clean(o, TAG_TARGET, target);
    ipc_put_u64(o, TAG_ARRIVAL, q->envelope.arrival);
    ipc_put_u64(o, TAG_BODY_TYPE, q->envelope.body_type);
    if (q->envelope.priority)
        ipc_put_u64(o, TAG_PRIORITY, q->envelope.priority & PRIORITY_MAX);
    /* RFC 3461 5.2.7.3: a list is a delivery and its mail a new message; 5.2.7.2: of an alias with several
       members the sender gets one receipt, from here, and none from further on. */
    f->receipt = 0;
    if (list || targets > 1) {
        f->receipt = notify & NOTIFY_SUCCESS ? 1 + (list ? SUCCESS_DELIVERED : SUCCESS_EXPANDED) : 0;
        notify &= ~(uint64_t)NOTIFY_SUCCESS;
        notify = r->notify && !notify ? NOTIFY_NEVER : notify;
    }
    if (list)
        return;
    if (r->orcpt.n)
        ipc_put_clean(o, TAG_ORCPT, r->orcpt);
    if (notify)
        ipc_put_u64(o, TAG_NOTIFY, notify);
    if (q->envelope.envid.n)
        ipc_put_clean(o, TAG_ENVID, q->envelope.envid);
    if (q->envelope.ret)
        ipc_put_u64(o, TAG_RET, q->envelope.ret);
}

/* Accounts that all name each other would send (n-1)! messages before each chain comes to its end. So a
   message has a number of forwards, and its branches share it. */
static uint64_t forwards_left(const struct envelope *e)
{
    return e->forwards ? e->forwards - 1 : FORWARDS_MAX;
}

void forward_envelope(struct mailq *q, const struct ipc_in *in, size_t more, struct envelope *e)
{
    struct ipc_in group;
    size_t at = 0, own = more;
    const struct forward *f;

    if (!strv_starts(e->origin, SV_LIT("forward/")))
        return;
    f = *forward_find(q, e->origin);
    while (ipc_next_group(in, TAG_RCPT, &at, &group))
        own += ipc_get_u64(&group, TAG_LOCAL) != 0;
    if (!f)
        e->forwards = 1 + FORWARDS_LOST;
    else
        e->forwards = 1 + (f->left - 1) / (f->user && own ? own : 1);
}

/* q->envelope is the message's. */
static bool forward_send(struct mailq *q, struct forward *f, const struct bytes *bytes,
                         const struct ipc_in *in)
{
    struct err err = { 0 };
    int fd = message_fd(bytes), big = -1;

    if (fd >= 0 && q->envelope.big)
        big = store_big_open(q->store, f->id, q->envelope.big_size, &err);
    if (fd < 0 || (q->envelope.big && big < 0)) {
        fd_close(&fd);
        return false;
    }
    f->ch = q->cleanup;
    f->txn = channel_txn_new(q->cleanup);
    ipc_begin(&q->out, IPC_N_FORWARD, f->txn);
    put_envelope(q, f, in);
    ipc_put_u64(&q->out, TAG_SIZE, bytes->message.n);
    ipc_put_fd(&q->out, fd);
    if (big >= 0) {
        ipc_put_u64(&q->out, TAG_BODY_SIZE, q->envelope.big_size);
        ipc_put_fd(&q->out, big);
    }
    channel_send(q->cleanup, &q->out);
    return true;
}

/* True: cleanup has it, or it was refused. */
static bool forward_open(struct mailq *q, struct forward *f, uint32_t handle, const struct ipc_in *in,
                         bool *refused)
{
    struct err err = { 0 };
    struct bytes *bytes = q->cleanup ? message_bytes(q, handle, &err) : NULL;
    bool ok;

    if (!bytes)
        return false;
    ok = envelope_parse(bytes->envelope, &q->envelope, &err) && f->index < q->envelope.rcpt_n;
    f->left = ok ? forwards_left(&q->envelope) : 0;
    f->user = ipc_has(in, TAG_USER);
    if (ok && f->left == 0) {
        answer(q, f->deliverd, f->asked, VERDICT_REFUSE, SV_LIT("5.4.6"),
               SV_LIT("mail forwarding loop: the message was sent on too often"));
        *refused = true;
    } else {
        ok = ok && forward_send(q, f, bytes, in);
    }
    bytes_unref(&bytes);
    return ok;
}

static void forward_begin(struct mailq *q, uint32_t handle, struct forward *f, const struct ipc_in *in)
{
    bool refused = false;

    f->deadline = loop_now(q->loop) + DEADLINE_MS;
    f->next = q->forwards;
    q->forwards = f;
    /* A commit that an earlier question led to will answer this one. */
    if (dict_get(q->origins, SV(f->origin)))
        return;
    if (forward_open(q, f, handle, in, &refused) && !refused)
        return;
    if (!refused)
        answer_later(q, f, "the message cannot be sent on now");
    forward_end(&q->forwards);
}

void forward_on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct mailq *q = arg;
    uint64_t id = ipc_get_u64(in, TAG_ID), index = ipc_get_u64(in, TAG_RCPT_INDEX);
    uint32_t handle = ledger_find(&q->ledger, id);
    struct message *m = handle ? ledger_at(&q->ledger, handle) : NULL;
    unsigned deliverd = channel_peer_index(ch);
    char text[ID_TEXT_SIZE], origin[64];
    struct forward *f, **at;

    if (!m || (index < m->rcpt_n && message_rcpt(m, (uint32_t)index)->state == RCPT_DONE)) {
        answer(q, deliverd, in->txn, VERDICT_ACCEPT, SV_LIT(""), SV_LIT("it was sent on before"));
        return;
    }
    if (index >= m->rcpt_n || !job_find(q, deliverd, 0, id, (uint32_t)index)) {
        answer(q, deliverd, in->txn, VERDICT_TEMPFAIL, SV_LIT("4.3.0"), SV_LIT("there is no such job"));
        return;
    }
    id_text(id, text);
    snprintf(origin, sizeof origin, "forward/%s/%u", text, (unsigned)index);
    at = forward_find(q, SV(origin));
    if (*at && (*at)->deadline > loop_now(q->loop)) {
        (*at)->deliverd = deliverd;
        (*at)->asked = in->txn;
        return;
    }
    if (*at)
        forward_end(at);
    f = mem_new(sizeof *f);
    f->origin = mem_str(origin);
    f->id = id;
    f->index = (uint32_t)index;
    f->deliverd = deliverd;
    f->asked = in->txn;
    forward_begin(q, handle, f, in);
}

/* ---- how it went ---- */

static void forward_done(struct mailq *q, struct forward **at, struct strv text)
{
    struct forward *f = *at;

    answer(q, f->deliverd, f->asked, VERDICT_ACCEPT, SV_LIT(""), text);
    forward_end(at);
}

void forward_committed(struct mailq *q, struct strv origin, uint64_t id, bool ok)
{
    struct forward **at = forward_find(q, origin);
    char text[ID_TEXT_SIZE], words[64];
    struct entry e;

    if (!origin_forward(origin, &e))
        return;
    (void)FAULT_POINT("queued.forward.committed");
    if (!ok) {
        if (*at) {
            answer(q, (*at)->deliverd, (*at)->asked, VERDICT_TEMPFAIL, SV_LIT("4.3.0"),
                   SV_LIT("the message could not be stored anew"));
            forward_end(at);
        }
        return;
    }
    id_text(id, text);
    snprintf(words, sizeof words, "forwarded as %s", text);
    results_forwarded(q, e.id, e.list, SV(words), *at ? (*at)->receipt : 0);
    if (*at)
        forward_done(q, at, SV(words));
}

bool forward_is_over(struct mailq *q, struct strv origin)
{
    uint32_t handle, first, last;
    struct strv list;
    struct entry e;
    struct message *m;

    if (!origin_forward(origin, &e))
        return false;
    handle = ledger_find(&q->ledger, e.id);
    if (!handle)
        return true;
    m = ledger_at(&q->ledger, handle);
    list = e.list;
    return ranges_next(&list, &first, &last) && first < m->rcpt_n &&
           message_rcpt(m, first)->state == RCPT_DONE;
}

/* Cleanup's word. Of an accepted one the commit has told already, but for one that nobody gets. */
void forward_on_done(struct mailq *q, const struct channel *ch, const struct ipc_in *in)
{
    struct forward **at = &q->forwards;
    enum ipc_verdict verdict = (enum ipc_verdict)ipc_get_u64(in, TAG_VERDICT);
    struct entry e;

    while (*at && ((*at)->ch != ch || (*at)->txn != in->txn))
        at = &(*at)->next;
    if (!*at || dict_get(q->origins, SV((*at)->origin)))
        return;
    if (verdict == VERDICT_ACCEPT) {
        if (origin_forward(SV((*at)->origin), &e))
            results_forwarded(q, e.id, e.list, SV_LIT("discarded, as its forward says"), 1);
        forward_done(q, at, SV_LIT("discarded, as its forward says"));
        return;
    }
    answer(q, (*at)->deliverd, (*at)->asked, verdict, ipc_get(in, TAG_ENHANCED), ipc_get(in, TAG_TEXT));
    forward_end(at);
}

/* What is being committed ends with its commit. */
void forward_lost(struct mailq *q, const struct channel *ch)
{
    struct forward **at = &q->forwards;

    while (*at) {
        if ((*at)->ch != ch || dict_get(q->origins, SV((*at)->origin))) {
            at = &(*at)->next;
            continue;
        }
        answer_later(q, *at, "cleanup was lost while it sent the message on");
        forward_end(at);
    }
}

void forward_clear(struct mailq *q)
{
    while (q->forwards)
        forward_end(&q->forwards);
}
