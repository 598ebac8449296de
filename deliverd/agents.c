/* agents.c - getting agents from mtad, giving them work, sending them home */
#include "deliverd/agents.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "common/proc/daemon.h"
#include "deliverd/body.h"
#include "deliverd/deliverd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLY_MS         30000 /* mtad asks mapd who the user is; both have their own deadlines below this */
#define RETRY_MS         250 /* too many agents run: one was sent home, its place is free soon */
#define RETRIES          20u
#define COMMAND_GRACE_MS 30000
#define COMMAND_AGENTS   4u     /* of one mailbox and user: commands that run at once */
/* A disk that hangs longer than that: the message is tried again later. */
#define DEPOSIT_MS       120000

enum agent_state {
    AGENT_ASKED, /* mtad's answer is awaited */
    AGENT_LATER, /* refused for now: asked again by the timer */
    AGENT_UP,
};

struct agent {
    struct agents *as;
    struct agent *next, *prev;
    enum agent_state state;
    struct channel *ch; /* owned */
    uint64_t txn;       /* of the question to mtad */
    unsigned retries;
    struct deposit *waiting, *waiting_last; /* in their order */
    struct deposit *inflight;
    unsigned inflight_n;
    struct loop_timer timer; /* the answer of mtad, the next question, idleness */
    struct loop_task task;   /* tells about a failure, from the loop */
    const char *failure;     /* owned text, with task */
    enum agent_kind kind;
    bool command;            /* runs a program for one message after the other */
    char *rcpt, *target;     /* owned: of an alias's command or file; NULL */
    bool refused;            /* for good: temporary all the same, the operator mends it */
    int64_t idle_since;
    char mailbox[65], user[65];
};

struct agents {
    struct deliverd *d;
    struct agent *first;
};

static void agent_work(struct agent *a);

/* ---- deposits of an agent ---- */

static void waiting_add(struct agent *a, struct deposit *dep)
{
    dep->agent = a;
    dep->next = NULL;
    dep->prev = a->waiting_last;
    *(dep->prev ? &dep->prev->next : &a->waiting) = dep;
    a->waiting_last = dep;
}

static void waiting_remove(struct agent *a, struct deposit *dep)
{
    *(dep->prev ? &dep->prev->next : &a->waiting) = dep->next;
    *(dep->next ? &dep->next->prev : &a->waiting_last) = dep->prev;
    dep->next = dep->prev = NULL;
}

static void inflight_add(struct agent *a, struct deposit *dep)
{
    dep->prev = NULL;
    dep->next = a->inflight;
    if (dep->next)
        dep->next->prev = dep;
    a->inflight = dep;
    a->inflight_n++;
}

static void inflight_remove(struct agent *a, struct deposit *dep)
{
    *(dep->prev ? &dep->prev->next : &a->inflight) = dep->next;
    if (dep->next)
        dep->next->prev = dep->prev;
    dep->next = dep->prev = NULL;
    a->inflight_n--;
}

static void deposit_tell(struct deposit *dep, enum ipc_outcome outcome, struct strv enhanced,
                         struct strv text, bool maybe)
{
    dep->agent = NULL;
    dep->txn = 0;
    dep->done(dep->arg, outcome, enhanced, text, maybe); /* last use */
}

/* ---- the end of an agent ---- */

static void agent_free(struct agent *a)
{
    *(a->prev ? &a->prev->next : &a->as->first) = a->next;
    if (a->next)
        a->next->prev = a->prev;
    loop_timer_stop(&a->timer);
    loop_later_cancel(a->as->d->loop, &a->task);
    channel_free(&a->ch);
    MEM_FREE(a->rcpt);
    MEM_FREE(a->target);
    loop_reap(a->as->d->loop, free, a);
}

/* Everything it had, or was to have, is told so. */
static void agent_fail(struct agent *a, const char *text)
{
    char words[400];
    struct deposit *dep;

    snprintf(words, sizeof words, "%s", text);
    while ((dep = a->waiting)) {
        waiting_remove(a, dep);
        deposit_tell(dep, OUTCOME_DEFERRED, SV("4.3.0"), SV(words), false);
    }
    while ((dep = a->inflight)) {
        bool maybe = dep->ended;

        inflight_remove(a, dep);
        deposit_tell(dep, OUTCOME_DEFERRED, SV("4.3.0"), SV(words), maybe);
    }
    agent_free(a);
}

/* ---- sending ---- */

static void send_begin(struct agent *a, struct deposit *dep)
{
    struct ipc_out *o = &a->as->d->out;
    const struct body *b = dep->body;
    struct strv first = body_ram_size(b) ? body_ram(b, 0, IPC_INLINE_MAX) : SV("");

    ipc_begin(o, IPC_A_DEPOSIT, dep->txn);
    ipc_put_u64(o, TAG_ID, dep->id);
    ipc_put_text(o, TAG_PATH, dep->path);
    ipc_put_text(o, TAG_RCPT, dep->rcpt);
    ipc_put_text(o, TAG_SENDER, dep->sender);
    ipc_put_u64(o, TAG_SIZE, b->size);
    if (first.n)
        ipc_put_bytes(o, TAG_DATA, first);
    if (b->fd_size)
        ipc_put_u64(o, TAG_BODY_SIZE, b->fd_size);
    ipc_put_u64(o, TAG_KIND, dep->kind);
    if (dep->flags)
        ipc_put_u64(o, TAG_FLAGS, dep->flags);
    if (dep->kind == DEPOSIT_COMMAND) {
        ipc_put_text(o, TAG_NAME, dep->user);
        ipc_put_text(o, TAG_DOMAIN, dep->domain);
        ipc_put_text(o, TAG_KEY, dep->extension);
    }
    if (dep->agent_kind == AGENT_USER_COMMAND)
        ipc_put_text(o, TAG_TARGET, dep->target);
    if (dep->quota)
        ipc_put_u64(o, TAG_QUOTA, dep->quota);
    if (b->fd >= 0)
        ipc_put_fd(o, fcntl(b->fd, F_DUPFD_CLOEXEC, 0));
    channel_send(a->ch, o);
    dep->sent = first.n;
    dep->ended = dep->sent == body_ram_size(b); /* one frame is the whole: no A_END */
}

/* As many chunks as the credit allows. */
static void send_more(struct agent *a, struct deposit *dep)
{
    struct ipc_out *o = &a->as->d->out;
    size_t ram = body_ram_size(dep->body), room;

    while (!dep->ended && dep->sent < ram && (room = channel_credit(a->ch, dep->txn)) > 0) {
        struct strv piece = body_ram(dep->body, dep->sent, room < IPC_CHUNK_MAX ? room : IPC_CHUNK_MAX);

        ipc_begin(o, IPC_A_BODY, dep->txn);
        ipc_put_bytes(o, TAG_DATA, piece);
        channel_send(a->ch, o);
        dep->sent += piece.n;
    }
    if (!dep->ended && dep->sent == ram) {
        ipc_begin(o, IPC_A_END, dep->txn);
        channel_send(a->ch, o);
        dep->ended = true;
    }
}

/* An agent works on one message after the other; one that comes in chunks must be all out before the next. */
static bool agent_takes(const struct agent *a)
{
    return a->state == AGENT_UP && a->inflight_n < (a->command ? 1 : AGENTS_INFLIGHT_MAX) &&
           (!a->inflight || a->inflight->ended);
}

/* A command has a time limit of its own, which its agent keeps. */
static int64_t deposit_ms(const struct deposit *dep)
{
    return dep->kind == DEPOSIT_COMMAND ? dep->timeout_s * 1000 + COMMAND_GRACE_MS : DEPOSIT_MS;
}

static void agent_work(struct agent *a)
{
    while (a->waiting && agent_takes(a)) {
        struct deposit *dep = a->waiting;

        waiting_remove(a, dep);
        inflight_add(a, dep);
        dep->txn = channel_txn_new(a->ch);
        send_begin(a, dep);
        send_more(a, dep);
    }
    if (a->state == AGENT_UP) {
        if (!a->inflight)
            a->idle_since = loop_now(a->as->d->loop);
        loop_timer_set(&a->timer, a->inflight ? deposit_ms(a->inflight) : AGENTS_IDLE_MS);
    }
}

/* ---- frames of the agent ---- */

static struct deposit *find_inflight(struct agent *a, uint64_t txn)
{
    for (struct deposit *dep = a->inflight; dep; dep = dep->next)
        if (dep->txn == txn)
            return dep;
    return NULL;
}

static void on_a_result(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct agent *a = arg;
    struct deposit *dep = find_inflight(a, in->txn);

    channel_txn_end(ch, in->txn);
    if (!dep)
        return; /* cancelled */
    channel_cancel_chunks(ch, in->txn);
    inflight_remove(a, dep);
    if (ipc_has(in, TAG_TARGET) && dep->forward) {
        dep->agent = NULL;
        dep->txn = 0;
        dep->forward(dep->arg, in); /* last use */
        agent_work(a);
        return;
    }
    deposit_tell(dep, (enum ipc_outcome)ipc_get_u64(in, TAG_OUTCOME), ipc_get(in, TAG_ENHANCED),
                 ipc_get(in, TAG_TEXT), false);
    agent_work(a);
}

static const struct channel_route routes[] = { { IPC_A_RESULT, on_a_result }, { 0, NULL } };

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    channel_dispatch(routes, arg, ch, in);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct agent *a = arg;
    char text[256];

    (void)ch;
    if (a->inflight)
        LOG(WARN, "delivery.agent.lost", KS("mailbox", a->mailbox), KS("user", a->user[0] ? a->user : NULL),
            KI("deposits", a->inflight_n), KS("error", why));
    snprintf(text, sizeof text, "the delivery agent of mailbox %s ended: %s", a->mailbox, why);
    agent_fail(a, text);
}

static void on_channel_ready(void *arg, struct channel *ch, uint64_t txn)
{
    struct agent *a = arg;
    struct deposit *dep = find_inflight(a, txn);

    (void)ch;
    if (!dep)
        return;
    send_more(a, dep);
    agent_work(a);
}

static const struct channel_ops channel_ops = { .frame = on_frame,
                                                .lost = on_lost,
                                                .ready = on_channel_ready };

/* ---- mtad ---- */

static void agent_ask(struct agent *a)
{
    struct deliverd *d = a->as->d;
    struct channel *control = daemon_control(d->daemon);

    a->state = AGENT_ASKED;
    a->txn = channel_txn_new(control);
    ipc_begin(&d->out, IPC_AGENT, a->txn);
    ipc_put_text(&d->out, TAG_MAILBOX, SV(a->mailbox));
    if (a->user[0])
        ipc_put_text(&d->out, TAG_USER, SV(a->user));
    ipc_put_u64(&d->out, TAG_KIND, a->kind);
    if (a->rcpt)
        ipc_put_text(&d->out, TAG_RCPT, SV(a->rcpt));
    if (a->target)
        ipc_put_text(&d->out, TAG_TARGET, SV(a->target));
    channel_send(control, &d->out);
    loop_timer_set(&a->timer, REPLY_MS);
}

/* The agent that has been without work longest makes room for another user's. */
static void send_one_home(struct agents *as)
{
    struct agent *best = NULL;

    for (struct agent *a = as->first; a; a = a->next)
        if (a->state == AGENT_UP && !a->inflight && !a->waiting &&
            (!best || a->idle_since < best->idle_since))
            best = a;
    if (best)
        agent_free(best);
}

static void on_timer(void *arg)
{
    struct agent *a = arg;

    switch (a->state) {
    case AGENT_ASKED: agent_fail(a, "no delivery agent: mtad did not answer"); return;
    case AGENT_LATER: agent_ask(a); return;
    case AGENT_UP:
        if (!a->inflight && !a->waiting) {
            agent_free(a); /* the end of its channel sends it home */
            return;
        }
        LOG(WARN, "delivery.agent.hangs", KS("mailbox", a->mailbox), KS("user", a->user[0] ? a->user : NULL),
            KI("deposits", a->inflight_n));
        /* What lies in its channel it would still store when it goes on, beside what is sent again. */
        ipc_begin(&a->as->d->out, IPC_AGENT_END, a->txn);
        channel_send(daemon_control(a->as->d->daemon), &a->as->d->out);
        agent_fail(a, "the delivery agent does not answer");
        return;
    }
}

static void on_failure(void *arg)
{
    struct agent *a = arg;

    agent_fail(a, a->failure);
}

void agents_reply(struct agents *as, struct ipc_in *in)
{
    enum ipc_verdict verdict = (enum ipc_verdict)ipc_get_u64(in, TAG_VERDICT);
    struct strv why = strv_sub(ipc_get(in, TAG_TEXT), 0, 300);
    struct agent *a = as->first;
    char text[400];

    while (a && (a->txn != in->txn || a->state != AGENT_ASKED))
        a = a->next;
    if (!a)
        return; /* too late: the descriptor is closed with the frame, its agent goes home */
    if (verdict == VERDICT_ACCEPT && in->fd_count) {
        a->ch = channel_new(as->d->loop, ipc_take_fd(in, 0), ROLE_DELIVERD, ROLE_AGENT, 0, &channel_ops, a);
        a->state = AGENT_UP;
        agent_work(a);
        return;
    }
    if (verdict == VERDICT_TEMPFAIL && a->retries++ < RETRIES) {
        send_one_home(as);
        a->state = AGENT_LATER;
        loop_timer_set(&a->timer, RETRY_MS);
        return;
    }
    LOG(ERROR, "delivery.agent.refused", KS("mailbox", a->mailbox), KS("user", a->user[0] ? a->user : NULL),
        KV("error", why));
    snprintf(text, sizeof text, "no delivery agent for mailbox %s: %.*s", a->mailbox, (int)why.n, why.p);
    agent_fail(a, text);
}

/* ---- asking ---- */

/* Deposits of one agent are quick and follow each other; a command takes its time, so there are several, and
   the least busy one is taken. */
static bool agent_fits(const struct agent *a, struct strv mailbox, struct strv user,
                       const struct deposit *dep)
{
    return !a->failure && a->kind == dep->agent_kind && strv_is(mailbox, a->mailbox) &&
           strv_is(user, a->user) && (!a->rcpt || strv_is(dep->rcpt, a->rcpt)) &&
           (!a->target || strv_is(dep->target, a->target));
}

static struct agent *agent_find(struct agents *as, struct strv mailbox, struct strv user,
                                const struct deposit *dep)
{
    struct agent *best = NULL;
    size_t best_n = SIZE_MAX;
    unsigned count = 0;

    for (struct agent *a = as->first; a; a = a->next) {
        size_t n = a->inflight_n;

        if (!agent_fits(a, mailbox, user, dep))
            continue;
        if (!a->command)
            return a;
        for (const struct deposit *w = a->waiting; w; w = w->next)
            n++;
        count++;
        if (n < best_n) {
            best = a;
            best_n = n;
        }
    }
    return best_n > 0 && count < COMMAND_AGENTS ? NULL : best;
}

static struct agent *agent_get(struct agents *as, struct strv mailbox, struct strv user,
                               const struct deposit *dep)
{
    struct agent *a = agent_find(as, mailbox, user, dep);

    if (a)
        return a;
    a = mem_new(sizeof *a);
    a->as = as;
    a->kind = dep->agent_kind;
    a->command = dep->kind == DEPOSIT_COMMAND;
    if (a->kind == AGENT_ALIAS_COMMAND || a->kind == AGENT_ALIAS_FILE) {
        a->rcpt = strv_dup(dep->rcpt);
        a->target = strv_dup(dep->target);
    }
    a->task = (struct loop_task){ .fn = on_failure, .arg = a };
    loop_timer_init(&a->timer, as->d->loop, on_timer, a);
    a->next = as->first;
    if (a->next)
        a->next->prev = a;
    as->first = a;
    if (!strv_cstr(mailbox, a->mailbox, sizeof a->mailbox) || !strv_cstr(user, a->user, sizeof a->user)) {
        a->failure = "name of a user is too long";
        loop_later(as->d->loop, &a->task);
        return a;
    }
    agent_ask(a);
    return a;
}

void deposit_start(struct agents *as, struct strv mailbox, struct strv user, struct deposit *dep)
{
    struct agent *a = agent_get(as, mailbox, user, dep);

    dep->txn = 0;
    waiting_add(a, dep);
    agent_work(a);
}

void deposit_cancel(struct deposit *dep)
{
    struct agent *a = dep->agent;

    if (!a)
        return;
    dep->agent = NULL;
    if (!dep->txn) {
        waiting_remove(a, dep);
        return;
    }
    inflight_remove(a, dep);
    channel_cancel_chunks(a->ch, dep->txn);
    ipc_begin(&a->as->d->out, IPC_A_ABORT, dep->txn);
    channel_send(a->ch, &a->as->d->out);
}

struct agents *agents_new(struct deliverd *d)
{
    struct agents *as = mem_new(sizeof *as);

    as->d = d;
    return as;
}

void agents_free(struct agents **as)
{
    if (!*as)
        return;
    while ((*as)->first) {
        struct agent *a = (*as)->first;

        while (a->waiting)
            waiting_remove(a, a->waiting);
        while (a->inflight)
            inflight_remove(a, a->inflight);
        agent_free(a);
    }
    MEM_FREE(*as);
}
