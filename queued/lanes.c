/* lanes.c - the order of ready parts inside one destination: by class, then senders in turn (pure) */
#include "queued/lanes.h"

#include "common/base/mem.h"

#include <stdlib.h>

#define BUCKETS   16u /* to begin with */
#define NEWCOMERS 8u  /* join a round besides as many as it had lanes */
#define SHARE     8u  /* one turn in so many is the lower classes' */

struct lane {
    uint32_t prev, next; /* in its list */
    uint32_t head, tail; /* parts */
    uint32_t chain;      /* in its bucket */
    uint32_t sender, dest;
    uint8_t class;
    uint8_t list; /* of its round */
};

static struct part *part_at(const struct lanes *t, uint32_t part)
{
    return pool_at(t->parts, part);
}

static struct lane *lane_at(const struct lanes *t, uint32_t lane)
{
    return pool_at(&t->pool, lane);
}

void lanes_init(struct lanes *t, const struct pool *parts)
{
    memset(t, 0, sizeof *t);
    t->parts = parts;
    pool_init(&t->pool, sizeof(struct lane));
}

void lanes_clear(struct lanes *t)
{
    pool_clear(&t->pool);
    MEM_FREE(t->buckets);
    t->bucket_n = t->cap = 0;
}

/* ---- which lane is whose ---- */

static uint32_t mixed(uint32_t dest, uint32_t class, uint32_t sender)
{
    uint64_t h = ((uint64_t)dest << 32 | sender) * UINT64_C(0x9e3779b97f4a7c15) + class;

    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(h >> 32);
}

/* Linear hashing: the buckets below bucket_n - level were split already, where level is the largest power of
 * two that is not above bucket_n. */
static uint32_t bucket_of(const struct lanes *t, uint32_t hash)
{
    uint32_t level = 1u << (31 - __builtin_clz(t->bucket_n));
    uint32_t b = hash & (2 * level - 1);

    return b < t->bucket_n ? b : b - level;
}

static void bucket_put(struct lanes *t, uint32_t lane)
{
    struct lane *l = lane_at(t, lane);
    uint32_t *head = &t->buckets[bucket_of(t, mixed(l->dest, l->class, l->sender))];

    l->chain = *head;
    *head = lane;
}

/* One bucket more, with its part of the one that it splits: no insertion pays for all. */
static void bucket_grow(struct lanes *t)
{
    uint32_t split, lane;

    if (!t->buckets) {
        t->buckets = mem_array(BUCKETS, sizeof *t->buckets);
        t->bucket_n = t->cap = BUCKETS;
        return;
    }
    if (t->bucket_n == t->cap) {
        t->cap *= 2;
        t->buckets = mem_resize(t->buckets, t->cap, sizeof *t->buckets);
    }
    split = t->bucket_n - (1u << (31 - __builtin_clz(t->bucket_n)));
    lane = t->buckets[split];
    t->buckets[split] = t->buckets[t->bucket_n++] = 0;
    while (lane) {
        uint32_t next = lane_at(t, lane)->chain;

        bucket_put(t, lane);
        lane = next;
    }
}

static uint32_t lane_find(const struct lanes *t, uint32_t dest, uint32_t class, uint32_t sender)
{
    uint32_t lane = t->buckets ? t->buckets[bucket_of(t, mixed(dest, class, sender))] : 0;

    while (lane) {
        const struct lane *l = lane_at(t, lane);

        if (l->dest == dest && l->sender == sender && l->class == class)
            return lane;
        lane = l->chain;
    }
    return 0;
}

/* ---- rounds ---- */

static void list_append(const struct lanes *t, struct lane_round *r, uint8_t list, uint32_t lane)
{
    struct lane_list *to = &r->lists[list];
    struct lane *l = lane_at(t, lane);

    l->list = list;
    l->prev = to->tail;
    l->next = 0;
    if (to->tail)
        lane_at(t, to->tail)->next = lane;
    else
        to->head = lane;
    to->tail = lane;
}

static void list_remove(const struct lanes *t, struct lane_round *r, uint32_t lane)
{
    const struct lane *l = lane_at(t, lane);
    struct lane_list *from = &r->lists[l->list];

    if (l->prev)
        lane_at(t, l->prev)->next = l->next;
    else
        from->head = l->next;
    if (l->next)
        lane_at(t, l->next)->prev = l->prev;
    else
        from->tail = l->prev;
}

static uint32_t lane_new(struct lanes *t, struct order *o, uint32_t dest, const struct part *p)
{
    struct lane_round *r = &o->rounds->class[p->class];
    uint8_t list = r->now;
    uint32_t lane;
    struct lane *l;

    if (t->pool.live >= t->bucket_n)
        bucket_grow(t);
    lane = pool_take(&t->pool);
    l = lane_at(t, lane);
    l->dest = dest;
    l->class = p->class;
    l->sender = p->sender;
    bucket_put(t, lane);
    if (r->lanes++ == 0)
        r->newcomers = NEWCOMERS;
    /* A message with more recipients than a job takes comes back at once: that is no newcomer. */
    if (p->sender == o->last || r->newcomers == 0)
        list = !list;
    else
        r->newcomers--;
    list_append(t, r, list, lane);
    return lane;
}

static void lane_drop(struct lanes *t, struct lane_round *r, uint32_t lane)
{
    const struct lane *l = lane_at(t, lane);
    uint32_t *at = &t->buckets[bucket_of(t, mixed(l->dest, l->class, l->sender))];

    while (*at != lane)
        at = &lane_at(t, *at)->chain;
    *at = l->chain;
    list_remove(t, r, lane);
    r->lanes--;
    pool_give(&t->pool, lane);
    if (t->pool.live == 0)
        lanes_clear(t);
}

/* The lane whose turn it is; it goes to the next round. Lanes that nothing came into since their last turn
 * end here. */
static uint32_t round_turn(struct lanes *t, struct lane_round *r)
{
    uint32_t lane;

    for (;;) {
        if (!r->lists[r->now].head) {
            r->now = !r->now;
            r->newcomers = r->lanes + NEWCOMERS;
        }
        lane = r->lists[r->now].head;
        if (lane_at(t, lane)->head)
            break;
        lane_drop(t, r, lane);
    }
    list_remove(t, r, lane);
    list_append(t, r, !r->now, lane);
    return lane;
}

static void round_end(struct lanes *t, struct lane_round *r)
{
    for (unsigned i = 0; i < 2; i++)
        while (r->lists[i].head)
            lane_drop(t, r, r->lists[i].head);
}

/* ---- parts ---- */

static void lane_append(struct lanes *t, struct order *o, uint32_t dest, uint32_t part)
{
    struct part *p = part_at(t, part);
    uint32_t lane = lane_find(t, dest, p->class, p->sender);
    struct lane *l;

    if (!lane)
        lane = lane_new(t, o, dest, p);
    l = lane_at(t, lane);
    p->place = lane;
    p->prev = l->tail;
    p->next = 0;
    if (l->tail)
        part_at(t, l->tail)->next = part;
    else
        l->head = part;
    l->tail = part;
    o->rounds->class[p->class].ready++;
    o->rounds->tiers[p->tier]++;
}

void order_add(struct lanes *t, struct order *o, uint32_t dest, uint32_t part)
{
    if (!o->rounds && o->ready > 0) {
        o->rounds = mem_new(sizeof *o->rounds);
        lane_append(t, o, dest, o->single);
        o->single = 0;
    }
    if (o->rounds)
        lane_append(t, o, dest, part);
    else
        o->single = part;
    o->ready++;
}

static void lane_remove(struct lanes *t, struct order *o, uint32_t part, bool keep)
{
    struct part *p = part_at(t, part);
    struct lane *l = lane_at(t, p->place);
    struct lane_round *r = &o->rounds->class[p->class];

    if (p->prev)
        part_at(t, p->prev)->next = p->next;
    else
        l->head = p->next;
    if (p->next)
        part_at(t, p->next)->prev = p->prev;
    else
        l->tail = p->prev;
    o->rounds->tiers[p->tier]--;
    if (--r->ready == 0)
        round_end(t, r);
    else if (!l->head && !keep)
        lane_drop(t, r, p->place);
    p->prev = p->next = p->place = 0;
}

/* keep: its lane, though empty, until its next turn: whoever comes back at once has had this one. */
static void remove_part(struct lanes *t, struct order *o, uint32_t part, bool keep)
{
    if (o->rounds)
        lane_remove(t, o, part, keep);
    else
        o->single = 0;
    if (--o->ready == 0)
        MEM_FREE(o->rounds);
}

void order_remove(struct lanes *t, struct order *o, uint32_t part)
{
    remove_part(t, o, part, false);
}

/* From the highest class down: each eighth turn of a class is that of the ones below it. */
static struct lane_round *class_turn(struct order *o)
{
    struct lane_round *r = NULL;

    for (unsigned class = 0; class < SCHED_CLASSES; class ++) {
        if (o->rounds->class[class].ready == 0)
            continue;
        if (r && r->passed < SHARE - 1) {
            r->passed++;
            return r;
        }
        if (r)
            r->passed = 0;
        r = &o->rounds->class[class];
    }
    return r;
}

uint32_t order_pick(struct lanes *t, struct order *o)
{
    uint32_t part = o->rounds ? lane_at(t, round_turn(t, class_turn(o)))->head : o->single;

    o->last = part_at(t, part)->sender;
    remove_part(t, o, part, true);
    return part;
}

unsigned order_tier(const struct lanes *t, const struct order *o)
{
    unsigned tier = 0;

    if (!o->rounds)
        return part_at(t, o->single)->tier;
    while (tier < SCHED_TIERS - 1 && o->rounds->tiers[tier] == 0)
        tier++;
    return tier;
}

void order_each(struct lanes *t, struct order *o, void (*fn)(void *arg, uint32_t part), void *arg)
{
    if (!o->rounds && o->single) {
        fn(arg, o->single);
        return;
    }
    /* The rounds go with the last part that leaves, a lane with its last. */
    for (unsigned i = 0; i < 2 * SCHED_CLASSES && o->rounds; i++) {
        uint32_t lane = o->rounds->class[i / 2].lists[i % 2].head;

        while (lane && o->rounds) {
            uint32_t part = lane_at(t, lane)->head, following = lane_at(t, lane)->next;

            while (part) {
                uint32_t next = part_at(t, part)->next;

                fn(arg, part);
                part = next;
            }
            lane = following;
        }
    }
}

void order_clear(struct order *o)
{
    MEM_FREE(o->rounds);
}
