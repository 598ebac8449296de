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

#define LIST_MAX 400u   /* an origin is at most 512 bytes */
#define ROOM     48000u /* of the frame, for recipients */
#define RCPT_FIX 96u    /* heads and numbers of one */

/* All recipients that one address of the sender led to. */
struct group {
    unsigned count;
    bool blocked, sent; /* one of them does not wait; it is in the frame */
};

struct plan {
    struct mailq *q;
    struct requeue *op;
    struct message *m;
    struct edit *edit;
    struct dict *groups;
    struct list_writer list, ended, failed;
    size_t room;
    bool whole; /* all that waits fits */
    bool given;
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

static size_t rcpt_size(const struct envelope_rcpt *r)
{
    struct strv rest = { 0 }, name;
    size_t n = r->to.n + r->orcpt.n + r->target.n;

    while (name_next(r, &rest, &name))
        n += 2 * name.n + RCPT_FIX;
    return n;
}

static void group_count(struct plan *p, struct strv name, bool idle)
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

static void groups_make(struct plan *p)
{
    struct list_writer list = { .out = &p->q->list };
    size_t size = 0;

    p->groups = dict_new();
    buf_reset(&p->q->list);
    for (uint32_t i = 0; i < p->m->rcpt_n; i++) {
        const struct envelope_rcpt *r = &p->op->kept.rcpts[i];
        bool idle = requeue_is_idle(message_rcpt(p->m, i));
        struct strv rest = { 0 }, name;

        if (r->notify & NOTIFY_EXPANDED)
            continue;
        while (name_next(r, &rest, &name))
            group_count(p, name, idle);
        if (idle) {
            size += rcpt_size(r);
            list_write(&list, i);
        }
    }
    list_finish(&list);
    p->whole = size <= ROOM && p->q->list.len <= LIST_MAX;
}

static void emit(struct plan *p, enum requeue_kind kind, struct strv address, const struct envelope_rcpt *r,
                 struct strv original)
{
    struct ipc_out *o = &p->q->out;

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
    p->op->emitted++;
}

/* The nth argument of that name that means the recipient. */
static bool edit_finds(const struct plan *p, const char *name, const struct envelope_rcpt *r, size_t *nth)
{
    struct strv address;

    for (*nth = 0; p->edit && ctl_text_nth(p->edit->call, name, *nth, &address); ++*nth)
        if (requeue_means(r, address))
            return true;
    return false;
}

static void plan_edited(struct plan *p, uint32_t index, const struct envelope_rcpt *r)
{
    struct strv address;
    size_t nth;

    if (edit_finds(p, "remove", r, &nth)) {
        p->given = p->given || ((struct group *)dict_get(p->groups, known_as(r)))->count > 1;
        list_write(p->edit->notify ? &p->failed : &p->ended, index);
        return;
    }
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

static void plan_again(struct plan *p, uint32_t index, const struct envelope_rcpt *r, bool as_given)
{
    struct strv rest = { 0 }, name;
    bool keep = as_given;

    list_write(&p->ended, index);
    while (name_next(r, &rest, &name)) {
        const struct group *g = dict_get(p->groups, name);

        keep = keep || g->blocked || (g->count > 1 && !p->whole);
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
        if (!g->sent)
            emit(p, REQUEUE_RESOLVE, name, &one, name);
        g->sent = true;
    }
}

static void plan_rcpts(struct plan *p, bool as_given)
{
    for (uint32_t i = 0; i < p->m->rcpt_n; i++) {
        const struct envelope_rcpt *r = &p->op->kept.rcpts[i];
        const struct rcpt *state = message_rcpt(p->m, i);

        p->op->running += state->state == RCPT_RUNNING;
        if (!requeue_is_idle(state))
            continue;
        if (rcpt_size(r) > p->room || p->op->list.len > LIST_MAX) {
            p->op->rest = true;
            break;
        }
        p->room -= rcpt_size(r);
        list_write(&p->list, i);
        if (p->edit)
            plan_edited(p, i, r);
        else
            plan_again(p, i, r, as_given);
        p->op->moved++;
    }
    list_finish(&p->list);
    list_finish(&p->ended);
    list_finish(&p->failed);
}

static void plan_added(struct plan *p)
{
    struct strv address;

    if (!p->edit || p->edit->added)
        return;
    for (size_t i = 0; ctl_text_nth(p->edit->call, "add", i, &address); i++)
        emit(p, REQUEUE_RESOLVE, address, NULL, address);
    p->edit->added = true;
}

/* Who of it has the message already, or is about to: not who failed, or went away in a part before. Who was
   over when a journal of an older version was taken down counts as one who has it. */
static bool has_it(const struct rcpt *r)
{
    return r->success || (r->state != RCPT_DONE && r->state != RCPT_OWED);
}

/* Everybody else of the record to whom the message went or will go. */
static void barred_make(struct plan *p, struct buf *out)
{
    struct strv rest = buf_view(&p->op->list);
    uint32_t first = 0, last = 0;
    bool more = ranges_next(&rest, &first, &last);

    for (uint32_t i = 0; i < p->m->rcpt_n; i++) {
        const struct envelope_rcpt *r = &p->op->kept.rcpts[i];

        if (more && i > last)
            more = ranges_next(&rest, &first, &last);
        if ((more && i >= first && i <= last) || r->notify & NOTIFY_EXPANDED ||
            !has_it(message_rcpt(p->m, i)))
            continue;
        buf_addc(out, r->local ? 'l' : 'r');
        buf_addv(out, r->to);
        buf_addc(out, '\n');
        buf_addv(out, r->target);
        buf_addc(out, '\0');
    }
}

bool requeue_plan(struct mailq *q, struct requeue *op, struct message *m, struct edit *edit,
                  unsigned *flags, struct buf *barred)
{
    struct plan p = { .q = q, .op = op, .m = m, .edit = edit, .room = ROOM };

    p.list.out = &op->list;
    p.ended.out = &op->ended;
    p.failed.out = &op->failed;
    groups_make(&p);
    plan_rcpts(&p, *flags & REQUEUE_GIVEN);
    plan_added(&p);
    if (!edit)
        barred_make(&p, barred);
    if (p.given)
        *flags |= REQUEUE_GIVEN;
    dict_free(&p.groups, free);
    return op->emitted > 0;
}
