/* told.c - what of our troubles mtad knows already */
#include "common/proc/told.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

struct told {
    struct told *next;
    char *what, *text; /* owned */
    int64_t at_ms;
};

static void told_free(struct told *t)
{
    free(t->what);
    free(t->text);
    free(t);
}

bool told_changes(struct told **told, const char *what, const char *text, int64_t now_ms)
{
    struct told *t;

    while (*told && strcmp((*told)->what, what) != 0)
        told = &(*told)->next;
    t = *told;
    if (!text) {
        if (!t)
            return false;
        *told = t->next;
        told_free(t);
        return true;
    }
    if (t && strcmp(t->text, text) == 0 && now_ms - t->at_ms < TOLD_AGAIN_MS)
        return false;
    if (!t) {
        t = *told = mem_new(sizeof *t);
        t->what = mem_str(what);
    }
    free(t->text);
    t->text = mem_str(text);
    t->at_ms = now_ms;
    return true;
}

void told_clear(struct told **told)
{
    while (*told) {
        struct told *t = *told;

        *told = t->next;
        told_free(t);
    }
}
