/* ask.c - one question to a daemon with all portions of its answer */
#include "mtactl/ask.h"

#include <stdio.h>
#include <sysexits.h>

bool ask_text(struct ask *a, const char *name, struct strv text)
{
    if (a->n == ASK_ARGS_MAX)
        return false;
    a->args[a->n++] = (struct ask_arg){ .name = name, .text = text };
    return true;
}

bool ask_number(struct ask *a, const char *name, uint64_t number)
{
    if (a->n == ASK_ARGS_MAX)
        return false;
    a->args[a->n++] = (struct ask_arg){ .name = name, .number = number };
    return true;
}

int ask_status(enum blocking_trouble trouble)
{
    switch (trouble) {
    case BLOCKING_OK: return EX_OK;
    case BLOCKING_DOWN: return EX_UNAVAILABLE;
    case BLOCKING_REFUSED: return EX_NOPERM;
    case BLOCKING_SILENT: return EX_TEMPFAIL;
    case BLOCKING_BROKEN: return EX_PROTOCOL;
    }
    return EX_SOFTWARE;
}

static int trouble(struct ask *a, enum blocking_trouble how, const struct err *err)
{
    a->trouble = how;
    a->code = ask_status(how);
    snprintf(a->text, sizeof a->text, "%s", err->text);
    return a->code;
}

static void call_make(const struct ask *a, struct blocking *b, uint64_t cursor)
{
    blocking_call(b, a->act, cursor);
    for (size_t i = 0; i < a->n; i++) {
        if (a->args[i].text.p)
            blocking_text(b, a->args[i].name, a->args[i].text);
        else
            blocking_number(b, a->args[i].name, a->args[i].number);
    }
}

static void take_row(const struct ask *a, const struct ipc_in *in)
{
    struct row r;

    if (!a->row)
        return;
    row_read(&r, in);
    a->row(a->arg, &r);
    row_clear(&r);
}

static void take_done(struct ask *a, const struct ipc_in *in, uint64_t *cursor)
{
    struct strv text = ipc_get(in, TAG_TEXT);

    a->code = (int)ipc_get_u64(in, TAG_CODE);
    snprintf(a->text, sizeof a->text, "%.*s", (int)text.n, text.n ? text.p : "");
    *cursor = ipc_get_u64(in, TAG_CURSOR);
}

/* One portion: true when it was answered. */
static bool portion(struct ask *a, struct blocking *b, uint64_t *cursor, struct err *err)
{
    enum blocking_trouble how;
    struct ipc_in in;

    call_make(a, b, *cursor);
    how = blocking_send(b, err);
    /* What refuses us may have said so before it closed: read also when sending failed. */
    for (;;) {
        struct err late = { 0 };
        enum blocking_trouble next = blocking_next(b, &in, &late);

        if (next != BLOCKING_OK) {
            trouble(a, how != BLOCKING_OK ? how : next, how != BLOCKING_OK ? err : &late);
            return false;
        }
        if (in.type == IPC_CTL_ROW)
            take_row(a, &in);
        else if (in.type == IPC_CTL_DATA && a->data)
            a->data(a->arg, ipc_get(&in, TAG_DATA));
        else if (in.type == IPC_CTL_DONE)
            break;
    }
    take_done(a, &in, cursor);
    return true;
}

int ask_run(struct ask *a, struct tool *t)
{
    struct err err = { 0 };
    struct blocking b;
    uint64_t cursor = 0;
    enum blocking_trouble how = blocking_open(&b, tool_runtime(t), a->role, t->wait_ms, &err);

    if (how != BLOCKING_OK)
        return trouble(a, how, &err);
    while (portion(a, &b, &cursor, &err) && cursor && !a->enough)
        continue;
    blocking_close(&b);
    return a->code;
}

void ask_collect(void *rows, struct row *r)
{
    rows_take(rows, r);
}
