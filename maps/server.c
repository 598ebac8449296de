/* server.c - questions, walked item by item: local tables answer at once, a worker where that may block */
#include "maps/server.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "conf/auth.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "maps/ctl.h"
#include "maps/auth.h"
#include "maps/include.h"
#include "maps/keys.h"
#include "maps/snapshot.h"
#include "maps/tables.h"
#include "maps/workers.h"

#include <stdio.h>
#include <stdlib.h>

#define ITEMS_MAX 200u /* KEY_CHAIN_MAX: an asker has no more */

struct peer {
    struct mapd *md;
    struct channel *ch; /* owned */
    enum role role;
    unsigned index;
    struct question *waiting; /* owned: those that a worker has */
    struct peer *next, **at;
};

struct item {
    struct map *map; /* NULL: no such map */
    struct strv name, key;
};

/* On the stack as long as every answer is at hand; copied when it has to wait. */
struct question {
    struct peer *peer;
    uint64_t txn;
    const struct conf *conf; /* that the asker has */
    const struct tables *tables;
    const struct item *items;
    size_t n, at;
    uint64_t handle;  /* of the worker's part */
    struct buf text;  /* owned, of a copy: names and keys */
    struct item *own; /* owned, of a copy */
    struct question *next, **prev;
};

static void step(struct question *q);

/* ---- answers ---- */

static struct ipc_out *answer_begin(const struct question *q, enum ipc_answer answer)
{
    struct ipc_out *out = &q->peer->md->out;

    ipc_begin(out, IPC_MAP_ANSWER, q->txn);
    ipc_put_u64(out, TAG_ANSWER, answer);
    metric_add(METRIC_LOOKUPS, answer, 1);
    return out;
}

static void answer_send(const struct question *q)
{
    channel_send(q->peer->ch, &q->peer->md->out);
}

static void answer_found(const struct question *q, const struct map_value *value)
{
    struct ipc_out *out = answer_begin(q, ANSWER_FOUND);
    const struct conf_map *conf = q->items[q->at].map->conf;

    ipc_put_u64(out, TAG_INDEX, q->at);
    ipc_put_bytes(out, TAG_VALUE, value->text);
    if (value->line) {
        char origin[4200];

        snprintf(origin, sizeof origin, "%s:%u", conf->source, value->line);
        ipc_put_clean(out, TAG_ORIGIN_AT, SV(origin));
    }
    answer_send(q);
}

static void answer_failed(const struct question *q, const char *why, bool broken)
{
    struct ipc_out *out = answer_begin(q, ANSWER_FAILED);

    ipc_put_clean(out, TAG_ERROR, SV(why));
    ipc_put_u64(out, TAG_KIND, broken);
    answer_send(q);
}

static void answer_absent(const struct question *q)
{
    answer_begin(q, ANSWER_ABSENT);
    answer_send(q);
}

/* ---- system users ---- */

/* uid 0 gets mail by an alias or not at all; the rest by mailbox.uid_min of the sections that use this map.
   mtad asks for itself and applies the rule of the one section that it starts an agent for. */
static bool user_permitted(const struct question *q, const struct item *item, struct strv value)
{
    const struct conf *conf = q->conf;
    uint64_t uid, gid;
    struct strv home;

    if (q->peer->role == ROLE_MTAD)
        return true;
    if (!passwd_value_read(value, &uid, &gid, &home) || uid == 0)
        return false;
    for (size_t i = 0; i < conf->mailbox_n; i++) {
        const struct conf_mailbox *m = conf->mailboxes[i];

        if (!strv_is(item->name, m->lookup))
            continue;
        if ((int64_t)uid >= m->uid_min || conf_strings_have(&m->uid_exceptions, item->key))
            return true;
    }
    return false;
}

/* ---- workers ---- */

static void question_leave(struct question *q)
{
    *q->prev = q->next;
    if (q->next)
        q->next->prev = q->prev;
}

static void question_free(struct question *q)
{
    buf_clear(&q->text);
    free(q->own);
    free(q);
}

static struct strv keep(struct buf *text, struct strv s)
{
    size_t at = text->len;

    buf_addv(text, s);
    return strv_sub(buf_view(text), at, s.n);
}

/* A copy that outlives the frame. Items before `at` are answered, but the index counts them. */
static struct question *question_copy(const struct question *from)
{
    struct question *q = mem_new(sizeof *q);
    size_t bytes = 0;

    *q = *from;
    q->own = mem_array(q->n, sizeof *q->own);
    for (size_t i = 0; i < q->n; i++)
        bytes += from->items[i].name.n + from->items[i].key.n;
    buf_init(&q->text, bytes + 1);
    buf_reserve(&q->text, bytes); /* views into it must not move */
    for (size_t i = 0; i < q->n; i++) {
        q->own[i].map = from->items[i].map;
        q->own[i].name = keep(&q->text, from->items[i].name);
        q->own[i].key = keep(&q->text, from->items[i].key);
    }
    q->items = q->own;
    q->next = q->peer->waiting;
    q->prev = &q->peer->waiting;
    if (q->next)
        q->next->prev = &q->next;
    q->peer->waiting = q;
    return q;
}

/* FOUND counts only where the user may have mail; then the item is the answer, else it is absent. */
static bool worker_found(struct question *q, struct strv value)
{
    struct map_value v = { .text = value };

    if (!user_permitted(q, &q->items[q->at], value))
        return false;
    answer_found(q, &v);
    return true;
}

static size_t worker_run(const struct question *q)
{
    size_t n = 0;

    while (q->at + n < q->n && q->items[q->at + n].map && q->items[q->at + n].map->ops->worker &&
           !include_is_key(q->items[q->at + n].key))
        n++;
    return n;
}

static void on_worker(void *arg, const struct worker_answer *a)
{
    struct question *q = arg;
    char why[300];
    bool over = true;

    q->handle = 0;
    switch (a->answer) {
    case ANSWER_FOUND:
        q->at += a->index;
        over = worker_found(q, a->value);
        q->at++;
        break;
    case ANSWER_ABSENT:
        q->at += worker_run(q);
        over = false;
        break;
    case ANSWER_FAILED:
        snprintf(why, sizeof why, "map %.*s: %.*s", (int)q->items[q->at].name.n, q->items[q->at].name.p,
                 (int)(a->why.n > 200 ? 200 : a->why.n), a->why.p);
        answer_failed(q, why, false);
        break;
    }
    if (!over)
        step(q);
    if (q->handle)
        return;
    question_leave(q);
    question_free(q);
}

/* Puts the items from q->at on that workers answer to one of them. */
static void ask_worker(struct question *q)
{
    struct worker_item items[ITEMS_MAX];
    size_t n = worker_run(q);
    bool fresh = !q->own;
    const char *why;

    if (fresh)
        q = question_copy(q);
    for (size_t i = 0; i < n; i++)
        items[i] = (struct worker_item){ q->items[q->at + i].name, q->items[q->at + i].key };
    q->handle = workers_ask(q->peer->md->workers, items, n, on_worker, q, &why);
    if (q->handle)
        return;
    answer_failed(q, why, false);
    if (!fresh)
        return; /* on_worker, which is our caller, ends it */
    question_leave(q);
    question_free(q);
}

/* ---- walking ---- */

/* True when the walk ends at this item. */
static bool worker_item(struct question *q)
{
    const struct item *item = &q->items[q->at];
    struct worker_item known = { item->name, item->key };
    struct worker_answer a;

    if (!workers_known(q->peer->md->workers, &known, &a)) {
        ask_worker(q);
        return true;
    }
    return a.answer == ANSWER_FOUND && worker_found(q, a.value);
}

static bool local_item(struct question *q)
{
    const struct item *item = &q->items[q->at];
    struct err err = { 0 };
    struct map_value value;

    switch (map_get(item->map, item->key, &value, &err)) {
    case ANSWER_FOUND: answer_found(q, &value); return true;
    case ANSWER_ABSENT: return false;
    case ANSWER_FAILED: answer_failed(q, err.text, err.cls == ERR_CONF); return true;
    }
    return false;
}

/* The secrets of users never leave this process, but for the check of one. */
static bool is_secret(const struct question *q, const struct item *item)
{
    const struct conf_auth_section *auth = q->conf->auth;

    return auth && strv_is(item->name, auth->users);
}

static void step(struct question *q)
{
    for (; q->at < q->n; q->at++) {
        const struct item *item = &q->items[q->at];

        if (!item->map) {
            answer_failed(q, "no map of that name here", true);
            return;
        }
        if (is_secret(q, item)) {
            answer_failed(q, "secrets are not given out", false);
            return;
        }
        if (item->map->ops->worker && !include_is_key(item->key) ? worker_item(q) : local_item(q))
            return;
    }
    answer_absent(q);
}

static bool snapshot_take(struct question *q, uint64_t number)
{
    const struct snapshot *s = snapshot_find(q->peer->md, number);

    if (!s)
        return false;
    q->tables = s->tables;
    if (s->conf)
        q->conf = s->conf;
    return true;
}

static void on_query(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct peer *p = arg;
    struct item items[ITEMS_MAX];
    struct question q = {
        .peer = p, .txn = in->txn, .conf = p->md->conf, .tables = p->md->tables, .items = items
    };
    struct ipc_in group;
    size_t at = 0;

    if (ipc_has(in, TAG_SNAPSHOT) && !snapshot_take(&q, ipc_get_u64(in, TAG_SNAPSHOT))) {
        answer_failed(&q, "this configuration is not known here", false);
        return;
    }
    while (ipc_next_group(in, TAG_ITEM, &at, &group)) {
        if (q.n == ITEMS_MAX) {
            channel_break(ch, "more than 200 items in a question");
            return;
        }
        items[q.n].name = ipc_get(&group, TAG_MAP);
        items[q.n].key = ipc_get(&group, TAG_KEY);
        items[q.n].map = tables_find(q.tables, items[q.n].name);
        q.n++;
    }
    step(&q);
}

/* ---- peers ---- */

static void peer_free(struct peer *p)
{
    while (p->waiting) {
        struct question *q = p->waiting;

        question_leave(q);
        workers_cancel(p->md->workers, q->handle);
        question_free(q);
    }
    *p->at = p->next;
    if (p->next)
        p->next->at = p->at;
    auths_forget(p->md->auths, p->ch);
    channel_free(&p->ch);
    free(p);
}

void mapd_abandon(struct mapd *md, const struct tables *tables)
{
    for (struct peer *p = md->peers; p; p = p->next) {
        for (struct question *q = p->waiting, *next; q; q = next) {
            next = q->next;
            if (q->tables != tables)
                continue;
            answer_failed(q, "this configuration is not known here any more", false);
            question_leave(q);
            workers_cancel(md->workers, q->handle);
            question_free(q);
        }
    }
}

static void on_auth(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct mapd *md = ((struct peer *)arg)->md;
    const struct snapshot *s = NULL;

    if (ipc_has(in, TAG_SNAPSHOT))
        s = snapshot_find(md, ipc_get_u64(in, TAG_SNAPSHOT));
    auths_query(md->auths, s && s->conf ? s->conf : md->conf, s ? s->tables : md->tables, ch, in);
}

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    static const struct channel_route routes[] = {
        { IPC_MAP_QUERY, on_query }, { IPC_AUTH_QUERY, on_auth }, { .type = IPC_NONE }
    };

    channel_dispatch(routes, arg, ch, in);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct peer *p = arg;

    (void)ch;
    LOG(DEBUG, "mapd.peer.lost", KS("peer", role_name(p->role)), KI("index", p->index), KS("why", why));
    peer_free(p);
}

static const struct channel_ops ops = { .frame = on_frame, .lost = on_lost };

void mapd_edge(struct mapd *md, enum role role, unsigned index, int fd)
{
    struct peer *p = md->peers;

    if (role == ROLE_MTACTL) {
        mapd_ctl_client(md, fd);
        return;
    }
    if (role == ROLE_MAPD_WORKER) {
        workers_edge(md->workers, index, fd);
        auths_retry(md->auths);
        return;
    }
    while (p && (p->role != role || p->index != index))
        p = p->next;
    if (p)
        peer_free(p);
    p = mem_new(sizeof *p);
    p->md = md;
    p->role = role;
    p->index = index;
    p->ch = channel_new(md->loop, fd, ROLE_MAPD, role, index, &ops, p);
    p->next = md->peers;
    p->at = &md->peers;
    if (p->next)
        p->next->at = &p->next;
    md->peers = p;
}

void mapd_init(struct mapd *md, const struct conf *conf, struct loop *loop)
{
    *md = (struct mapd){ .conf = conf, .loop = loop };
    md->workers = workers_new(loop);
    md->auths = auths_new(loop, md->workers);
    ipc_out_init(&md->out);
}

void mapd_clear(struct mapd *md)
{
    mapd_ctl_clear();
    while (md->peers)
        peer_free(md->peers);
    auths_free(&md->auths);
    workers_free(&md->workers);
    snapshots_clear(md);
    tables_free(&md->tables);
    ipc_out_clear(&md->out);
}
