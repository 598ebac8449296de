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

static void take_done(struct ask *a, const struct ipc_in *in, uint64_t *cursor)
{
    struct strv text = ipc_get(in, TAG_TEXT);

    a->code = (int)ipc_get_u64(in, TAG_CODE);
    snprintf(a->text, sizeof a->text, "%.*s", (int)text.n, text.n ? text.p : "");
    *cursor = ipc_get_u64(in, TAG_CURSOR);
}

/* Rows of a portion, kept until the next one was asked for: the daemon works while they are printed. */
struct inbox {
    struct buf bytes;
    struct rowread reader; /* of this portion's names */
    struct row row;
};

/* False: the daemon sent what is no row. */
static bool inbox_empty(struct inbox *box, struct ask *a)
{
    struct strv rest = buf_view(&box->bytes);

    while (rest.n > 0) {
        if (!row_read(&box->row, &box->reader, &rest)) {
            struct err err = { 0 };

            err_set(&err, ERR_PROTO, "%s sent nonsense; is it of another version?", role_name(a->role));
            trouble(a, BLOCKING_BROKEN, &err);
            return false;
        }
        if (a->row)
            a->row(a->arg, &box->row);
    }
    buf_reset(&box->bytes);
    return true;
}

static bool take_rows(struct inbox *box, struct ask *a, const struct ipc_in *in)
{
    if (box->bytes.len > INBOX_MAX && !inbox_empty(box, a))
        return false;
    buf_addv(&box->bytes, ipc_get(in, TAG_DATA));
    return a->ahead || inbox_empty(box, a);
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

    rowread_reset(&box->reader);
    for (;;) {
        struct err late = { 0 };
        enum blocking_trouble next = blocking_next(b, &in, &late);

        if (next != BLOCKING_OK) {
            trouble(a, how != BLOCKING_OK ? how : next, how != BLOCKING_OK ? err : &late);
            return false;
        }
        if (in.type == IPC_CTL_DONE)
            break;
        if (in.type == IPC_CTL_ROWS && !take_rows(box, a, &in))
            return false;
        if (in.type == IPC_CTL_DATA && a->data)
            a->data(a->arg, ipc_get(&in, TAG_DATA));
    }
    take_done(a, &in, cursor);
    return true;
}

static void portions(struct ask *a, struct blocking *b)
{
    struct err err = { 0 };
    uint64_t cursor = 0;
    enum blocking_trouble how;
    struct inbox box = { .row = { .n = 0 } };
    bool more;

    buf_init(&box.bytes, 2 * INBOX_MAX);
    rowread_init(&box.reader);
    how = question(a, b, 0, &err);
    do {
        more = answer(a, b, &box, &cursor, how, &err) && cursor && !a->enough;
        if (more)
            how = question(a, b, cursor, &err);
        more = inbox_empty(&box, a) && more;
    } while (more && !a->enough);
    buf_clear(&box.bytes);
    rowread_clear(&box.reader);
    row_clear(&box.row);
}

int ask_run(struct ask *a, struct tool *t)
{
    struct err err = { 0 };
    struct blocking b;
    enum blocking_trouble how;

    if (!tool_has_host(t, &err)) {
        trouble(a, BLOCKING_REFUSED, &err);
        return a->code = EX_CONFIG;
    }
    how = blocking_open(&b, tool_runtime(t), a->role, t->wait_ms, &err);
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
