/* ctl.c - the daemon's side of a control socket: an operator's calls answered with rows */
#include "common/ipc/ctl.h"
#include "common/ipc/rowpack.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/loop.h"
#include "common/os/fd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define IDLE_MS    60000
#define VALUE_MAX  16384u
#define QUEUED_MAX (4u * 1024u * 1024u) /* unread answers: a client that does not read is sent away */

struct client {
    struct ctl_server *server;
    struct channel *ch;    /* owned */
    struct ctl_call *call; /* owned: the open one */
    struct rowpack pack;   /* rows that are not sent yet, of the open call */
    struct loop_task rows_task;
    struct loop_timer idle;
    struct ucred who;
    struct client *next, **at;
};

struct ctl_call {
    struct client *client;
    const struct ctl_act *act;
    uint64_t txn, cursor;
    struct ipc_in in; /* reads the copy */
    char *text;       /* owned: copy of the frame's fields */
    size_t rows;
    void (*gone)(void *data);
    void *data;
};

struct ctl_server {
    struct loop *loop;
    enum role self;
    const struct ctl_act *acts;
    void *arg;
    struct client *clients; /* owned */
    unsigned client_n, number;
    struct ipc_out out;
};

/* ---- arguments ---- */

static bool argument_next(const struct ctl_call *call, const char *name, size_t *at, struct ipc_in *group)
{
    while (ipc_next_group(&call->in, TAG_ITEM, at, group))
        if (strv_is(ipc_get(group, TAG_NAME), name))
            return true;
    return false;
}

static bool argument(const struct ctl_call *call, const char *name, size_t nth, struct ipc_in *group)
{
    size_t at = 0;

    while (argument_next(call, name, &at, group))
        if (nth-- == 0)
            return true;
    return false;
}

bool ctl_text_next(const struct ctl_call *call, const char *name, size_t *at, struct strv *out)
{
    struct ipc_in group;

    if (!argument_next(call, name, at, &group) || !ipc_has(&group, TAG_VALUE))
        return false;
    *out = ipc_get(&group, TAG_VALUE);
    return true;
}

bool ctl_text_nth(const struct ctl_call *call, const char *name, size_t nth, struct strv *out)
{
    struct ipc_in group;

    if (!argument(call, name, nth, &group) || !ipc_has(&group, TAG_VALUE))
        return false;
    *out = ipc_get(&group, TAG_VALUE);
    return true;
}

struct strv ctl_text(const struct ctl_call *call, const char *name)
{
    struct strv value = { NULL, 0 };

    ctl_text_nth(call, name, 0, &value);
    return value;
}

bool ctl_number(const struct ctl_call *call, const char *name, uint64_t *out)
{
    struct ipc_in group;

    if (!argument(call, name, 0, &group) || !ipc_has(&group, TAG_COUNT))
        return false;
    *out = ipc_get_u64(&group, TAG_COUNT);
    return true;
}

const char *ctl_act_name(const struct ctl_call *call)
{
    return call->act->name;
}

uint64_t ctl_cursor(const struct ctl_call *call)
{
    return call->cursor;
}

/* ---- answers ---- */

static void rows_send(struct client *c)
{
    struct ipc_out *o = &c->server->out;

    if (rowpack_rows(&c->pack).n == 0)
        return;
    ipc_begin(o, IPC_CTL_ROWS, c->call->txn);
    ipc_put_bytes(o, TAG_DATA, rowpack_rows(&c->pack));
    rowpack_sent(&c->pack);
    channel_send(c->ch, o);
}

/* Acts that answer over several iterations: what there is at the end of one goes out. */
static void on_rows_task(void *arg)
{
    struct client *c = arg;

    if (c->call)
        rows_send(c);
}

void ctl_row(struct ctl_call *call, const char *kind)
{
    rowpack_begin(&call->client->pack, kind);
}

void ctl_put(struct ctl_call *call, const char *name, struct strv value)
{
    rowpack_text(&call->client->pack, name, strv_sub(value, 0, VALUE_MAX));
}

void ctl_put_u64(struct ctl_call *call, const char *name, uint64_t value)
{
    rowpack_number(&call->client->pack, name, value);
}

void ctl_row_end(struct ctl_call *call)
{
    struct client *c = call->client;

    if (rowpack_is_full(&c->pack))
        rows_send(c);
    rowpack_end(&c->pack);
    call->rows++;
    loop_later(c->server->loop, &c->rows_task);
}

size_t ctl_rows(const struct ctl_call *call)
{
    return call->rows;
}

void ctl_data(struct ctl_call *call, struct strv bytes)
{
    struct ipc_out *o = &call->client->server->out;

    rows_send(call->client);
    while (bytes.n > 0) {
        struct strv piece = strv_sub(bytes, 0, IPC_CHUNK_MAX);

        ipc_begin(o, IPC_CTL_DATA, call->txn);
        ipc_put_bytes(o, TAG_DATA, piece);
        channel_send(call->client->ch, o);
        bytes = strv_from(bytes, piece.n);
    }
}

static void call_free(struct ctl_call *call)
{
    call->client->call = NULL;
    free(call->text);
    free(call);
}

static void call_end(struct ctl_call *call, int code, const char *text, uint64_t cursor)
{
    struct client *c = call->client;
    struct ipc_out *o = &c->server->out;

    rows_send(c);
    ipc_begin(o, IPC_CTL_DONE, call->txn);
    ipc_put_u64(o, TAG_CODE, (uint64_t)code);
    if (text)
        ipc_put_clean(o, TAG_TEXT, SV(text));
    if (cursor)
        ipc_put_u64(o, TAG_CURSOR, cursor);
    channel_send(c->ch, o);
    loop_timer_set(&c->idle, IDLE_MS);
    call_free(call);
}

void ctl_done(struct ctl_call *call, int code, const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    if (fmt) {
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
    }
    call_end(call, code, fmt ? text : NULL, 0);
}

void ctl_more(struct ctl_call *call, uint64_t cursor)
{
    call_end(call, 0, NULL, cursor);
}

unsigned ctl_uid(const struct ctl_call *call)
{
    return (unsigned)call->client->who.uid;
}

void ctl_later(struct ctl_call *call, void (*gone)(void *data), void *data)
{
    call->gone = gone;
    call->data = data;
}

/* ---- calls ---- */

/* Who did what to the host: the socket knows the uid that connected. */
static void call_log(const struct client *c, const struct ctl_call *call)
{
    struct ipc_in group;
    size_t at = 0;
    struct strv what = { NULL, 0 };

    if (ipc_next_group(&call->in, TAG_ITEM, &at, &group) && ipc_has(&group, TAG_VALUE))
        what = ipc_get(&group, TAG_VALUE);
    LOG(INFO, "ctl.call", KS("act", call->act->name), KV("what", what), KI("uid", c->who.uid),
        KI("pid", c->who.pid));
}

static struct ctl_call *call_new(struct client *c, const struct ctl_act *act, const struct ipc_in *in)
{
    struct ctl_call *call = mem_new(sizeof *call);

    call->client = c;
    call->act = act;
    call->txn = in->txn;
    call->cursor = ipc_get_u64(in, TAG_CURSOR);
    call->text = mem_copy(in->fields.p, in->fields.n);
    call->in = *in;
    call->in.fields = strv_make(call->text, in->fields.n);
    call->in.fd_count = 0;
    rowpack_reset(&c->pack);
    c->call = call;
    return call;
}

static void on_call(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct client *c = arg;
    const struct ctl_act *act = c->server->acts;

    if (c->call) {
        channel_break(ch, "a second call before the first one was answered");
        return;
    }
    if (channel_queued_bytes(ch) > QUEUED_MAX) {
        channel_break(ch, "answers are not read");
        return;
    }
    while (act->name && !strv_is(ipc_get(in, TAG_ACT), act->name))
        act++;
    loop_timer_stop(&c->idle);
    if (!act->name) {
        ctl_done(call_new(c, act, in), 64, "this %s does not know that command; is it of another version?",
                 role_name(c->server->self));
        return;
    }
    call_new(c, act, in);
    if (act->changes && !c->call->cursor)
        call_log(c, c->call);
    act->run(c->server->arg, c->call);
}

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    static const struct channel_route routes[] = { { IPC_CTL_CALL, on_call }, { .type = IPC_NONE } };

    channel_dispatch(routes, arg, ch, in);
}

/* ---- clients ---- */

static void client_free(struct client *c)
{
    if (c->call) {
        void (*gone)(void *data) = c->call->gone;
        void *data = c->call->data;

        call_free(c->call);
        if (gone)
            gone(data);
    }
    loop_timer_stop(&c->idle);
    loop_later_cancel(c->server->loop, &c->rows_task);
    rowpack_clear(&c->pack);
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    c->server->client_n--;
    channel_free(&c->ch);
    free(c);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    (void)ch;
    (void)why;
    client_free(arg);
}

static void on_idle(void *arg)
{
    client_free(arg);
}

static const struct channel_ops client_ops = { .frame = on_frame, .lost = on_lost };

struct ctl_server *ctl_server_new(struct loop *loop, enum role self, const struct ctl_act *acts, void *arg)
{
    struct ctl_server *s = mem_new(sizeof *s);

    s->loop = loop;
    s->self = self;
    s->acts = acts;
    s->arg = arg;
    ipc_out_init(&s->out);
    return s;
}

void ctl_server_free(struct ctl_server **sp)
{
    struct ctl_server *s = *sp;

    if (!s)
        return;
    *sp = NULL;
    while (s->clients)
        client_free(s->clients);
    ipc_out_clear(&s->out);
    free(s);
}

void ctl_server_client(struct ctl_server *s, int fd)
{
    socklen_t len = sizeof(struct ucred);
    struct client *c;

    if (s->client_n >= CTL_CLIENTS_MAX) {
        LOG(WARN, "ctl.full", KI("clients", s->client_n));
        fd_close(&fd);
        return;
    }
    c = mem_new(sizeof *c);
    c->server = s;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->who, &len) < 0)
        c->who = (struct ucred){ 0, (uid_t)-1, (gid_t)-1 };
    c->ch = channel_new(s->loop, fd, s->self, ROLE_MTACTL, s->number++ & 255, &client_ops, c);
    rowpack_init(&c->pack);
    c->rows_task = (struct loop_task){ .fn = on_rows_task, .arg = c };
    loop_timer_init(&c->idle, s->loop, on_idle, c);
    loop_timer_set(&c->idle, IDLE_MS);
    c->next = s->clients;
    c->at = &s->clients;
    if (c->next)
        c->next->at = &c->next;
    s->clients = c;
    s->client_n++;
}
