/* manual.c - all sections and fields in mdoc, from their tables, for mansio.conf(5) and the daemons' pages */
#include "conf/conf.h"
#include "conf/kinds.h"
#include "conf/manual.h"
#include "conf/reference.h"

/* Text of the tables: `word` becomes bold, a sentence begins on a line of its own, nothing of it is roff. */
static void add_text(struct strv text, struct buf *out)
{
    bool marked = false, start = true;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (start && (c == '.' || c == '\'' || (c == '`' && i + 1 < text.n && text.p[i + 1] == '.')))
            buf_adds(out, "\\&");
        start = false;
        if (c == '`') {
            marked = !marked;
            buf_adds(out, marked ? "\\fB" : "\\fP");
        } else if (c == '\\') {
            buf_adds(out, "\\e");
        } else if (c == ' ' && i > 0 && text.p[i - 1] == '.' && !marked) {
            buf_addc(out, '\n');
            start = true;
        } else {
            buf_addc(out, c);
        }
    }
    buf_addc(out, '\n');
}

void conf_manual_text(const char *text, struct buf *out)
{
    add_text(SV(text), out);
}

static void add_made(void (*make)(const struct conf_field *field, struct buf *out), const char *word,
                     const struct conf_field *field, struct buf *out)
{
    struct buf text;

    buf_init(&text, 1 << 16);
    buf_adds(&text, word);
    make(field, &text);
    buf_addc(&text, '.');
    add_text(buf_view(&text), out);
    buf_clear(&text);
}

static void add_fields(const struct conf_kind *kind, struct buf *out)
{
    buf_adds(out, ".Bl -tag -width Ds\n");
    for (const struct conf_field *f = kind->fields; f->name; f++) {
        buf_addf(out, ".It Cm %s\n", f->name);
        conf_manual_text(f->doc, out);
        if (f->type == CT_BLOCK) {
            add_fields(f->block, out);
            continue;
        }
        buf_adds(out, ".br\n");
        add_made(conf_reference_values, "Value: ", f, out);
        add_made(conf_reference_default, "Default: ", f, out);
    }
    buf_adds(out, ".El\n");
}

void conf_manual(struct buf *out)
{
    for (size_t i = 0; conf_kinds[i]; i++) {
        const struct conf_kind *kind = conf_kinds[i];
        const char *label = kind->label == LABEL_REQUIRED   ? " Ar NAME"
                            : kind->label == LABEL_OPTIONAL ? " Op Ar NAME"
                                                            : "";

        if (kind->name[0] == '\0')
            buf_adds(out, ".Ss Outside of sections\n");
        else
            buf_addf(out, ".Ss Cm %s%s No { ... }\n", kind->name, label);
        conf_manual_text(kind->doc, out);
        if (kind->label_doc) {
            buf_adds(out, ".br\n.Ar NAME :\n");
            conf_manual_text(kind->label_doc, out);
        }
        if (kind->count_offset)
            buf_adds(out, "The section can stand several times.\n");
        add_fields(kind, out);
    }
}

void conf_manual_role(enum role role, struct buf *out)
{
    buf_adds(out, ".Bl -tag -width Ds\n");
    for (size_t i = 0; conf_kinds[i]; i++) {
        const struct conf_kind *kind = conf_kinds[i];
        bool first = true;

        if (!conf_kind_granted(kind, role))
            continue;
        if (kind->name[0] == '\0')
            buf_adds(out, ".It outside of sections\n");
        else
            buf_addf(out, ".It Cm %s\n", kind->name);
        for (const struct conf_field *f = kind->fields; f->name; f++) {
            if (!conf_field_granted(f, role))
                continue;
            buf_addf(out, "%s%s", first ? "" : ",\n", f->name);
            first = false;
        }
        buf_adds(out, "\n");
    }
    buf_adds(out, ".El\n");
}
