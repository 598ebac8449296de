/* ask.c - one question to a daemon with all portions of its answer */
#include "mtactl/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/mem.h"

#define INBOX_MAX (1u << 20)

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

/* Frames of a portion, kept until the next one was asked for: the daemon works while its rows are printed. */
struct inbox {
    struct buf bytes;
    struct kept {
        struct ipc_in in;
        size_t at;
    } * list; /* owned */
    size_t n, cap;
};

static void inbox_keep(struct inbox *box, const struct ipc_in *in)
{
    if (box->n == box->cap) {
        box->cap = box->cap ? box->cap * 2 : 256;
        box->list = mem_resize(box->list, box->cap, sizeof *box->list);
    }
    box->list[box->n++] = (struct kept){ .in = *in, .at = box->bytes.len };
    buf_addv(&box->bytes, in->fields);
}

static void inbox_empty(struct inbox *box, const struct ask *a)
{
    for (size_t i = 0; i < box->n; i++) {
        struct ipc_in in = box->list[i].in;

        in.fields = strv_make(box->bytes.data + box->list[i].at, in.fields.n);
        take_row(a, &in);
    }
    box->n = 0;
    buf_reset(&box->bytes);
}

static void take_row_now(const struct ask *a, struct inbox *box, const struct ipc_in *in)
{
    inbox_empty(box, a);
    take_row(a, in);
}

static enum blocking_trouble question(struct ask *a, struct blocking *b, uint64_t cursor, struct err *err)
{
    call_make(a, b, cursor);
    return blocking_send(b, err);
}

/* What refuses us may have said so before it closed: read also when sending failed. True when it was
   answered in full. */
static bool answer(struct ask *a, struct blocking *b, struct inbox *box, uint64_t *cursor,
                   enum blocking_trouble how, const struct err *err)
{
    struct ipc_in in;

    for (;;) {
        struct err late = { 0 };
        enum blocking_trouble next = blocking_next(b, &in, &late);

        if (next != BLOCKING_OK) {
            trouble(a, how != BLOCKING_OK ? how : next, how != BLOCKING_OK ? err : &late);
            return false;
        }
        if (in.type == IPC_CTL_ROW && a->ahead && box->bytes.len < INBOX_MAX)
            inbox_keep(box, &in);
        else if (in.type == IPC_CTL_ROW)
            take_row_now(a, box, &in);
        else if (in.type == IPC_CTL_DATA && a->data)
            a->data(a->arg, ipc_get(&in, TAG_DATA));
        else if (in.type == IPC_CTL_DONE)
            break;
    }
    take_done(a, &in, cursor);
    return true;
}

static void portions(struct ask *a, struct blocking *b)
{
    struct err err = { 0 };
    uint64_t cursor = 0;
    enum blocking_trouble how;
    struct inbox box = { .n = 0 };
    bool more;

    buf_init(&box.bytes, 2 * INBOX_MAX);
    how = question(a, b, 0, &err);
    do {
        more = answer(a, b, &box, &cursor, how, &err) && cursor && !a->enough;
        if (more)
            how = question(a, b, cursor, &err);
        inbox_empty(&box, a);
    } while (more && !a->enough);
    buf_clear(&box.bytes);
    free(box.list);
}

int ask_run(struct ask *a, struct tool *t)
{
    struct err err = { 0 };
    struct blocking b;
    enum blocking_trouble how = blocking_open(&b, tool_runtime(t), a->role, t->wait_ms, &err);

    if (how != BLOCKING_OK)
        return trouble(a, how, &err);
    portions(a, &b);
    blocking_close(&b);
    return a->code;
}

void ask_collect(void *rows, struct row *r)
{
    rows_take(rows, r);
}
