/* server.c - listeners, sessions and their limits, peers, drain */
#include "smtpd/server.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/net/listener.h"
#include "common/net/loop.h"
#include "common/net/stream.h"
#include "common/net/tls.h"
#include "dnsd/client.h"
#include "smtpd/clients.h"
#include "smtpd/deadline.h"
#include "smtpd/session.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A few connections per wake-up, so that the other processes get theirs. */
#define ACCEPT_BATCH 8
/* Sessions that only wait for us to say something are told to come back after this; their next command would
   hear the same. */
#define DRAIN_IDLE_MS 3000
/* For last words on their way after the last session. */
#define DRAIN_LAST_MS 300
/* Refused connections come in floods: one line per second and listener, with the number of those left out. */
#define REFUSED_LOG_MS 1000

struct port { /* one listening socket */
    struct port *next;
    struct server *server;
    struct service service;
    struct clients clients;
    struct listener *listener; /* owned; NULL while draining */
    unsigned sessions;
    enum server_room room;
    int64_t crowded_at;
    int64_t refused_at;
    uint64_t refused_silent;
};

/* A connection counts until its descriptor is closed, which is later than the end of its session: a client
   that does not close its side would otherwise hold more descriptors than the limits allow. */
struct slot {
    struct slot *next, **at;
    struct port *port; /* NULL: the server is gone */
    struct netaddr client;
};

struct server {
    struct session_host host;
    const struct conf *conf;
    struct tls_context **tls; /* owned, as conf->listens; NULL: none */
    struct port *ports;       /* owned list */
    struct session *sessions; /* list; sessions own themselves until they end */
    struct slot *slots;       /* list; each belongs to its stream */
    unsigned live;            /* sessions */
    unsigned count, max;      /* slots */
    bool retired;             /* another process has the listeners; ends with its last session */
    bool draining;
    struct loop_timer idle, last; /* of a drain */
    void (*watch)(void *arg, const char *listener, enum server_room room); /* NULL: nobody */
    void *watch_arg;
    void (*over)(void *arg);
    void *arg;
};

/* --- room --- */

/* Tenths of the listener's sessions, or of the process's, that are taken. */
static bool is_taken(const struct port *p, unsigned tenths)
{
    const struct server *sv = p->server;

    return p->sessions * 10ull >= (uint64_t)p->service.listen->max_sessions * tenths ||
           sv->count * 10ull >= (uint64_t)sv->max * tenths;
}

/* Each state is left later than it is entered: not with each connection that comes and ends. */
static enum server_room room_now(const struct port *p, bool refused)
{
    if (refused)
        return ROOM_NONE;
    if (p->room == ROOM_NONE && is_taken(p, 9))
        return ROOM_NONE;
    return is_taken(p, p->room == ROOM_ENOUGH ? 8 : 7) ? ROOM_LITTLE : ROOM_ENOUGH;
}

/* Those that wait already get their time anew. */
static void crowd_tell(struct port *p, bool crowded)
{
    struct server *sv = p->server;
    int64_t now = loop_now(sv->host.loop);

    if (p->service.crowded == crowded)
        return;
    p->service.crowded = crowded;
    if (crowded) {
        p->crowded_at = now;
        LOG(WARN, "smtp.crowd.begun", KS("listener", p->service.listen->head.name),
            KI("sessions", p->sessions), KI("limit", p->service.listen->max_sessions));
    } else {
        LOG(INFO, "smtp.crowd.ended", KS("listener", p->service.listen->head.name),
            KI("sessions", p->sessions), KMS("time", now - p->crowded_at));
    }
    metric_set(METRIC_CROWDED, 0, metric_cells[METRIC_CROWDED][0] + (crowded ? 1 : (uint64_t)-1));
    for (struct session *s = sv->sessions; s; s = s->next) {
        if (s->owner == p)
            deadline_again(s);
    }
}

static void room_tell(struct port *p, bool refused)
{
    struct server *sv = p->server;
    enum server_room room = room_now(p, refused);

    if (p->room == room)
        return;
    p->room = room;
    crowd_tell(p, room != ROOM_ENOUGH);
    if (sv->watch)
        sv->watch(sv->watch_arg, p->service.listen->head.name, room);
}

/* Sessions of one listener take room of the others, too. */
static void room_look(struct server *sv)
{
    for (struct port *p = sv->ports; p; p = p->next)
        room_tell(p, false);
}

void server_watch(struct server *sv, void (*fn)(void *arg, const char *listener, enum server_room room),
                  void *arg)
{
    sv->watch = fn;
    sv->watch_arg = arg;
}

/* --- sessions --- */

static void drain_last(void *arg)
{
    struct server *sv = arg;

    sv->over(sv->arg);
}

static void on_closed(void *arg)
{
    struct slot *slot = arg;
    struct port *p = slot->port;

    *slot->at = slot->next;
    if (slot->next)
        slot->next->at = slot->at;
    if (p) {
        p->server->count--;
        p->sessions--;
        clients_remove(&p->clients, &slot->client);
        room_look(p->server);
        if (p->listener)
            listener_resume(p->listener);
    }
    free(slot);
}

static void slot_take(struct port *p, const struct netaddr *client, struct stream *stream)
{
    struct slot *slot = mem_new(sizeof *slot);
    struct server *sv = p->server;

    *slot = (struct slot){ .next = sv->slots, .at = &sv->slots, .port = p, .client = *client };
    if (slot->next)
        slot->next->at = &slot->next;
    sv->slots = slot;
    sv->count++;
    p->sessions++;
    stream_on_closed(stream, on_closed, slot);
}

/* Of connections that are being closed. */
static void slots_orphan(struct server *sv)
{
    while (sv->slots) {
        struct slot *slot = sv->slots;

        sv->slots = slot->next;
        slot->port = NULL;
        slot->next = NULL;
        slot->at = &slot->next;
    }
}

static void on_session_ended(void *arg, struct session *s)
{
    struct server *sv = arg;

    if (s->prev)
        s->prev->next = s->next;
    else
        sv->sessions = s->next;
    if (s->next)
        s->next->prev = s->prev;
    sv->live--;
    if ((sv->draining || sv->retired) && sv->live == 0)
        loop_timer_set(&sv->last, DRAIN_LAST_MS);
}

static void log_refused(struct port *p, const struct netaddr *peer, enum reply_id id)
{
    int64_t now = loop_now(p->server->host.loop);
    char client[NETADDR_TEXT];

    if (p->refused_at != 0 && now - p->refused_at < REFUSED_LOG_MS) {
        p->refused_silent++;
        return;
    }
    netaddr_ip_text(peer, client, sizeof client);
    LOG(WARN, "smtp.connection.refused", KS("listener", p->service.listen->head.name), KS("client", client),
        KI("code", reply_table[id].code), KS("rule", reply_table[id].name), KI("sessions", p->sessions),
        KI("suppressed", p->refused_silent));
    p->refused_at = now;
    p->refused_silent = 0;
}

/* One small write into an empty socket buffer; a client too slow for that does not read the reply either. */
static void refuse_connection(struct port *p, int fd, const struct netaddr *peer, enum reply_id id)
{
    struct buf *text = &p->service.scratch;

    log_refused(p, peer, id);
    buf_reset(text);
    reply_put(text, id, strv_make("", 0));
    (void)send(fd, text->data, text->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    close(fd);
}

static void on_accept(void *arg, int fd, const struct netaddr *peer)
{
    struct port *p = arg;
    struct server *sv = p->server;
    const struct conf_listen *limit = p->service.listen;
    struct session *s;

    if (sv->count >= sv->max || p->sessions >= limit->max_sessions) {
        room_tell(p, true);
        refuse_connection(p, fd, peer, RE_BUSY);
        return;
    }
    if (clients_add(&p->clients, peer) > limit->max_sessions_per_client) {
        clients_remove(&p->clients, peer);
        refuse_connection(p, fd, peer, RE_BUSY_CLIENT);
        return;
    }
    s = session_new(&sv->host, &p->service, fd, peer);
    s->owner = p;
    s->next = sv->sessions;
    if (s->next)
        s->next->prev = s;
    sv->sessions = s;
    sv->live++;
    slot_take(p, peer, s->stream);
    room_look(sv);
    session_begin(s);
}

/* --- peers --- */

void server_dns(struct server *sv, int fd)
{
    dns_client_edge(sv->host.dns, fd);
}

void server_maps(struct server *sv, int fd, uint64_t snapshot)
{
    maps_client_snapshot(sv->host.maps, snapshot);
    maps_client_edge(sv->host.maps, fd);
}

void server_cleanup(struct server *sv, int fd, unsigned index)
{
    struct session *next;

    tx_link_set(sv->host.link, fd, index);
    for (struct session *s = sv->sessions; s; s = next) {
        next = s->next;
        session_cleanup(s);
    }
}

void server_tls(struct server *sv, size_t listen, struct tls_context *tls)
{
    tls_context_unref(&sv->tls[listen]);
    sv->tls[listen] = tls ? tls_context_ref(tls) : NULL;
}

static struct tls_context *server_tls_of(const struct server *sv, const struct conf_listen *listen)
{
    for (size_t i = 0; i < sv->conf->listen_n; i++)
        if (sv->conf->listens[i] == listen)
            return sv->tls[i];
    return NULL;
}

/* --- life --- */

static void drain_idle(void *arg)
{
    struct server *sv = arg;
    struct session *next;

    for (struct session *s = sv->sessions; s; s = next) {
        next = s->next;
        session_shut(s);
    }
}

struct server *server_new(struct loop *l, const struct conf *conf, unsigned session_max,
                          void (*over)(void *arg), void *arg)
{
    struct server *sv = mem_new(sizeof *sv);

    sv->conf = conf;
    sv->tls = mem_array(conf->listen_n, sizeof *sv->tls);
    sv->max = session_max;
    sv->over = over;
    sv->arg = arg;
    sv->host = (struct session_host){
        .loop = l,
        .link = tx_link_new(l, &session_tx_events),
        .dns = dns_client_new(l, ROLE_SMTPD),
        .maps = maps_client_new(l, ROLE_SMTPD),
        .ended = on_session_ended,
        .arg = sv,
    };
    loop_timer_init(&sv->idle, l, drain_idle, sv);
    loop_timer_init(&sv->last, l, drain_last, sv);
    return sv;
}

bool server_listen(struct server *sv, const char *name, int fd)
{
    const struct conf_listen *listen = conf_listen_find(sv->conf, SV(name));
    struct port *p;

    if (!listen) {
        close(fd);
        return false;
    }
    p = mem_new(sizeof *p);
    p->server = sv;
    service_init(&p->service, sv->conf, listen);
    p->service.context = server_tls_of(sv, listen);
    service_set_tls(&p->service, p->service.context != NULL);
    clients_init(&p->clients);
    p->listener = listener_new(sv->host.loop, fd, ACCEPT_BATCH, on_accept, p);
    p->next = sv->ports;
    sv->ports = p;
    return true;
}

void server_retire(struct server *sv)
{
    if (sv->retired || sv->draining)
        return;
    sv->retired = true;
    for (struct port *p = sv->ports; p; p = p->next)
        listener_hand_over(&p->listener);
    if (sv->live == 0)
        loop_timer_set(&sv->last, DRAIN_LAST_MS);
}

void server_drain(struct server *sv, int64_t deadline_ms)
{
    int64_t idle_ms = deadline_ms / 2 < DRAIN_IDLE_MS ? deadline_ms / 2 : DRAIN_IDLE_MS;

    if (sv->draining)
        return;
    sv->draining = true;
    for (struct port *p = sv->ports; p; p = p->next)
        listener_free(&p->listener);
    for (struct session *s = sv->sessions; s; s = s->next)
        session_drain(s);
    if (sv->live == 0) {
        loop_timer_set(&sv->last, 0);
    } else {
        loop_timer_set(&sv->idle, idle_ms);
    }
}

unsigned server_sessions(const struct server *sv)
{
    return sv->live;
}

void server_free(struct server **svp)
{
    struct server *sv = *svp;

    if (!sv)
        return;
    while (sv->sessions)
        session_kill(sv->sessions);
    slots_orphan(sv);
    loop_timer_stop(&sv->idle);
    loop_timer_stop(&sv->last);
    while (sv->ports) {
        struct port *p = sv->ports;

        sv->ports = p->next;
        listener_free(&p->listener);
        service_clear(&p->service);
        clients_clear(&p->clients);
        free(p);
    }
    tx_link_free(&sv->host.link);
    dns_client_free(&sv->host.dns);
    maps_client_free(&sv->host.maps);
    for (size_t i = 0; i < sv->conf->listen_n; i++)
        tls_context_unref(&sv->tls[i]);
    free(sv->tls);
    MEM_FREE(*svp);
}
