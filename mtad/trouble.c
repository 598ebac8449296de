/* trouble.c - what daemons say does not work: kept for `mtactl status`, forgotten with the process */
#include "mtad/trouble.h"

#include <stdlib.h>

static void trouble_clear(struct trouble *t)
{
    free(t->what);
    free(t->text);
    free(t->advice);
    *t = (struct trouble){ 0 };
}

static unsigned find(const struct troubles *t, struct strv what)
{
    unsigned i = 0;

    while (i < t->n && !strv_is(what, t->rows[i].what))
        i++;
    return i;
}

void troubles_take(struct troubles *t, const struct ipc_in *in, int64_t now_ms)
{
    struct strv what = ipc_get(in, TAG_NAME);
    unsigned i = find(t, what);
    struct trouble *row;

    if (!ipc_has(in, TAG_TEXT)) {
        if (i == t->n)
            return;
        trouble_clear(&t->rows[i]);
        t->rows[i] = t->rows[--t->n];
        return;
    }
    if (i == TROUBLE_MAX)
        return;
    row = &t->rows[i];
    if (i == t->n) {
        *row = (struct trouble){ .since_ms = now_ms };
        t->n++;
    }
    /* The same trouble in new words is as old as it was. */
    now_ms = row->since_ms;
    trouble_clear(row);
    *row = (struct trouble){ .what = strv_dup(what),
                             .text = strv_dup(ipc_get(in, TAG_TEXT)),
                             .advice = strv_dup(ipc_get(in, TAG_REPLY)),
                             .since_ms = now_ms };
}

void troubles_clear(struct troubles *t)
{
    while (t->n > 0)
        trouble_clear(&t->rows[--t->n]);
}
