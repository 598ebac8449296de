/* ctl.c - what an operator may ask of the queue: one row each */
#include "queued/ctl.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "conf/queue.h"
#include "queued/drop.h"
#include "queued/health.h"
#include "queued/measure.h"
#include "queued/requeue.h"
#include "queued/summary.h"
#include "queued/walk.h"

#include <stdlib.h>
#include <stdio.h>
#include <sysexits.h>

#define BUDGET     40000u /* of a portion: messages looked at, records count more */
#define COST_ROWS  8u
#define RCPTS_LIST 100u  /* recipients of one message in a list; `show` has more */
#define RCPTS_SHOW 5000u
#define CAT_STEP   (256u * 1024u)

/* A call that is answered when what it did is durable. */
struct waiting {
    struct mailq *q;
    struct ctl_call *call; /* NULL: the caller left */
    uint64_t mark, cursor;
    struct waiting *next;
};

struct qctl {
    struct ctl_server *server;
    struct waiting *waiting; /* owned */
};

/* ---- durable answers ---- */

static void on_gone(void *data)
{
    struct waiting *w = data;

    w->call = NULL;
}

static void answer_durable(struct mailq *q, struct ctl_call *call, uint64_t cursor)
{
    struct waiting *w = mem_new(sizeof *w);

    *w = (struct waiting){ .q = q, .call = call, .mark = store_mark(q->store), .cursor = cursor };
    w->next = q->ctl->waiting;
    q->ctl->waiting = w;
    ctl_later(call, on_gone, w);
    qctl_synced(q); /* nothing noted: nothing to wait for */
}

void qctl_synced(struct mailq *q)
{
    struct waiting **at = q->ctl ? &q->ctl->waiting : NULL;

    while (at && *at) {
        struct waiting *w = *at;

        if (!store_durable(q->store, w->mark)) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        if (w->call && w->cursor)
            ctl_more(w->call, w->cursor);
        else if (w->call)
            ctl_done(w->call, 0, NULL);
        free(w);
    }
}

/* ---- status ---- */

static void on_frozen(void *arg, struct strv sender)
{
    struct ctl_call *call = arg;

    ctl_row(call, "frozen");
    ctl_put(call, "sender", sender);
    ctl_row_end(call);
}

static void on_status(void *arg, struct ctl_call *call)
{
    struct mailq *q = arg;
    const uint32_t *n = q->ledger.standings;

    ctl_row(call, "queue");
    ctl_put_u64(call, "messages", ledger_count(&q->ledger));
    ctl_put_u64(call, "running", n[STANDING_RUNNING]);
    ctl_put_u64(call, "deferred", n[STANDING_DEFERRED]);
    ctl_put_u64(call, "held", n[STANDING_HELD]);
    ctl_put_u64(call, "damaged", n[STANDING_DAMAGED]);
    ctl_put_u64(call, "free", store_disk_free(q->store));
    ctl_put_u64(call, "drop", drops_waiting(q));
    ctl_put_u64(call, "drop_bad", drops_bad(q));
    ctl_row_end(call);
    ledger_each_frozen(&q->ledger, on_frozen, call);
    /* mtad tells what does not work, with what it knows of the others. */
    health_look(q);
    ctl_done(call, 0, NULL);
}

static void on_summary(void *arg, struct ctl_call *call)
{
    summary_run(arg, call);
}

/* ---- looking ---- */

static const char *rcpt_word(const struct rcpt *r)
{
    switch ((enum rcpt_state)r->state) {
    case RCPT_OPEN: return "active";
    case RCPT_RUNNING: return "running";
    case RCPT_WAIT: return "deferred";
    case RCPT_OWED: return r->success ? "delivered" : "failed";
    case RCPT_DONE: return "done";
    }
    return "?";
}

/* What holds up all mail to where this part goes. */
static void destination_row(const struct mailq *q, struct ctl_call *call, uint32_t part)
{
    const struct sched *sched = q->ledger.sched;

    if (sched_group(sched, part).n)
        ctl_put(call, "group", sched_group(sched, part));
    if (sched_rest_until(sched, part))
        ctl_put_u64(call, "rests", sched_rest_until(sched, part));
    if (sched_paced_until(sched, part))
        ctl_put_u64(call, "paced", sched_paced_until(sched, part));
}

/* all: for one message; in a list of a million the rest is weight. */
static void rcpt_row(struct mailq *q, struct ctl_call *call, struct message *m, uint32_t i, const char *id,
                     bool all)
{
    const struct rcpt *r = message_rcpt(m, i);
    const struct part *p = sched_part(q->ledger.sched, r->part);

    ctl_row(call, "recipient");
    ctl_put(call, "id", SV(id));
    ctl_put(call, "recipient", q->envelope.rcpts[i].to);
    ctl_put(call, "state", SV(rcpt_word(r)));
    ctl_put_u64(call, "attempts", p->attempts);
    ctl_put_u64(call, "next", r->state == RCPT_WAIT ? p->due : 0);
    ctl_put(call, "relay", words_relay(r->words));
    ctl_put(call, "reason", words_reply(r->words));
    if (all) {
        ctl_put_u64(call, "last", p->tried);
        ctl_put(call, "status", words_enhanced(r->words));
        ctl_put(call, "words", r->words ? SV(r->words->remote ? "remote" : "own") : SV_LIT(""));
        ctl_put(call, "destination", sched_domain(q->ledger.sched, r->part));
        destination_row(q, call, r->part);
    }
    ctl_row_end(call);
}


/* True when the record could be read. */
static bool message_rows(struct mailq *q, struct ctl_call *call, uint32_t handle, uint32_t rcpts, bool all)
{
    struct message *m = ledger_at(&q->ledger, handle);
    char id[ID_TEXT_SIZE];
    uint32_t told = 0;
    uint64_t size;
    bool ok = message_peek(q, handle, &size) && q->envelope.rcpt_n == m->rcpt_n;

    id_text(m->id, id);
    ctl_row(call, "message");
    ctl_put(call, "id", SV(id));
    ctl_put(call, "state", SV(message_state(q, handle)));
    ctl_put_u64(call, "size", ok ? size : m->place.length);
    ctl_put_u64(call, "arrival", (uint64_t)m->since / 1000);
    ctl_put_u64(call, "age", (uint64_t)(mailq_now_ms(q) - m->since) / 1000);
    ctl_put(call, "sender", ok ? q->envelope.sender : SV_LIT("?"));
    ctl_put_u64(call, "recipients", m->open);
    ctl_row_end(call);
    for (uint32_t i = 0; ok && i < m->rcpt_n && told < rcpts; i++) {
        if (message_rcpt(m, i)->state == RCPT_DONE)
            continue;
        rcpt_row(q, call, m, i, id, all);
        told++;
    }
    return ok;
}

static void on_list(void *arg, struct ctl_call *call)
{
    struct mailq *q = arg;
    struct selection s;
    struct err err = { 0 };
    uint64_t cursor = ctl_cursor(call);
    int64_t until = clock_mono_ms() + TURN_MS;
    unsigned budget = BUDGET;
    uint32_t handle;

    if (!selection_read(&s, call, &err)) {
        ctl_done(call, EX_USAGE, "%s", err.text);
        return;
    }
    while (ctl_rows(call) < CTL_PORTION && (handle = selection_next(q, &s, &cursor, &budget))) {
        budget -= budget > COST_ROWS ? COST_ROWS : budget;
        message_rows(q, call, handle, RCPTS_LIST, false);
        if (clock_mono_ms() > until)
            break;
    }
    if (cursor)
        ctl_more(call, cursor);
    else
        ctl_done(call, 0, NULL);
}

/* The one message that the call names; 0: it was answered. */
static uint32_t the_message(struct mailq *q, struct ctl_call *call)
{
    struct strv text = ctl_text(call, "id");
    uint32_t handle = 0;
    uint64_t id;

    if (text.p && id_parse(text, &id))
        handle = ledger_find(&q->ledger, id);
    if (!handle)
        ctl_done(call, EX_DATAERR, "there is no message %.*s in the queue", (int)(text.n > 40 ? 40 : text.n),
                 text.n ? text.p : "");
    return handle;
}

static void field(struct ctl_call *call, const char *name, struct strv value)
{
    if (value.n)
        ctl_put(call, name, value);
}

/* What decides its turn: said when it is not that of any letter. */
static void put_priority(struct ctl_call *call, uint64_t priority)
{
    char text[8];
    int level;

    switch (priority_class(priority)) {
    case PRIORITY_CLASS_URGENT: ctl_put(call, "class", SV_LIT("urgent")); break;
    case PRIORITY_CLASS_BULK: ctl_put(call, "class", SV_LIT("bulk")); break;
    case PRIORITY_CLASS_NORMAL: break;
    }
    if (!priority_level(priority, &level))
        return;
    snprintf(text, sizeof text, "%d", level);
    ctl_put(call, "mt_priority", SV(text));
}

static void on_show(void *arg, struct ctl_call *call)
{
    struct mailq *q = arg;
    uint32_t handle = the_message(q, call);
    struct bytes *b;

    if (!handle)
        return;
    if (!message_rows(q, call, handle, RCPTS_SHOW, true)) {
        ctl_done(call, EX_DATAERR, "its record cannot be read; see queue.message.unreadable in the log");
        return;
    }
    b = message_envelope(q, handle);
    ctl_row(call, "envelope");
    field(call, "session", q->envelope.sid);
    field(call, "client", q->envelope.client);
    field(call, "client_name", q->envelope.client_name);
    field(call, "helo", q->envelope.helo);
    field(call, "protocol", q->envelope.protocol);
    field(call, "login", q->envelope.login);
    field(call, "origin", q->envelope.origin);
    field(call, "hold", q->envelope.hold);
    field(call, "edited", q->envelope.edited);
    field(call, "envid", q->envelope.envid);
    put_priority(call, q->envelope.priority);
    ctl_row_end(call);
    bytes_unref(&b);
    ctl_done(call, 0, NULL);
}

static bool cat_big(struct mailq *q, struct ctl_call *call, uint32_t handle, uint64_t at, struct err *err)
{
    static char space[CAT_STEP];
    int fd = store_big_open(q->store, ledger_at(&q->ledger, handle)->id, q->envelope.big_size, err);
    ssize_t n;

    if (fd < 0)
        return false;
    n = fd_pread_full(fd, space, sizeof space, (off_t)at);
    fd_close(&fd);
    if (n < 0)
        return err_sys(err, "read its body");
    ctl_data(call, strv_make(space, (size_t)n));
    return true;
}

/* The cursor is the offset in the message. */
static void on_cat(void *arg, struct ctl_call *call)
{
    struct mailq *q = arg;
    uint64_t at = ctl_cursor(call), size; /* first: the_message may end the call */
    uint32_t handle = the_message(q, call);
    struct bytes *b = handle ? message_envelope(q, handle) : NULL;
    struct err err = { 0 };
    bool ok = true;

    if (!b) {
        if (handle)
            ctl_done(call, EX_DATAERR, "its record cannot be read; see queue.message.unreadable in the log");
        return;
    }
    size = b->message.n + (q->envelope.big ? q->envelope.big_size : 0);
    if (at < b->message.n) {
        struct strv piece = strv_sub(b->message, (size_t)at, CAT_STEP);

        ctl_data(call, piece);
        at += piece.n;
    } else if (q->envelope.big && at < size) {
        ok = cat_big(q, call, handle, at - b->message.n, &err);
        at += CAT_STEP;
    }
    bytes_unref(&b);
    if (!ok)
        ctl_done(call, EX_IOERR, "%s", err.text);
    else if (at < size)
        ctl_more(call, at);
    else
        ctl_done(call, 0, NULL);
}

/* ---- changes ---- */

struct changing {
    struct walk walk; /* first */
    const struct change *change;
};

static void change_each(struct walk *w, uint32_t handle)
{
    const struct change *c = ((struct changing *)w)->change;
    char id[ID_TEXT_SIZE];

    id_text(ledger_at(&w->q->ledger, handle)->id, id);
    if (ledger_at(&w->q->ledger, handle)->flags & MESSAGE_MOVING &&
        !requeue_stop(w->q, ledger_at(&w->q->ledger, handle)->id))
        return;
    if (!c->run(w->q, handle, ctl_uid(w->call), strv_sub(ctl_text(w->call, "why"), 0, 256)))
        return;
    ctl_row(w->call, "changed");
    ctl_put(w->call, "id", SV(id));
    ctl_put(w->call, "change", SV(c->name));
    ctl_row_end(w->call);
}

static void change_end(struct walk *w)
{
    dispatch_soon(w->q);
    answer_durable(w->q, w->call, w->cursor);
}

static void change_clear(struct walk *w)
{
    free(w);
}

static void on_change(void *arg, struct ctl_call *call)
{
    const struct change *c = changes;
    struct changing *run;
    struct selection s;
    struct err err = { 0 };

    while (strcmp(c->name, ctl_act_name(call)) != 0)
        c++;
    if (!selection_read(&s, call, &err) || !s.any) {
        ctl_done(call, EX_USAGE, "%s",
                 err.text[0] ? err.text : "say which messages: ids, a selector, or --all");
        return;
    }
    s.absent = call;
    run = mem_new(sizeof *run);
    run->change = c;
    run->walk = (struct walk){ .q = arg, .call = call, .selection = s, .each = change_each,
                               .end = change_end, .clear = change_clear, .progress = true,
                               .portions = true, .cursor = ctl_cursor(call) };
    walk_start(&run->walk);
}

static void on_pause(void *arg, struct ctl_call *call)
{
    struct mailq *q = arg;
    struct strv side = ctl_text(call, "side");
    bool pause = strcmp(ctl_act_name(call), "pause") == 0;
    uint64_t bit = strv_is(side, "in") ? ENTRY_PAUSE_IN : strv_is(side, "out") ? ENTRY_PAUSE_OUT : 0;
    uint64_t now = ledger_pauses(&q->ledger);
    struct entry e = { .kind = ENTRY_PAUSE, .flags = pause ? now | bit : now & ~bit };

    if (!bit) {
        ctl_done(call, EX_USAGE, "in or out?");
        return;
    }
    if (!pause && bit == ENTRY_PAUSE_OUT && q->ledger.paused) {
        mailq_resume(q);
    } else if (e.flags != now) {
        store_note(q->store, &e);
        LOG(WARN, "queue.paused", KI("in", q->ledger.paused_in), KI("out", q->ledger.paused));
    }
    dispatch_soon(q);
    answer_durable(q, call, 0);
}

static void on_freeze(void *arg, struct ctl_call *call)
{
    struct mailq *q = arg;
    struct strv sender = ctl_text(call, "sender");
    bool freeze = strcmp(ctl_act_name(call), "freeze") == 0;

    if (!sender.p || sender.n > 512) {
        ctl_done(call, EX_USAGE, "which sender?");
        return;
    }
    store_note(q->store, &(struct entry){ .kind = ENTRY_FREEZE, .flags = freeze, .text = sender });
    answer_durable(q, call, 0);
}

static void on_failures(void *arg, struct ctl_call *call)
{
    (void)arg;
    measure_failures(call);
    ctl_done(call, 0, NULL);
}

static const struct ctl_act acts[] = {
    { "failures", on_failures, false },
    { "status", on_status, false }, { "list", on_list, false },
    { "summary", on_summary, false },
    { "show", on_show, false },     { "cat", on_cat, true },
    { "hold", on_change, true },    { "release", on_change, true },
    { "delete", on_change, true },  { "bounce", on_change, true },
    { "requeue", requeue_act, true }, { "edit", requeue_edit_act, true },
    { "flush", on_change, true },   { "pause", on_pause, true },
    { "resume", on_pause, true },   { "freeze", on_freeze, true },
    { "thaw", on_freeze, true },    { .name = NULL },
};

/* ---- life ---- */

void qctl_client(struct mailq *q, int fd)
{
    if (!q->ctl) {
        q->ctl = mem_new(sizeof *q->ctl);
        q->ctl->server = ctl_server_new(q->loop, ROLE_QUEUED, acts, q);
    }
    ctl_server_client(q->ctl->server, fd);
}

void qctl_clear(struct mailq *q)
{
    struct qctl *ctl = q->ctl;

    if (!ctl)
        return;
    ctl_server_free(&ctl->server);
    while (ctl->waiting) {
        struct waiting *w = ctl->waiting;

        ctl->waiting = w->next;
        free(w);
    }
    free(ctl);
    q->ctl = NULL;
}
