/* requeue_plan.c - which recipients of a message go through cleanup again, and as what
 *
 * An address that the sender wrote, and that led to several recipients, is looked for again only as a whole:
 * when all of them wait. Otherwise those that wait stay the addresses they are, or somebody who has the
 * message would get it again. A recipient to whom several addresses led is looked for by each of them.
 */
#include "queued/requeue.h"

#include "common/base/dict.h"
#include "common/base/mem.h"

#include <stdlib.h>

#define LIST_MAX 4000u  /* an origin is at most 4096 bytes */
#define ROOM     48000u /* of a frame: one recipient more fits */

/* All recipients that one address of the sender led to. */
struct group {
    unsigned count;
    bool blocked, sent; /* one of them does not wait; it is in a frame */
};

bool requeue_is_idle(const struct rcpt *r)
{
    return r->state == RCPT_OPEN || r->state == RCPT_WAIT;
}

bool requeue_means(const struct envelope_rcpt *r, struct strv address)
{
    return strv_ieq(r->to, address) || (r->original.n && strv_ieq(r->original, address));
}

static struct strv known_as(const struct envelope_rcpt *r)
{
    return r->original.n ? r->original : r->to;
}

/* Every address of the sender that led to r; it begins with rest.p NULL. */
static bool name_next(const struct envelope_rcpt *r, struct strv *rest, struct strv *name)
{
    if (!rest->p) {
        *rest = r->also.n ? r->also : SV_LIT("");
        *name = known_as(r);
        return true;
    }
    if (!rest->n || !strv_cut(rest, '\n', name))
        return false;
    if (!rest->p)
        *rest = SV_LIT(""); /* the end, not the beginning */
    return true;
}

static void group_count(struct requeue_plan *p, struct strv name, bool idle)
{
    struct group *g = dict_get(p->groups, name);

    if (!g) {
        g = mem_new(sizeof *g);
        dict_set(p->groups, name, g);
    }
    g->count++;
    /* "*": more than cleanup keeps */
    g->blocked = g->blocked || !idle || strv_is(name, "*");
}

static void groups_make(struct requeue_plan *p)
{
    p->groups = dict_new();
    for (uint32_t i = 0; i < p->m->rcpt_n; i++) {
        const struct envelope_rcpt *r = &p->op->kept.rcpts[i];
        bool idle = requeue_is_idle(message_rcpt(p->m, i));
        struct strv rest = { 0 }, name;

        if (r->notify & NOTIFY_EXPANDED)
            continue;
        while (name_next(r, &rest, &name))
            group_count(p, name, idle);
    }
}

/* Who ends with the commit: those that wait. Who is over stands in the list too when that makes it shorter,
   for nobody is over twice. */
static void list_make(struct requeue_plan *p)
{
    struct list_writer list = { .out = &p->op->list };
    bool bridge = false; /* all behind the last one that waits are over */
    uint32_t last = 0;

    for (uint32_t i = 0; i < p->m->rcpt_n; i++) {
        const struct rcpt *r = message_rcpt(p->m, i);

        if (requeue_is_idle(r)) {
            for (uint32_t k = bridge ? last + 1 : i; k <= i; k++)
                list_write(&list, k);
            last = i;
            bridge = true;
        } else if (r->state != RCPT_DONE) {
            bridge = false;
        }
    }
    list_finish(&list);
}

/* In the first pass it is only counted. */
static void emit(struct requeue_plan *p, enum requeue_kind kind, struct strv address,
                 const struct envelope_rcpt *r, struct strv original)
{
    struct ipc_out *o = &p->q->out;

    if (!p->sending) {
        p->op->emitted++;
        return;
    }
    if (ipc_out_size(o) > ROOM) {
        ipc_put_u64(o, TAG_LAST, 0);
        channel_send(p->q->cleanup, o);
        ipc_begin(o, IPC_N_REQUEUE_RCPTS, p->op->txn);
    }
    ipc_group_begin(o, TAG_RCPT);
    ipc_put_clean(o, TAG_RCPT, address);
    ipc_put_u64(o, TAG_KIND, kind);
    ipc_put_u64(o, TAG_LOCAL, r && r->local);
    ipc_put_clean(o, TAG_ORIGINAL, original);
    if (kind == REQUEUE_KEEP && r->target.n)
        ipc_put_clean(o, TAG_TARGET, r->target);
    if (r && r->orcpt.n)
        ipc_put_clean(o, TAG_ORCPT, r->orcpt);
    if (r && r->notify)
        ipc_put_u64(o, TAG_NOTIFY, r->notify & 15u);
    ipc_group_end(o);
}

/* The nth argument of that name that means the recipient. */
static bool edit_finds(const struct requeue_plan *p, const char *name, const struct envelope_rcpt *r,
                       size_t *nth)
{
    struct strv address;

    for (*nth = 0; p->edit && ctl_text_nth(p->edit->call, name, *nth, &address); ++*nth)
        if (requeue_means(r, address))
            return true;
    return false;
}

static void plan_edited(struct requeue_plan *p, uint32_t index, const struct envelope_rcpt *r)
{
    struct strv address;
    size_t nth;

    if (edit_finds(p, "remove", r, &nth)) {
        p->given = p->given || ((struct group *)dict_get(p->groups, known_as(r)))->count > 1;
        if (!p->sending)
            list_write(p->edit->notify ? &p->failed : &p->ended, index);
        return;
    }
    if (!p->sending)
        list_write(&p->ended, index);
    if (edit_finds(p, "old", r, &nth) && ctl_text_nth(p->edit->call, "new", nth, &address)) {
        /* The sender goes on knowing it as he wrote it. */
        emit(p, REQUEUE_RESOLVE, address, r, known_as(r));
        p->given = true;
        return;
    }
    emit(p, REQUEUE_KEEP, r->to, r, known_as(r));
    p->given = p->given || r->also.n || ((struct group *)dict_get(p->groups, known_as(r)))->blocked;
}

static void plan_again(struct requeue_plan *p, uint32_t index, const struct envelope_rcpt *r)
{
    struct strv rest = { 0 }, name;
    bool keep = p->as_given;

    if (!p->sending)
        list_write(&p->ended, index);
    while (name_next(r, &rest, &name)) {
        const struct group *g = dict_get(p->groups, name);

        keep = keep || g->blocked;
    }
    if (keep) {
        emit(p, REQUEUE_KEEP, r->to, r, known_as(r));
        p->given = true;
        return;
    }
    rest = (struct strv){ 0 };
    while (name_next(r, &rest, &name)) {
        struct group *g = dict_get(p->groups, name);
        struct envelope_rcpt one = *r;

        /* ORCPT is what the sender said of the first. */
        if (!strv_eq(name, known_as(r)))
            one.orcpt = SV_LIT("");
        if (g->sent != p->sending)
            continue;
        emit(p, REQUEUE_RESOLVE, name, &one, name);
        g->sent = !p->sending;
    }
}

static void plan_rcpts(struct requeue_plan *p)
{
    struct strv address;

    for (uint32_t i = 0; i < p->m->rcpt_n; i++) {
        const struct envelope_rcpt *r = &p->op->kept.rcpts[i];

        if (!requeue_is_idle(message_rcpt(p->m, i)))
            continue;
        if (p->edit)
            plan_edited(p, i, r);
        else
            plan_again(p, i, r);
    }
    for (size_t i = 0; p->edit && ctl_text_nth(p->edit->call, "add", i, &address); i++)
        emit(p, REQUEUE_RESOLVE, address, NULL, address);
}

/* Who of it has the message already, or is about to: not who failed, or went away before. Who was over when a
   journal of an older version was taken down counts as one who has it. */
static bool has_it(const struct rcpt *r)
{
    return r->success || r->state == RCPT_RUNNING;
}

/* Everybody else of the record to whom the message went or will go. */
static void barred_make(struct requeue_plan *p, struct buf *out)
{
    for (uint32_t i = 0; i < p->m->rcpt_n; i++) {
        const struct envelope_rcpt *r = &p->op->kept.rcpts[i];

        if (r->notify & NOTIFY_EXPANDED || !has_it(message_rcpt(p->m, i)))
            continue;
        buf_addc(out, r->local ? 'l' : 'r');
        buf_addv(out, r->to);
        buf_addc(out, '\n');
        buf_addv(out, r->target);
        buf_addc(out, '\0');
    }
}

static void count_make(struct requeue_plan *p)
{
    for (uint32_t i = 0; i < p->m->rcpt_n; i++) {
        const struct envelope_rcpt *r = &p->op->kept.rcpts[i];
        const struct rcpt *state = message_rcpt(p->m, i);

        p->op->moved += requeue_is_idle(state);
        if (state->state != RCPT_RUNNING)
            continue;
        p->op->running++;
        requeue_left_add(p->op, REQUEUE_LEFT_RUNNING, r->to, known_as(r));
    }
}

const char *requeue_plan_make(struct requeue_plan *p, struct buf *barred)
{
    p->ended.out = &p->op->ended;
    p->failed.out = &p->op->failed;
    groups_make(p);
    count_make(p);
    list_make(p);
    plan_rcpts(p);
    list_finish(&p->ended);
    list_finish(&p->failed);
    if (!p->edit)
        barred_make(p, barred);
    if (p->op->list.len > LIST_MAX)
        return "too many of its recipients are being delivered to just now; try again in a moment";
    return buf_ok(barred) ? NULL : "it has too many recipients";
}

void requeue_plan_emit(struct requeue_plan *p)
{
    p->sending = true;
    plan_rcpts(p);
}

void requeue_plan_clear(struct requeue_plan *p)
{
    dict_free(&p->groups, free);
}
