/* schedule.c - what is delivered next, and when again (pure: the caller brings the time and the dice) */
#include "queued/schedule_inner.h"

#include "common/base/dict.h"
#include "common/base/mem.h"

#include <stdlib.h>

#define REST_MAX_S 300 /* then one message tries again, whatever the list of retry times says */

struct part *sched_part(const struct sched *s, uint32_t part)
{
    return pool_at(&s->parts, part);
}

static void on_waiting_moved(void *arg, uint32_t handle, uint32_t place)
{
    sched_part(arg, handle)->place = place;
}

void sched_set_retry(struct sched *s, const int64_t *retry, size_t n)
{
    s->conf.retry = retry;
    s->conf.retry_n = n;
}

struct sched *sched_new(const struct sched_conf *conf)
{
    struct sched *s = mem_new(sizeof *s);

    s->conf = *conf;
    pool_init(&s->parts, sizeof(struct part));
    lanes_init(&s->lanes, &s->parts);
    groups_init(s);
    s->waiting.moved = on_waiting_moved;
    s->waiting.arg = s;
    return s;
}

void sched_free(struct sched **sp)
{
    struct sched *s = *sp;

    *sp = NULL;
    if (!s)
        return;
    groups_clear(s);
    heap_clear(&s->waiting);
    lanes_clear(&s->lanes);
    pool_clear(&s->parts);
    free(s);
}

/* ---- parts ---- */

uint32_t sched_part_new(struct sched *s, struct strv domain, bool local, uint32_t sender)
{
    uint32_t dest = dest_get(s, domain, local), handle = pool_take(&s->parts);
    struct part *p = sched_part(s, handle);

    p->dest = dest;
    p->sender = sender;
    p->class = SCHED_NORMAL;
    dest_at(s, dest)->parts++;
    return handle;
}

void sched_part_free(struct sched *s, uint32_t part)
{
    struct part *p = sched_part(s, part);
    struct dest *d = dest_at(s, p->dest);

    sched_idle(s, part);
    d->parts--;
    pool_give(&s->parts, part);
}

/* Four times as many others are one tier further behind. */
static unsigned tier_of(uint32_t others)
{
    unsigned tier = others ? (unsigned)(33 - __builtin_clz(others)) / 2 : 0;

    return tier < SCHED_TIERS ? tier : SCHED_TIERS - 1;
}

/* One that becomes ready, before it enters its destination's order. */
static void weight_add(struct sched *s, struct part *p)
{
    uint32_t *a = &s->weights[0][p->sender % WEIGHTS], *b = &s->weights[1][p->sender / WEIGHTS % WEIGHTS];

    p->tier = (uint8_t)(p->class == SCHED_BULK ? SCHED_TIERS - 1 : tier_of(*a < *b ? *a : *b));
    ++*a;
    ++*b;
}

static void weight_remove(struct sched *s, const struct part *p)
{
    s->weights[0][p->sender % WEIGHTS]--;
    s->weights[1][p->sender / WEIGHTS % WEIGHTS]--;
}

void sched_ready(struct sched *s, uint32_t part)
{
    struct part *p = sched_part(s, part);
    struct dest *d = dest_at(s, p->dest);

    if (p->state == PART_READY)
        return;
    sched_idle(s, part);
    p->state = PART_READY;
    weight_add(s, p);
    order_add(&s->lanes, &d->order, p->dest, part);
    dest_update(s, p->dest);
}

void sched_wait(struct sched *s, uint32_t part, uint32_t due_s)
{
    struct part *p = sched_part(s, part);

    sched_idle(s, part);
    p->state = PART_WAITING;
    p->due = due_s;
    heap_add(&s->waiting, due_s, part);
}

void sched_idle(struct sched *s, uint32_t part)
{
    struct part *p = sched_part(s, part);
    struct dest *d = dest_at(s, p->dest);

    if (p->state == PART_WAITING) {
        heap_remove(&s->waiting, p->place);
    } else if (p->state == PART_READY) {
        order_remove(&s->lanes, &d->order, part);
        weight_remove(s, p);
        dest_update(s, p->dest);
    }
    p->state = PART_IDLE;
}

/* ---- running ---- */

uint32_t sched_pick(struct sched *s, unsigned sides)
{
    for (unsigned i = 0; i < SCHED_SIDES; i++) {
        unsigned side = (s->side + i) % SCHED_SIDES;
        uint32_t dest = sides & 1u << side ? groups_turn(s, side) : 0, part;

        if (!dest)
            continue;
        s->side = (uint8_t)((side + 1) % SCHED_SIDES);
        part = order_pick(&s->lanes, &dest_at(s, dest)->order);
        weight_remove(s, sched_part(s, part));
        sched_part(s, part)->state = PART_IDLE;
        dest_started(s, dest, true);
        return part;
    }
    return 0;
}

void sched_started(struct sched *s, uint32_t part)
{
    dest_started(s, sched_part(s, part)->dest, false);
}

bool sched_asks(const struct sched *s, uint32_t part)
{
    return dest_at(s, sched_part(s, part)->dest)->asking;
}

void sched_looked_up(struct sched *s, uint32_t part, bool slow)
{
    struct dest *d = dest_at(s, sched_part(s, part)->dest);

    if (slow) {
        d->slow = QUICK_AFTER;
        d->slow_at = s->now;
    } else if (d->slow > 0) {
        d->slow--;
    }
}

static uint32_t rest_end(const struct sched *s)
{
    uint32_t end = sched_retry_at(s, 1, s->now);

    return end < s->now + REST_MAX_S ? end : s->now + REST_MAX_S;
}

bool sched_ended(struct sched *s, uint32_t part, enum sched_end end, uint32_t now_s)
{
    uint32_t dest = sched_part(s, part)->dest;

    s->now = now_s;
    dest_ended(s, dest, end);
    switch (end) {
    case SCHED_SUCCESS: dest_succeeded(s, dest); break;
    case SCHED_UNREACHABLE: return dest_unreachable(s, dest, rest_end(s));
    case SCHED_UNRESOLVED: return dest_unresolved(s, dest, rest_end(s));
    case SCHED_NEUTRAL:
    case SCHED_HOSTS: dest_update(s, dest); break;
    }
    return false;
}

void sched_wake(struct sched *s, uint32_t part)
{
    dest_wake(s, sched_part(s, part)->dest);
}

size_t sched_tick(struct sched *s, uint32_t now_s)
{
    size_t moved;

    s->now = now_s;
    moved = groups_tick(s);
    /* After a day off a million may be due at once: the others' turn comes when the loop was free. */
    for (; moved < SCHED_TICK_MAX && s->waiting.count > 0 && s->waiting.items[0].key <= now_s; moved++)
        sched_ready(s, s->waiting.items[0].handle);
    return moved;
}

uint32_t sched_next(const struct sched *s)
{
    const struct heap *heaps[] = { &s->waiting, &s->resting, &s->asleep, &s->paced };
    uint32_t next = 0;

    for (size_t i = 0; i < sizeof heaps / sizeof *heaps; i++)
        if (heaps[i]->count && (!next || heaps[i]->items[0].key < next))
            next = heaps[i]->items[0].key;
    return next;
}

static uint32_t time_shift(uint32_t t, int64_t seconds)
{
    int64_t shifted = (int64_t)t + seconds;

    return shifted < 1 ? 1 : shifted > UINT32_MAX ? UINT32_MAX : (uint32_t)shifted;
}

static uint32_t item_shift(struct heap_item *item, int64_t seconds)
{
    return item->key = time_shift(item->key, seconds);
}

void sched_shift(struct sched *s, int64_t seconds)
{
    /* The same for all: the heaps stay in order. */
    for (size_t i = 0; i < s->waiting.count; i++)
        sched_part(s, s->waiting.items[i].handle)->due = item_shift(&s->waiting.items[i], seconds);
    for (size_t i = 0; i < s->resting.count; i++)
        dest_at(s, s->resting.items[i].handle)->rest.until = item_shift(&s->resting.items[i], seconds);
    for (size_t i = 0; i < s->asleep.count; i++)
        group_at(s, s->asleep.items[i].handle)->rest.until = item_shift(&s->asleep.items[i], seconds);
    for (size_t i = 0; i < s->paced.count; i++) {
        struct group *g = group_at(s, s->paced.items[i].handle);

        g->paced.until = item_shift(&s->paced.items[i], seconds);
        g->filled = time_shift(g->filled, seconds);
    }
}

static uint64_t retry_delay(const struct sched *s, unsigned attempts)
{
    size_t i = attempts > 0 ? attempts - 1 : 0;

    return (uint64_t)s->conf.retry[i < s->conf.retry_n ? i : s->conf.retry_n - 1];
}

uint32_t sched_retry_at(const struct sched *s, unsigned attempts, uint32_t now_s)
{
    uint64_t delay = retry_delay(s, attempts);

    return (uint32_t)(now_s + delay + s->conf.below(delay / 8 + 1));
}

uint32_t sched_retry_limit(const struct sched *s, unsigned attempts, uint32_t now_s)
{
    uint64_t delay = retry_delay(s, attempts);

    return (uint32_t)(now_s + delay + delay / 8);
}

/* ---- looking ---- */

static struct dest *dest_of(const struct sched *s, uint32_t part)
{
    return dest_at(s, sched_part(s, part)->dest);
}

static struct group *group_of(const struct sched *s, uint32_t part)
{
    return group_at(s, dest_of(s, part)->group);
}

struct strv sched_domain(const struct sched *s, uint32_t part)
{
    return SV(dest_of(s, part)->name + 1);
}

struct strv sched_group(const struct sched *s, uint32_t part)
{
    const char *key = group_of(s, part)->key;

    return key ? SV(key) : SV_LIT("");
}

uint64_t sched_home(const struct sched *s, uint32_t part)
{
    return group_of(s, part)->home;
}

struct strv sched_resting_group(const struct sched *s, uint32_t part)
{
    return group_of(s, part)->rest.until ? sched_group(s, part) : SV_LIT("");
}

enum sched_side sched_side(const struct sched *s, uint32_t part)
{
    return (enum sched_side)group_of(s, part)->side;
}

bool sched_is_local(const struct sched *s, uint32_t part)
{
    return sched_side(s, part) != SIDE_REMOTE;
}

uint32_t sched_rest_until(const struct sched *s, uint32_t part)
{
    uint32_t own = dest_of(s, part)->rest.until, all = group_of(s, part)->rest.until;

    return own > all ? own : all;
}

uint32_t sched_paced_until(const struct sched *s, uint32_t part)
{
    return group_of(s, part)->paced.until;
}

void sched_each_ready(struct sched *s, uint32_t like, void (*fn)(void *arg, uint32_t part), void *arg)
{
    const struct group *g = group_of(s, like);
    uint32_t *dests, n = 0;

    if (!g->rest.until) {
        order_each(&s->lanes, &dest_of(s, like)->order, fn, arg);
        return;
    }
    /* What fn does changes the rings. */
    dests = mem_array(g->members, sizeof *dests);
    for (unsigned tier = 0; tier < SCHED_TIERS; tier++) {
        uint32_t first = g->turns.next[tier];

        for (uint32_t d = first; d; d = d != first ? d : 0) {
            dests[n++] = d;
            d = dest_at(s, d)->link.next;
        }
    }
    for (uint32_t i = 0; i < n; i++)
        order_each(&s->lanes, &dest_at(s, dests[i])->order, fn, arg);
    free(dests);
}

void sched_set_why(struct sched *s, uint32_t part, enum sched_end end, void *why)
{
    void **place = end == SCHED_UNRESOLVED ? &dest_of(s, part)->why : &group_of(s, part)->why;

    if (*place && s->conf.drop)
        s->conf.drop(s->conf.arg, *place);
    *place = why;
}

void *sched_why(const struct sched *s, uint32_t part)
{
    const struct dest *d = dest_of(s, part);
    const struct group *g = group_of(s, part);

    return g->why && (g->rest.until || !d->why) ? g->why : d->why;
}

unsigned sched_window(const struct sched *s, uint32_t part)
{
    return (unsigned)group_of(s, part)->window;
}

uint32_t sched_running(const struct sched *s, uint32_t part)
{
    return group_of(s, part)->running;
}

bool sched_are_one(const struct sched *s, uint32_t a, uint32_t b)
{
    return dest_of(s, a)->group == dest_of(s, b)->group;
}

unsigned sched_sides(const struct sched *s)
{
    return s->sides | SCHED_REMOTE | SCHED_LOCAL;
}

size_t sched_dest_count(const struct sched *s)
{
    return dict_count(s->by_name);
}

struct dest_walk {
    const struct sched *s;
    void (*fn)(void *arg, struct strv domain, uint32_t parts);
    void *arg;
};

static void on_dest(void *arg, struct strv key, void *value)
{
    const struct dest_walk *w = arg;

    w->fn(w->arg, strv_from(key, 1), dest_at(w->s, (uint32_t)(uintptr_t)value)->parts);
}

void sched_each_dest(const struct sched *s, void (*fn)(void *arg, struct strv domain, uint32_t parts),
                     void *arg)
{
    struct dest_walk w = { s, fn, arg };

    dict_each(s->by_name, on_dest, &w);
}

static void on_trim(void *arg, struct strv key, void *value)
{
    uint32_t handle = (uint32_t)(uintptr_t)value;

    (void)key;
    if (dest_is_idle(arg, handle))
        dest_release(arg, handle);
}

void sched_trim(struct sched *s)
{
    dict_each(s->by_name, on_trim, s);
}
