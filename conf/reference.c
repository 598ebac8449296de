/* reference.c - the reference of all sections and fields, from their tables */
#include "conf/conf.h"
#include "conf/kinds.h"
#include "conf/reference.h"
#include "conf/value.h"

static void add_choices(const struct conf_field *field, struct buf *out)
{
    for (const struct conf_choice *c = field->choices; c->name; c++)
        buf_addf(out, "%s`%s`", c == field->choices ? "" : ", ", c->name);
}

static void add_range(const struct conf_field *field, struct buf *out)
{
    buf_adds(out, conf_type_name(field->type));
    if (field->type != CT_BYTES && field->type != CT_SECONDS && field->type != CT_SECONDS_LIST &&
        field->type != CT_INT)
        return;
    buf_adds(out, ", ");
    conf_amount_write(field->type, field->min, out);
    buf_adds(out, " to ");
    conf_amount_write(field->type, field->max, out);
}

void conf_reference_default(const struct conf_field *field, struct buf *out)
{
    if (field->computed)
        buf_adds(out, field->computed);
    else if (field->required)
        buf_adds(out, "must be given");
    else if (field->type == CT_BLOCK)
        buf_adds(out, "absent");
    else
        buf_addf(out, "`%s`", field->def ? field->def : "[ ]");
}

void conf_reference_values(const struct conf_field *field, struct buf *out)
{
    if (field->choices)
        add_choices(field, out);
    else
        add_range(field, out);
}

static void add_table(const struct conf_kind *kind, struct buf *out)
{
    buf_adds(out, "| name | value | default | meaning |\n|---|---|---|---|\n");
    for (const struct conf_field *f = kind->fields; f->name; f++) {
        buf_addf(out, "| `%s` | ", f->name);
        conf_reference_values(f, out);
        buf_adds(out, " | ");
        conf_reference_default(f, out);
        buf_addf(out, " | %s |\n", f->doc);
    }
    buf_addc(out, '\n');
    for (const struct conf_field *f = kind->fields; f->name; f++) {
        if (f->type != CT_BLOCK)
            continue;
        buf_addf(out, "Inside of `%s`, section `%s`:\n\n", kind->name, f->block->name);
        add_table(f->block, out);
    }
}

void conf_reference(struct buf *out)
{
    for (size_t i = 0; conf_kinds[i]; i++) {
        const struct conf_kind *kind = conf_kinds[i];
        const char *label = kind->label == LABEL_REQUIRED   ? " NAME"
                            : kind->label == LABEL_OPTIONAL ? " [NAME]"
                                                            : "";
        if (kind->name[0] == '\0')
            buf_adds(out, "### Outside of sections\n\n");
        else
            buf_addf(out, "### `%s%s { ... }`\n\n", kind->name, label);
        buf_addf(out, "%s%s%s%s\n\n", kind->doc, kind->label_doc ? " *NAME*: " : "",
                 kind->label_doc ? kind->label_doc : "",
                 kind->count_offset ? " Can stand several times." : "");
        add_table(kind, out);
    }
}
