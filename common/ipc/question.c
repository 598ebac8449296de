/* question.c - questions over a channel: one ordered list of deadlines and one timer for all of them */
#include "common/ipc/question.h"

#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/ipc/txn.h"
#include "common/net/loop.h"

#include <stdlib.h>
#include <unistd.h>

/* Far above what sessions and jobs can ask at once; past it a question fails as if its deadline had passed.
 */
#define PENDING_MAX 65536u

struct question {
    struct txn_node node; /* first: the table finds it */
    int64_t due;
    asker_done *done;
    void *arg;
    struct question *prev, *next;
};

struct question_list {
    struct question *first, *last;
};

struct asker {
    struct loop *loop;
    struct channel *channel;      /* borrowed; NULL without */
    struct txn_table table;       /* those that wait for an answer */
    struct question_list waiting; /* the same, by deadline */
    struct question_list failed;  /* to be failed at the end of the iteration */
    struct loop_timer timer;
    struct loop_task task;
    bool freed;
};

static void list_remove(struct question_list *l, struct question *q)
{
    if (q->prev)
        q->prev->next = q->next;
    else
        l->first = q->next;
    if (q->next)
        q->next->prev = q->prev;
    else
        l->last = q->prev;
}

/* By due, from the end: questions of one kind have one patience, so this is where most belong. */
static void list_insert(struct question_list *l, struct question *q)
{
    struct question *before = l->last;

    while (before && before->due > q->due)
        before = before->prev;
    q->prev = before;
    q->next = before ? before->next : l->first;
    if (q->next)
        q->next->prev = q;
    else
        l->last = q;
    if (before)
        before->next = q;
    else
        l->first = q;
}

/* The table holds waiting and failed questions alike: both can be cancelled; due < 0 marks the failed. */
static void question_remove(struct asker *a, struct question *q)
{
    list_remove(q->due < 0 ? &a->failed : &a->waiting, q);
    txn_table_remove(&a->table, &q->node);
}

static void question_fail_later(struct asker *a, struct question *q)
{
    list_remove(&a->waiting, q);
    q->due = -1;
    list_insert(&a->failed, q);
    loop_later(a->loop, &a->task);
}

static void question_finish(struct asker *a, struct question *q, struct ipc_in *answer)
{
    asker_done *done = q->done;
    void *arg = q->arg;

    question_remove(a, q);
    free(q);
    done(arg, answer);
}

static void on_task(void *arg)
{
    struct asker *a = arg;

    while (!a->freed && a->failed.first)
        question_finish(a, a->failed.first, NULL);
}

static void on_timer(void *arg)
{
    struct asker *a = arg;
    int64_t now = loop_now(a->loop);

    while (!a->freed && a->waiting.first && a->waiting.first->due <= now)
        question_finish(a, a->waiting.first, NULL);
    if (!a->freed && a->waiting.first)
        loop_timer_set(&a->timer, a->waiting.first->due - now);
}

struct asker *asker_new(struct loop *l)
{
    struct asker *a = mem_new(sizeof *a);

    a->loop = l;
    a->task = (struct loop_task){ .fn = on_task, .arg = a };
    txn_table_init(&a->table);
    loop_timer_init(&a->timer, l, on_timer, a);
    return a;
}

static void question_free(void *arg, struct txn_node *n)
{
    (void)arg;
    free(n);
}

static void asker_destroy(void *obj)
{
    free(obj);
}

void asker_free(struct asker **ap)
{
    struct asker *a = *ap;

    if (!a)
        return;
    *ap = NULL;
    a->freed = true;
    loop_later_cancel(a->loop, &a->task);
    loop_timer_stop(&a->timer);
    txn_table_each(&a->table, question_free, NULL);
    txn_table_clear(&a->table);
    loop_reap(a->loop, asker_destroy, a);
}

void asker_set_channel(struct asker *a, struct channel *ch)
{
    if (ch == a->channel)
        return;
    a->channel = ch;
    while (a->waiting.first)
        question_fail_later(a, a->waiting.first);
}

bool asker_ready(const struct asker *a)
{
    return a->channel != NULL;
}

uint64_t asker_txn(struct asker *a)
{
    (void)a;
    return txn_number();
}

uint64_t asker_ask(struct asker *a, struct ipc_out *o, int64_t deadline_ms, asker_done *done, void *arg)
{
    struct question *q = mem_new(sizeof *q);
    bool send = a->channel && a->table.count < PENDING_MAX;

    q->node.txn = o->txn;
    q->due = loop_now(a->loop) + (deadline_ms > 0 ? deadline_ms : 0);
    q->done = done;
    q->arg = arg;
    txn_table_add(&a->table, &q->node);
    list_insert(&a->waiting, q);
    if (send) {
        channel_send(a->channel, o);
        if (a->waiting.first == q || !loop_timer_is_set(&a->timer))
            loop_timer_set(&a->timer, a->waiting.first->due - loop_now(a->loop));
    } else {
        question_fail_later(a, q);
        for (unsigned i = 0; i < o->fd_count; i++)
            close(o->fds[i]);
        o->fd_count = 0;
    }
    return q->node.txn;
}

void asker_cancel(struct asker *a, uint64_t handle)
{
    struct question *q = (struct question *)(void *)txn_table_find(&a->table, handle);

    if (!q)
        return;
    question_remove(a, q);
    free(q);
}

bool asker_answer(struct asker *a, struct ipc_in *in)
{
    struct question *q = (struct question *)(void *)txn_table_find(&a->table, in->txn);

    if (!q || q->due < 0)
        return false;
    question_finish(a, q, in);
    return true;
}

size_t asker_pending(const struct asker *a)
{
    return a->table.count;
}
