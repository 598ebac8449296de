/* requeue.c - messages that an operator sends through cleanup again */
#include "queued/requeue.h"

#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fault.h"
#include "common/os/fd.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define DEADLINE_MS 120000 /* cleanup may wait for tables, an operator not so long */
#define BARRED_MAX  (32u * 1024u * 1024u)
#define EDITED_MAX  8192u /* of the record of edits; one change is at most half of it */

static struct requeue **op_find(struct mailq *q, struct strv origin)
{
    struct requeue **at = &q->requeues;

    while (*at && !strv_is(origin, (*at)->origin))
        at = &(*at)->next;
    return at;
}

static void op_free(struct requeue *op)
{
    envelope_clear(&op->kept);
    buf_clear(&op->edited);
    buf_clear(&op->list);
    buf_clear(&op->ended);
    buf_clear(&op->failed);
    buf_clear(&op->left);
    free(op->origin);
    free(op);
}

/* ---- called back ---- */

static void stale_add(struct mailq *q, const struct requeue *op)
{
    struct requeue_stale *s = mem_new(sizeof *s);

    *s = (struct requeue_stale){ q->requeue_stale, op->id, op->txn, op->ch };
    q->requeue_stale = s;
}

/* ch NULL: all; txn 0: all of that cleanup. True: there was one. */
static bool stale_drop(struct mailq *q, const struct channel *ch, uint64_t txn)
{
    struct requeue_stale **at = &q->requeue_stale;
    bool found = false;

    while (*at) {
        struct requeue_stale *s = *at;

        if ((ch && s->ch != ch) || (txn && s->txn != txn)) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        free(s);
        found = true;
    }
    return found;
}

static bool stale_has(const struct mailq *q, uint64_t id)
{
    for (const struct requeue_stale *s = q->requeue_stale; s; s = s->next)
        if (s->id == id)
            return true;
    return false;
}

/* The old message goes its way again, with what is left of it. */
static void message_let_go(struct mailq *q, uint64_t id)
{
    uint32_t handle = ledger_find(&q->ledger, id);
    struct message *m;

    if (!handle)
        return;
    m = ledger_at(&q->ledger, handle);
    m->flags = (uint16_t)(m->flags & ~MESSAGE_MOVING);
    message_settle(q, handle);
    handle = ledger_find(&q->ledger, id);
    if (handle)
        notice_want(q, handle);
}

/* Takes it out of the list; the caller tells, frees and pumps. */
static struct requeue *op_take(struct requeue **at)
{
    struct requeue *op = *at;

    *at = op->next;
    op->run->flying--;
    return op;
}

static void op_kept(struct mailq *q, struct requeue **at, struct strv reason)
{
    struct requeue *op = op_take(at);
    struct requeue_run *run = op->run;
    char id[ID_TEXT_SIZE];

    id_text(op->id, id);
    LOG(WARN, "queue.requeue.kept", KS("id", id), KV("reason", reason));
    message_let_go(q, op->id);
    requeue_row_kept(run, op->id, reason);
    op_free(op);
    requeue_run_pump(run);
}

/* ---- beginning ---- */

unsigned requeue_flags(const struct envelope *e, const struct message *m)
{
    bool again = strv_starts(e->origin, SV_LIT("requeue/"));

    return (strv_starts(e->origin, SV_LIT("forward/")) || (again && strv_ends(e->origin, SV_LIT("/given")))
                ? REQUEUE_GIVEN
                : 0) |
           (m->flags & MESSAGE_DOUBLE ? REQUEUE_NOTICE : 0);
}

static int content_fd(const struct bytes *bytes, const struct buf *barred)
{
    int fd = memfd_create("requeue", MFD_CLOEXEC);

    if (fd >= 0 && (!fd_write_full(fd, bytes->message.p, bytes->message.n) ||
                    !fd_write_full(fd, barred->len ? barred->data : "", barred->len)))
        fd_close(&fd);
    return fd;
}

static void origin_make(struct requeue *op, unsigned flags)
{
    char text[ID_TEXT_SIZE];
    struct buf origin;

    id_text(op->id, text);
    buf_init(&origin, IPC_TEXT_MAX);
    buf_addf(&origin, "requeue/%s/%s%s", text, buf_cstr(&op->list),
             flags & REQUEUE_NOTICE  ? "/notice"
             : flags & REQUEUE_GIVEN ? "/given"
                                     : "");
    op->origin = mem_str(buf_cstr(&origin));
    buf_clear(&origin);
}

/* The content goes by descriptor, its recipients in as many frames as they need. */
static const char *op_send(struct requeue_plan *p, const struct bytes *bytes, const struct buf *barred)
{
    struct mailq *q = p->q;
    struct requeue *op = p->op;
    struct ipc_out *o = &q->out;
    struct err err = { 0 };
    int fd = content_fd(bytes, barred), big = -1;

    if (fd >= 0 && op->kept.big)
        big = store_big_open(q->store, op->id, op->kept.big_size, &err);
    if (fd < 0 || (op->kept.big && big < 0)) {
        fd_close(&fd);
        return "it cannot be read now";
    }
    ipc_begin(o, IPC_N_REQUEUE, op->txn);
    ipc_put_u64(o, TAG_ID, op->id);
    ipc_put_text(o, TAG_ORIGIN, SV(op->origin));
    ipc_put_clean(o, TAG_SENDER, p->edit && p->edit->sender.p ? p->edit->sender : op->kept.sender);
    ipc_put_u64(o, TAG_ARRIVAL, op->kept.arrival);
    ipc_put_u64(o, TAG_SIZE, bytes->message.n);
    ipc_put_u64(o, TAG_COUNT, barred->len);
    ipc_put_fd(o, fd);
    if (big >= 0) {
        ipc_put_u64(o, TAG_BODY_SIZE, op->kept.big_size);
        ipc_put_fd(o, big);
    }
    requeue_plan_emit(p);
    channel_send(q->cleanup, o);
    return NULL;
}

/* Nobody is left of them who could get the message: they end here and now. */
static void op_ends_all(struct requeue_run *run, struct requeue *op);

static void op_goes(struct requeue_run *run, struct requeue *op, uint32_t handle)
{
    struct mailq *q = run->q;
    struct message *m = ledger_at(&q->ledger, handle);

    op->run = run;
    op->next = q->requeues;
    q->requeues = op;
    run->flying++;
    m->flags |= MESSAGE_MOVING;
    message_settle(q, handle);
}

static const char *op_start(struct requeue_run *run, struct requeue *op, uint32_t handle,
                            const struct bytes *bytes)
{
    struct mailq *q = run->q;
    struct message *m = ledger_at(&q->ledger, handle);
    unsigned flags = requeue_flags(&op->kept, m);
    struct requeue_plan p = {
        .q = q, .op = op, .m = m, .edit = run->edit, .as_given = flags & REQUEUE_GIVEN
    };
    const char *why;
    struct buf barred;

    op->id = m->id;
    op->ch = q->cleanup;
    op->txn = channel_txn_new(q->cleanup);
    op->deadline = loop_now(q->loop) + DEADLINE_MS;
    if (m->flags & MESSAGE_HELD)
        op->hold = op->kept.hold.n ? op->kept.hold : SV_LIT("by the operator");
    buf_init(&barred, BARRED_MAX);
    why = requeue_plan_make(&p, &barred);
    if (!why && op->emitted) {
        origin_make(op, flags | (p.given ? REQUEUE_GIVEN : 0));
        why = op_send(&p, bytes, &barred);
    }
    requeue_plan_clear(&p);
    buf_clear(&barred);
    if (why)
        op_free(op);
    else if (op->emitted)
        op_goes(run, op, handle);
    else
        op_ends_all(run, op);
    return why;
}

static void edited_make(const struct requeue_run *run, struct requeue *op)
{
    struct strv before = op->kept.edited;
    size_t room = run->edit ? EDITED_MAX - 2 - run->edit->change.n : EDITED_MAX;

    /* The oldest goes when it becomes too much. */
    buf_addv(&op->edited, before.n > room ? strv_from(before, before.n - room) : before);
    if (!run->edit)
        return;
    if (op->edited.len)
        buf_adds(&op->edited, "; ");
    buf_addv(&op->edited, run->edit->change);
}

const char *requeue_begin(struct requeue_run *run, uint32_t handle)
{
    struct mailq *q = run->q;
    struct message *m = ledger_at(&q->ledger, handle);
    uint32_t idle = 0, running = 0;
    struct err err = { 0 };
    struct requeue *op;
    struct bytes *bytes;
    const char *why = "its record cannot be read; see queue.message.unreadable in the log";

    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        idle += requeue_is_idle(message_rcpt(m, i));
        running += message_rcpt(m, i)->state == RCPT_RUNNING;
    }
    if (m->flags & MESSAGE_MOVING)
        return "it is on its way through cleanup already";
    if (!idle)
        return running ? "it is being delivered now" : "nobody of it waits; its sender is being told";
    if (!q->cleanup)
        return "cleanup is not there now";
    if (stale_has(q, m->id))
        return "cleanup is not done yet with what was asked before; try again in a moment";
    if (m->flags & MESSAGE_DAMAGED || !(bytes = message_bytes(q, handle, &err)))
        return why;
    op = mem_new(sizeof *op);
    envelope_init(&op->kept);
    buf_init(&op->edited, EDITED_MAX);
    buf_init(&op->list, ENVELOPE_MAX);
    buf_init(&op->ended, ENVELOPE_MAX);
    buf_init(&op->failed, ENVELOPE_MAX);
    buf_init(&op->left, ENVELOPE_MAX);
    if (envelope_parse(bytes->envelope, &op->kept, &err) && op->kept.rcpt_n == m->rcpt_n) {
        edited_make(run, op);
        why = op_start(run, op, handle, bytes);
    } else {
        op_free(op);
    }
    bytes_unref(&bytes);
    return why;
}

/* ---- what cleanup makes of it ---- */

bool requeue_expected(struct mailq *q, struct strv origin)
{
    return !strv_starts(origin, SV_LIT("requeue/")) || *op_find(q, origin);
}

void requeue_envelope(struct mailq *q, struct envelope *e)
{
    const struct requeue *op = strv_starts(e->origin, SV_LIT("requeue/")) ? *op_find(q, e->origin) : NULL;

    if (!op)
        return;
    e->arrival = op->kept.arrival;
    e->since = op->kept.since ? op->kept.since : (uint64_t)id_wall_ms(op->id);
    e->sid = op->kept.sid;
    e->client = op->kept.client;
    e->client_name = op->kept.client_name;
    e->helo = op->kept.helo;
    e->protocol = op->kept.protocol;
    e->login = op->kept.login;
    e->envid = op->kept.envid;
    e->body_type = op->kept.body_type;
    e->priority = op->kept.priority;
    e->ret = op->kept.ret;
    e->forwards = op->kept.forwards;
    e->hold = op->hold;
    e->edited = buf_view(&op->edited);
}

bool requeue_stop(struct mailq *q, uint64_t id)
{
    struct requeue **at = &q->requeues;

    while (*at && (*at)->id != id)
        at = &(*at)->next;
    if (!*at || dict_get(q->origins, SV((*at)->origin)))
        return !*at;
    /* What cleanup submits of it is not expected any more. */
    stale_add(q, *at);
    op_kept(q, at, SV_LIT("something else was done with it meanwhile"));
    return true;
}

static void end_lists(struct mailq *q, uint64_t id, struct strv list, struct strv failed)
{
    struct verdict v = {
        .outcome = OUTCOME_FAILED,
        .enhanced = SV_LIT("5.7.1"),
        .reply = SV_LIT("the recipient was removed by the administrator of this host"),
        .tried = mailq_now_s(q),
    };
    uint32_t handle = ledger_find(&q->ledger, id), first, last;

    while (handle && ranges_next(&failed, &first, &last)) {
        for (uint32_t i = first; handle && i <= last && i < ledger_at(&q->ledger, handle)->rcpt_n; i++) {
            struct message *m = ledger_at(&q->ledger, handle);
            struct list_writer one = { .out = &q->list };

            buf_reset(&q->list);
            list_write(&one, i);
            list_finish(&one);
            verdict_note(q, id, buf_view(&q->list), &v, rcpt_wants(m, message_rcpt(m, i), NOTIFY_FAILURE));
            handle = ledger_find(&q->ledger, id);
        }
    }
    if (handle && list.n)
        store_note(q->store, &(struct entry){
                                 .kind = ENTRY_DROPPED, .id = id, .list = list, .time = mailq_now_s(q) });
}

static void done_log(const struct requeue_run *run, const struct requeue *op, uint64_t new_id)
{
    char id[ID_TEXT_SIZE], now[ID_TEXT_SIZE] = "";

    id_text(op->id, id);
    if (new_id)
        id_text(new_id, now);
    if (run->edit)
        LOG(WARN, "queue.message.edited", KS("id", id), KS("new", now), KI("uid", run->uid),
            KI("rcpts", op->moved), KI("running", op->running), KV("change", run->edit->change));
    else
        LOG(INFO, "queue.message.requeued", KS("id", id), KS("new", now), KI("uid", run->uid),
            KI("rcpts", op->moved), KI("running", op->running));
}

/* The sender heard of its delay, and does not hear it again. */
static void warned_stays(struct requeue_run *run, const struct requeue *op, uint64_t new_id)
{
    struct mailq *q = run->q;
    uint32_t old = ledger_find(&q->ledger, op->id);

    if (new_id && old && ledger_at(&q->ledger, old)->flags & (MESSAGE_WARNED | MESSAGE_WARNING) &&
        !(run->edit && run->edit->sender.p))
        store_note(q->store,
                   &(struct entry){
                       .kind = ENTRY_NOTICE, .id = new_id, .list = SV_LIT("0"), .notice = NOTICE_DELAY });
}

/* new_id 0: nobody gets it. */
static void op_done(struct requeue_run *run, struct requeue *op, uint64_t new_id)
{
    struct mailq *q = run->q;
    uint64_t id = op->id;

    warned_stays(run, op, new_id);
    requeue_left_tell(run, op, new_id);
    done_log(run, op, new_id);
    end_lists(q, id, buf_view(&op->ended), buf_view(&op->failed));
    message_let_go(q, id);
    requeue_row_done(run, op, new_id);
    op_free(op);
    requeue_run_pump(run);
}

static void op_ends_all(struct requeue_run *run, struct requeue *op)
{
    op->run = run;
    op_done(run, op, 0);
}

void requeue_committed(struct mailq *q, struct strv origin, uint64_t id, bool ok)
{
    struct requeue **at = op_find(q, origin);
    struct entry e;

    if (!origin_requeue(origin, &e))
        return;
    (void)FAULT_POINT("queued.requeue.committed");
    if (*at && ok) {
        struct requeue *op = op_take(at);

        op_done(op->run, op, id);
    } else if (*at) {
        op_kept(q, at, SV_LIT("it could not be stored anew"));
    }
}

static struct requeue *op_of(struct mailq *q, const struct channel *ch, uint64_t txn)
{
    struct requeue *op = q->requeues;

    while (op && (op->ch != ch || op->txn != txn))
        op = op->next;
    return op;
}

void requeue_on_left(struct mailq *q, const struct channel *ch, const struct ipc_in *in)
{
    struct requeue *op = op_of(q, ch, in->txn);
    bool nobody = ipc_get_u64(in, TAG_KIND) == LEFT_NOBODY;

    if (op)
        requeue_left_add(op, nobody ? REQUEUE_LEFT_NOBODY : REQUEUE_LEFT_HAS_IT, ipc_get(in, TAG_RCPT),
                         ipc_get(in, TAG_ORIGINAL));
}

/* Cleanup's word. Of an accepted one the commit has told already, but for one that nobody gets. */
bool requeue_on_done(struct mailq *q, const struct channel *ch, const struct ipc_in *in)
{
    struct requeue **at = &q->requeues, *op;
    struct strv text = ipc_get(in, TAG_TEXT), enhanced = ipc_get(in, TAG_ENHANCED);
    char why[600];

    while (*at && ((*at)->ch != ch || (*at)->txn != in->txn))
        at = &(*at)->next;
    if (!*at || dict_get(q->origins, SV((*at)->origin)))
        return *at || stale_drop(q, ch, in->txn);
    if (ipc_get_u64(in, TAG_VERDICT) == VERDICT_ACCEPT) {
        op = op_take(at);
        op_done(op->run, op, 0);
        return true;
    }
    snprintf(why, sizeof why, "%.*s %.*s", (int)enhanced.n, enhanced.n ? enhanced.p : "",
             (int)(text.n > 512 ? 512 : text.n), text.n ? text.p : "");
    op_kept(q, at, strv_trim(SV(why)));
    return true;
}

/* Those that match; what is being committed ends with its commit. */
static void ops_drop(struct mailq *q, const struct channel *ch, int64_t before, const char *why)
{
    struct requeue **at = &q->requeues;

    while (*at) {
        if ((ch && (*at)->ch != ch) || (*at)->deadline > before || dict_get(q->origins, SV((*at)->origin))) {
            at = &(*at)->next;
            continue;
        }
        if (!ch)
            stale_add(q, *at);
        op_kept(q, at, SV(why));
        at = &q->requeues; /* the run may have begun another */
    }
}

void requeue_lost(struct mailq *q, const struct channel *ch)
{
    stale_drop(q, ch, 0);
    ops_drop(q, ch, INT64_MAX, "cleanup was lost while it had it");
}

void requeue_sweep(struct mailq *q)
{
    if (q->requeues)
        ops_drop(q, NULL, loop_now(q->loop), "cleanup did not answer in time");
}

void requeue_clear(struct mailq *q)
{
    stale_drop(q, NULL, 0);
    while (q->requeues) {
        struct requeue *op = op_take(&q->requeues);
        struct requeue_run *run = op->run;

        op_free(op);
        run->over = true;
        requeue_run_pump(run);
    }
}
