/* snapshot.h - the configurations that have living clients, each with its tables */
#pragma once

#include "maps/server.h"

struct snapshot {
    struct snapshot *next; /* older */
    uint64_t number;
    struct conf *conf;     /* owned; NULL: the process's own */
    struct tables *tables; /* owned */
    bool complete;         /* all of its sources came */
    bool told;             /* mtad knows how it went */
};

/* The first one: conf and tables that md has. */
void snapshot_first(struct mapd *md, uint64_t number);
/* Takes conf. Its tables are those of the newest, as far as they are the same. */
struct snapshot *snapshot_add(struct mapd *md, uint64_t number, struct conf *conf);
/* NULL: not known here (any more). */
struct snapshot *snapshot_find(const struct mapd *md, uint64_t number);
/* For sources: they belong to the newest. */
struct tables *snapshot_tables(const struct mapd *md);
/* For what mtad was asked for: those that read this map. */
struct tables *snapshot_asker(const struct mapd *md, const char *map);
/* Who asks without a number is answered from this one from here on, unless a newer one is in use. */
void snapshot_use(struct mapd *md, const struct snapshot *s);
/* Its last client is gone. */
void snapshot_forget(struct mapd *md, uint64_t number);
void snapshots_clear(struct mapd *md);
