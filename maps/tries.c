/* tries.c - who tried passwords in vain: by network, and by login from there */
#include "maps/tries.h"

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "common/net/loop.h"
#include "maps/keys.h"

#include <stdlib.h>

#define NETWORK_OPEN 8u /* questions of one network at once */
#define LOGIN_SHARE  4u /* of these, those of one login */
#define LOGIN_OPEN   8u /* of one login from one network */
#define NETWORKS_MAX 65536u
#define PAIRS_MAX    65536u
#define FORGIVE_MS   (60 * 1000) /* a failure is forgotten after this, one by one */
#define FAILURES_MAX 12          /* more are not remembered */
#define DELAY_FIRST  500         /* ms; doubles */
#define DELAY_MAX    16000
#define DELAY_GOOD   2000
#define PROVED_MS    (30LL * 86400 * 1000) /* how long a login is remembered to have come in from a network */
#define KEY_MAX      1024u
#define WALK_MS      (60 * 1000) /* all of a full table are looked at once in this time, not by every login */

/* Failures are a time that runs out: each adds FORGIVE_MS. */
struct network {
    int64_t until;
    unsigned open;
};

/* A login from a network; kept while questions are open, and while it is proved. */
struct pair {
    char *key; /* owned */
    int64_t proved_until;
    unsigned open, counted;
};

struct tries {
    struct loop *loop;
    struct dict *networks, *pairs;
    int64_t networks_walk, pairs_walk; /* not before */
};

struct tries *tries_new(struct loop *loop)
{
    struct tries *t = mem_new(sizeof *t);

    t->loop = loop;
    t->networks = dict_new();
    t->pairs = dict_new();
    return t;
}

static void pair_free(void *value)
{
    struct pair *p = value;

    free(p->key);
    free(p);
}

void tries_free(struct tries **tp)
{
    struct tries *t = *tp;

    if (!t)
        return;
    dict_free(&t->networks, free);
    dict_free(&t->pairs, pair_free);
    MEM_FREE(*tp);
}

static void walk_if_full(struct tries *t, struct dict *dict, size_t max, int64_t *due,
                         void (*drop)(void *arg, struct strv key, void *value))
{
    int64_t now = loop_now(t->loop);

    if (dict_count(dict) < max || now < *due)
        return;
    *due = now + WALK_MS;
    dict_each(dict, drop, t);
}

/* ---- networks ---- */

/* The /64 of an IPv6 address is one customer. */
static void network_name(struct strv client, char dst[NETADDR_TEXT])
{
    struct netaddr addr;

    if (!netaddr_parse_ip(client, &addr))
        addr = (struct netaddr){ 0 };
    if (addr.family == AF_INET6)
        memset(addr.ip + 8, 0, 8);
    netaddr_ip_text(&addr, dst, NETADDR_TEXT);
}

static void drop_if_over(void *arg, struct strv key, void *value)
{
    struct tries *t = arg;
    struct network *n = value;

    if (n->open == 0 && n->until <= loop_now(t->loop))
        free(dict_pop(t->networks, key));
}

static struct network *network_of(struct tries *t, const char *name)
{
    struct network *n = dict_get(t->networks, SV(name));

    if (n)
        return n;
    walk_if_full(t, t->networks, NETWORKS_MAX, &t->networks_walk, drop_if_over);
    n = mem_new(sizeof *n);
    dict_set(t->networks, SV(name), n);
    return n;
}

static int64_t failures(const struct network *n, int64_t now)
{
    return n->until > now ? (n->until - now + FORGIVE_MS - 1) / FORGIVE_MS : 0;
}

static void failure_add(struct network *n, int64_t now)
{
    n->until = (n->until > now ? n->until : now) + FORGIVE_MS;
    if (n->until > now + (int64_t)FAILURES_MAX * FORGIVE_MS)
        n->until = now + (int64_t)FAILURES_MAX * FORGIVE_MS;
}

static int64_t delay_of(int64_t count, bool good)
{
    int64_t ms = count > 0 ? (int64_t)DELAY_FIRST << (count < 7 ? count - 1 : 6) : 0;
    int64_t max = good ? DELAY_GOOD : DELAY_MAX;

    return ms < max ? ms : max;
}

/* ---- logins ---- */

static void pair_key(const char *network, struct strv login, struct buf *out)
{
    buf_init(out, KEY_MAX);
    buf_adds(out, network);
    buf_addc(out, ' ');
    key_lower(strv_sub(login, 0, KEY_MAX - NETADDR_TEXT - 2), out);
}

static void forget_if_over(void *arg, struct strv key, void *value)
{
    struct tries *t = arg;
    struct pair *p = value;

    if (p->open == 0 && p->proved_until <= loop_now(t->loop))
        pair_free(dict_pop(t->pairs, key));
}

static struct pair *pair_find(const struct tries *t, const char *network, struct strv login)
{
    struct buf key;
    struct pair *p;

    pair_key(network, login, &key);
    p = dict_get(t->pairs, buf_view(&key));
    buf_clear(&key);
    return p;
}

static struct pair *pair_of(struct tries *t, const char *network, struct strv login)
{
    struct pair *p = pair_find(t, network, login);
    struct buf key;

    if (p)
        return p;
    p = mem_new(sizeof *p);
    pair_key(network, login, &key);
    p->key = strv_dup(buf_view(&key));
    dict_set(t->pairs, buf_view(&key), p);
    buf_clear(&key);
    return p;
}

static bool is_proved(const struct tries *t, const struct pair *p)
{
    return p->proved_until > loop_now(t->loop);
}

/* Too many of them, and the newest is not remembered: it shares the network's places next time. */
static void pair_prove(struct tries *t, struct pair *p)
{
    if (!is_proved(t, p))
        walk_if_full(t, t->pairs, PAIRS_MAX, &t->pairs_walk, forget_if_over);
    if (is_proved(t, p) || dict_count(t->pairs) < PAIRS_MAX)
        p->proved_until = loop_now(t->loop) + PROVED_MS;
}

/* ---- questions ---- */

static bool takes_a_place(const struct tries *t, const struct pair *p)
{
    return !p || (!is_proved(t, p) && p->counted < LOGIN_SHARE);
}

bool tries_have_room(struct tries *t, struct strv client, struct strv login)
{
    char network[NETADDR_TEXT];
    const struct pair *p;

    network_name(client, network);
    p = pair_find(t, network, login);
    if (p && p->open >= LOGIN_OPEN)
        return false;
    return !takes_a_place(t, p) || network_of(t, network)->open < NETWORK_OPEN;
}

void try_begin(struct tries *t, struct strv client, struct strv login, struct try *out)
{
    network_name(client, out->network);
    out->pair = pair_of(t, out->network, login);
    out->counted = takes_a_place(t, out->pair);
    out->pair->open++;
    out->pair->counted += out->counted;
    network_of(t, out->network)->open += out->counted;
}

int64_t try_result(struct tries *t, struct try *one, bool good, bool bad)
{
    struct network *n = network_of(t, one->network);
    int64_t now = loop_now(t->loop);

    if (good)
        pair_prove(t, one->pair);
    if (bad) {
        one->pair->proved_until = 0;
        failure_add(n, now);
    }
    return delay_of(failures(n, now), good);
}

void try_end(struct tries *t, struct try *one)
{
    struct pair *p = one->pair;

    if (!p)
        return;
    one->pair = NULL;
    network_of(t, one->network)->open -= one->counted;
    p->open--;
    p->counted -= one->counted;
    if (p->open == 0 && !is_proved(t, p))
        pair_free(dict_pop(t->pairs, SV(p->key)));
}
