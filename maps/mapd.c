/* mapd.c - the program mapd: all tables of the host, for smtpd, cleanup, deliverd and mtad */
#include "maps/server.h"

#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/proc/daemon.h"
#include "common/proc/source_conf.h"
#include "conf/conf.h"
#include "maps/ctl.h"
#include "maps/salt_key.h"
#include "maps/snapshot.h"
#include "maps/tables.h"

#include <stdio.h>
#include <stdlib.h>

/* What mtad was asked for. */
struct request {
    char *name, *map;
};

#define READING_MS 20 /* between two looks at tables that are being read */

static struct mapd mapd;
static struct loop_timer reading; /* of the newest configuration */
static bool started; /* all tables were read once */
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

static void snapshot_answer(struct daemon *d, uint64_t number, const char *why)
{
    ipc_begin(&mapd.out, IPC_SNAPSHOT, 0);
    ipc_put_u64(&mapd.out, TAG_GENERATION, number);
    if (why)
        ipc_put_clean(&mapd.out, TAG_TEXT, SV(why));
    channel_send(daemon_control(d), &mapd.out);
}

static const char *trouble_name(const struct map *m, char dst[64])
{
    snprintf(dst, 64, "table %.50s", m->conf->head.name);
    return dst;
}

/* A table that the next configuration has no more is no trouble either. */
static void troubles_end(struct daemon *d, const struct tables *former)
{
    char what[64];
    struct map *m;

    for (size_t i = 0; (m = tables_at(former, i)); i++) {
        if (!tables_find(mapd.snapshots->tables, SV(m->conf->head.name)))
            daemon_trouble(d, trouble_name(m, what), NULL, NULL);
    }
}

static void on_tables(void *arg)
{
    struct daemon *d = arg;
    struct map *m;
    char what[64];
    struct buf text;

    for (size_t i = 0; started && (m = tables_at(mapd.tables, i)); i++) {
        bool bad = !m->ops->worker && (m->failed[0] || !m->ready);

        buf_init(&text, 2048);
        buf_addf(&text, "%s: %s", mapd_state_word(m), m->failed[0] ? m->failed : m->why);
        daemon_trouble(d, trouble_name(m, what), bad ? buf_cstr(&text) : NULL,
                       "mend the source, then: mtactl map reload");
        buf_clear(&text);
    }
}

/* The next generation begins when its tables can answer: until then it would only hear that they cannot. */
static void on_reading(void *arg)
{
    struct snapshot *s = mapd.snapshots;
    const char *why;

    if (!s || !s->complete || s->told)
        return;
    if (!tables_are_read(s->tables, &why)) {
        loop_timer_set(&reading, READING_MS);
        return;
    }
    s->told = true;
    if (!why) {
        troubles_end(arg, mapd.tables);
        snapshot_use(&mapd, s);
        on_tables(arg);
    }
    snapshot_answer(arg, s->number, why);
}

static void on_snapshot(struct daemon *d, struct ipc_in *in)
{
    uint64_t number = ipc_get_u64(in, TAG_GENERATION);
    struct snapshot *s = snapshot_find(&mapd, number);

    if (ipc_get_u64(in, TAG_LAST)) {
        snapshot_forget(&mapd, number);
        return;
    }
    if (!s) {
        snapshot_answer(d, number, "mapd could not read the configuration");
        return;
    }
    s->complete = true;
    on_reading(d);
}

static void conf_came(struct daemon_source *source)
{
    struct err err;
    struct conf *conf = source_conf_take(source, ROLE_MAPD, &err);
    uint64_t number = 0;

    if (!conf || !strv_u64(SV(source->name), UINT64_MAX, &number)) {
        LOG(ERROR, "mapd.snapshot.failed", KS("error", err.text));
        conf_free(&conf);
        return;
    }
    snapshot_add(&mapd, number, conf);
}

static void on_control(struct daemon *d, struct ipc_in *in)
{
    struct tables_answer answer;
    struct request *r;

    (void)d;
    if (in->type == IPC_SNAPSHOT)
        on_snapshot(d, in);
    if (in->type != IPC_HELPER_REPLY)
        return;
    r = dict_pop_u64(requests, in->txn);
    if (!r)
        return;
    answer = (struct tables_answer){ .fd = ipc_take_fd(in, 0),
                                     .why = ipc_get(in, TAG_TEXT),
                                     .never = ipc_get_u64(in, TAG_VERDICT) == VERDICT_REFUSE };
    tables_helper(snapshot_asker(&mapd, r->map), r->name, r->map, &answer);
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
    tables_watch(mapd.tables, on_tables, d);
    snapshot_first(&mapd, daemon_generation(d));
    loop_timer_init(&reading, daemon_loop(d), on_reading, d);
}

/* Without it logins work as well as ever; strangers could learn which exist (tests: test_auth.c). */
static void salts_begin(void)
{
    uint8_t key[AUTH_SALT_KEY];
    struct err err = { 0 };

    if (!salt_key_load(key, &err))
        LOG(WARN, "mapd.salt.unkept", KS("error", err.text));
    auths_salts(mapd.auths, key);
    mem_wipe(key, sizeof key);
}

static bool on_start(struct daemon *d, struct err *err)
{
    (void)err;
    service(d);
    salts_begin();
    for (struct daemon_source *s = daemon_sources(d); s; s = s->next) {
        if (s->kind != SOURCE_MAP || s->fd < 0)
            continue;
        tables_source(mapd.tables, SV(s->name), s->fd, true);
        s->fd = -1;
    }
    started = true;
    on_tables(d);
    return true;
}

static void on_source(struct daemon *d, struct daemon_source *s)
{
    int fd;

    (void)d;
    if (s->kind == SOURCE_CONF) {
        conf_came(s);
        return;
    }
    fd = s->fd;
    s->fd = -1;
    if (s->kind == SOURCE_MAP)
        tables_source(snapshot_tables(&mapd), SV(s->name), fd, false);
    else
        fd_close(&fd);
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
