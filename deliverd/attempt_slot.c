/* attempt_slot.c - an attempt's place in the pool: by domain at first, by hosts once they are known
 *
 * Domains whose mail goes to the same hosts by the same route share connections and their number. Which those
 * are the DNS tells, so the first attempt of a domain takes its slot under the domain's name and changes it
 * for one of its hosts after the look-up; the pool remembers it for the attempts that follow.
 */
#include "conf/conf.h"
#include "conf/route.h"
#include "deliverd/attempt_inner.h"
#include "deliverd/deliverd.h"
#include "deliverd/job.h"

#include <stdio.h>

/* What was looked up is good for at most as long as an open connection is used without looking. */
#define LEARNED_MIN_S 5u
#define LEARNED_MAX_S 300u

void attempt_tell_group(struct attempt *a)
{
    const struct conf_target *via = &a->route.conf->via;
    struct strv key = a->wait.dest ? pool_key(a->wait.dest) : SV_LIT("");
    char text[CONF_ROUTE_KEY + 8];

    if (!via->host || via->host[0]) {
        /* queued knows this one by itself. */
        size_t n = conf_route_key(a->route.conf, text);

        memcpy(text + n, "|via", 5);
        key = SV(text);
    } else if (a->route.kind == ROUTE_MX && strv_eq(key, SV(a->route.key))) {
        key = SV_LIT(""); /* the domain's own, until its hosts are known */
    } else if (key.n >= IPC_GROUP_MAX) {
        /* Alone, which has to be said: it may have been among others before, and its hosts' silence is not
           theirs. */
        key = SV(a->route.key);
    }
    job_group(a->job, key);
}

static void on_granted(void *arg, struct connection *c)
{
    struct attempt *a = arg;

    a->slot = true;
    a->began = loop_now(a->d->loop);
    if (c) {
        attempt_tell_group(a);
        attempt_use_pooled(a, c);
    } else if (attempt_login_refused(
                   a)) { /* in its own turn of the loop: whoever ends now lets the next one in */
        a->asked = loop_now(a->d->loop);
        loop_timer_set(&a->again, 1);
    } else {
        attempt_resolve(a);
    }
}

/* POOL_OPEN: it is for the caller to go on. */
static enum pool_answer take(struct attempt *a, struct connection **c)
{
    unsigned share = route_share(a->d->conf, a->route.conf, a->d->index);
    enum pool_answer answer;

    a->wait.granted = on_granted;
    a->wait.arg = a;
    answer = pool_get(a->d->pool, SV(a->route.key), share, &a->wait, c);
    a->slot = answer != POOL_WAIT;
    return answer;
}

void attempt_take_slot(struct attempt *a)
{
    struct connection *c;

    switch (take(a, &c)) {
    case POOL_CONNECTION:
        attempt_tell_group(a);
        attempt_use_pooled(a, c);
        return;
    case POOL_OPEN: attempt_resolve(a); return;
    case POOL_WAIT: return;
    }
}

bool attempt_move_slot(struct attempt *a, uint32_t ttl)
{
    struct dest *old = a->wait.dest;
    enum pool_answer answer;
    struct connection *c;
    struct buf key;

    if (a->route.kind != ROUTE_MX)
        return false;
    ttl = ttl < LEARNED_MIN_S ? LEARNED_MIN_S : ttl > LEARNED_MAX_S ? LEARNED_MAX_S : ttl;
    buf_init(&key, TARGETS_KEY_MAX);
    targets_key(&a->route, &a->targets, &key);
    if (buf_ok(&key))
        pool_learn(a->d->pool, SV(a->route.key), buf_view(&key), (int64_t)ttl * 1000);
    if (!buf_ok(&key) || strv_eq(buf_view(&key), pool_key(old))) {
        buf_clear(&key);
        return false;
    }
    buf_clear(&key);
    a->slot = false;
    pool_put(a->d->pool, old, NULL, 0);
    answer = take(a, &c);
    if (answer == POOL_OPEN)
        return false;
    targets_clear(&a->targets);
    if (answer == POOL_CONNECTION) {
        attempt_tell_group(a);
        attempt_use_pooled(a, c);
    }
    return true;
}
