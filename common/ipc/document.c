/* document.c - frames and the schema as text: trace lines and the generated part of docs/IPC.md */
#include "common/ipc/frame.h"

#include <inttypes.h>

#define TRACE_TEXT_MAX 200u /* longer values are cut in a trace */

/* ---- trace ---- */

static void trace_text(struct strv v, struct buf *out)
{
    bool plain = v.n > 0;

    for (size_t i = 0; i < v.n && plain; i++)
        plain = byte_is_print((unsigned char)v.p[i]) && !byte_in_set(v.p[i], " \"\\{}");
    if (plain && v.n <= TRACE_TEXT_MAX) {
        buf_addv(out, v);
        return;
    }
    buf_addc(out, '"');
    for (size_t i = 0; i < v.n && i < TRACE_TEXT_MAX; i++) {
        if (!byte_is_print((unsigned char)v.p[i]) || v.p[i] == '"' || v.p[i] == '\\')
            buf_addf(out, "\\x%02x", (unsigned char)v.p[i]);
        else
            buf_addc(out, v.p[i]);
    }
    buf_adds(out, v.n > TRACE_TEXT_MAX ? "...\"" : "\"");
}

static void trace_fields(const struct ipc_field *table, const struct ipc_in *in, struct buf *out)
{
    for (const struct ipc_field *f = table; f->tag; f++) {
        size_t at = 0;
        struct strv v;
        struct ipc_in group;

        while (ipc_next(in, (enum ipc_tag)f->tag, &at, &v)) {
            size_t before = at - v.n - IPC_FIELD_HEAD;
            uint64_t number = 0;

            buf_addf(out, " %s=", ipc_tag_name(f->tag));
            switch ((enum ipc_kind)f->kind) {
            case IPC_U64:
                ipc_next_u64(in, (enum ipc_tag)f->tag, &before, &number);
                buf_addf(out, "%" PRIu64, number);
                break;
            case IPC_TEXT: trace_text(v, out); break;
            case IPC_BYTES: buf_addf(out, "[%zu]", v.n); break;
            case IPC_GROUP:
                ipc_next_group(in, (enum ipc_tag)f->tag, &before, &group);
                buf_addc(out, '{');
                trace_fields(f->group->fields, &group, out);
                buf_adds(out, " }");
                break;
            }
        }
    }
}

void ipc_trace(const struct ipc_in *in, struct buf *out)
{
    buf_addf(out, "%s txn=%" PRIu64, in->schema->name, in->txn);
    trace_fields(in->schema->fields, in, out);
    if (in->fd_count)
        buf_addf(out, " fds=%u", in->fd_count);
}

/* ---- docs/IPC.md ---- */

static void doc_roles(uint32_t mask, struct buf *out)
{
    const char *comma = "";

    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        if (mask & ROLE_BIT(role)) {
            buf_addf(out, "%s%s", comma, role_name((enum role)role));
            comma = ", ";
        }
    }
}

static void doc_field(const struct ipc_field *f, unsigned depth, struct buf *out)
{
    static const char *const kinds[] = { "U64", "TEXT", "BYTES", "group" };
    static const char *const needs[] = { "required", "optional", "repeated" };
    uint32_t max = f->max;

    buf_addf(out, "| %s%s | %u | %s | %s | ", depth ? "&nbsp;&nbsp;. " : "", ipc_tag_name(f->tag), f->tag,
             kinds[f->kind], needs[f->need]);
    if (f->kind == IPC_TEXT && !max)
        max = IPC_TEXT_MAX;
    if (max)
        buf_addf(out, "%u", max);
    buf_addf(out, " | %s |\n", f->doc);
    if (f->kind != IPC_GROUP)
        return;
    for (const struct ipc_field *g = f->group->fields; g->tag; g++)
        doc_field(g, depth + 1, out);
}

static void doc_message(const struct ipc_message *m, struct buf *out)
{
    static const char *const classes[] = { "request", "chunk", "reply" };

    buf_addf(out, "\n### %s (%u)\n\n%s. Class %s; from ", m->name, m->type, m->doc, classes[m->class]);
    doc_roles(m->from, out);
    buf_adds(out, " to ");
    doc_roles(m->to, out);
    if (m->fds == IPC_FDS_ANY)
        buf_addf(out, "; up to %u descriptors", IPC_FDS_MAX);
    else if (m->fds)
        buf_addf(out, "; %u descriptor%s", m->fds, m->fds > 1 ? "s" : "");
    buf_adds(out, ".\n");
    if (!m->fields->tag) {
        buf_adds(out, "\nNo fields.\n");
        return;
    }
    buf_adds(out, "\n| field | tag | kind | need | max | meaning |\n|---|---|---|---|---|---|\n");
    for (const struct ipc_field *f = m->fields; f->tag; f++)
        doc_field(f, 0, out);
}

void ipc_document(struct buf *out)
{
    for (const struct ipc_message *m = ipc_messages; m->type; m++)
        doc_message(m, out);
}
