/* absent.c - messages that were named by their ids and are not in the queue */
#include "mtactl/absent.h"

#include <string.h>
#include <sysexits.h>

#include "mtactl/print.h"

bool absent_row(struct absent *absent, struct tool *t, const struct row *r)
{
    if (strcmp(r->kind, "absent") != 0)
        return false;
    absent->n++;
    if (t->json) {
        tool_row(t, r);
        return true;
    }
    buf_adds(&t->out, "there is no message ");
    print_safe(&t->out, row_text(r, "id"));
    buf_adds(&t->out, " in the queue\n");
    return true;
}

bool absent_all(const struct absent *absent, const struct ask *a)
{
    size_t named = 0;

    for (size_t i = 0; i < a->n; i++)
        named += strcmp(a->args[i].name, "id") == 0;
    return named > 0 && absent->n >= named;
}

int absent_end(const struct absent *absent, struct tool *t)
{
    return tool_end(t, EX_DATAERR, "nothing was changed: %s in the queue",
                    absent->n == 1 ? "that message is not" : "none of those messages is");
}
