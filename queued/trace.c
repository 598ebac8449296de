/* trace.c - sendmail -v: what becomes of one message, told while it happens to who submitted it */
#include "queued/trace.h"

#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "conf/queue.h"
#include "queued/result_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRACES_MAX 32u
#define BYTES_MAX  (1024u * 1024u) /* of one; it is a person who reads */
#define KEEP_MS    600000          /* postdrop reads for half of that */
#define NAME_SIZE  80u
#define LINE_SIZE  2200u

struct trace {
    struct trace *next;
    int fd;       /* owned */
    uint64_t id;  /* 0: not in the queue yet */
    uint64_t txn; /* of the job that spoke last */
    unsigned deliverd;
    size_t bytes;
    int64_t until;
    char name[NAME_SIZE];
};

struct traces {
    struct trace *first;
    unsigned n;
    struct loop_task task;
};

static void trace_free(struct traces *ts, struct trace **at)
{
    struct trace *t = *at;

    *at = t->next;
    ts->n--;
    fd_close(&t->fd);
    free(t);
}

/* One line. The reader makes it safe for a terminal. */
static void say(struct trace *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct trace *t, const char *fmt, ...)
{
    char line[LINE_SIZE];
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line - 1, fmt, ap);
    va_end(ap);
    n = strlen(line);
    line[n++] = '\n';
    if (t->fd < 0 || (t->bytes += n) > BYTES_MAX)
        return;
    /* A full pipe loses lines; a closed one is done with. */
    if (write(t->fd, line, n) < 0 && errno != EAGAIN && errno != EINTR)
        fd_close(&t->fd);
}

/* A line that no other can be: the reader knows that nothing was cut off. */
static void over(struct traces *ts, struct trace **at)
{
    say(*at, ".");
    trace_free(ts, at);
}

static struct trace **find_name(struct traces *ts, struct strv name)
{
    for (struct trace **at = &ts->first; *at; at = &(*at)->next)
        if (strv_is(name, (*at)->name))
            return at;
    return NULL;
}

static struct trace *find_id(const struct mailq *q, uint64_t id)
{
    for (struct trace *t = q->traces ? q->traces->first : NULL; t; t = t->next)
        if (t->id == id)
            return t;
    return NULL;
}

/* ---- the end of the first attempt ---- */

/* Why nothing more is to be told; NULL: something is. */
static const char *is_over(struct mailq *q, uint64_t id)
{
    uint32_t handle = ledger_find(&q->ledger, id);
    bool waits = false;
    struct message *m;

    if (!handle)
        return "";
    m = ledger_at(&q->ledger, handle);
    if (m->flags & (MESSAGE_HELD | MESSAGE_DAMAGED))
        return "the message is held in the queue by the operator";
    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        unsigned state = message_rcpt(m, i)->state;

        waits |= state == RCPT_WAIT;
        if (state == RCPT_OPEN || state == RCPT_RUNNING)
            return q->ledger.paused || !q->conf->deliver
                       ? "the message is in the queue; the operator has paused deliveries"
                       : NULL;
    }
    return waits ? "the message is in the queue and is tried again by itself" : "";
}

static void on_task(void *arg)
{
    struct mailq *q = arg;
    struct trace **at = &q->traces->first;

    while (*at) {
        const char *why = (*at)->id ? is_over(q, (*at)->id) : NULL;

        if (!why) {
            at = &(*at)->next;
            continue;
        }
        if (*why)
            say(*at, "%s", why);
        over(q->traces, at);
    }
}

static void look_soon(const struct mailq *q)
{
    loop_later(q->loop, &q->traces->task);
}

/* ---- from drop/ ---- */

static void forget_old(struct mailq *q)
{
    struct trace **at = &q->traces->first;

    while (*at) {
        if ((*at)->until < loop_now(q->loop) || (*at)->fd < 0)
            trace_free(q->traces, at);
        else
            at = &(*at)->next;
    }
}

void trace_open(struct mailq *q, int dir, const char *name)
{
    size_t n = strlen(name);
    char path[NAME_SIZE];
    struct trace *t;
    struct stat st;
    int fd;

    if (n < 2 || name[n - 1] != TRACE_MARK ||
        (size_t)snprintf(path, sizeof path, ".%s.t", name) >= sizeof path)
        return;
    if (!q->traces) {
        q->traces = mem_new(sizeof *q->traces);
        q->traces->task = (struct loop_task){ .fn = on_task, .arg = q };
    }
    forget_old(q);
    if (q->traces->n >= TRACES_MAX || find_name(q->traces, SV(name)))
        return;
    fd = file_openat(dir, path, O_WRONLY, 0); /* does not block: ENXIO when nobody reads */
    if (fd < 0)
        return;
    unlinkat(dir, path, 0);
    if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode)) {
        fd_close(&fd);
        return;
    }
    t = mem_new(sizeof *t);
    t->fd = fd;
    t->until = loop_now(q->loop) + KEEP_MS;
    snprintf(t->name, sizeof t->name, "%s", name);
    t->next = q->traces->first;
    q->traces->first = t;
    q->traces->n++;
    say(t, "taken by the mail host");
}

void trace_refused(struct mailq *q, const char *name, const char *why)
{
    struct trace **at = q->traces ? find_name(q->traces, SV(name)) : NULL;

    if (!at)
        return;
    say(*at, "not now, it is tried again: %s", why);
    over(q->traces, at);
}

void trace_stored(struct mailq *q, struct strv origin, uint64_t id)
{
    struct strv name = strv_starts(origin, SV_LIT("drop/")) ? strv_from(origin, 5) : SV_LIT("");
    struct trace **at = q->traces && name.n ? find_name(q->traces, name) : NULL;
    char text[ID_TEXT_SIZE];

    if (!at)
        return;
    id_text(id, text);
    (*at)->id = id;
    say(*at, "in the queue as %s", text);
    look_soon(q);
}

/* ---- from deliverd ---- */

bool trace_wanted(const struct mailq *q, uint64_t id)
{
    const struct trace *t = find_id(q, id);

    return t && t->fd >= 0; /* closed: nobody looks any more */
}

void trace_on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    static const char *const marks[] = { "", ">>> ", "<<< " };
    struct mailq *q = arg;
    struct trace *t = find_id(q, ipc_get_u64(in, TAG_ID));
    struct strv text = strv_sub(ipc_get(in, TAG_TEXT), 0, 2000), dest = ipc_get(in, TAG_DEST);

    if (!t)
        return;
    /* Recipients at several places are served at the same time: whose lines are these? */
    if (t->txn != in->txn || t->deliverd != channel_peer_index(ch))
        say(t, "=== %.*s", (int)dest.n, dest.n ? dest.p : "");
    t->txn = in->txn;
    t->deliverd = channel_peer_index(ch);
    say(t, "%s%.*s", marks[ipc_get_u64(in, TAG_KIND) % 3], (int)text.n, text.n ? text.p : "");
}

void trace_result(const struct mailq *q, const struct result_line *l)
{
    static const char *const words[] = {
        [OUTCOME_DELIVERED] = "Sent",
        [OUTCOME_FAILED] = "Failed",
        [OUTCOME_DEFERRED] = "Deferred",
    };
    struct trace *t = find_id(q, l->id);
    struct strv relay = strv_sub(l->v->relay, 0, 400), reply = strv_sub(l->v->reply, 0, 1200);
    struct strv to = strv_sub(l->to, 0, 400);

    if (!t)
        return;
    say(t, "%.*s... %s%s%.*s%s%.*s", (int)to.n, to.n ? to.p : "", words[l->v->outcome],
        relay.n ? " via " : "", (int)relay.n, relay.n ? relay.p : "", reply.n ? ": " : "", (int)reply.n,
        reply.n ? reply.p : "");
    look_soon(q);
}

void trace_clear(struct mailq *q)
{
    if (!q->traces)
        return;
    loop_later_cancel(q->loop, &q->traces->task);
    while (q->traces->first)
        trace_free(q->traces, &q->traces->first);
    free(q->traces);
    q->traces = NULL;
}
