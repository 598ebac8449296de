/* resolver.c - c-ares channels, one per server, and our own walk over them
 *
 * One channel per server, because c-ares 1.18 remembers no bad server (a dead first one costs its timeout on
 * every question) and must run with NOCHECKRESP, or SERVFAIL cannot be told from "nobody there"; with that
 * flag it does no fail-over, so the walk is ours. Its callbacks may run inside ares_send: they only queue
 * what came, the loop goes on.
 */
#include "dnsd/resolver.h"

#include "common/base/buf.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/loop.h"

#include <ares.h>
#include <stdlib.h>

#define BAD_MS   30000 /* a silent server is asked last for so long */
#define PROBE_MS 5000  /* and asked for the root as often */

struct sock {
    struct sock *next;
    struct loop_io io;
    struct upstream *up;
};

struct upstream {
    struct resolver *r;
    struct netaddr addr;
    ares_channel channel;
    struct sock *socks; /* owned */
    struct loop_timer timer;
    int64_t bad_until; /* monotonic ms; 0: good */
    bool silent;       /* said */
    bool probing;
};

struct resolver_query {
    struct resolver_query *next; /* in the finished list */
    struct resolver *r;
    void (*done)(void *arg, struct dns_answer *answer); /* NULL: cancelled */
    void *arg;
    struct dns_answer *answer; /* of the last server, or the best so far; NULL until then */
    unsigned tried;            /* bit per server, this round */
    unsigned rounds;           /* left */
    struct upstream *up;       /* asked now */
    bool busy;                 /* c-ares holds it */
    uint16_t type;
    char name[DNS_NAME_MAX + 1];
};

struct resolver {
    struct loop *loop;
    struct upstream up[RESOLVER_SERVERS_MAX];
    size_t n;
    unsigned attempts;
    struct resolver_query *finished, **finished_end;
    struct loop_task task;
    struct loop_timer probe;
    void (*watch)(void *arg, const char *text);
    void *watch_arg;
    bool dying;
};

/* ---- sockets and time of one channel ---- */

static void rearm(struct upstream *up)
{
    struct timeval tv, *t = ares_timeout(up->channel, NULL, &tv);

    if (!up->r->loop)
        return;
    if (t)
        loop_timer_set(&up->timer, (int64_t)t->tv_sec * 1000 + t->tv_usec / 1000 + 1);
    else
        loop_timer_stop(&up->timer);
}

static void on_timer(void *arg)
{
    struct upstream *up = arg;

    ares_process_fd(up->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    rearm(up);
}

static void on_ready(void *arg, int events)
{
    struct sock *s = arg;
    struct upstream *up = s->up;
    int fd = s->io.fd;

    ares_process_fd(up->channel, events & LOOP_READ ? fd : ARES_SOCKET_BAD,
                    events & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
    rearm(up);
}

static void sock_drop(struct upstream *up, struct sock **at)
{
    struct sock *s = *at;

    *at = s->next;
    loop_io_clear(&s->io);
    /* Perhaps inside its own callback. */
    loop_reap(up->r->loop, free, s);
}

/* c-ares says what it waits for on a socket. */
static void on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct upstream *up = arg;
    struct sock **at = &up->socks;
    int events = (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0);

    if (!up->r->loop)
        return;
    while (*at && (*at)->io.fd != fd)
        at = &(*at)->next;
    if (!events) {
        if (*at)
            sock_drop(up, at);
        return;
    }
    if (!*at) {
        *at = mem_new(sizeof **at);
        (*at)->up = up;
        loop_io_init(&(*at)->io, up->r->loop, fd, on_ready, *at);
    }
    loop_io_set(&(*at)->io, events);
}

/* ---- who answers ---- */

static void tell(struct resolver *r)
{
    char addr[NETADDR_TEXT];
    struct buf text;
    size_t bad = 0;

    for (size_t i = 0; i < r->n; i++)
        bad += r->up[i].silent;
    if (!r->watch || r->dying)
        return;
    if (bad == 0) {
        r->watch(r->watch_arg, NULL);
        return;
    }
    buf_init(&text, 1024);
    buf_addf(&text,
             bad == r->n ? "no resolver answers (%zu of %zu):" : "%zu of %zu resolvers do not answer:", bad,
             r->n);
    for (size_t i = 0; i < r->n; i++) {
        if (!r->up[i].silent)
            continue;
        netaddr_text(&r->up[i].addr, addr, sizeof addr);
        buf_addf(&text, " %s", addr);
    }
    r->watch(r->watch_arg, buf_cstr(&text));
    buf_clear(&text);
}

static void heard(struct upstream *up, bool answered)
{
    if (answered)
        up->bad_until = 0;
    if (up->silent == !answered)
        return;
    up->silent = !answered;
    if (!answered && up->r->loop && !up->r->dying && !loop_timer_is_set(&up->r->probe))
        loop_timer_set(&up->r->probe, PROBE_MS);
    tell(up->r);
}

static void on_probed(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
    struct upstream *up = arg;

    (void)timeouts;
    up->probing = false;
    if (!up->r->dying && status == ARES_SUCCESS && bytes && len > 0)
        heard(up, true);
}

static void probe(struct upstream *up)
{
    unsigned char *bytes = NULL;
    unsigned short id;
    int len = 0;

    rand_bytes(&id, sizeof id);
    if (ares_create_query(".", 1, DNS_TYPE_NS, id, 1, &bytes, &len, DNS_UDP_SIZE) == ARES_SUCCESS) {
        up->probing = true;
        ares_send(up->channel, bytes, len, on_probed, up);
        rearm(up);
    }
    if (bytes)
        ares_free_string(bytes);
}

static void on_probe(void *arg)
{
    struct resolver *r = arg;
    bool any = false;

    for (size_t i = 0; i < r->n; i++) {
        any |= r->up[i].silent;
        if (r->up[i].silent && !r->up[i].probing)
            probe(&r->up[i]);
    }
    if (any)
        loop_timer_set(&r->probe, PROBE_MS);
}

void resolver_watch(struct resolver *r, void (*fn)(void *arg, const char *text), void *arg)
{
    r->watch = fn;
    r->watch_arg = arg;
}

/* ---- the walk over the servers ---- */

/* The best server not tried in this round: in the order configured, bad ones behind good ones, the one that
   has been bad longest first. */
static struct upstream *choose(struct resolver_query *q)
{
    struct resolver *r = q->r;
    int64_t now = loop_now(r->loop);
    struct upstream *best = NULL;

    for (size_t i = 0; i < r->n; i++) {
        struct upstream *up = &r->up[i];

        if (q->tried & (1u << i))
            continue;
        if (up->bad_until <= now)
            return up;
        if (!best || up->bad_until < best->bad_until)
            best = up;
    }
    return best;
}

static void finish_later(struct resolver_query *q)
{
    struct resolver *r = q->r;

    q->next = NULL;
    *r->finished_end = q;
    r->finished_end = &q->next;
    loop_later(r->loop, &r->task);
}

static void set_answer(struct resolver_query *q, struct dns_answer *a)
{
    dns_answer_unref(&q->answer);
    q->answer = a;
}

/* c-ares is through with the query, one way or the other; perhaps we are inside ares_send. */
static void on_ares(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
    struct resolver_query *q = arg;
    struct dns_answer *a;

    (void)timeouts;
    q->busy = false;
    if (q->r->dying) {
        dns_answer_unref(&q->answer);
        free(q);
        return;
    }
    if (status == ARES_SUCCESS && bytes && len > 0) {
        heard(q->up, true);
        a = dns_message_parse(strv_make((const char *)bytes, (size_t)len), SV(q->name), q->type);
    } else {
        if (q->up->bad_until <= loop_now(q->r->loop) &&
            (status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED)) {
            char text[NETADDR_TEXT];

            netaddr_text(&q->up->addr, text, sizeof text);
            LOG(WARN, "dns.server.bad", KS("server", text), KS("error", ares_strerror(status)));
            q->up->bad_until = loop_now(q->r->loop) + BAD_MS;
            heard(q->up, false);
        }
        a = dns_answer_temp(status == ARES_ETIMEOUT ? "no answer from the resolver in time"
                                                    : "resolver cannot be reached");
        a->other_server = true;
    }
    /* What a server said (SERVFAIL) tells more than another one's silence. */
    if (q->answer && q->answer->status == DNS_TEMPFAIL && a->status == DNS_TEMPFAIL && status != ARES_SUCCESS)
        dns_answer_unref(&a);
    else
        set_answer(q, a);
    finish_later(q);
}

static void send_to(struct resolver_query *q, struct upstream *up)
{
    unsigned char *bytes = NULL;
    unsigned short id;
    int len = 0;

    q->tried |= 1u << (up - q->r->up);
    q->up = up;
    rand_bytes(&id, sizeof id); /* ares_send takes the ID as it is */
    if (ares_create_query(q->name, 1, q->type, id, 1, &bytes, &len, DNS_UDP_SIZE) != ARES_SUCCESS ||
        len < 12) {
        /* A name that c-ares cannot write does not exist either. */
        if (bytes)
            ares_free_string(bytes);
        set_answer(q, dns_answer_status(DNS_NXDOMAIN, 60));
        finish_later(q);
        return;
    }
    bytes[3] |= 0x20; /* AD: tell us whether you validated; DO would only bring signatures along */
    q->busy = true;
    ares_send(up->channel, bytes, len, on_ares, q); /* may call back at once: q belongs to the list then */
    ares_free_string(bytes);
    rearm(up);
}

/* True when another server is asked. */
static bool try_next(struct resolver_query *q)
{
    struct upstream *up = choose(q);

    if (!up && q->rounds > 0) {
        q->rounds--;
        q->tried = 0;
        up = choose(q);
    }
    if (up)
        send_to(q, up);
    return up;
}

static void query_free(struct resolver_query *q)
{
    dns_answer_unref(&q->answer);
    free(q);
}

static void on_finished(void *arg)
{
    struct resolver *r = arg;
    struct resolver_query *q = r->finished, *next;

    r->finished = NULL;
    r->finished_end = &r->finished;
    for (; q; q = next) {
        next = q->next;
        if (!q->done) {
            query_free(q);
            continue;
        }
        if (q->answer->status == DNS_TEMPFAIL && q->answer->other_server && try_next(q))
            continue;
        q->done(q->arg, q->answer);
        query_free(q);
    }
}

struct resolver_query *resolver_ask(struct resolver *r, struct strv name, uint16_t type,
                                    void (*done)(void *arg, struct dns_answer *answer), void *arg)
{
    struct resolver_query *q = mem_new(sizeof *q);

    q->r = r;
    q->done = done;
    q->arg = arg;
    q->type = type;
    q->rounds = r->attempts - 1;
    strv_cstr(name, q->name, sizeof q->name);
    try_next(q);
    return q;
}

void resolver_cancel(struct resolver_query *q)
{
    /* c-ares 1.18 cannot cancel one query: it ends by itself, and is freed then. */
    if (q)
        q->done = NULL;
}

/* ---- life ---- */

static bool channel_open(struct upstream *up, int64_t timeout_ms, struct err *err)
{
    struct ares_options o = { 0 };
    char text[NETADDR_TEXT], lookups[] = "b";
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
               ARES_OPT_EDNSPSZ | ARES_OPT_LOOKUPS;
    int status;

    o.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP |
              ARES_FLAG_STAYOPEN;
    o.timeout = (int)timeout_ms;
    o.tries = 1;
    o.sock_state_cb = on_sock_state;
    o.sock_state_cb_data = up;
    o.ednspsz = DNS_UDP_SIZE;
    o.lookups = lookups;
    status = ares_init_options(&up->channel, &o, mask);
    if (status != ARES_SUCCESS) {
        up->channel = NULL;
        return err_set(err, ERR_TEMP, "start c-ares: %s", ares_strerror(status));
    }
    netaddr_text(&up->addr, text, sizeof text);
    status = ares_set_servers_ports_csv(up->channel, text);
    if (status != ARES_SUCCESS)
        return err_set(err, ERR_CONF, "resolver %s: %s", text, ares_strerror(status));
    return true;
}

struct resolver *resolver_new(const struct resolver_options *o, struct err *err)
{
    struct resolver *r = mem_new(sizeof *r);

    r->finished_end = &r->finished;
    r->attempts = o->attempts ? o->attempts : 1;
    r->task.fn = on_finished;
    r->task.arg = r;
    for (size_t i = 0; i < o->servers->n && r->n < RESOLVER_SERVERS_MAX; i++) {
        struct upstream *up = &r->up[r->n++];

        up->r = r;
        up->addr = o->servers->v[i];
        if (!channel_open(up, o->timeout_ms, err)) {
            resolver_free(&r);
            return NULL;
        }
    }
    if (r->n == 0) {
        err_set(err, ERR_CONF, "no resolver is configured (dns.servers)");
        resolver_free(&r);
    }
    return r;
}

void resolver_start(struct resolver *r, struct loop *loop)
{
    r->loop = loop;
    for (size_t i = 0; i < r->n; i++)
        loop_timer_init(&r->up[i].timer, loop, on_timer, &r->up[i]);
    loop_timer_init(&r->probe, loop, on_probe, r);
}

void resolver_free(struct resolver **rp)
{
    struct resolver *r = *rp;

    if (!r)
        return;
    r->dying = true;
    for (size_t i = 0; i < r->n; i++) {
        if (r->loop)
            loop_timer_stop(&r->up[i].timer);
        if (r->up[i].channel)
            ares_destroy(r->up[i].channel);
        while (r->up[i].socks)
            sock_drop(&r->up[i], &r->up[i].socks);
    }
    if (r->loop) {
        loop_timer_stop(&r->probe);
        loop_later_cancel(r->loop, &r->task);
    }
    for (struct resolver_query *q = r->finished, *next; q; q = next) {
        next = q->next;
        query_free(q);
    }
    MEM_FREE(*rp);
}
