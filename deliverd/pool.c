/* pool.c - connections by destination */
#include "deliverd/pool.h"

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "deliverd/connection.h"
#include "deliverd/deliverd.h"

#include <stdlib.h>

struct dest {
    struct pool *pool;
    unsigned active;                /* slots that are out */
    struct connection *idle;        /* list, the youngest first: old ones run into their timer */
    struct pool_wait *first, *last; /* the line */
    size_t key_len;
    char key[];
};

/* What a key leads to. */
struct alias {
    int64_t until; /* loop ms */
    size_t n;
    char shared[];
};

struct pool {
    struct deliverd *d;
    struct dict *dests;
    struct dict *aliases; /* key -> struct alias, owned */
    size_t alias_bytes;   /* of both since they were last forgotten, or more */
    size_t idle_n;
    bool closed;
};

/* ---- destinations ---- */

static struct dest *dest_get(struct pool *p, struct strv key)
{
    struct dest *dest = dict_get(p->dests, key);

    if (dest)
        return dest;
    dest = mem_new(sizeof *dest + key.n);
    dest->pool = p;
    dest->key_len = key.n;
    memcpy(dest->key, key.p, key.n);
    dict_set(p->dests, key, dest);
    return dest;
}

static void dest_drop_if_empty(struct dest *dest)
{
    if (dest->active || dest->idle || dest->first)
        return;
    dict_pop(dest->pool->dests, strv_make(dest->key, dest->key_len));
    free(dest);
}

struct strv pool_key(const struct dest *dest)
{
    return strv_make(dest->key, dest->key_len);
}

/* ---- keys that share ---- */

static void alias_drop(void *arg, struct strv key, void *value)
{
    dict_pop(arg, key);
    free(value);
}

void pool_learn(struct pool *p, struct strv key, struct strv shared, int64_t ms)
{
    struct alias *a = mem_new(sizeof *a + shared.n);

    a->until = loop_now(p->d->loop) + ms;
    a->n = shared.n;
    memcpy(a->shared, shared.p, shared.n);
    if (dict_count(p->aliases) >= POOL_ALIAS_MAX || p->alias_bytes > POOL_ALIAS_BYTES) {
        dict_each(p->aliases, alias_drop, p->aliases);
        p->alias_bytes = 0;
    }
    p->alias_bytes += key.n + shared.n;
    free(dict_set(p->aliases, key, a));
}

static struct strv alias_of(struct pool *p, struct strv key)
{
    struct alias *a = dict_count(p->aliases) ? dict_get(p->aliases, key) : NULL;

    return a && a->until > loop_now(p->d->loop) ? strv_make(a->shared, a->n) : key;
}

/* ---- idle connections ---- */

static void idle_remove(struct dest *dest, struct connection *c)
{
    *(c->prev ? &c->prev->next : &dest->idle) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->next = c->prev = NULL;
    dest->pool->idle_n--;
}

static void on_gone(void *arg, struct connection *c)
{
    struct dest *dest = arg;

    idle_remove(dest, c);
    if (client_step(&c->client) == CLIENT_READY)
        connection_close(&c, "idle");
    dest_drop_if_empty(dest);
}

static const struct connection_ops idle_ops = { .gone = on_gone };

static void idle_add(struct dest *dest, struct connection *c, int64_t ms)
{
    connection_use(c, &idle_ops, dest);
    c->prev = NULL;
    c->next = dest->idle;
    if (c->next)
        c->next->prev = c;
    dest->idle = c;
    dest->pool->idle_n++;
    connection_idle(c, ms);
}

static struct connection *idle_take(struct dest *dest)
{
    struct connection *c = dest->idle;

    if (c)
        idle_remove(dest, c);
    return c;
}

/* ---- the line ---- */

static void line_remove(struct dest *dest, struct pool_wait *w)
{
    *(w->prev ? &w->prev->next : &dest->first) = w->next;
    *(w->next ? &w->next->prev : &dest->last) = w->prev;
    w->next = w->prev = NULL;
    w->waiting = false;
}

enum pool_answer pool_get(struct pool *p, struct strv key, unsigned max, struct pool_wait *w,
                          struct connection **out)
{
    struct dest *dest = dest_get(p, alias_of(p, key));

    w->dest = dest;
    *out = idle_take(dest);
    if (*out) {
        dest->active++;
        return POOL_CONNECTION;
    }
    if (dest->active < max) {
        dest->active++;
        return POOL_OPEN;
    }
    w->waiting = true;
    w->next = NULL;
    w->prev = dest->last;
    *(w->prev ? &w->prev->next : &dest->first) = w;
    dest->last = w;
    return POOL_WAIT;
}

void pool_put(struct pool *p, struct dest *dest, struct connection *c, int64_t idle_ms)
{
    struct pool_wait *w = dest->first;

    if (w) {
        line_remove(dest, w);
        w->granted(w->arg, c); /* with the slot */
        return;
    }
    dest->active--;
    if (c && (p->closed || idle_ms <= 0 || p->idle_n >= POOL_IDLE_MAX))
        connection_close(&c, "done");
    else if (c)
        idle_add(dest, c, idle_ms);
    dest_drop_if_empty(dest);
}

void pool_leave(struct pool *p, struct pool_wait *w)
{
    (void)p;
    if (!w->waiting)
        return;
    line_remove(w->dest, w);
    dest_drop_if_empty(w->dest);
}

/* ---- life ---- */

static void close_all(void *arg, struct strv key, void *value)
{
    struct dest *dest = value;
    struct connection *c;

    (void)arg;
    (void)key;
    while ((c = idle_take(dest)))
        connection_close(&c, "shutdown");
    dest_drop_if_empty(dest);
}

void pool_close_idle(struct pool *p)
{
    p->closed = true;
    dict_each(p->dests, close_all, NULL);
}

struct pool *pool_new(struct deliverd *d)
{
    struct pool *p = mem_new(sizeof *p);

    p->d = d;
    p->dests = dict_new();
    p->aliases = dict_new();
    return p;
}

static void free_value(void *value)
{
    free(value);
}

void pool_free(struct pool **p)
{
    if (!*p)
        return;
    pool_close_idle(*p);
    dict_free(&(*p)->dests, free_value);
    dict_free(&(*p)->aliases, free_value);
    MEM_FREE(*p);
}
