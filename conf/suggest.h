/* suggest.h - the known word that was probably meant */
#pragma once

#include "common/base/strv.h"

struct suggest {
    struct strv word;               /* what was typed */
    struct strv best;               /* borrowed from the candidates; empty when none is near */
    unsigned distance;
};

void suggest_start(struct suggest *s, struct strv word);
void suggest_try(struct suggest *s, struct strv candidate);

/* `; did you mean "x"?` into dst, or "" when nothing is near. Returns dst. */
const char *suggest_text(const struct suggest *s, char *dst, size_t size);

/* Edits (insert, delete, replace, swap of neighbours) between a and b, ASCII case ignored; words longer than
   64 bytes count as infinitely far. */
unsigned suggest_distance(struct strv a, struct strv b);
