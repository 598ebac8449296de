/* client.c - questions to mapd over one channel that may be replaced */
#include "maps/client.h"

#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/ipc/question.h"
#include "common/net/loop.h"

#include <stdlib.h>

struct question {
    struct question *next; /* in ready: answered without asking */
    struct maps_client *mc;
    uint64_t id;            /* ours */
    uint64_t handle;        /* the asker's; 0 for those in ready */
    size_t items;           /* of the chain: bounds the index in the answer */
    struct maps_answer now; /* of those in ready */
    maps_done *done;
    void *arg;
};

struct maps_client {
    struct loop *loop;
    enum role self;
    struct channel *ch; /* owned; NULL while there is none */
    struct asker *asker;
    struct dict *open; /* id -> question */
    struct dict *auths; /* id -> auth_question */
    uint64_t last_id, snapshot;
    struct ipc_out out;
    struct question *ready;
    struct loop_task task;
};

static void question_end(struct question *q, const struct maps_answer *answer)
{
    maps_done *done = q->done;
    void *arg = q->arg;

    dict_pop_u64(q->mc->open, q->id);
    free(q);
    done(arg, answer);
}

static void on_ready(void *arg)
{
    struct maps_client *mc = arg;

    while (mc->ready) {
        struct question *q = mc->ready;
        struct maps_answer now = q->now;

        mc->ready = q->next;
        question_end(q, &now);
    }
}

static void on_answer(void *arg, struct ipc_in *in)
{
    struct question *q = arg;
    struct maps_answer a = { .answer = ANSWER_FAILED,
                             .why = SV_LIT("mapd is not there or late"),
                             .lost = true };

    if (in) {
        a.lost = false;
        a.answer = (enum ipc_answer)ipc_get_u64(in, TAG_ANSWER);
        a.index = ipc_get_u64(in, TAG_INDEX);
        a.value = ipc_get(in, TAG_VALUE);
        a.origin = ipc_get(in, TAG_ORIGIN_AT);
        a.broken = ipc_get_u64(in, TAG_KIND) == 1;
        a.why = ipc_has(in, TAG_ERROR) ? ipc_get(in, TAG_ERROR) : SV_LIT("mapd gave no reason");
        /* An index beyond the question would be read from our own array. */
        if (a.answer == ANSWER_FOUND && a.index >= q->items) {
            a.answer = ANSWER_FAILED;
            a.why = SV_LIT("mapd answered another question");
        }
    }
    question_end(q, &a);
}

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct maps_client *mc = arg;

    (void)ch;
    if (in->type == IPC_MAP_ANSWER || in->type == IPC_AUTH_ANSWER)
        asker_answer(mc->asker, in);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct maps_client *mc = arg;

    (void)ch;
    /* mtad says who died and why; here only what it cost. */
    if (dict_count(mc->open))
        LOG(WARN, "maps.channel.lost", KS("why", why), KI("pending", dict_count(mc->open)));
    asker_set_channel(mc->asker, NULL);
    channel_free(&mc->ch);
}

static const struct channel_ops ops = { .frame = on_frame, .lost = on_lost };

struct maps_client *maps_client_new(struct loop *loop, enum role self)
{
    struct maps_client *mc = mem_new(sizeof *mc);

    mc->loop = loop;
    mc->self = self;
    mc->asker = asker_new(loop);
    mc->open = dict_new();
    mc->auths = dict_new();
    mc->task = (struct loop_task){ .fn = on_ready, .arg = mc };
    ipc_out_init(&mc->out);
    return mc;
}

void maps_client_snapshot(struct maps_client *mc, uint64_t number)
{
    mc->snapshot = number;
}

void maps_client_free(struct maps_client **mcp)
{
    struct maps_client *mc = *mcp;

    if (!mc)
        return;
    *mcp = NULL;
    loop_later_cancel(mc->loop, &mc->task);
    asker_free(&mc->asker);
    channel_free(&mc->ch);
    dict_free(&mc->open, free);
    dict_free(&mc->auths, free);
    ipc_out_clear(&mc->out);
    free(mc);
}

void maps_client_edge(struct maps_client *mc, int fd)
{
    asker_set_channel(mc->asker, NULL);
    channel_free(&mc->ch);
    mc->ch = channel_new(mc->loop, fd, mc->self, ROLE_MAPD, 0, &ops, mc);
    asker_set_channel(mc->asker, mc->ch);
}

bool maps_client_is_up(const struct maps_client *mc)
{
    return mc->ch != NULL;
}

static void answer_later(struct maps_client *mc, struct question *q, enum ipc_answer answer, const char *why)
{
    struct question **at = &mc->ready;

    q->now = (struct maps_answer){ .answer = answer, .why = SV(why) };
    while (*at)
        at = &(*at)->next;
    *at = q;
    loop_later(mc->loop, &mc->task);
}

uint64_t maps_ask(struct maps_client *mc, const struct key_chain *chain, int64_t deadline_ms, maps_done *done,
                  void *arg)
{
    struct question *q = mem_new(sizeof *q);

    *q = (struct question){ .mc = mc, .id = ++mc->last_id, .items = chain->n, .done = done, .arg = arg };
    dict_set_u64(mc->open, q->id, q);
    if (chain->over) {
        answer_later(mc, q, ANSWER_FAILED, "too many tables for one question");
        return q->id;
    }
    if (!chain->n) {
        answer_later(mc, q, ANSWER_ABSENT, "no table to ask");
        return q->id;
    }
    ipc_begin(&mc->out, IPC_MAP_QUERY, asker_txn(mc->asker));
    if (mc->snapshot)
        ipc_put_u64(&mc->out, TAG_SNAPSHOT, mc->snapshot);
    for (size_t i = 0; i < chain->n; i++) {
        ipc_group_begin(&mc->out, TAG_ITEM);
        ipc_put_text(&mc->out, TAG_MAP, SV(chain->items[i].map));
        ipc_put_text(&mc->out, TAG_KEY, key_chain_key(chain, i));
        ipc_group_end(&mc->out);
    }
    q->handle = asker_ask(mc->asker, &mc->out, deadline_ms, on_answer, q);
    return q->id;
}

static void ready_remove(struct maps_client *mc, const struct question *q)
{
    for (struct question **at = &mc->ready; *at; at = &(*at)->next)
        if (*at == q) {
            *at = q->next;
            return;
        }
}

void maps_cancel(struct maps_client *mc, uint64_t id)
{
    struct question *q = id ? dict_pop_u64(mc->open, id) : NULL;

    if (!q)
        return;
    if (q->handle)
        asker_cancel(mc->asker, q->handle);
    else
        ready_remove(mc, q);
    free(q);
}

/* ---- AUTH ---- */

struct auth_question {
    struct maps_client *mc;
    uint64_t id, handle;
    maps_auth_done *done;
    void *arg;
};

static void on_auth_answer(void *arg, struct ipc_in *in)
{
    struct auth_question *q = arg;
    struct maps_auth_answer a = { .answer = ANSWER_FAILED, .why = SV_LIT("mapd is not there or late") };
    maps_auth_done *done = q->done;
    void *done_arg = q->arg;

    if (in) {
        a.answer = (enum ipc_answer)ipc_get_u64(in, TAG_ANSWER);
        a.data = ipc_get(in, TAG_DATA);
        a.iterations = (unsigned)ipc_get_u64(in, TAG_COUNT);
        a.why = ipc_has(in, TAG_ERROR) ? ipc_get(in, TAG_ERROR) : SV_LIT("mapd gave no reason");
    }
    dict_pop_u64(q->mc->auths, q->id);
    free(q);
    done(done_arg, &a);
}

uint64_t maps_auth(struct maps_client *mc, const struct maps_auth *m, int64_t deadline_ms,
                   maps_auth_done *done, void *arg)
{
    struct auth_question *q = mem_new(sizeof *q);
    struct ipc_out out;

    *q = (struct auth_question){ .mc = mc, .id = ++mc->last_id, .done = done, .arg = arg };
    dict_set_u64(mc->auths, q->id, q);
    ipc_out_init(&out);
    out.bytes.secret = true;
    ipc_begin(&out, IPC_AUTH_QUERY, asker_txn(mc->asker));
    if (mc->snapshot)
        ipc_put_u64(&out, TAG_SNAPSHOT, mc->snapshot);
    ipc_put_u64(&out, TAG_KIND, m->kind);
    ipc_put_text(&out, TAG_CLIENT, m->client);
    ipc_put_clean(&out, TAG_LOGIN, m->login);
    if (m->data.n)
        ipc_put_bytes(&out, TAG_DATA, m->data);
    if (m->proof.n)
        ipc_put_bytes(&out, TAG_VALUE, m->proof);
    q->handle = asker_ask(mc->asker, &out, deadline_ms, on_auth_answer, q);
    ipc_out_clear(&out);
    return q->id;
}

void maps_auth_cancel(struct maps_client *mc, uint64_t id)
{
    struct auth_question *q = id ? dict_pop_u64(mc->auths, id) : NULL;

    if (!q)
        return;
    asker_cancel(mc->asker, q->handle);
    free(q);
}
