/* submitter.c - the channels to cleanup: whose transactions, and who composes our notices */
#include "queued/submitter.h"

#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "queued/drop.h"

#include <stdlib.h>

struct submitter *submitter_find(const struct mailq *q, uint64_t number)
{
    for (size_t i = 0; i < QUEUE_CLEANUPS; i++) {
        if (q->submitters[i] && q->submitters[i]->number == number)
            return q->submitters[i];
    }
    return NULL;
}

/* Who composes notices: the newest that is not on its way out; else any, while there is one. */
static void composer_choose(struct mailq *q)
{
    const struct submitter *best = NULL;

    for (size_t i = 0; i < QUEUE_CLEANUPS; i++) {
        const struct submitter *s = q->submitters[i];

        if (s && (!best || (best->retired && !s->retired) ||
                  (best->retired == s->retired && s->number > best->number)))
            best = s;
    }
    q->cleanup = best ? best->ch : NULL;
    if (q->cleanup && q->started)
        notice_pump(q);
    drops_pump(q);
}

/* What was submitted commits; the rest is forgotten. */
static void submitter_lost(struct mailq *q, unsigned index)
{
    struct submitter *s = q->submitters[index];
    const struct channel *ch = s->ch;

    q->submitters[index] = NULL;
    submit_forget(s);
    channel_free(&s->ch);
    free(s);
    composer_choose(q);
    notice_lost(q, ch);
    drops_lost(q, ch);
    forward_lost(q, ch);
    requeue_lost(q, ch);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct submitter *s = arg;

    if (s->retired)
        LOG(DEBUG, "queue.peer.left", KS("peer", "cleanup"), KI("index", channel_peer_index(ch)));
    else
        LOG(WARN, "queue.peer.lost", KS("peer", "cleanup"), KS("why", why));
    submitter_lost(s->q, channel_peer_index(ch));
}

static const struct channel_ops ops = { .frame = submit_on_frame, .lost = on_lost };

void submit_edge(struct mailq *q, unsigned index, int fd)
{
    struct submitter *s;

    if (q->submitters[index])
        submitter_lost(q, index);
    s = mem_new(sizeof *s);
    s->q = q;
    s->txs = dict_new();
    s->number = ++q->submitter_number;
    s->ch = channel_new(q->loop, fd, ROLE_QUEUED, ROLE_CLEANUP, index, &ops, s);
    q->submitters[index] = s;
    composer_choose(q);
}

void submit_retired(struct mailq *q, unsigned index)
{
    if (!q->submitters[index])
        return;
    q->submitters[index]->retired = true;
    composer_choose(q);
}

void submitters_clear(struct mailq *q)
{
    for (unsigned i = 0; i < QUEUE_CLEANUPS; i++) {
        if (q->submitters[i])
            submitter_lost(q, i);
    }
}
