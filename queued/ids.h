/* ids.h - a bounded list of message ids, oldest first (pure) */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ids {
    uint64_t *v;               /* owned ring */
    size_t first, n, cap, max; /* past max the oldest go; 0: no bound */
};

void ids_clear(struct ids *s);
void ids_push(struct ids *s, uint64_t id);
bool ids_pop(struct ids *s, uint64_t *id);      /* the oldest */
bool ids_has(const struct ids *s, uint64_t id); /* linear: for rare questions */
