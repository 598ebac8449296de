/* lmtp.c - deliveries by LMTP: a connection of the pool or a new one, transactions, one result per recipient
 *
 *   start -> (idle connection) -----------------------------> transaction -> over
 *         -> (slot) -> mtad's socket, or dial -> LHLO ------> transaction
 *   A pooled connection that died while it was idle leads back to the slot. There is one server and no other
 *   to try, so whatever else fails ends the delivery: recipients without an answer are deferred.
 */
#include "deliverd/lmtp.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/proc/daemon.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "conf/top.h"
#include "deliverd/connection.h"
#include "deliverd/deliverd.h"
#include "deliverd/dial.h"
#include "deliverd/job.h"
#include "deliverd/lmtp_server.h"
#include "deliverd/pool.h"
#include "deliverd/route.h"

#include <stdio.h>
#include <stdlib.h>

#define HELPER_MS        30000
#define DNS_DEADLINE_MS  20000
#define TRANSACTIONS_MAX 1000u /* of one delivery: a server may take one recipient at a time */
/* Not known to queued, whose destination here is the own domain, which may have other mailboxes. */
#define STEP_LMTP        "lmtp"

enum todo { TODO_NOW, TODO_NOTHING };

struct lmtp {
    struct deliverd *d;
    struct lmtp_server *servers; /* owned */
    size_t server_n;
    struct lmtp_delivery *first;
};

struct lmtp_delivery {
    struct lmtp *l;
    struct lmtp_delivery *next, *prev;
    struct lmtp_server *server;
    struct job *job;
    const struct lmtp_ops *ops;
    void *arg;

    struct pool_wait wait;
    bool slot;
    uint64_t txn; /* of the question to mtad; 0: none */
    struct loop_timer timer;
    struct loop_task task; /* the server is down, as seen from the loop */
    struct dns_ask ask;
    struct targets targets;
    struct dial dial;
    struct connection *c; /* ours; NULL between */
    bool reused, stale;
    unsigned transactions;

    size_t n, open;         /* recipients, those without a result */
    size_t *rcpts;          /* owned: -> of the job */
    uint8_t *todo;          /* owned: enum todo */
    size_t *map;            /* owned: of the transaction -> ours */
    struct strv *addresses; /* owned */
    struct client_message m;
    uint64_t body_at;
    struct buf later; /* why addresses did not answer; why those that are left need another transaction */
};

/* ---- the end ---- */

static void delivery_destroy(void *obj)
{
    struct lmtp_delivery *v = obj;

    targets_clear(&v->targets);
    buf_clear(&v->later);
    free(v->rcpts);
    free(v->todo);
    free(v->map);
    free(v->addresses);
    free(v);
}

/* Gives everything back; the memory waits for the callbacks we may stand in. keep: the connection may be used
   on. */
static void delivery_end(struct lmtp_delivery *v, bool keep)
{
    struct deliverd *d = v->l->d;
    struct connection *c = v->c;

    *(v->prev ? &v->prev->next : &v->l->first) = v->next;
    if (v->next)
        v->next->prev = v->prev;
    lmtp_server_left(v->server, v);
    dns_ask_cancel(&v->ask);
    loop_timer_stop(&v->timer);
    loop_later_cancel(d->loop, &v->task);
    dial_clear(&v->dial);
    pool_leave(d->pool, &v->wait);
    v->c = NULL;
    if (!keep || !c || !connection_is_fresh(c))
        connection_close(&c, "done");
    loop_reap(d->loop, delivery_destroy, v);
    if (v->slot)
        pool_put(d->pool, v->wait.dest, c, v->server->route.idle * 1000);
}

static void give(struct lmtp_delivery *v, size_t i, const struct job_outcome *o)
{
    if (v->todo[i] == TODO_NOTHING)
        return;
    v->todo[i] = TODO_NOTHING;
    v->open--;
    v->ops->result(v->arg, v->rcpts[i], o);
}

static void finish(struct lmtp_delivery *v, bool keep)
{
    const struct lmtp_ops *ops = v->ops;
    void *arg = v->arg;

    delivery_end(v, keep);
    ops->over(arg, v);
}

static void finish_with(struct lmtp_delivery *v, const struct job_outcome *o)
{
    for (size_t i = 0; i < v->n; i++)
        give(v, i, o);
    finish(v, false);
}

/* What is known of the server is the answer for everybody who is left. */
static void finish_down(struct lmtp_delivery *v)
{
    const struct lmtp_server *s = v->server;
    struct job_outcome o = {
        .outcome = OUTCOME_DEFERRED,
        .status = s->status,
        .text = SV(s->why),
        .relay = SV(s->relay),
        .step = lmtp_server_blinks(s) ? STEP_SERVICE : STEP_LMTP,
        .remote = s->remote,
    };

    finish_with(v, &o);
}

static void server_failed(struct lmtp_delivery *v, const char *text)
{
    lmtp_server_failed(v->server, STATUS(4, 4, 1), SV(v->server->name), SV(text), false);
    finish_down(v);
}

void lmtp_cancel(struct lmtp_delivery **v)
{
    if (*v)
        delivery_end(*v, false);
    *v = NULL;
}

/* ---- transactions ---- */

static void transaction(struct lmtp_delivery *v)
{
    struct job *j = v->job;
    size_t n = 0;

    for (size_t i = 0; i < v->n; i++)
        if (v->todo[i] == TODO_NOW) {
            v->map[n] = i;
            v->addresses[n++] = j->rcpts[v->rcpts[i]].rcpt;
        }
    if (!j->connected)
        j->connected = loop_now(v->l->d->loop);
    v->transactions++;
    v->stale = false;
    v->body_at = 0;
    v->m = (struct client_message){
        .sender = j->sender,
        .rcpts = v->addresses,
        .rcpt_n = n,
        .size = j->body.size,
        .eight_bit = j->eight_bit,
        .priority = ipc_get_u64(&j->in, TAG_PRIORITY),
    };
    connection_begin(v->c, &v->m);
}

static void on_result(void *arg, size_t rcpt, const struct client_result *r)
{
    struct lmtp_delivery *v = arg;
    struct job_outcome o = {
        .outcome = r->outcome,
        .status = r->status,
        .text = r->text,
        .relay = SV(v->c->relay),
        .step = STEP_LMTP,
        .remote = r->remote,
        .maybe = r->maybe,
    };

    /* A pooled connection that the server had given up before it saw our MAIL: as if it had not been. */
    if (v->reused && v->c->client.replies <= 1 && r->retry == CLIENT_OTHER_HOST) {
        v->stale = true;
        return;
    }
    if (r->retry == CLIENT_SAME_HOST) {
        buf_reset(&v->later);
        buf_addv(&v->later, r->text);
        return;
    }
    give(v, v->map[rcpt], &o);
}

static enum client_body on_body(void *arg, size_t max, struct strv *piece)
{
    struct lmtp_delivery *v = arg;

    return body_read(&v->job->body, &v->body_at, max, piece);
}

static void open_connection(struct lmtp_delivery *v);

static void on_finished(void *arg, struct connection *c, bool alive)
{
    struct lmtp_delivery *v = arg;
    struct job_outcome o = {
        .outcome = OUTCOME_DEFERRED,
        .status = STATUS(4, 5, 3),
        .text = buf_view(&v->later),
        .relay = SV(c->relay),
        .step = STEP_LMTP,
        .remote = true,
    };

    /* It hangs: whoever waits behind us would wait as long. */
    if (!alive && c->timed_out)
        lmtp_server_failed(v->server, STATUS(4, 4, 2), SV(c->relay), SV("the server does not answer in time"),
                           false);
    if (v->stale) {
        v->c = NULL;
        if (alive)
            connection_close(&c, "trouble");
        open_connection(v);
        return;
    }
    if (v->open && alive && v->transactions < TRANSACTIONS_MAX) {
        transaction(v); /* too many recipients for one: the rest */
        return;
    }
    if (!alive)
        v->c = NULL;
    for (size_t i = 0; i < v->n; i++)
        give(v, i, &o);
    finish(v, alive);
}

static void on_ready(void *arg, struct connection *c)
{
    struct lmtp_delivery *v = arg;

    (void)c;
    lmtp_server_answered(v->server);
    transaction(v);
}

/* No greeting, a 421, nonsense: LMTP has no second host. */
static void on_down(void *arg, struct connection *c, const struct client_result *failure)
{
    struct lmtp_delivery *v = arg;

    v->c = NULL;
    lmtp_server_failed(v->server, failure->status, SV(c->relay), failure->text, failure->remote);
    finish_down(v);
}

static const struct connection_ops connection_ops = {
    .ready = on_ready,
    .down = on_down,
    .result = on_result,
    .body = on_body,
    .finished = on_finished,
};

/* ---- to the server ---- */

static void on_dial_up(void *arg, struct connection *c)
{
    struct lmtp_delivery *v = arg;

    v->c = c;
    connection_use(c, &connection_ops, v);
}

static void on_dial_failed(void *arg, const char *relay, const struct client_result *failure)
{
    struct lmtp_delivery *v = arg;

    (void)relay; /* failure's words name it */
    if (v->later.len)
        buf_adds(&v->later, "; ");
    buf_addv(&v->later, failure->text);
}

static void on_dial_exhausted(void *arg)
{
    struct lmtp_delivery *v = arg;

    server_failed(v, buf_cstr(&v->later));
}

static const struct dial_ops dial_ops = {
    .up = on_dial_up,
    .failed = on_dial_failed,
    .exhausted = on_dial_exhausted,
};

static bool is_bad(void *arg, const struct netaddr *addr)
{
    (void)arg;
    (void)addr;
    return false;
}

static void dial_targets(struct lmtp_delivery *v)
{
    targets_sort(&v->targets, is_bad, v, false);
    dial_init(&v->dial, v->l->d, &v->server->route, &v->targets, &dial_ops, v);
    v->dial.lmtp = true;
    dial_next(&v->dial);
}

static struct route server_route(const struct lmtp_server *s)
{
    const struct conf_target *via = &s->m->via;
    struct route r = {
        .conf = &s->route,
        .kind = via->addr.family != AF_UNSPEC ? ROUTE_ADDRESS : ROUTE_HOST,
        .host = SV(via->host ? via->host : ""),
        .addr = via->addr,
        .port = via->port ? via->port : CONF_LMTP_PORT,
        .family = FAMILY_ANY,
    };

    netaddr_unmap(&r.addr);
    r.addr.port = r.port;
    return r;
}

static void on_hosts(void *arg, const struct dns_hosts *hosts)
{
    struct lmtp_delivery *v = arg;
    struct route r = server_route(v->server);
    struct strv hostname = SV(v->l->d->conf->top->hostname);
    struct strv why = hosts->text.n ? strv_sub(hosts->text, 0, 300) : SV("no address");
    char text[600];

    if (hosts->answer != DNS_OK) {
        snprintf(text, sizeof text, "look-up of %s: %.*s", v->server->m->via.host, (int)why.n, why.p);
        server_failed(v, text);
        return;
    }
    switch (targets_make(hosts, &r, hostname, &v->l->d->own, &v->targets)) {
    case TARGETS_OK: dial_targets(v); return;
    case TARGETS_LOOP: server_failed(v, "the LMTP server is this host's own SMTP server"); return;
    case TARGETS_NONE:
    case TARGETS_NONE_TEMP:
    case TARGETS_NONE_FAMILY: server_failed(v, "the LMTP server has no address"); return;
    }
}

static void on_timer(void *arg)
{
    struct lmtp_delivery *v = arg;

    v->txn = 0;
    server_failed(v, "no socket: mtad did not answer");
}

/* deliverd can neither make Unix sockets nor name paths. */
static void ask_mtad(struct lmtp_delivery *v)
{
    struct deliverd *d = v->l->d;
    struct channel *control = daemon_control(d->daemon);
    char name[80];

    snprintf(name, sizeof name, "mailbox:%.64s", v->server->m->head.name);
    v->txn = channel_txn_new(control);
    ipc_begin(&d->out, IPC_HELPER, v->txn);
    ipc_put_text(&d->out, TAG_NAME, SV(name));
    channel_send(control, &d->out);
    loop_timer_set(&v->timer, HELPER_MS);
}

void lmtp_helper_reply(struct lmtp *l, struct ipc_in *in)
{
    struct lmtp_delivery *v = l->first;
    struct strv why = strv_sub(ipc_get(in, TAG_TEXT), 0, 300);
    char text[800];

    while (v && v->txn != in->txn)
        v = v->next;
    if (!v)
        return; /* too late: the descriptor is closed with the frame */
    v->txn = 0;
    loop_timer_stop(&v->timer);
    if (ipc_get_u64(in, TAG_VERDICT) == VERDICT_ACCEPT && in->fd_count) {
        v->c = connection_adopt(l->d, &v->server->route, ipc_take_fd(in, 0), SV(v->server->name),
                                &connection_ops, v);
        return;
    }
    snprintf(text, sizeof text, "connect to %s: %.*s", v->server->name, (int)why.n, why.p);
    server_failed(v, text);
}

/* With a slot. */
static void open_connection(struct lmtp_delivery *v)
{
    const struct conf_target *via = &v->server->m->via;
    struct route r = server_route(v->server);

    v->reused = false;
    if (!lmtp_server_may(v->server, v)) {
        loop_later(v->l->d->loop, &v->task);
        return;
    }
    targets_clear(&v->targets);
    dial_clear(&v->dial);
    buf_reset(&v->later);
    if (via->path) {
        ask_mtad(v);
    } else if (r.kind == ROUTE_ADDRESS) {
        targets_make_address(&r, &v->targets);
        dial_targets(v);
    } else {
        dns_host(&v->ask, v->l->d->dns, r.host, r.family, DNS_DEADLINE_MS, on_hosts, v);
    }
}

static void use_pooled(struct lmtp_delivery *v, struct connection *c)
{
    v->c = c;
    v->reused = true;
    connection_use(c, &connection_ops, v);
    transaction(v);
}

static void on_granted(void *arg, struct connection *c)
{
    struct lmtp_delivery *v = arg;

    v->slot = true;
    if (c)
        use_pooled(v, c);
    else
        open_connection(v);
}

static void on_task(void *arg)
{
    finish_down(arg);
}

/* ---- begin ---- */

static struct lmtp_server *server_of(struct lmtp *l, const struct conf_mailbox *m)
{
    for (size_t i = 0; i < l->server_n; i++)
        if (l->servers[i].m == m)
            return &l->servers[i];
    die("no LMTP server of mailbox %s", m->head.name);
}

static struct lmtp_delivery *delivery_new(struct job *j, const struct conf_mailbox *m, const size_t *rcpts,
                                          size_t n)
{
    struct lmtp_delivery *v = mem_new(sizeof *v);
    struct lmtp *l = j->d->lmtp;

    v->l = l;
    v->server = server_of(l, m);
    v->job = j;
    v->n = v->open = n;
    v->rcpts = mem_array(n, sizeof *v->rcpts);
    memcpy(v->rcpts, rcpts, n * sizeof *rcpts);
    v->todo = mem_new(n);
    v->map = mem_array(n, sizeof *v->map);
    v->addresses = mem_array(n, sizeof *v->addresses);
    v->wait.granted = on_granted;
    v->wait.arg = v;
    v->task = (struct loop_task){ .fn = on_task, .arg = v };
    loop_timer_init(&v->timer, l->d->loop, on_timer, v);
    buf_init(&v->later, 2000);
    v->next = l->first;
    if (v->next)
        v->next->prev = v;
    l->first = v;
    return v;
}

struct lmtp_delivery *lmtp_start(struct job *j, const struct conf_mailbox *m, const size_t *rcpts, size_t n,
                                 const struct lmtp_ops *ops, void *arg)
{
    struct lmtp_delivery *v = delivery_new(j, m, rcpts, n);
    struct deliverd *d = j->d;
    struct connection *c;

    v->ops = ops;
    v->arg = arg;
    switch (pool_get(d->pool, SV(v->server->key), route_share(d->conf, &v->server->route, d->index), &v->wait,
                     &c)) {
    case POOL_CONNECTION:
        v->slot = true;
        use_pooled(v, c);
        break;
    case POOL_OPEN:
        v->slot = true;
        open_connection(v);
        break;
    case POOL_WAIT: break;
    }
    return v;
}

/* ---- life ---- */

struct lmtp *lmtp_new(struct deliverd *d)
{
    struct lmtp *l = mem_new(sizeof *l);

    l->d = d;
    l->servers = mem_array(d->conf->mailbox_n + 1, sizeof *l->servers);
    for (size_t i = 0; i < d->conf->mailbox_n; i++)
        if (d->conf->mailboxes[i]->method == CONF_METHOD_LMTP)
            lmtp_server_init(&l->servers[l->server_n++], d, d->conf->mailboxes[i]);
    return l;
}

void lmtp_free(struct lmtp **l)
{
    if (!*l)
        return;
    free((*l)->servers);
    MEM_FREE(*l);
}
