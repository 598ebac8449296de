/* snapshot.c - the configurations that have living clients, each with its tables */
#include "maps/snapshot.h"

#include "common/base/mem.h"
#include "conf/conf.h"
#include "maps/tables.h"

#include <stdlib.h>

static struct snapshot *push(struct mapd *md, uint64_t number, struct conf *conf, struct tables *tables)
{
    struct snapshot *s = mem_new(sizeof *s);

    *s = (struct snapshot){ .next = md->snapshots, .number = number, .conf = conf, .tables = tables };
    md->snapshots = s;
    return s;
}

void snapshot_first(struct mapd *md, uint64_t number)
{
    struct snapshot *s = push(md, number, NULL, md->tables);

    s->complete = s->told = true;
    md->number = number;
}

struct snapshot *snapshot_add(struct mapd *md, uint64_t number, struct conf *conf)
{
    return push(md, number, conf, tables_next(md->snapshots->tables, conf));
}

struct snapshot *snapshot_find(const struct mapd *md, uint64_t number)
{
    struct snapshot *s = md->snapshots;

    while (s && s->number != number)
        s = s->next;
    return s;
}

struct tables *snapshot_tables(const struct mapd *md)
{
    return md->snapshots ? md->snapshots->tables : md->tables;
}

void snapshot_use(struct mapd *md, const struct snapshot *s)
{
    if (s->number < md->number)
        return;
    md->number = s->number;
    md->tables = s->tables;
    if (s->conf)
        md->conf = s->conf;
}

struct tables *snapshot_asker(const struct mapd *md, const char *map)
{
    for (const struct snapshot *s = md->snapshots; s; s = s->next) {
        if (tables_look_after(s->tables, map))
            return s->tables;
    }
    return md->tables;
}

static void snapshot_free(struct snapshot *s)
{
    tables_free(&s->tables);
    conf_free(&s->conf);
    free(s);
}

void snapshot_forget(struct mapd *md, uint64_t number)
{
    struct snapshot **at = &md->snapshots, *s;

    while (*at && (*at)->number != number)
        at = &(*at)->next;
    s = *at;
    /* The one in use is never the one that ends. */
    if (!s || s->tables == md->tables)
        return;
    *at = s->next;
    mapd_abandon(md, s->tables);
    tables_free(&s->tables);
    for (struct snapshot *heir = md->snapshots; heir; heir = heir->next)
        tables_adopt(heir->tables);
    snapshot_free(s); /* its configuration named the tables until now */
}

void snapshots_clear(struct mapd *md)
{
    while (md->snapshots) {
        struct snapshot *s = md->snapshots;

        md->snapshots = s->next;
        if (s->tables == md->tables)
            md->tables = NULL;
        snapshot_free(s);
    }
}
