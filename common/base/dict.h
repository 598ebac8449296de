/* dict.h - hash table from byte strings (or u64) to pointers, keyed against strangers */
#pragma once

#include "common/base/strv.h"

struct dict;            /* opaque; owns copies of its keys, never its values */

struct dict *dict_new(void);
void dict_free(struct dict **d, void (*free_value)(void *value));        /* free_value may be NULL */
size_t dict_count(const struct dict *d);
void *dict_get(const struct dict *d, struct strv key);                   /* NULL when absent */
/* Sets and returns the former value (NULL when new); value must not be NULL. */
void *dict_set(struct dict *d, struct strv key, void *value);
void *dict_pop(struct dict *d, struct strv key);                         /* removes; NULL when absent */

void *dict_get_u64(const struct dict *d, uint64_t key);
void *dict_set_u64(struct dict *d, uint64_t key, void *value);
void *dict_pop_u64(struct dict *d, uint64_t key);

/* Walks all entries; the callback may remove the entry it is given, nothing else. */
void dict_each(struct dict *d, void (*fn)(void *arg, struct strv key, void *value), void *arg);
