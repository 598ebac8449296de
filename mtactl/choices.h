/* choices.h - words of a queue command that say how, not which messages (pure) */
#pragma once

#include "common/base/err.h"
#include "common/base/strv.h"

enum { CHOICE_LIMIT = 1, CHOICE_SORT = 2, CHOICE_BY = 4, CHOICE_YES = 8 };

struct choices {
    uint64_t limit;       /* 0: none */
    struct strv sort, by; /* p NULL: not said */
    bool yes;
};

/* Takes them out of the words; `allowed` is a mask, others stay where they are. */
bool choices_take(struct choices *c, unsigned allowed, int *argc, char **argv, struct err *err);
