/* ctl.c - what an operator may ask of mapd: tables, look-ups, new sources */
#include "maps/ctl.h"

#include <stdlib.h>
#include <sysexits.h>

#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "maps/server.h"
#include "maps/tables.h"
#include "maps/workers.h"

#define POLL_MS    50
#define RELOAD_MS  60000 /* longer than this a reload goes on, but the caller is told to look later */
#define KEYS_LIMIT 1024u

static struct ctl_server *server;

/* ---- what tables there are ---- */

const char *mapd_state_word(const struct map *m)
{
    if (m->ops->worker)
        return "asked live";
    if (!m->ready)
        return "no table: every answer is a temporary failure";
    return m->failed[0] ? "old table: the source cannot be used" : "ready";
}

static void map_row(struct ctl_call *call, const struct map *m)
{
    ctl_row(call, "map");
    ctl_put(call, "name", SV(m->conf->head.name));
    ctl_put(call, "type", SV(m->ops->name));
    ctl_put(call, "source", SV(m->conf->source));
    ctl_put(call, "state", SV(mapd_state_word(m)));
    ctl_put(call, "error", SV(m->failed[0] ? m->failed : m->ready || m->ops->worker ? "" : m->why));
    ctl_row_end(call);
}

static void on_status(void *arg, struct ctl_call *call)
{
    struct mapd *md = arg;
    struct map *m;

    for (size_t i = 0; (m = tables_at(md->tables, i)); i++)
        map_row(call, m);
    ctl_done(call, 0, NULL);
}

/* ---- look-ups ---- */

/* A question that a worker has. */
struct get {
    struct mapd *md;
    struct ctl_call *call;
    uint64_t handle;
};

static void answer(struct ctl_call *call, const struct map *m, enum ipc_answer answer,
                   const struct map_value *value, struct strv why)
{
    struct buf origin;

    if (answer == ANSWER_ABSENT) {
        ctl_done(call, 1, "there is no such key in map %s", m->conf->head.name);
        return;
    }
    if (answer == ANSWER_FAILED) {
        ctl_done(call, EX_TEMPFAIL, "map %s: %.*s", m->conf->head.name, (int)why.n, why.n ? why.p : "");
        return;
    }
    buf_init(&origin, 8192);
    if (value->line)
        buf_addf(&origin, "%s:%u", m->conf->source, value->line);
    ctl_row(call, "entry");
    ctl_put(call, "map", SV(m->conf->head.name));
    ctl_put(call, "key", ctl_text(call, "key"));
    ctl_put(call, "value", value->text);
    ctl_put(call, "origin", buf_view(&origin));
    ctl_row_end(call);
    buf_clear(&origin);
    ctl_done(call, 0, NULL);
}

static void on_worker(void *arg, const struct worker_answer *a)
{
    struct get *g = arg;
    struct map_value value = { .text = a->value };

    answer(g->call, tables_find(g->md->tables, ctl_text(g->call, "map")), a->answer, &value, a->why);
    free(g);
}

static void on_get_gone(void *data)
{
    struct get *g = data;

    workers_cancel(g->md->workers, g->handle);
    free(g);
}

static void ask_worker(struct mapd *md, struct ctl_call *call, const struct map *m)
{
    struct worker_item item = { ctl_text(call, "map"), ctl_text(call, "key") };
    struct get *g = mem_new(sizeof *g);
    const char *why = "";

    *g = (struct get){ .md = md, .call = call };
    g->handle = workers_ask(md->workers, &item, 1, on_worker, g, &why);
    if (g->handle) {
        ctl_later(call, on_get_gone, g);
        return;
    }
    free(g);
    answer(call, m, ANSWER_FAILED, NULL, SV(why));
}

static void on_get(void *arg, struct ctl_call *call)
{
    struct mapd *md = arg;
    struct map *m = tables_find(md->tables, ctl_text(call, "map"));
    struct strv key = ctl_text(call, "key");
    struct map_value value = { .line = 0 };
    struct err err = { 0 };
    enum ipc_answer found;

    if (!m || !key.p || key.n > KEYS_LIMIT) {
        ctl_done(call, EX_DATAERR, m ? "the key is missing or too long" : "there is no map of that name");
        return;
    }
    if (m->ops->worker) {
        ask_worker(md, call, m);
        return;
    }
    found = map_get(m, key, &value, &err);
    answer(call, m, found, &value, SV(err.text));
}

/* ---- new sources ---- */

struct reload {
    struct mapd *md;
    struct ctl_call *call;
    struct loop_timer poll;
    int64_t until_ms;
};

static void reload_free(void *data)
{
    struct reload *r = data;

    loop_timer_stop(&r->poll);
    free(r);
}

static void reload_told(struct reload *r)
{
    struct strv name = ctl_text(r->call, "map");
    unsigned bad = 0;
    struct map *m;

    for (size_t i = 0; (m = tables_at(r->md->tables, i)); i++) {
        if (!*m->conf->source || (name.p && !strv_is(name, m->conf->head.name)))
            continue;
        bad += m->failed[0] != '\0';
        map_row(r->call, m);
    }
    if (bad)
        ctl_done(r->call, EX_DATAERR, "%u source%s cannot be used; what was in use stays", bad,
                 bad == 1 ? "" : "s");
    else
        ctl_done(r->call, 0, NULL);
    reload_free(r);
}

static void on_poll(void *arg)
{
    struct reload *r = arg;

    if (!tables_busy(r->md->tables, ctl_text(r->call, "map"))) {
        reload_told(r);
    } else if (loop_now(r->md->loop) < r->until_ms) {
        loop_timer_set(&r->poll, POLL_MS);
    } else {
        ctl_done(r->call, EX_TEMPFAIL, "it is still being loaded; look later with mtactl map list");
        reload_free(r);
    }
}

static void on_reload(void *arg, struct ctl_call *call)
{
    struct mapd *md = arg;
    struct strv name = ctl_text(call, "map");
    struct reload *r;

    if (!tables_reload(md->tables, name)) {
        ctl_done(call, EX_DATAERR,
                 name.p ? "there is no map of that name with a source" : "no map has a source");
        return;
    }
    r = mem_new(sizeof *r);
    *r = (struct reload){ .md = md, .call = call, .until_ms = loop_now(md->loop) + RELOAD_MS };
    loop_timer_init(&r->poll, md->loop, on_poll, r);
    loop_timer_set(&r->poll, POLL_MS);
    ctl_later(call, reload_free, r);
}

static const struct ctl_act acts[] = {
    { "status", on_status, false },
    { "get", on_get, false },
    { "reload", on_reload, true },
    { .name = NULL },
};

void mapd_ctl_client(struct mapd *md, int fd)
{
    if (!server)
        server = ctl_server_new(md->loop, ROLE_MAPD, acts, md);
    ctl_server_client(server, fd);
}

void mapd_ctl_clear(void)
{
    ctl_server_free(&server);
}
