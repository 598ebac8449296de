/* told.h - what of our troubles mtad knows already, so that saying it again costs nothing */
#pragma once

#include <stdbool.h>

struct told;

/* True when mtad must hear it: new, in other words, or (text NULL) at its end. *told: NULL at first. */
bool told_changes(struct told **told, const char *what, const char *text);
void told_clear(struct told **told);
