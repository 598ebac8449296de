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

static void also_join(const struct ipc_in *group, struct buf *out)
{
    struct strv address;
    size_t at = 0;

    buf_reset(out);
    while (ipc_next(group, TAG_ALSO, &at, &address)) {
        if (out->len)
            buf_addc(out, '\n');
        buf_addv(out, address);
    }
}

size_t submitter_rcpts_print(struct ipc_in *in, struct buf *out)
{
    struct ipc_in group;
    struct buf also;
    size_t at = 0, n = 0;

    buf_init(&also, IPC_FRAME_MAX);

    while (ipc_next_group(in, TAG_RCPT, &at, &group)) {
        struct envelope_rcpt r = {
            .to = ipc_get(&group, TAG_RCPT),
            .original = ipc_get(&group, TAG_ORIGINAL),
            .orcpt = ipc_get(&group, TAG_ORCPT),
            .target = ipc_get(&group, TAG_TARGET),
            .notify = ipc_get_u64(&group, TAG_NOTIFY),
            .local = ipc_get_u64(&group, TAG_LOCAL) != 0,
        };

        if (r.to.n == 0)
            continue;
        also_join(&group, &also);
        r.also = buf_view(&also);
        envelope_print_rcpt(&r, out);
        n++;
    }
    buf_clear(&also);
    return n;
}
