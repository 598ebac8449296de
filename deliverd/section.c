/* section.c - whether deliveries into the mailboxes of a section work at all, for the operator's status */
#include "deliverd/section.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/proc/daemon.h"
#include "deliverd/deliverd.h"

#define FAILURES 3u /* in a row: one mailbox with wrong rights is not the section */

struct section {
    struct section *next;
    char *name; /* owned */
    unsigned failures;
};

struct sections {
    struct section *first; /* owned */
};

static struct section *find(struct deliverd *d, const char *name)
{
    struct section *s;

    if (!d->sections)
        d->sections = mem_new(sizeof *d->sections);
    for (s = d->sections->first; s && strcmp(s->name, name) != 0; s = s->next)
        continue;
    if (!s) {
        s = mem_new(sizeof *s);
        *s = (struct section){ d->sections->first, mem_str(name), 0 };
        d->sections->first = s;
    }
    return s;
}

void section_result(struct deliverd *d, const char *mailbox, enum ipc_outcome outcome, struct status status,
                    struct strv text)
{
    struct section *s = find(d, mailbox);
    char what[64], problem[500];

    if (outcome != OUTCOME_DEFERRED) {
        /* Others may have found it broken, and have nothing to try again with. */
        if (s->failures > 0) {
            snprintf(what, sizeof what, "mailbox %.50s", mailbox);
            daemon_trouble_over(d->daemon, what);
        }
        s->failures = 0;
        return;
    }
    /* X.2.2: one mailbox is full (RFC 3463 3.3). */
    if ((status.subject == 2 && status.detail == 2) || ++s->failures < FAILURES)
        return;
    snprintf(what, sizeof what, "mailbox %.50s", mailbox);
    snprintf(problem, sizeof problem, "%u deliveries in a row failed; the last one: %.*s", FAILURES,
             (int)strv_sub(text, 0, 300).n, text.n ? text.p : "");
    daemon_trouble(
        d->daemon, what, problem,
        "look at the directories and programs of that section (mtactl check, mtactl config --files); "
        "the mail waits");
}

void sections_free(struct sections **sp)
{
    if (!*sp)
        return;
    while ((*sp)->first) {
        struct section *s = (*sp)->first;

        (*sp)->first = s->next;
        free(s->name);
        free(s);
    }
    MEM_FREE(*sp);
}
