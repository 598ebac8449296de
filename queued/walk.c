/* walk.c - a look at every message in steps of a few milliseconds, between which mail goes on */
#include "queued/walk.h"

#include "common/base/clock.h"

#define STEP_BUDGET 10000u /* looks; reading a record counts more */
#define PAUSE_MS    1
#define TELL_MS     1000

static void walk_free(struct walk *w)
{
    loop_timer_stop(&w->timer);
    w->clear(w);
}

static void on_gone(void *data)
{
    walk_free(data);
}

static void progress_row(struct walk *w)
{
    if (!w->progress || loop_now(w->q->loop) - w->told < TELL_MS)
        return;
    w->told = loop_now(w->q->loop);
    ctl_row(w->call, "progress");
    ctl_put_u64(w->call, "seen", w->seen);
    ctl_row_end(w->call);
}

static bool portion_is_full(const struct walk *w)
{
    return w->portions && ctl_rows(w->call) >= CTL_PORTION;
}

/* False: not all were seen. */
static bool walk_on(struct walk *w, int64_t until)
{
    unsigned budget = STEP_BUDGET;
    uint32_t handle;

    while ((handle = selection_next(w->q, &w->selection, &w->cursor, &budget))) {
        /* Many recipients are many looks. */
        uint32_t cost = ledger_at(&w->q->ledger, handle)->rcpt_n - 1;

        budget -= budget > cost ? cost : budget;
        w->seen++;
        w->each(w, handle);
        if (portion_is_full(w) || clock_mono_ms() > until)
            break;
    }
    return !w->cursor || portion_is_full(w);
}

static void walk_step(void *arg)
{
    struct walk *w = arg;
    int64_t until = clock_mono_ms() + TURN_MS;

    w->over = w->over || walk_on(w, until);
    if (!w->over || (w->tell && w->tell(w, until))) {
        progress_row(w);
        loop_timer_set(&w->timer, PAUSE_MS);
        return;
    }
    w->end(w);
    walk_free(w);
}

void walk_start(struct walk *w)
{
    w->told = loop_now(w->q->loop);
    loop_timer_init(&w->timer, w->q->loop, walk_step, w);
    ctl_later(w->call, on_gone, w);
    walk_step(w);
}
