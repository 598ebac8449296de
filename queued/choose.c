/* choose.c - which deliverd gets a job, and how many jobs each side may have
 *
 * The sides (other hosts, our mailboxes, LMTP servers) have room of their own: a part of all jobs is each
 * one's alone, so that one whose deliveries hang cannot stop the others.
 */
#include "conf/conf.h"
#include "conf/processes.h"
#include "conf/queue.h"
#include "conf/route.h"
#include "queued/mailq.h"

#define UNBALANCED 8u /* jobs more than the idlest deliverd has: the connections' home is too busy */

/* Jobs that only this side may have, of so many. None is kept for LMTP servers where there are none. */
static unsigned side_share(const struct mailq *q, unsigned all, unsigned side)
{
    return sched_sides(q->ledger.sched) & 1u << side ? (all + QUEUE_SHARE - 1) / QUEUE_SHARE : 0;
}

static bool has_room(const struct mailq *q, unsigned all, const unsigned side_n[SCHED_SIDES], unsigned max,
                     unsigned side)
{
    unsigned taken = 0;

    if (all >= max)
        return false;
    if (side_n[side] < side_share(q, max, side))
        return true;
    for (unsigned i = 0; i < SCHED_SIDES; i++) {
        unsigned share = i == side ? 0 : side_share(q, max, i);

        taken += side_n[i] > share ? side_n[i] : share;
    }
    return taken < max;
}

/* Those that get jobs: slots of former generations are empty or on their way out. */
static unsigned deliverds_taking(const struct mailq *q, unsigned taking[QUEUE_DELIVERDS])
{
    unsigned n = 0;

    for (unsigned i = 0; i < q->deliverd_n; i++) {
        if (q->deliverds[i].state == DELIVERD_READY && !q->deliverds[i].retired)
            taking[n++] = i;
    }
    return n;
}

/* The one that has all mail of a destination with fewer connections than there are deliverds: each of them
   could only count its own. QUEUE_DELIVERDS: no such limit. When one is gone, only its routes move. */
static unsigned deliverd_alone(const struct mailq *q, uint32_t part)
{
    struct strv domain = sched_domain(q->ledger.sched, part);
    unsigned taking[QUEUE_DELIVERDS], n, best = QUEUE_DELIVERDS;
    const struct conf_route *route = q->routes ? conf_route_for(q->routes, domain) : NULL;
    uint64_t top = 0, key;

    if (!route || route->max_connections >= q->routes->processes->deliverd)
        return QUEUE_DELIVERDS;
    n = deliverds_taking(q, taking);
    key = sched_home(q->ledger.sched, part);
    for (unsigned i = 0; i < n; i++) {
        uint64_t score = (key ^ taking[i]) * UINT64_C(0x9e3779b97f4a7c15);

        score ^= score >> 29;
        score *= UINT64_C(0xbf58476d1ce4e5b9);
        if (best == QUEUE_DELIVERDS || score > top) {
            top = score;
            best = taking[i];
        }
    }
    return best;
}

static unsigned choose(const struct mailq *q, uint64_t key, unsigned side)
{
    unsigned taking[QUEUE_DELIVERDS], n = deliverds_taking(q, taking), best = QUEUE_DELIVERDS, home, max;
    const struct deliverd *d;

    if (n == 0)
        return QUEUE_DELIVERDS;
    max = ((unsigned)q->conf->max_jobs + n - 1) / n;
    for (unsigned i = 0; i < n; i++) {
        d = &q->deliverds[taking[i]];
        if (has_room(q, d->job_n, d->side_n, max, side) &&
            (best == QUEUE_DELIVERDS || d->job_n < q->deliverds[best].job_n))
            best = taking[i];
    }
    /* Its home has the open connections. */
    home = taking[key % n];
    d = &q->deliverds[home];
    if (best < QUEUE_DELIVERDS && has_room(q, d->job_n, d->side_n, max, side) &&
        d->job_n <= q->deliverds[best].job_n + UNBALANCED)
        return home;
    return best;
}

static unsigned jobs_there(const struct mailq *q, unsigned deliverd, uint32_t part)
{
    unsigned n = 0;

    for (const struct job *j = q->deliverds[deliverd].jobs; j; j = j->next)
        n += j->side == SIDE_REMOTE && j->part && sched_are_one(q->ledger.sched, j->part, part);
    return n;
}

/* Each deliverd has its share of the route's connections, and what goes beyond it would wait there in a line
   where nothing overtakes it: then another one, with fewer jobs for these hosts, has it. */
static unsigned choose_with_share(const struct mailq *q, uint32_t part, unsigned chosen)
{
    unsigned taking[QUEUE_DELIVERDS], n = deliverds_taking(q, taking), share, least, max;
    const struct conf_route *route =
        q->routes && n > 1 ? conf_route_for(q->routes, sched_domain(q->ledger.sched, part)) : NULL;

    if (!route || chosen == QUEUE_DELIVERDS)
        return chosen;
    share = (unsigned)route->max_connections / n;
    if (sched_running(q->ledger.sched, part) <= share)
        return chosen;
    least = jobs_there(q, chosen, part);
    if (least < share)
        return chosen;
    max = ((unsigned)q->conf->max_jobs + n - 1) / n;
    for (unsigned i = 0; i < n; i++) {
        const struct deliverd *d = &q->deliverds[taking[i]];
        bool room = has_room(q, d->job_n, d->side_n, max, SIDE_REMOTE);
        unsigned jobs = room ? jobs_there(q, taking[i], part) : least;

        if (jobs < least) {
            least = jobs;
            chosen = taking[i];
        }
    }
    return chosen;
}

unsigned choose_deliverd(const struct mailq *q, uint32_t part)
{
    enum sched_side side = sched_side(q->ledger.sched, part);
    unsigned alone = side == SIDE_REMOTE ? deliverd_alone(q, part) : QUEUE_DELIVERDS, chosen;

    if (alone < QUEUE_DELIVERDS)
        return alone;
    chosen = choose(q, sched_home(q->ledger.sched, part), side);
    return side == SIDE_REMOTE ? choose_with_share(q, part, chosen) : chosen;
}

unsigned choose_sides(const struct mailq *q)
{
    unsigned sides = 0;

    if (results_are_behind(q))
        return 0;
    for (unsigned side = 0; side < SCHED_SIDES; side++)
        if (has_room(q, q->job_n, q->side_n, (unsigned)q->conf->max_jobs, side) &&
            choose(q, 0, side) < QUEUE_DELIVERDS)
            sides |= 1u << side;
    return sides;
}
