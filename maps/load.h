/* load.h - a source into a table, some lines at a time: a large one must not stop the others' answers */
#pragma once

#include "maps/map.h"

struct identity;
struct load;

#define LOAD_BYTES_MAX (512u << 20) /* of one source */

enum load_step { LOAD_MORE, LOAD_DONE, LOAD_FAILED };

/* Reads fd (takes it; its offset is not used) and begins. *out NULL and true: the table of this very source
   is in use already. False: err says why; the table in use stays. */
bool load_begin(struct map *m, int fd, struct load **out, struct err *err)
    __attribute__((warn_unused_result));

/* The table in use (or being loaded beside it) is of this very source. */
bool load_is_known(const struct map *m, const struct identity *id);

/* Takes up to so many entries. LOAD_DONE: the new table is in use and l may be freed; LOAD_FAILED:
   `file:line: what`, the table in use stays. */
enum load_step load_run(struct load *l, size_t entries, struct err *err);

struct map *load_map(const struct load *l);
size_t load_entries(const struct load *l);
void load_free(struct load **l); /* forgets what is unfinished */
