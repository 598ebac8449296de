/* watch.c - daemons that live but do not answer: noticed, said, ended where that is safe
 *
 * What ending costs: a worker, dnsd, mapd hold nothing that is not asked again. cleanup and smtpd: what was
 * not answered was not accepted, and doubt is settled by id. deliverd: a message whose final dot is on its
 * way may arrive twice, which is better than never. queued is never ended: its disk hangs, a new one would
 * hang before the same lock, and what it has acknowledged is worth more than the minutes.
 */
#include "mtad/watch.h"

#include <signal.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "common/ipc/schema.h"
#include "conf/conf.h"
#include "conf/processes.h"
#include "mtad/child.h"

#define ROUNDS       8 /* of processes.watchdog */
#define ROUND_MIN_MS 250
#define OFF_LOOK_MS  15000 /* a reload may turn it on */
#define NEVER        0

static const struct patience {
    enum role role;
    unsigned say, end; /* missed rounds */
} patience[] = {
    { ROLE_MAPD_WORKER, 1, ROUNDS / 4 },
    { ROLE_MAPD, 4, ROUNDS * 2 }, /* a large table is read in one go */
    { ROLE_QUEUED, 4, NEVER },
    { ROLE_COUNT, 4, ROUNDS }, /* all others */
};

static const struct patience *patience_of(enum role role)
{
    const struct patience *p = patience;

    while (p->role != role && p->role != ROLE_COUNT)
        p++;
    return p;
}

static void ask(struct child *c)
{
    struct ipc_out o;

    c->watch.asked = true;
    c->watch.missed = 0;
    c->watch.asked_ms = clock_wall_ms();
    ipc_out_init(&o);
    ipc_begin(&o, IPC_PING, 0);
    channel_send(c->control, &o);
    ipc_out_clear(&o);
}

static void child_look(struct child *c)
{
    const struct patience *p = patience_of(c->role);
    int64_t silent_ms = clock_wall_ms() - c->watch.asked_ms;
    char label[48];

    if (!c->watch.asked) {
        ask(c);
        return;
    }
    c->watch.missed++;
    if (c->watch.missed >= p->say && !c->watch.silent) {
        c->watch.silent = true;
        LOG(WARN, "mtad.child.silent", KS("child", child_label(c, label)), KI("pid", c->pid),
            KMS("silent", silent_ms), KS("then", p->end == NEVER ? "waited for" : "ended"));
    }
    if (p->end == NEVER || c->watch.missed < p->end || c->watch.ended)
        return;
    c->watch.ended = true;
    LOG(ERROR, "mtad.child.hung", KS("child", child_label(c, label)), KI("pid", c->pid),
        KMS("silent", silent_ms));
    kill(c->pid, SIGKILL);
}

static void on_round(void *arg)
{
    struct host *h = arg;
    int64_t round_ms = h->conf->processes->watchdog * 1000 / ROUNDS;

    if (round_ms == 0) {
        loop_timer_set(&h->watch_timer, OFF_LOOK_MS);
        return;
    }
    for (size_t i = 0; i < h->child_n; i++) {
        struct child *c = &h->children[i];

        if (c->role != ROLE_COUNT && c->state == CHILD_READY && c->control)
            child_look(c);
    }
    loop_timer_set(&h->watch_timer, round_ms > ROUND_MIN_MS ? round_ms : ROUND_MIN_MS);
}

void watch_begin(struct host *h)
{
    loop_timer_init(&h->watch_timer, h->loop, on_round, h);
    on_round(h);
}

void watch_answered(struct child *c)
{
    char label[48];

    if (c->watch.silent)
        LOG(INFO, "mtad.child.answers", KS("child", child_label(c, label)), KI("pid", c->pid),
            KMS("silent", clock_wall_ms() - c->watch.asked_ms));
    c->watch = (struct watch){ 0 };
}

bool watch_trouble(const struct child *c, const char **text, const char **advice)
{
    if (!c->watch.silent)
        return false;
    *text = c->watch.ended
                ? "it does not answer, was ended, and cannot end: the kernel holds it in a system call"
                : "it does not answer";
    *advice = c->watch.ended || c->role == ROLE_QUEUED
                  ? "look for a disk or file server that hangs (dmesg; state D in ps); if somebody stopped "
                    "it: kill -CONT"
                  : "nothing: it is ended and started anew when it stays so for processes.watchdog";
    return true;
}
