/* write.c - canonical text for the daemons, and the same with origins for the operator */
#include "conf/conf.h"
#include "conf/kinds.h"
#include "conf/value.h"

#include <stdio.h>

struct writer {
    struct buf *out;
    enum role role;
    bool marks;                     /* `#@` lines for a daemon; comments behind the values for a human */
    struct conf_where last;
    bool marked;
};

static void indent(struct writer *w, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        buf_adds(w->out, "    ");
}

/* A place is written when it is not that of the statement before. */
static void mark(struct writer *w, const struct conf_where *where)
{
    if (!w->marks)
        return;
    if (w->marked && strcmp(w->last.file, where->file) == 0 && w->last.line == where->line &&
        w->last.column == where->column)
        return;
    w->last = *where;
    w->marked = true;
    if (where->line == 0)
        buf_adds(w->out, "#@ default\n");
    else
        buf_addf(w->out, "#@ %u:%u %s\n", where->line, where->column, where->file);
}

static void origin(struct writer *w, const struct conf_where *where)
{
    if (w->marks) {
        buf_addc(w->out, '\n');
        return;
    }
    buf_adds(w->out, "    # ");
    buf_adds(w->out, where->file);
    if (where->line > 0)
        buf_addf(w->out, ":%u", where->line);
    buf_addc(w->out, '\n');
}

static void write_section(struct writer *w, const struct conf_kind *kind, const void *section,
                          unsigned depth);

static void write_fields(struct writer *w, const struct conf_kind *kind, const struct conf_head *head,
                         unsigned depth)
{
    for (size_t i = 0; kind->fields[i].name; i++) {
        const struct conf_field *field = &kind->fields[i];
        const void *slot = (const char *)head + field->offset;
        if (!conf_field_granted(field, w->role))
            continue;
        if (field->type == CT_BLOCK) {
            const void *block = *(void *const *)slot;
            if (block)
                write_section(w, field->block, block, depth);
            continue;
        }
        mark(w, &head->at[i]);
        indent(w, depth);
        buf_addf(w->out, "%s = ", field->name);
        conf_value_write(field, slot, w->out);
        origin(w, &head->at[i]);
    }
}

/* Recursion is as deep as the tables nest: twice. */
static void write_section(struct writer *w, const struct conf_kind *kind, const void *section, unsigned depth)
{
    const struct conf_head *head = section;
    mark(w, &head->where);
    indent(w, depth);
    buf_adds(w->out, kind->name);
    if (head->name[0] != '\0') {
        buf_addc(w->out, ' ');
        conf_word_write(SV(head->name), w->out);
    }
    buf_adds(w->out, " {");
    origin(w, &head->where);
    write_fields(w, kind, head, depth + 1);
    indent(w, depth);
    buf_adds(w->out, "}\n");
}

static void write_all(struct writer *w, const struct conf *conf)
{
    write_fields(w, &conf_top_kind, (const struct conf_head *)(const void *)conf->top, 0);
    for (size_t i = 1; conf_kinds[i]; i++) {
        if (!conf_kind_granted(conf_kinds[i], w->role))
            continue;
        for (size_t k = 0; k < conf_kind_count(conf, conf_kinds[i]); k++)
            write_section(w, conf_kinds[i], conf_kind_section(conf, conf_kinds[i], k), 0);
    }
}

void conf_write(const struct conf *conf, enum role role, struct buf *out)
{
    struct writer w = { .out = out, .role = role, .marks = true };
    write_all(&w, conf);
}

void conf_describe(const struct conf *conf, struct buf *out)
{
    struct writer w = { .out = out, .role = conf->role };
    write_all(&w, conf);
}
