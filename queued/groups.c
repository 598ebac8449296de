/* groups.c - destinations with the same hosts: whose turn it is, how many jobs at once, how fast, when not */
#include "common/base/dict.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "queued/schedule_inner.h"

#include <stdlib.h>

/* A new destination may be a small host: begin as Postfix does. What is on this host, or the operator's own
   LMTP server, is nobody's small host. */
#define WINDOW_REMOTE 5.0f
#define WINDOW_OWN    20.0f
#define WINDOW_MAX    50.0f  /* connections beyond this help nobody */
#define TOKEN         0.999f /* for one job; sums of fractions are not exact */
#define WINDOW_FAST   20.0f  /* below it one success is one more, above it one window of successes is */

/* ---- pauses ---- */

static void on_resting_moved(void *arg, uint32_t handle, uint32_t place)
{
    dest_at(arg, handle)->rest.place = place;
}

static void on_asleep_moved(void *arg, uint32_t handle, uint32_t place)
{
    group_at(arg, handle)->rest.place = place;
}

static void on_paced_moved(void *arg, uint32_t handle, uint32_t place)
{
    group_at(arg, handle)->paced.place = place;
}

static void pause_end(struct heap *h, struct pause *p)
{
    if (p->place)
        heap_remove(h, p->place);
    p->until = 0;
}

static void pause_begin(struct heap *h, struct pause *p, uint32_t until, uint32_t handle)
{
    pause_end(h, p);
    p->until = until;
    heap_add(h, until, handle);
}

/* ---- the rate: a bucket of one job and those of one second, filled as time goes on ---- */

static float bucket_size(const struct group *g)
{
    return 1.0f + (float)g->rate / 60.0f; /* with less the fractions of a second would be lost */
}

static void bucket_fill(const struct sched *s, struct group *g)
{
    float size = bucket_size(g);

    if (s->now > g->filled)
        g->tokens += (float)((double)(s->now - g->filled) * g->rate / 60.0);
    if (g->tokens > size)
        g->tokens = size;
    g->filled = s->now; /* also when the clock went back */
}

static void group_pace(struct sched *s, uint32_t handle)
{
    struct group *g = group_at(s, handle);
    float wait;

    if (!g->rate || g->tokens >= TOKEN) {
        pause_end(&s->paced, &g->paced);
        return;
    }
    wait = (1.0f - g->tokens) * 60.0f / (float)g->rate;
    pause_begin(&s->paced, &g->paced, s->now + (uint32_t)wait + ((float)(uint32_t)wait < wait), handle);
}

/* ---- groups and what they may ---- */

static uint32_t group_new(struct sched *s, enum sched_side side, struct strv domain)
{
    uint32_t handle = pool_take(&s->groups);
    struct group *g = group_at(s, handle);

    s->sides |= (uint8_t)(1u << side);
    g->side = (uint8_t)side;
    g->home = hash_stable(domain);
    g->window = side == SIDE_REMOTE ? WINDOW_REMOTE : WINDOW_OWN;
    return handle;
}

static void why_drop(struct sched *s, void **why)
{
    if (*why && s->conf.drop)
        s->conf.drop(s->conf.arg, *why);
    *why = NULL;
}

static void group_release(struct sched *s, uint32_t handle)
{
    struct group *g = group_at(s, handle);

    group_stand_down(s, handle);
    pause_end(&s->asleep, &g->rest);
    pause_end(&s->paced, &g->paced);
    if (g->key)
        dict_pop(s->by_key, SV(g->key));
    why_drop(s, &g->why);
    free(g->key);
    pool_give(&s->groups, handle);
}

static void group_limit(struct sched *s, uint32_t handle, const struct sched_limits *l)
{
    struct group *g = group_at(s, handle);
    bool changed = g->rate != l->rate;

    g->max_jobs = l->max_jobs;
    if (changed) {
        bool had = g->rate > 0;

        if (had)
            bucket_fill(s, g);
        g->rate = l->rate;
        g->filled = s->now;
        if (!had || g->tokens > bucket_size(g))
            g->tokens = bucket_size(g);
        group_pace(s, handle);
    }
    group_update(s, handle);
}

static void dest_leave(struct sched *s, uint32_t handle)
{
    struct dest *d = dest_at(s, handle);
    struct group *g = group_at(s, d->group);

    dest_stand_down(s, handle);
    g->running -= d->running;
    if (--g->members == 0)
        group_release(s, d->group);
    else
        group_update(s, d->group);
    d->group = 0;
}

static void dest_enter(struct sched *s, uint32_t handle, uint32_t group)
{
    struct dest *d = dest_at(s, handle);
    struct group *g = group_at(s, group);

    d->group = group;
    g->members++;
    g->running += d->running;
    dest_update(s, handle);
}

/* A group of its own, beginning with what the rate of the old one left: new hosts are no new allowance. */
static uint32_t group_split(struct sched *s, uint32_t handle)
{
    const struct dest *d = dest_at(s, handle);
    const struct group *old = group_at(s, d->group);
    uint32_t to = group_new(s, (enum sched_side)old->side, SV(d->name + 1));
    struct group *g = group_at(s, to);

    g->rate = old->rate;
    g->tokens = old->tokens;
    g->filled = old->filled;
    if (g->rate) {
        bucket_fill(s, g);
        group_pace(s, to);
    }
    return to;
}

static void dest_join(struct sched *s, uint32_t handle, struct strv key)
{
    struct dest *d = dest_at(s, handle);
    struct group *g = group_at(s, d->group);
    uint32_t to;

    if (g->key && strv_eq(SV(g->key), key))
        return;
    to = (uint32_t)(uintptr_t)dict_get(s->by_key, key);
    if (!to) {
        /* The first one: what is known of a destination that stood alone is what is known of its hosts. */
        to = g->key ? group_split(s, handle) : d->group;
        g = group_at(s, to);
        g->key = strv_dup(key);
        dict_set(s->by_key, SV(g->key), (void *)(uintptr_t)to);
    }
    if (to == d->group)
        return;
    dest_leave(s, handle);
    dest_enter(s, handle, to);
}

static bool key_has_label(struct strv key, struct strv label)
{
    return strv_starts(key, label) && key.n > label.n && key.p[label.n] == '|';
}

static void dest_limit(struct sched *s, uint32_t handle)
{
    struct dest *d = dest_at(s, handle);
    struct sched_limits l = { .max_jobs = 0 };

    if (!s->limits || group_at(s, d->group)->side != SIDE_REMOTE)
        return;
    s->limits(s->limits_arg, SV(d->name + 1), &l);
    if (l.group.n) {
        dest_join(s, handle, l.group);
        group_at(s, d->group)->home = hash_stable(l.group); /* the same after a restart */
    } else if (l.label.n && group_at(s, d->group)->key &&
               !key_has_label(SV(group_at(s, d->group)->key), l.label)) {
        /* A reload gave it a route of its own: the others keep their limits. */
        uint32_t alone = group_split(s, handle);

        dest_leave(s, handle);
        dest_enter(s, handle, alone);
        d->asked = false;
    }
    group_limit(s, d->group, &l);
    dest_update(s, handle); /* with a rate it may have to ask, without one it need not any more */
}

void sched_join(struct sched *s, uint32_t part, struct strv key)
{
    uint32_t handle = sched_part(s, part)->dest, before = dest_at(s, handle)->group;
    const struct group *g = group_at(s, before);
    struct sched_limits l = { .max_jobs = 0 };

    if (g->side != SIDE_REMOTE || (g->key && strv_eq(SV(g->key), key)))
        return;
    if (s->limits)
        s->limits(s->limits_arg, SV(dest_at(s, handle)->name + 1), &l);
    /* Another route's: a deliverd from before a reload says so. Those domains keep their limits. */
    if (l.label.n && !key_has_label(key, l.label))
        return;
    dest_join(s, handle, key);
    if (dest_at(s, handle)->group != before)
        dest_limit(s, handle);
}

static void group_side(struct sched *s, uint32_t handle, enum sched_side side)
{
    struct group *g = group_at(s, handle);

    group_stand_down(s, handle);
    g->side = (uint8_t)side;
    s->sides |= (uint8_t)(1u << side);
    group_update(s, handle);
}

void sched_asked_lmtp(struct sched *s, uint32_t part, bool lmtp)
{
    struct dest *d = dest_at(s, sched_part(s, part)->dest);
    enum sched_side side = (enum sched_side)group_at(s, d->group)->side;

    if (lmtp)
        d->boxes = 0;
    else if (d->boxes < BOXES_MAX)
        d->boxes++;
    if (lmtp && side == SIDE_LOCAL)
        group_side(s, d->group, SIDE_LMTP);
    else if (d->boxes == BOXES_MAX && side == SIDE_LMTP)
        group_side(s, d->group, SIDE_LOCAL);
}

static void on_dest_limit(void *arg, struct strv key, void *value)
{
    (void)key;
    dest_limit(arg, (uint32_t)(uintptr_t)value);
}

void sched_on_limits(struct sched *s, void (*fn)(void *arg, struct strv domain, struct sched_limits *l),
                     void *arg)
{
    s->limits = fn;
    s->limits_arg = arg;
    dict_each(s->by_name, on_dest_limit, s);
}

/* ---- destinations ---- */

uint32_t dest_get(struct sched *s, struct strv domain, bool local)
{
    char key[260];
    size_t n = domain.n < sizeof key - 2 ? domain.n : sizeof key - 2;
    uint32_t handle;
    struct dest *d;

    key[0] = local ? 'l' : 'r';
    memcpy(key + 1, domain.p, n);
    key[n + 1] = '\0';
    handle = (uint32_t)(uintptr_t)dict_get(s->by_name, strv_make(key, n + 1));
    if (handle)
        return handle;
    handle = pool_take(&s->dests);
    d = dest_at(s, handle);
    d->name = strv_dup(strv_make(key, n + 1));
    dict_set(s->by_name, SV(d->name), (void *)(uintptr_t)handle);
    dest_enter(s, handle, group_new(s, local ? SIDE_LOCAL : SIDE_REMOTE, domain));
    dest_limit(s, handle);
    return handle;
}

void dest_release(struct sched *s, uint32_t handle)
{
    struct dest *d = dest_at(s, handle);

    dest_leave(s, handle);
    pause_end(&s->resting, &d->rest);
    dict_pop(s->by_name, SV(d->name));
    why_drop(s, &d->why);
    free(d->name);
    order_clear(&d->order);
    pool_give(&s->dests, handle);
}

bool dest_is_idle(const struct sched *s, uint32_t handle)
{
    const struct dest *d = dest_at(s, handle);
    struct group *g = group_at(s, d->group);

    if (g->rate)
        bucket_fill(s, g);
    /* A rest is knowledge too, and so is a rate that was used up: they stay until they are over. */
    return d->parts == 0 && d->running == 0 && !d->rest.until && !g->rest.until &&
           (d->slow == 0 || s->now - d->slow_at > SLOW_KEPT) &&
           (!g->rate || g->tokens >= bucket_size(g));
}

/* ---- jobs ---- */

static void bucket_take(struct sched *s, uint32_t handle)
{
    struct group *g = group_at(s, handle);

    bucket_fill(s, g);
    g->tokens -= 1.0f;
    group_pace(s, handle);
}

void dest_started(struct sched *s, uint32_t handle, bool now)
{
    struct dest *d = dest_at(s, handle);
    struct group *g = group_at(s, d->group);

    d->running++;
    g->running++;
    d->asking = now && dest_asks(s, d);
    if (g->rate && now && !d->asking)
        bucket_take(s, d->group);
    dest_update(s, handle);
}

void dest_ended(struct sched *s, uint32_t handle, enum sched_end end)
{
    struct dest *d = dest_at(s, handle);
    struct group *g = group_at(s, d->group);

    d->running--;
    g->running--;
    if (!d->asking)
        return;
    d->asking = false;
    d->asked = end == SCHED_HOSTS && !g->key;
    /* It was no question after all (a literal, a deliverd of a former version). */
    if (g->rate && end != SCHED_HOSTS && end != SCHED_UNRESOLVED)
        bucket_take(s, d->group);
}

void dest_wake(struct sched *s, uint32_t handle)
{
    struct dest *d = dest_at(s, handle);

    pause_end(&s->resting, &d->rest);
    pause_end(&s->asleep, &group_at(s, d->group)->rest);
    dest_update(s, handle);
}

void dest_succeeded(struct sched *s, uint32_t handle)
{
    struct dest *d = dest_at(s, handle);
    struct group *g = group_at(s, d->group);

    d->failures = g->failures = 0;
    why_drop(s, &d->why);
    why_drop(s, &g->why);
    if (g->window < WINDOW_MAX)
        g->window += g->window < WINDOW_FAST ? 1.0f : 1.0f / g->window;
    dest_wake(s, handle);
}

/* Others that run may still show that it lives: rest only when the last one has failed. */
static bool count_failure(uint8_t *failures, uint32_t running)
{
    if (*failures < REST_AFTER)
        (*failures)++;
    return running == 0 && *failures == REST_AFTER;
}

bool dest_unresolved(struct sched *s, uint32_t handle, uint32_t until)
{
    struct dest *d = dest_at(s, handle);
    bool begins = count_failure(&d->failures, d->running) && !d->rest.until;

    if (d->failures == REST_AFTER && d->running == 0)
        pause_begin(&s->resting, &d->rest, until, handle);
    dest_update(s, handle);
    return begins;
}

bool dest_unreachable(struct sched *s, uint32_t handle, uint32_t until)
{
    uint32_t group = dest_at(s, handle)->group;
    struct group *g = group_at(s, group);
    bool rests = count_failure(&g->failures, g->running), begins = rests && !g->rest.until;

    g->window = rests ? 1.0f : g->window > 2.0f ? g->window / 2 : 1.0f;
    if (rests)
        pause_begin(&s->asleep, &g->rest, until, group);
    dest_update(s, handle);
    return begins;
}

size_t groups_tick(struct sched *s)
{
    size_t moved = 0;
    uint32_t handle;

    for (; s->resting.count > 0 && s->resting.items[0].key <= s->now; moved++) {
        handle = s->resting.items[0].handle;
        pause_end(&s->resting, &dest_at(s, handle)->rest);
        dest_update(s, handle);
    }
    for (; s->asleep.count > 0 && s->asleep.items[0].key <= s->now; moved++) {
        handle = s->asleep.items[0].handle;
        pause_end(&s->asleep, &group_at(s, handle)->rest);
        group_update(s, handle);
    }
    for (; s->paced.count > 0 && s->paced.items[0].key <= s->now; moved++) {
        handle = s->paced.items[0].handle;
        bucket_fill(s, group_at(s, handle));
        group_pace(s, handle);
        group_update(s, handle);
    }
    return moved;
}

/* ---- life ---- */

void groups_init(struct sched *s)
{
    pool_init(&s->dests, sizeof(struct dest));
    pool_init(&s->groups, sizeof(struct group));
    s->by_name = dict_new();
    s->by_key = dict_new();
    s->resting.moved = on_resting_moved;
    s->asleep.moved = on_asleep_moved;
    s->paced.moved = on_paced_moved;
    s->resting.arg = s->asleep.arg = s->paced.arg = s;
}

static void on_dest_clear(void *arg, struct strv key, void *value)
{
    (void)key;
    dest_release(arg, (uint32_t)(uintptr_t)value);
}

void groups_clear(struct sched *s)
{
    dict_each(s->by_name, on_dest_clear, s);
    dict_free(&s->by_name, NULL);
    dict_free(&s->by_key, NULL);
    heap_clear(&s->resting);
    heap_clear(&s->asleep);
    heap_clear(&s->paced);
    pool_clear(&s->dests);
    pool_clear(&s->groups);
}
