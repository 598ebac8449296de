/* finding.c - what a look at a configuration and its host found */
#include "inspect/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "conf/conf.h"

static void __attribute__((format(printf, 5, 0))) add(struct findings *f, enum finding_level level,
                                                      const char *where, const char *fix, const char *fmt,
                                                      va_list ap)
{
    char text[2048];

    vsnprintf(text, sizeof text, fmt, ap);
    f->list = mem_resize(f->list, f->n + 1, sizeof *f->list);
    f->list[f->n++] = (struct finding){ level, mem_str(where), mem_str(text), mem_str(fix ? fix : "") };
    f->count[level]++;
}

void findings_add(struct findings *f, enum finding_level level, const char *where, const char *fix,
                  const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(f, level, where, fix, fmt, ap);
    va_end(ap);
}

void findings_at(struct findings *f, enum finding_level level, const struct conf_head *head,
                 const char *section, const char *field, const char *fix, const char *fmt, ...)
{
    struct conf_where at = conf_where(head, section, field);
    char where[512];
    va_list ap;

    /* What nobody wrote is the section's doing, if somebody wrote that. */
    conf_where_text(at.line == 0 ? head->where : at, where, sizeof where);
    va_start(ap, fmt);
    add(f, level, where, fix, fmt, ap);
    va_end(ap);
}

void findings_clear(struct findings *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->list[i].where);
        free(f->list[i].problem);
        free(f->list[i].fix);
    }
    free(f->list);
    *f = (struct findings){ 0 };
}

const char *finding_word(enum finding_level level)
{
    static const char *const words[] = { "advice", "fault", "error" };

    return words[level];
}

void finding_text(const struct finding *f, struct buf *out)
{
    buf_addf(out, "%s%s%s: %s%s%s\n", f->where, *f->where ? ": " : "", finding_word(f->level), f->problem,
             *f->fix ? "; " : "", f->fix);
}
