/* finding.h - what a look at a configuration and its host found: where, what, and what mends it */
#pragma once

#include "common/base/buf.h"
#include "conf/types.h"

enum finding_level {
    FINDING_ADVICE, /* works; deserves a look */
    FINDING_FAULT,  /* something of it does not work, the rest does */
    FINDING_ERROR   /* the configuration cannot be used */
};

struct finding {
    enum finding_level level;
    char *where, *problem, *fix; /* owned; where: "file:line", "default", a path or empty */
};

struct findings {
    struct finding *list; /* owned */
    size_t n, count[FINDING_ERROR + 1];
};

void findings_clear(struct findings *f);
void findings_add(struct findings *f, enum finding_level level, const char *where, const char *fix,
                  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* At a field of a section, e.g. &m->head, "mailbox", "root". */
void findings_at(struct findings *f, enum finding_level level, const struct conf_head *head,
                 const char *section, const char *field, const char *fix, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));
const char *finding_word(enum finding_level level); /* "error" */
/* `where: word: problem; fix` and LF. */
void finding_text(const struct finding *f, struct buf *out);
