/* schedule.c - what is delivered next, and when again (pure: the caller brings the time and the dice) */
#include "queued/schedule.h"

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "queued/lanes.h"

#include <stdlib.h>

/* A new destination may be a small host: begin as Postfix does. Mailboxes of our own are nobody's small host.
 */
#define WINDOW_REMOTE 5.0f
#define WINDOW_LOCAL  20.0f
#define WINDOW_MAX    50.0f /* connections beyond this help nobody */
#define WINDOW_FAST   20.0f /* below it one success is one more, above it one window of successes is */
/* One lost connection says little about a host, and a message that waits because of another's bad luck is a
   mystery; five in a row say enough. From then on each single failure begins the next rest. */
#define REST_AFTER 5u
#define REST_MAX_S 300 /* then one message tries again, whatever the list of retry times says */

struct dest {
    char *name;         /* owned; the dict's key: 'l' or 'r', then the domain */
    void *why;          /* the caller's, through conf.drop */
    struct order order; /* of its ready parts */
    uint32_t running, parts;
    uint32_t limit;             /* jobs at once; 0: what the window says */
    uint32_t prev, next;        /* ring of destinations that may start a job now; 0: not in it */
    uint32_t rest_until, place; /* place in the heap of resting ones */
    float window;
    uint8_t failures; /* in a row, counted up to REST_AFTER */
};

struct sched {
    struct sched_conf conf;
    struct pool parts, dests;
    struct lanes lanes;
    struct dict *by_name; /* -> (void *) handle */
    struct heap waiting, resting;
    uint32_t turn[2]; /* rings of remote and local: the next destination, 0: empty */
    uint8_t side;     /* whose turn it is when both may go */
};

static struct dest *dest_at(const struct sched *s, uint32_t d)
{
    return pool_at(&s->dests, d);
}

struct part *sched_part(const struct sched *s, uint32_t part)
{
    return pool_at(&s->parts, part);
}

static void on_waiting_moved(void *arg, uint32_t handle, uint32_t place)
{
    sched_part(arg, handle)->place = place;
}

static void on_resting_moved(void *arg, uint32_t handle, uint32_t place)
{
    dest_at(arg, handle)->place = place;
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
    pool_init(&s->dests, sizeof(struct dest));
    lanes_init(&s->lanes, &s->parts);
    s->by_name = dict_new();
    s->waiting.moved = on_waiting_moved;
    s->resting.moved = on_resting_moved;
    s->waiting.arg = s->resting.arg = s;
    return s;
}

static void why_drop(struct sched *s, struct dest *d)
{
    if (d->why && s->conf.drop)
        s->conf.drop(s->conf.arg, d->why);
    d->why = NULL;
}

static void dest_release(struct sched *s, uint32_t handle)
{
    struct dest *d = dest_at(s, handle);

    dict_pop(s->by_name, SV(d->name));
    why_drop(s, d);
    free(d->name);
    order_clear(&d->order);
    pool_give(&s->dests, handle);
}

static void on_dest_free(void *arg, struct strv key, void *value)
{
    struct sched *s = arg;
    struct dest *d = dest_at(s, (uint32_t)(uintptr_t)value);

    (void)key;
    why_drop(s, d);
    free(d->name);
    order_clear(&d->order);
}

void sched_free(struct sched **sp)
{
    struct sched *s = *sp;

    *sp = NULL;
    if (!s)
        return;
    dict_each(s->by_name, on_dest_free, s);
    dict_free(&s->by_name, NULL);
    heap_clear(&s->waiting);
    heap_clear(&s->resting);
    lanes_clear(&s->lanes);
    pool_clear(&s->parts);
    pool_clear(&s->dests);
    free(s);
}

/* ---- the rings ---- */

static bool dest_is_local(const struct dest *d)
{
    return d->name[0] == 'l';
}

static void ring_leave(struct sched *s, uint32_t handle)
{
    struct dest *d = dest_at(s, handle);
    uint32_t *turn = &s->turn[dest_is_local(d)];

    if (!d->next)
        return;
    if (d->next == handle) {
        *turn = 0;
    } else {
        dest_at(s, d->prev)->next = d->next;
        dest_at(s, d->next)->prev = d->prev;
        if (*turn == handle)
            *turn = d->next;
    }
    d->prev = d->next = 0;
}

/* A newcomer gets the last place of this round. */
static void ring_join(struct sched *s, uint32_t handle)
{
    struct dest *d = dest_at(s, handle);
    uint32_t *turn = &s->turn[dest_is_local(d)];

    if (d->next)
        return;
    if (!*turn) {
        d->prev = d->next = *turn = handle;
        return;
    }
    d->next = *turn;
    d->prev = dest_at(s, *turn)->prev;
    dest_at(s, d->prev)->next = handle;
    dest_at(s, *turn)->prev = handle;
}

static bool dest_has_room(const struct dest *d)
{
    return d->running < (uint32_t)d->window && (!d->limit || d->running < d->limit);
}

static void ring_update(struct sched *s, uint32_t handle)
{
    const struct dest *d = dest_at(s, handle);

    if (d->order.ready > 0 && !d->rest_until && dest_has_room(d))
        ring_join(s, handle);
    else
        ring_leave(s, handle);
}

/* ---- destinations and parts ---- */

static uint32_t dest_get(struct sched *s, struct strv domain, bool local)
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
    d->window = local ? WINDOW_LOCAL : WINDOW_REMOTE;
    dict_set(s->by_name, SV(d->name), (void *)(uintptr_t)handle);
    return handle;
}

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

void sched_ready(struct sched *s, uint32_t part)
{
    struct part *p = sched_part(s, part);
    struct dest *d = dest_at(s, p->dest);

    if (p->state == PART_READY)
        return;
    sched_idle(s, part);
    p->state = PART_READY;
    order_add(&s->lanes, &d->order, p->dest, part);
    ring_update(s, p->dest);
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
        ring_update(s, p->dest);
    }
    p->state = PART_IDLE;
}

/* ---- running ---- */

uint32_t sched_pick(struct sched *s, unsigned sides)
{
    bool remote = sides & SCHED_REMOTE && s->turn[0], local = sides & SCHED_LOCAL && s->turn[1];
    uint32_t handle, part;
    unsigned side;
    struct dest *d;

    if (!remote && !local)
        return 0;
    side = remote && local ? s->side : local;
    s->side = (uint8_t)!side;
    handle = s->turn[side];
    d = dest_at(s, handle);
    part = order_pick(&s->lanes, &d->order);
    sched_part(s, part)->state = PART_IDLE;
    s->turn[side] = d->next;
    d->running++;
    ring_update(s, handle);
    return part;
}

void sched_limit(struct sched *s, uint32_t part, uint32_t jobs)
{
    uint32_t handle = sched_part(s, part)->dest;

    dest_at(s, handle)->limit = jobs;
    ring_update(s, handle);
}

void sched_started(struct sched *s, uint32_t part)
{
    uint32_t handle = sched_part(s, part)->dest;

    dest_at(s, handle)->running++;
    ring_update(s, handle);
}

static void dest_wake(struct sched *s, uint32_t handle)
{
    struct dest *d = dest_at(s, handle);

    if (d->place)
        heap_remove(&s->resting, d->place);
    d->rest_until = 0;
}

static bool dest_rest(struct sched *s, uint32_t handle, uint32_t now_s)
{
    struct dest *d = dest_at(s, handle);
    bool begins = !d->rest_until;

    dest_wake(s, handle);
    d->rest_until = sched_retry_at(s, 1, now_s);
    if (d->rest_until > now_s + REST_MAX_S)
        d->rest_until = now_s + REST_MAX_S;
    heap_add(&s->resting, d->rest_until, handle);
    return begins;
}

bool sched_ended(struct sched *s, uint32_t part, enum sched_end end, uint32_t now_s)
{
    uint32_t handle = sched_part(s, part)->dest;
    struct dest *d = dest_at(s, handle);
    bool rests = false;

    d->running--;
    switch (end) {
    case SCHED_SUCCESS:
        dest_wake(s, handle);
        why_drop(s, d);
        d->failures = 0;
        if (d->window < WINDOW_MAX)
            d->window += d->window < WINDOW_FAST ? 1.0f : 1.0f / d->window;
        break;
    case SCHED_UNREACHABLE:
        d->window = d->window > 2.0f ? d->window / 2 : 1.0f;
        /* Others that run may still show that it lives: rest only when the last one has failed. */
        if (d->failures < REST_AFTER)
            d->failures++;
        if (d->running == 0 && d->failures == REST_AFTER) {
            d->window = 1.0f;
            rests = dest_rest(s, handle, now_s);
        }
        break;
    case SCHED_NEUTRAL: break;
    }
    ring_update(s, handle);
    return rests;
}

void sched_wake(struct sched *s, uint32_t part)
{
    uint32_t handle = sched_part(s, part)->dest;

    dest_wake(s, handle);
    ring_update(s, handle);
}

size_t sched_tick(struct sched *s, uint32_t now_s)
{
    size_t moved = 0;

    while (s->resting.count > 0 && s->resting.items[0].key <= now_s) {
        uint32_t handle = s->resting.items[0].handle;

        dest_wake(s, handle);
        ring_update(s, handle);
        moved++;
    }
    /* After a day off a million may be due at once: the others' turn comes when the loop was free. */
    while (moved < SCHED_TICK_MAX && s->waiting.count > 0 && s->waiting.items[0].key <= now_s) {
        sched_ready(s, s->waiting.items[0].handle);
        moved++;
    }
    return moved;
}

uint32_t sched_next(const struct sched *s)
{
    uint32_t a = s->waiting.count ? s->waiting.items[0].key : 0;
    uint32_t b = s->resting.count ? s->resting.items[0].key : 0;

    return !a || (b && b < a) ? b : a;
}

static uint32_t time_shift(uint32_t t, int64_t seconds)
{
    int64_t shifted = (int64_t)t + seconds;

    return shifted < 1 ? 1 : shifted > UINT32_MAX ? UINT32_MAX : (uint32_t)shifted;
}

void sched_shift(struct sched *s, int64_t seconds)
{
    /* The same for all: the heaps stay in order. */
    for (size_t i = 0; i < s->waiting.count; i++) {
        struct heap_item *item = &s->waiting.items[i];

        item->key = time_shift(item->key, seconds);
        sched_part(s, item->handle)->due = item->key;
    }
    for (size_t i = 0; i < s->resting.count; i++) {
        struct heap_item *item = &s->resting.items[i];

        item->key = time_shift(item->key, seconds);
        dest_at(s, item->handle)->rest_until = item->key;
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

struct strv sched_domain(const struct sched *s, uint32_t part)
{
    return SV(dest_at(s, sched_part(s, part)->dest)->name + 1);
}

bool sched_is_local(const struct sched *s, uint32_t part)
{
    return dest_is_local(dest_at(s, sched_part(s, part)->dest));
}

uint32_t sched_rest_until(const struct sched *s, uint32_t part)
{
    return dest_at(s, sched_part(s, part)->dest)->rest_until;
}

void sched_each_ready(struct sched *s, uint32_t like, void (*fn)(void *arg, uint32_t part), void *arg)
{
    struct dest *d = dest_at(s, sched_part(s, like)->dest);

    order_each(&s->lanes, &d->order, fn, arg);
}

void sched_set_why(struct sched *s, uint32_t part, void *why)
{
    struct dest *d = dest_at(s, sched_part(s, part)->dest);

    why_drop(s, d);
    d->why = why;
}

void *sched_why(const struct sched *s, uint32_t part)
{
    return dest_at(s, sched_part(s, part)->dest)->why;
}

unsigned sched_window(const struct sched *s, uint32_t part)
{
    return (unsigned)dest_at(s, sched_part(s, part)->dest)->window;
}

uint32_t sched_running(const struct sched *s, uint32_t part)
{
    return dest_at(s, sched_part(s, part)->dest)->running;
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
    struct sched *s = arg;
    uint32_t handle = (uint32_t)(uintptr_t)value;
    struct dest *d = dest_at(s, handle);

    (void)key;
    /* A rest is knowledge too: it stays until it is over. */
    if (d->parts == 0 && d->running == 0 && !d->rest_until)
        dest_release(s, handle);
}

void sched_trim(struct sched *s)
{
    dict_each(s->by_name, on_trim, s);
}
