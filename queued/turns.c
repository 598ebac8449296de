/* turns.c - rings of groups and of their destinations, in tiers: whose turn it is (pure) */
#include "queued/schedule_inner.h"

#include <string.h>

#define PASSED_MAX 7u /* turns of the first tier in a row while others wait */

static struct link *link_of_dest(const struct sched *s, uint32_t handle)
{
    return &dest_at(s, handle)->link;
}

static struct link *link_of_group(const struct sched *s, uint32_t handle)
{
    return &group_at(s, handle)->link;
}

typedef struct link *link_of(const struct sched *s, uint32_t handle);

static void ring_leave(struct sched *s, link_of *at, struct turns *t, uint32_t handle)
{
    struct link *l = at(s, handle);
    uint32_t *turn = &t->next[l->tier];

    if (!l->next)
        return;
    if (l->next == handle) {
        *turn = 0;
        t->tiers &= (uint16_t)~(1u << l->tier);
    } else {
        at(s, l->prev)->next = l->next;
        at(s, l->next)->prev = l->prev;
        if (*turn == handle)
            *turn = l->next;
    }
    l->prev = l->next = 0;
}

/* A newcomer gets the last place of this round. */
static void ring_join(struct sched *s, link_of *at, struct turns *t, unsigned tier, uint32_t handle)
{
    struct link *l = at(s, handle);
    uint32_t *turn = &t->next[tier];

    if (l->next && l->tier == tier)
        return;
    ring_leave(s, at, t, handle);
    l->tier = (uint8_t)tier;
    if (!*turn) {
        l->prev = l->next = *turn = handle;
        t->tiers |= (uint16_t)(1u << tier);
        return;
    }
    l->next = *turn;
    l->prev = at(s, *turn)->prev;
    at(s, l->prev)->next = handle;
    at(s, *turn)->prev = handle;
}

static unsigned first_tier(const struct turns *t)
{
    return (unsigned)__builtin_ctz(t->tiers);
}

/* The first one that has any; each eighth turn is that of the others, which take turns at it. When the first
 * ones were empty the turn of this one is theirs as well: they count anew. */
static unsigned tier_turn(struct turns *t)
{
    unsigned first = first_tier(t), others = t->tiers & (t->tiers - 1u), later;

    memset(t->passed, 0, first);
    if (!others || t->passed[first] < PASSED_MAX) {
        t->passed[first] = others ? (uint8_t)(t->passed[first] + 1) : 0;
        return first;
    }
    later = others >> (t->behind + 1) << (t->behind + 1);
    t->passed[first] = 0;
    t->behind = (uint8_t)__builtin_ctz(later ? later : others);
    return t->behind;
}

static uint32_t ring_turn(struct sched *s, link_of *at, struct turns *t)
{
    uint32_t *turn = &t->next[tier_turn(t)], handle = *turn;

    *turn = at(s, handle)->next;
    return handle;
}

uint32_t groups_turn(struct sched *s, unsigned side)
{
    uint32_t group;

    if (!s->turns[side].tiers)
        return 0;
    group = ring_turn(s, link_of_group, &s->turns[side]);
    return ring_turn(s, link_of_dest, &group_at(s, group)->turns);
}

void group_update(struct sched *s, uint32_t handle)
{
    const struct group *g = group_at(s, handle);

    if (g->turns.tiers && !g->rest.until && !g->paced.until &&
        g->running < (uint32_t)g->window && (!g->max_jobs || g->running < g->max_jobs))
        ring_join(s, link_of_group, &s->turns[g->side], first_tier(&g->turns), handle);
    else
        ring_leave(s, link_of_group, &s->turns[g->side], handle);
}

bool dest_asks(const struct sched *s, const struct dest *d)
{
    const struct group *g = group_at(s, d->group);

    return g->rate && !g->key && !d->asked;
}

void dest_update(struct sched *s, uint32_t handle)
{
    const struct dest *d = dest_at(s, handle);
    struct turns *t = &group_at(s, d->group)->turns;

    /* One at a time asks whether its hosts can be found again, and how fast, or which they are. */
    if (d->order.ready > 0 && !d->rest.until &&
        ((d->failures < REST_AFTER && d->slow == 0 && !dest_asks(s, d)) || d->running == 0))
        ring_join(s, link_of_dest, t, order_tier(&s->lanes, &d->order), handle);
    else
        ring_leave(s, link_of_dest, t, handle);
    group_update(s, d->group);
}

void dest_stand_down(struct sched *s, uint32_t handle)
{
    ring_leave(s, link_of_dest, &group_at(s, dest_at(s, handle)->group)->turns, handle);
}

void group_stand_down(struct sched *s, uint32_t handle)
{
    ring_leave(s, link_of_group, &s->turns[group_at(s, handle)->side], handle);
}
