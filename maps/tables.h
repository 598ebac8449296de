/* tables.h - all tables of mapd: loaded at the start, and anew beside the one in use when a source changed
 *
 * A source is a descriptor from mtad. At the start mtad sends one for each map; later it sends another when
 * an operator says so, and mapd asks for one itself, every few seconds, for maps with `auto` (a changed
 * source is seen by its identity, not read). Lists that aliases include are asked for the same way.
 */
#pragma once

#include <stddef.h>

#include "common/base/strv.h"

struct conf;
struct loop;
struct map;
struct tables;

/* Asks mtad for a descriptor: name is "source:MAP" or "include:PATH". The answer comes by tables_helper. */
typedef void tables_ask(void *arg, const char *name, const char *map);

/* Makes all maps; loads the inline ones. ask may be NULL: then nothing is asked for. */
struct tables *tables_new(const struct conf *conf, struct loop *loop, tables_ask *ask, void *arg);
void tables_free(struct tables **t);
/* fn runs after each change of what works: a table was read, or its source cannot be used. Those that follow
   (tables_next) have it too. */
void tables_watch(struct tables *t, void (*fn)(void *arg), void *arg);

/* The tables of the next configuration: those that are the same in both are shared and stay as they are, the
   others are new. It alone looks for changed sources from here on; the former one answers as it did. */
struct tables *tables_next(struct tables *former, const struct conf *conf);
/* After tables_free of another one, newest first: what that one looked after, this one does. */
void tables_adopt(struct tables *t);
/* The map exists here and no newer configuration has it. */
bool tables_look_after(const struct tables *t, const char *map);
/* True when no new table of it is being read; *why is set (else NULL) when one of these could not be. */
bool tables_are_read(const struct tables *t, const char **why);

struct map *tables_at(const struct tables *t, size_t i); /* NULL at the end */
struct map *tables_find(const struct tables *t, struct strv name);

/* A source. now: loads to the end before it returns (start of the process); else in portions from the loop.
   Takes fd. What goes wrong is logged, and the table in use stays. */
void tables_source(struct tables *t, struct strv name, int fd, bool now);

struct tables_answer {
    int fd;          /* -1: refused */
    struct strv why; /* it was */
    bool never;      /* asking again is useless: not a file that is away for a moment */
};
/* mtad's answer to tables_ask, in the order of the asking. Takes the descriptor. */
void tables_helper(struct tables *t, const char *name, const char *map, const struct tables_answer *a);

/* An operator wants the sources read again now (name: of one map, or p NULL: all), half-written or not.
   False: there is nothing to read. tables_busy until the new ones are in use or refused. */
bool tables_reload(struct tables *t, struct strv name);
bool tables_busy(const struct tables *t, struct strv name);

/* Everything that was asked for is asked again: the former answers will not come (new channel to mtad). For
   tests too: looks for changed sources now. */
void tables_look(struct tables *t);
