/* told.h - what of our troubles mtad knows already, so that saying it again costs nothing */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct told;

#define TOLD_AGAIN_MS 60000 /* another process may have said that it works again */

/* True when mtad must hear it: new, in other words, said a while ago, or (text NULL) at its end. *told: NULL
   at first. now_ms: of any clock. */
bool told_changes(struct told **told, const char *what, const char *text, int64_t now_ms);
void told_clear(struct told **told);
