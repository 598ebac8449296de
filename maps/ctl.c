/* ctl.c - what an operator may ask of mapd: tables, look-ups, new sources */
#include "maps/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "conf/auth.h"
#include "conf/conf.h"
#include "maps/server.h"
#include "maps/tables.h"
#include "maps/workers.h"

#define POLL_MS    50
#define RELOAD_MS  60000 /* longer than this a reload goes on, but the caller is told to look later */
#define KEYS_LIMIT 1024u /* bytes of one */
#define KEYS_MAX   8u

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

static bool is_secret(const struct mapd *md, const struct map *m)
{
    return md->conf->auth && strcmp(md->conf->auth->users, m->conf->head.name) == 0;
}

/* index: of the key that was found. */
static void answer(const struct mapd *md, struct ctl_call *call, const struct map *m, enum ipc_answer answer,
                   const struct map_value *value, size_t index, struct strv why)
{
    struct strv key = SV_LIT("");
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
    ctl_text_nth(call, "key", index, &key);
    ctl_put(call, "key", key);
    ctl_put(call, "value", is_secret(md, m) ? SV_LIT("***") : value->text);
    ctl_put(call, "origin", buf_view(&origin));
    ctl_row_end(call);
    buf_clear(&origin);
    ctl_done(call, 0, NULL);
}

static void on_worker(void *arg, const struct worker_answer *a)
{
    struct get *g = arg;
    struct map_value value = { .text = a->value };

    answer(g->md, g->call, tables_find(g->md->tables, ctl_text(g->call, "map")), a->answer, &value, a->index,
           a->why);
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
    struct worker_item items[KEYS_MAX];
    struct get *g = mem_new(sizeof *g);
    const char *why = "";
    size_t n = 0;

    while (n < KEYS_MAX && ctl_text_nth(call, "key", n, &items[n].key))
        items[n++].map = ctl_text(call, "map");
    *g = (struct get){ .md = md, .call = call };
    g->handle = workers_ask(md->workers, items, n, on_worker, g, &why);
    if (g->handle) {
        ctl_later(call, on_get_gone, g);
        return;
    }
    free(g);
    answer(md, call, m, ANSWER_FAILED, NULL, 0, SV(why));
}

static void on_get(void *arg, struct ctl_call *call)
{
    struct mapd *md = arg;
    struct map *m = tables_find(md->tables, ctl_text(call, "map"));
    struct map_value value = { .line = 0 };
    enum ipc_answer found = ANSWER_ABSENT;
    struct err err = { 0 };
    struct strv key;
    size_t n = 0;

    while (m && ctl_text_nth(call, "key", n, &key) && key.n <= KEYS_LIMIT && n < KEYS_MAX)
        n++;
    if (!m || n == 0 || ctl_text_nth(call, "key", n, &key)) {
        ctl_done(call, EX_DATAERR,
                 m ? "a key is missing or too long, or there are too many" : "there is no map of that name");
        return;
    }
    if (m->ops->worker) {
        ask_worker(md, call, m);
        return;
    }
    /* As a chain of keys is asked everywhere: the first that is there, and nothing behind one that cannot be
       told. */
    for (size_t i = 0; i < n; i++) {
        ctl_text_nth(call, "key", i, &key);
        found = map_get(m, key, &value, &err);
        if (found != ANSWER_ABSENT) {
            answer(md, call, m, found, &value, i, SV(err.text));
            return;
        }
    }
    answer(md, call, m, found, &value, 0, SV(err.text));
}

/* ---- all of a table ---- */

#define DUMP_PORTION 2000u

/* The cursor is the number of the next entry, and above it some bits of which table it is: one that was
   replaced meanwhile has another order. */
#define DUMP_BITS 40u

struct dump {
    struct ctl_call *call;
    const struct map *map;
    bool secret;
};

static void on_dumped(void *arg, struct strv key, const struct map_value *value)
{
    const struct dump *d = arg;
    char origin[600] = "";

    if (value->line)
        snprintf(origin, sizeof origin, "%.512s:%u", d->map->conf->source, value->line);
    ctl_row(d->call, "entry");
    ctl_put(d->call, "key", key);
    ctl_put(d->call, "value", d->secret ? SV_LIT("***") : value->text);
    ctl_put(d->call, "origin", SV(origin));
    ctl_row_end(d->call);
}

static void on_dump(void *arg, struct ctl_call *call)
{
    struct mapd *md = arg;
    struct map *m = tables_find(md->tables, ctl_text(call, "map"));
    uint64_t cursor = ctl_cursor(call), from, mark;
    struct dump d = { .call = call, .map = m };

    if (!m || !m->ops->walk) {
        ctl_done(call, EX_DATAERR,
                 m ? "a map of this type does not know its entries; ask for one with mtactl map get"
                   : "there is no map of that name");
        return;
    }
    if (!m->ready) {
        ctl_done(call, EX_TEMPFAIL, "%s", m->why);
        return;
    }
    from = cursor & ((1ull << DUMP_BITS) - 1);
    mark = hash_sip(SV(m->identity)) & 0x7fffff;
    if (cursor && cursor >> DUMP_BITS != mark + 1) {
        ctl_done(call, EX_TEMPFAIL, "the table was replaced meanwhile; ask again");
        return;
    }
    d.secret = is_secret(md, m);
    if (m->ops->walk(m, (size_t)from, DUMP_PORTION, on_dumped, &d))
        ctl_more(call, (mark + 1) << DUMP_BITS | (from + DUMP_PORTION));
    else
        ctl_done(call, 0, NULL);
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
    { "dump", on_dump, false },
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
