/* mapd.c - the program mapd: all tables of the host, for smtpd, cleanup, deliverd and mtad */
#include "maps/server.h"

#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/proc/daemon.h"
#include "maps/tables.h"

#include <stdlib.h>

/* What mtad was asked for. */
struct request {
    char *name, *map;
};

static struct mapd mapd;
static struct dict *requests; /* txn -> struct request */

static void request_free(void *value)
{
    struct request *r = value;

    free(r->name);
    free(r->map);
    free(r);
}

static void ask_mtad(void *arg, const char *name, const char *map)
{
    struct daemon *d = arg;
    struct request *r = mem_new(sizeof *r);
    uint64_t txn = channel_txn_new(daemon_control(d));

    r->name = mem_str(name);
    r->map = mem_str(map);
    dict_set_u64(requests, txn, r);
    ipc_begin(&mapd.out, IPC_HELPER, txn);
    ipc_put_text(&mapd.out, TAG_NAME, SV(name));
    channel_send(daemon_control(d), &mapd.out);
}

static void on_snapshot(struct daemon *d, struct ipc_in *in)
{
    ipc_begin(&mapd.out, IPC_SNAPSHOT, 0);
    ipc_put_u64(&mapd.out, TAG_GENERATION, ipc_get_u64(in, TAG_GENERATION));
    channel_send(daemon_control(d), &mapd.out);
}

static void on_control(struct daemon *d, struct ipc_in *in)
{
    struct tables_answer answer;
    struct request *r;

    (void)d;
    if (in->type == IPC_SNAPSHOT && !ipc_get_u64(in, TAG_LAST))
        on_snapshot(d, in);
    if (in->type != IPC_HELPER_REPLY)
        return;
    r = dict_pop_u64(requests, in->txn);
    if (!r)
        return;
    answer = (struct tables_answer){ .fd = ipc_take_fd(in, 0),
                                     .why = ipc_get(in, TAG_TEXT),
                                     .never = ipc_get_u64(in, TAG_VERDICT) == VERDICT_REFUSE };
    tables_helper(mapd.tables, r->name, r->map, &answer);
    request_free(r);
}

/* The first edge comes before start. */
static void service(struct daemon *d)
{
    if (mapd.conf)
        return;
    mapd_init(&mapd, daemon_conf(d), daemon_loop(d));
    requests = dict_new();
    mapd.tables = tables_new(daemon_conf(d), daemon_loop(d), ask_mtad, d);
}

static bool on_start(struct daemon *d, struct err *err)
{
    (void)err;
    service(d);
    for (struct daemon_source *s = daemon_sources(d); s; s = s->next) {
        if (s->kind != SOURCE_MAP || s->fd < 0)
            continue;
        tables_source(mapd.tables, SV(s->name), s->fd, true);
        s->fd = -1;
    }
    return true;
}

static void on_source(struct daemon *d, struct daemon_source *s)
{
    (void)d;
    if (s->kind != SOURCE_MAP)
        return;
    tables_source(mapd.tables, SV(s->name), s->fd, false);
    s->fd = -1;
}

static void on_edge(struct daemon *d, enum role peer, unsigned index, int fd, bool lived)
{
    (void)lived;
    service(d);
    mapd_edge(&mapd, peer, index, fd);
}

/* Everybody else has left by then: mtad drains mapd last. */
static void on_drain(struct daemon *d, int64_t deadline_ms)
{
    (void)deadline_ms;
    daemon_exit(d, 0);
}

int main(int argc, char **argv)
{
    static const struct daemon_spec spec = {
        .name = "mapd",
        .role = ROLE_MAPD,
        .start = on_start,
        .edge = on_edge,
        .drain = on_drain,
        .source = on_source,
        .control = on_control,
    };

    return daemon_main(&spec, argc, argv);
}
