/* map.h - one table behind one set of operations; "not found" can never mean "could not look" */
#pragma once

#include "common/base/err.h"
#include "common/ipc/schema.h"
#include "conf/map.h"

struct map;

/* An entry as it was found; borrowed until the next call on the map. */
struct map_value {
    struct strv text;
    unsigned line; /* of the source; 0: none */
};

typedef void map_walk_fn(void *arg, struct strv key, const struct map_value *value);

/* A type of table. Local types answer at once and are bounded: they run in mapd itself. Types that may block
   have `worker` and their get runs in mapd-worker only. Types that ask a network later will have a pair
   ask/cancel here. */
struct map_ops {
    enum conf_map_type type;
    const char *name;
    bool worker;

    /* Reading a source into a new table, entry by entry, beside the one in use; NULL for types without a
       source. load_end makes the new table the one that get uses; load_drop forgets it. state is the map's
       own. */
    bool (*load_begin)(struct map *m, size_t source_bytes, struct err *err);
    bool (*load_entry)(struct map *m, struct strv key, struct strv value, unsigned line, struct err *err);
    bool (*load_end)(struct map *m, struct err *err);
    void (*load_drop)(struct map *m);
    /* True when a table made from this very source (an identity of load.c) is there already and in use now.
     */
    bool (*load_again)(struct map *m, struct strv identity);

    enum ipc_answer (*get)(struct map *m, struct strv key, struct map_value *out, struct err *err);
    /* The entries number from to from + max - 1 of the table in use, in an order of its own that stays as
       long as the table does. False: there is none behind them. NULL for types that do not know their
       entries. */
    bool (*walk)(struct map *m, size_t from, size_t max, map_walk_fn *fn, void *arg);
    void (*close)(struct map *m);
};

struct map {
    const struct map_ops *ops;
    const struct conf_map *conf; /* borrowed */
    void *state;                 /* the type's own */
    bool ready;                  /* there is a table; else every answer is FAILED */
    char why[400];               /* why not */
    char identity[128];          /* of the source that is loaded or being loaded */
    char failed[400];            /* why its newest source could not be used; empty: it could */
    int64_t failed_ms;           /* wall, since when */
    struct includes *includes;   /* owned; NULL unless the source names :include: lists */
};

const struct map_ops *map_ops_find(int type); /* NULL: no such type in this build */

struct map *map_new(const struct conf_map *conf);
void map_free(struct map **m);

/* FAILED also while there is no table: then err is ERR_CONF. out is set when FOUND. */
enum ipc_answer map_get(struct map *m, struct strv key, struct map_value *out, struct err *err);

/* The table of inline entries; a text that conf accepted cannot fail but for its keys and values. */
bool map_load_inline(struct map *m, struct err *err) __attribute__((warn_unused_result));

extern const struct map_ops map_inline, map_text, map_aliases, map_lmdb, map_passwd;
