/* map.h - section `map NAME`: one table */
#pragma once

#include "conf/types.h"

enum conf_map_type {
    CONF_MAP_INLINE,                /* entries of the configuration itself */
    CONF_MAP_TEXT,                  /* "key value" lines */
    CONF_MAP_ALIASES,               /* "name: value" */
    CONF_MAP_LMDB,                  /* compiled from a text source */
    CONF_MAP_PASSWD,                /* the system's users */
};

enum conf_map_syntax { CONF_SYNTAX_TEXT, CONF_SYNTAX_ALIASES };

struct conf_map {
    struct conf_head head;
    int type;                       /* enum conf_map_type */
    char *source;                   /* path of the text; "" for inline and passwd */
    int syntax;                     /* enum conf_map_syntax: of an lmdb map's source */
    struct conf_strings entries;    /* inline only: "key value" */
    bool autoload;                  /* `auto`: recompile when the source changed */
};

/* The same table, wherever each stands. */
bool conf_map_same(const struct conf_map *a, const struct conf_map *b);
