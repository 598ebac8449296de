/* tables.c - the tables of mapd and their loading */
#include "maps/tables.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/loop.h"
#include "common/os/fd.h"
#include "conf/conf.h"
#include "maps/identity.h"
#include "maps/include.h"
#include "maps/load.h"

#include <stdio.h>
#include <stdlib.h>

#define PORTION 500u  /* entries between two looks at other work: about a millisecond */
#define LOOK_MS 15000 /* how often sources with `auto` are looked at */

/* Shared by the configurations that have it. */
struct table {
    struct tables *all; /* the newest of them: it reads and looks; NULL while there is none */
    unsigned refs;
    struct map *map;   /* owned */
    struct load *load; /* owned; NULL unless it is being loaded */
    int64_t began_ms;
    char seen[sizeof ((struct identity *)0)->text]; /* a source that was fresh when it came */
    bool refused; /* mtad says that it never hands out this source: it is not asked for again */
    bool asked;
    bool wanted; /* by an operator: at once, settled or not */
};

struct tables {
    struct loop *loop;
    const struct conf *conf; /* borrowed */
    struct table **list; /* owned; the tables by their counts */
    size_t n;
    struct dict *by_name;
    struct loop_timer work, look;
    tables_ask *ask;
    void *arg;
    void (*changed)(void *arg); /* NULL: nobody wants to know */
    void *changed_arg;
};

static void work(struct tables *t);

static void changed(const struct table *tb)
{
    if (tb->all && tb->all->changed)
        tb->all->changed(tb->all->changed_arg);
}

void tables_watch(struct tables *t, void (*fn)(void *arg), void *arg)
{
    t->changed = fn;
    t->changed_arg = arg;
}

/* ---- :include: lists ---- */

static void include_failed(struct table *tb, struct strv path, const char *why)
{
    bool kept;

    if (includes_fail(tb->map->includes, path, why, &kept))
        LOG(WARN, "mapd.include.failed", KS("map", tb->map->conf->head.name), KV("file", path),
            KS("why", why),
            KS("kept", kept ? "the members in use" : "nothing: its answers are temporary failures"));
}

static void includes_ask(struct table *tb)
{
    struct tables *t = tb->all;
    const char *path;

    while (tb->map->includes && (path = includes_next(tb->map->includes))) {
        char name[520];

        snprintf(name, sizeof name, "include:%s", path);
        if (t->ask)
            t->ask(t->arg, name, tb->map->conf->head.name);
        else
            include_failed(tb, SV(path), "no way to read it");
    }
}

/* Somebody is writing now: the next look comes when he had time to finish. */
static void look_soon(struct tables *t)
{
    if (t->ask)
        loop_timer_set(&t->look, IDENTITY_SETTLE_MS + 100);
}

static void include_read(struct table *tb, struct strv path, int fd)
{
    struct identity id;
    struct err err = { 0 };
    struct buf text;

    buf_init(&text, INCLUDE_BYTES_MAX);
    if (!identity_read(fd, &text, &id, &err) ||
        !includes_set(tb->map->includes, path, buf_view(&text), &err)) {
        include_failed(tb, path, err.text);
        if (err.cls == ERR_TEMP)
            look_soon(tb->all);
    }
    buf_clear(&text);
}

static void include_came(struct table *tb, struct strv path, int fd, struct strv why)
{
    struct includes *in = tb->map->includes;
    struct identity id;
    struct err err = { 0 };

    if (!in) {
        fd_close(&fd);
        return;
    }
    if (fd < 0)
        err_set(&err, ERR_CONF, "%.*s", (int)why.n, why.p);
    if (fd < 0 || !identity_of(fd, &id, &err)) {
        include_failed(tb, path, err.text);
    } else {
        switch (includes_look(in, path, &id)) {
        case INCLUDE_READ: include_read(tb, path, fd); break;
        case INCLUDE_WAIT: look_soon(tb->all); break;
        case INCLUDE_SAME: break;
        }
    }
    fd_close(&fd);
    includes_ask(tb); /* lists that this one names */
}

/* ---- loading ---- */

static void load_failed(struct table *tb, const struct err *err)
{
    struct map *m = tb->map;

    LOG(ERROR, "mapd.map.failed", KS("map", m->conf->head.name), KS("file", m->conf->source),
        KS("why", err->text),
        KS("kept", m->ready ? "the table in use" : "nothing: its answers are temporary failures"));
    if (!m->ready)
        snprintf(m->why, sizeof m->why, "%s", err->text);
    if (!m->failed[0])
        m->failed_ms = clock_wall_ms();
    snprintf(m->failed, sizeof m->failed, "%s", err->text);
    if (err->cls == ERR_TEMP)
        look_soon(tb->all);
    load_free(&tb->load);
    changed(tb);
}

static void load_done(struct table *tb)
{
    struct map *m = tb->map;

    m->failed[0] = '\0';
    m->failed_ms = 0;
    LOG(INFO, "mapd.map.loaded", KS("map", m->conf->head.name), KS("type", m->ops->name),
        KS("file", m->conf->source), KI("entries", tb->load ? load_entries(tb->load) : 0),
        KS("how", tb->load ? "read" : "compiled before"), KMS("took", clock_mono_ms() - tb->began_ms));
    load_free(&tb->load);
    includes_ask(tb);
    changed(tb);
}

/* False when there is nothing more to do for this table. */
static bool load_portion(struct table *tb, size_t entries)
{
    struct err err = { 0 };

    switch (load_run(tb->load, entries, &err)) {
    case LOAD_MORE: return true;
    case LOAD_DONE: load_done(tb); return false;
    case LOAD_FAILED: load_failed(tb, &err); return false;
    }
    return false;
}

static void on_work(void *arg)
{
    work(arg);
}

static void work(struct tables *t)
{
    bool more = false;

    for (size_t i = 0; i < t->n; i++)
        if (t->list[i]->all == t && t->list[i]->load)
            more |= load_portion(t->list[i], PORTION);
    if (more)
        loop_timer_set(&t->work, 0);
}

static void source_came(struct table *tb, int fd, bool now)
{
    struct map *m = tb->map;
    bool was_ready = m->ready;
    char before[sizeof m->identity];
    struct err err = { 0 };

    load_free(&tb->load);
    memcpy(before, m->identity, sizeof before);
    tb->began_ms = clock_mono_ms();
    if (!load_begin(m, fd, &tb->load, &err)) {
        load_failed(tb, &err);
        return;
    }
    if (!tb->load) {
        m->failed[0] = '\0';
        if (!was_ready || strcmp(before, m->identity) != 0)
            load_done(tb);
        else
            changed(tb);
        return;
    }
    if (!now) {
        loop_timer_set(&tb->all->work, 0);
        return;
    }
    while (load_portion(tb, SIZE_MAX))
        ;
}

/* Half a table would refuse, for good, everybody who stands in the other half. */
static bool is_settled(struct table *tb, int fd)
{
    struct identity id;
    struct err err;

    if (!tb->map->ready || !identity_of(fd, &id, &err) || load_is_known(tb->map, &id) || !id.fresh ||
        strcmp(tb->seen, id.text) == 0)
        return true;
    memcpy(tb->seen, id.text, sizeof tb->seen);
    return false;
}

void tables_source(struct tables *t, struct strv name, int fd, bool now)
{
    struct table *tb = dict_get(t->by_name, name);

    if (!tb || !tb->map->ops->load_begin || tb->map->conf->type == CONF_MAP_INLINE) {
        LOG(ERROR, "mapd.source.unknown", KV("map", name));
        fd_close(&fd);
        return;
    }
    source_came(tb, fd, now);
}

static void source_missing(struct table *tb, struct strv why)
{
    struct err err = { 0 };

    tb->wanted = false;
    err_set(&err, ERR_CONF, "%.*s", (int)why.n, why.n ? why.p : "");
    load_failed(tb, &err);
}

void tables_helper(struct tables *t, const char *name, const char *map, const struct tables_answer *a)
{
    struct table *tb = dict_get(t->by_name, SV(map));
    struct strv what = SV(name);
    int fd = a->fd;

    if (!tb) {
        fd_close(&fd);
        return;
    }
    if (strv_starts(what, SV_LIT("include:"))) {
        include_came(tb, strv_from(what, 8), fd, a->why);
        return;
    }
    tb->asked = false;
    if (fd < 0 && tb->wanted)
        source_missing(tb, a->why);
    if (fd < 0) {
        /* A file that is not there is one that an editor replaces just now, or will be there later. */
        tb->refused = a->never;
        LOG(DEBUG, "mapd.source.refused", KS("map", map), KV("why", a->why), KI("never", a->never));
        return;
    }
    if (tb->wanted || is_settled(tb, fd)) {
        tb->wanted = false;
        source_came(tb, fd, false);
    } else {
        fd_close(&fd);
        look_soon(t);
    }
}

/* ---- looking for changes ---- */

static bool is_watched(const struct table *tb)
{
    return tb->map->conf->autoload && *tb->map->conf->source && !tb->refused;
}

void tables_look(struct tables *t)
{
    for (size_t i = 0; t->ask && i < t->n; i++) {
        struct table *tb = t->list[i];
        char name[520];

        if (tb->all != t || !is_watched(tb))
            continue;
        if (!tb->load && !tb->asked) {
            tb->asked = true;
            snprintf(name, sizeof name, "source:%s", tb->map->conf->head.name);
            t->ask(t->arg, name, tb->map->conf->head.name);
        }
        if (tb->map->includes) {
            includes_again(tb->map->includes);
            includes_ask(tb);
        }
    }
}

static bool is_meant(const struct table *tb, struct strv name)
{
    return *tb->map->conf->source && tb->map->ops->load_begin && tb->map->conf->type != CONF_MAP_INLINE &&
           (!name.p || strv_is(name, tb->map->conf->head.name));
}

bool tables_reload(struct tables *t, struct strv name)
{
    bool any = false;

    for (size_t i = 0; t->ask && i < t->n; i++) {
        struct table *tb = t->list[i];
        char what[520];

        if (!is_meant(tb, name))
            continue;
        any = tb->wanted = tb->asked = true;
        snprintf(what, sizeof what, "source:%s", tb->map->conf->head.name);
        t->ask(t->arg, what, tb->map->conf->head.name);
        if (tb->map->includes) {
            includes_again(tb->map->includes);
            includes_ask(tb);
        }
    }
    return any;
}

bool tables_busy(const struct tables *t, struct strv name)
{
    for (size_t i = 0; i < t->n; i++)
        if (is_meant(t->list[i], name) && (t->list[i]->wanted || t->list[i]->asked || t->list[i]->load))
            return true;
    return false;
}

static void on_look(void *arg)
{
    struct tables *t = arg;

    tables_look(t);
    loop_timer_set(&t->look, LOOK_MS);
}

/* ---- life ---- */

struct map *tables_at(const struct tables *t, size_t i)
{
    return i < t->n ? t->list[i]->map : NULL;
}

struct map *tables_find(const struct tables *t, struct strv name)
{
    const struct table *tb = dict_get(t->by_name, name);

    return tb ? tb->map : NULL;
}

static struct tables *tables_empty(const struct conf *conf, struct loop *loop, tables_ask *ask, void *arg)
{
    struct tables *t = mem_new(sizeof *t);

    t->loop = loop;
    t->ask = ask;
    t->arg = arg;
    t->conf = conf;
    t->by_name = dict_new();
    t->list = mem_array(conf->map_n + 1, sizeof *t->list);
    loop_timer_init(&t->work, loop, on_work, t);
    loop_timer_init(&t->look, loop, on_look, t);
    return t;
}

static void table_enter(struct tables *t, struct table *tb, const struct conf_map *conf)
{
    tb->refs++;
    tb->all = t;
    tb->map->conf = conf;
    t->list[t->n++] = tb;
    dict_set(t->by_name, SV(conf->head.name), tb);
}

static void table_make(struct tables *t, const struct conf_map *conf)
{
    struct table *tb = mem_new(sizeof *tb);
    struct err err = { 0 };

    tb->map = map_new(conf);
    table_enter(t, tb, conf);
    if (conf->type == CONF_MAP_INLINE && !map_load_inline(tb->map, &err))
        load_failed(tb, &err);
}

struct tables *tables_new(const struct conf *conf, struct loop *loop, tables_ask *ask, void *arg)
{
    struct tables *t = tables_empty(conf, loop, ask, arg);

    for (size_t i = 0; i < conf->map_n; i++)
        table_make(t, conf->maps[i]);
    /* Soon: what mtad opened at its own start may be long replaced when a mapd is started again. */
    if (ask)
        loop_timer_set(&t->look, 500);
    return t;
}

struct tables *tables_next(struct tables *former, const struct conf *conf)
{
    struct tables *t = tables_empty(conf, former->loop, former->ask, former->arg);

    tables_watch(t, former->changed, former->changed_arg);
    for (size_t i = 0; i < conf->map_n; i++) {
        struct table *tb = dict_get(former->by_name, SV(conf->maps[i]->head.name));

        if (!tb || !conf_map_same(tb->map->conf, conf->maps[i])) {
            table_make(t, conf->maps[i]);
            continue;
        }
        load_free(&tb->load); /* its source comes again, with the new configuration */
        tb->asked = tb->wanted = false;
        table_enter(t, tb, conf->maps[i]);
    }
    if (t->ask)
        loop_timer_set(&t->look, LOOK_MS);
    return t;
}

bool tables_look_after(const struct tables *t, const char *map)
{
    const struct table *tb = dict_get(t->by_name, SV(map));

    return tb && tb->all == t;
}

void tables_adopt(struct tables *t)
{
    bool any = false;

    for (size_t i = 0; i < t->n; i++) {
        struct table *tb = t->list[i];

        if (tb->all)
            continue;
        tb->all = t;
        tb->map->conf = conf_map_find(t->conf, SV(tb->map->conf->head.name));
        any = true;
    }
    if (any && t->ask)
        loop_timer_set(&t->look, 0);
}

bool tables_are_read(const struct tables *t, const char **why)
{
    *why = NULL;
    for (size_t i = 0; i < t->n; i++) {
        const struct table *tb = t->list[i];

        if (tb->refs > 1 || tb->map->ops->worker)
            continue;
        if (tb->load)
            return false;
        if (!tb->map->ready && !*why)
            *why = tb->map->why;
    }
    return true;
}

static void table_leave(struct tables *t, struct table *tb)
{
    if (tb->all == t) {
        load_free(&tb->load); /* it names the file as our configuration does */
        tb->all = NULL;
        tb->asked = tb->wanted = false;
    }
    if (--tb->refs > 0)
        return;
    load_free(&tb->load);
    map_free(&tb->map);
    free(tb);
}

void tables_free(struct tables **tp)
{
    struct tables *t = *tp;

    if (!t)
        return;
    *tp = NULL;
    loop_timer_stop(&t->work);
    loop_timer_stop(&t->look);
    for (size_t i = 0; i < t->n; i++)
        table_leave(t, t->list[i]);
    dict_free(&t->by_name, NULL);
    free(t->list);
    free(t);
}
