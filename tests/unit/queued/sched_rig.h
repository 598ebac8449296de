/* sched_rig.h - a schedule with a fake clock and dice, for its tests */
#pragma once

#include "tests/support/unit.h"

#include "queued/schedule.h"

#define HOSTS SV_LIT("default|mxs mx.op.test:25")
#define OTHER SV_LIT("default|mxs mx.other.test:25")

static const int64_t retry[] = { 300, 600, 1200 };
static uint64_t dice;

static inline uint64_t below(uint64_t n)
{
    return dice < n ? dice : n - 1;
}

static inline struct sched *make(void)
{
    const struct sched_conf conf = { .retry = retry, .retry_n = COUNT(retry), .below = below };

    dice = 0;
    return sched_new(&conf);
}

static inline uint32_t part(struct sched *s, const char *domain, enum sched_side side, uint32_t sender)
{
    uint32_t p = sched_part_new(s, SV(domain), side != SIDE_REMOTE, sender);

    if (side == SIDE_LMTP)
        sched_asked_lmtp(s, p, true);
    sched_ready(s, p);
    return p;
}

/* Until nothing may go; how many those were of the domain. */
static inline unsigned pick_all(struct sched *s, unsigned sides, const char *domain, uint32_t *list,
                                size_t max)
{
    unsigned n = 0, of_domain = 0;
    uint32_t p;

    while ((p = sched_pick(s, sides))) {
        of_domain += domain && strv_is(sched_domain(s, p), domain);
        if (list && n < max)
            list[n] = p;
        n++;
    }
    return domain ? of_domain : n;
}

static struct sched_limits given;

static inline void on_limits(void *arg, struct strv domain, struct sched_limits *l)
{
    (void)arg;
    if (!strv_is(domain, "free.test"))
        *l = given;
}
