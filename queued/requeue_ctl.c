/* requeue_ctl.c - the operator's `queue requeue` and `queue edit`: some messages at once, a row for each */
#include "queued/requeue.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <sysexits.h>

#define FLYING_MAX 32u   /* messages that cleanup has at once */
#define BUDGET     4000u /* of a portion: messages looked at */
#define COST_BEGIN 25u   /* of one that is read and handed over */
#define COST_RCPTS 4u    /* so many recipients of it cost one more: what cleanup has at once is bounded */
#define TELL_MS    1000
#define CHANGE_MAX 4000u
#define WHO_MAX    64u

static void run_free(struct requeue_run *run)
{
    loop_timer_stop(&run->timer);
    buf_clear(&run->change);
    free(run->edit);
    free(run);
}

/* What is under way goes on without him. */
static void on_gone(void *data)
{
    struct requeue_run *run = data;

    run->call = NULL;
    run->over = true;
    if (run->edit)
        run->edit->call = NULL;
    if (!run->flying)
        run_free(run);
}

/* The caller shall see that we live. */
static void on_tell(void *arg)
{
    struct requeue_run *run = arg;

    if (!run->call)
        return;
    ctl_row(run->call, "progress");
    ctl_put_u64(run->call, "under_way", run->flying);
    ctl_row_end(run->call);
    loop_timer_set(&run->timer, TELL_MS);
}

void requeue_row_kept(struct requeue_run *run, uint64_t id, struct strv reason)
{
    char text[ID_TEXT_SIZE];

    if (!run->call)
        return;
    id_text(id, text);
    ctl_row(run->call, "kept");
    ctl_put(run->call, "id", SV(text));
    ctl_put(run->call, "reason", reason);
    ctl_row_end(run->call);
}

void requeue_row_done(struct requeue_run *run, const struct requeue *op, uint64_t new_id)
{
    char text[ID_TEXT_SIZE];

    if (!run->call)
        return;
    id_text(op->id, text);
    ctl_row(run->call, run->edit ? "edited" : "requeued");
    ctl_put(run->call, "id", SV(text));
    text[0] = '\0';
    if (new_id)
        id_text(new_id, text);
    ctl_put(run->call, "new", SV(text));
    ctl_put_u64(run->call, "recipients", op->moved);
    ctl_put_u64(run->call, "running", op->running);
    ctl_put_u64(run->call, "left", op->left_n);
    ctl_row_end(run->call);
}

static void begin_more(struct requeue_run *run)
{
    while (!run->over && run->budget && run->flying < FLYING_MAX &&
           ctl_rows(run->call) + run->flying < CTL_PORTION) {
        uint32_t handle = selection_next(run->q, &run->selection, &run->cursor, &run->budget);
        const char *why;
        unsigned cost;

        if (!handle) {
            run->over = run->cursor == 0;
            continue;
        }
        cost = COST_BEGIN + ledger_at(&run->q->ledger, handle)->rcpt_n / COST_RCPTS;
        run->budget -= run->budget > cost ? cost : run->budget;
        why = requeue_begin(run, handle);
        if (why)
            requeue_row_kept(run, ledger_at(&run->q->ledger, handle)->id, SV(why));
    }
}

void requeue_run_pump(struct requeue_run *run)
{
    if (run->pumping)
        return;
    run->pumping = true;
    begin_more(run);
    run->pumping = false;
    if (run->flying)
        return;
    if (run->call && run->over)
        ctl_done(run->call, 0, NULL);
    else if (run->call)
        ctl_more(run->call, run->cursor);
    run_free(run);
}

static bool is_ready(struct mailq *q, struct ctl_call *call)
{
    const char *why = NULL;

    if (q->draining)
        why = "the queue is being shut down";
    else if (!q->cleanup)
        why = "cleanup is not there now";
    else if (!deliverd_all_known(q))
        why = "it is not known yet what is being delivered; try again in a moment";
    if (why)
        ctl_done(call, EX_TEMPFAIL, "%s", why);
    return !why;
}

static struct requeue_run *run_new(struct mailq *q, struct ctl_call *call, const struct selection *s)
{
    struct requeue_run *run = mem_new(sizeof *run);

    run->q = q;
    run->call = call;
    run->selection = *s;
    run->selection.absent = call;
    run->cursor = ctl_cursor(call);
    run->budget = BUDGET;
    run->uid = ctl_uid(call);
    buf_init(&run->change, CHANGE_MAX + 1024);
    loop_timer_init(&run->timer, q->loop, on_tell, run);
    loop_timer_set(&run->timer, TELL_MS);
    ctl_later(call, on_gone, run);
    return run;
}

void requeue_act(void *arg, struct ctl_call *call)
{
    struct mailq *q = arg;
    struct selection s;
    struct err err = { 0 };

    if (!selection_read(&s, call, &err) || !s.any) {
        ctl_done(call, EX_USAGE, "%s",
                 err.text[0] ? err.text : "say which messages: ids, a selector, or --all");
        return;
    }
    /* What this makes must not come by again: it is younger than the call. */
    if (!s.ids && !s.until_ms) {
        ctl_done(call, EX_USAGE, "a selector needs a time until when");
        return;
    }
    if (!s.ids)
        s.until_ms--;
    if (is_ready(q, call))
        requeue_run_pump(run_new(q, call, &s));
}

/* ---- edit ---- */

static bool argument_is_address(struct strv text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f)
            return false;
    return text.n > 0 && text.n <= 512;
}

static void add_word(struct buf *out, const char *before, const char *what, struct strv word)
{
    buf_addf(out, "%s %s ", out->len && out->data[out->len - 1] == ':' ? "" : before, what);
    buf_addv(out, word.n ? word : SV_LIT("<>"));
}

/* Somebody waits in it whom the address means. False: the call is answered. */
static bool someone_is_meant(struct mailq *q, struct ctl_call *call, struct message *m, struct strv address)
{
    bool running = false;

    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        if (!requeue_means(&q->envelope.rcpts[i], address))
            continue;
        if (requeue_is_idle(message_rcpt(m, i)))
            return true;
        running = running || message_rcpt(m, i)->state == RCPT_RUNNING;
    }
    ctl_done(call, running ? EX_TEMPFAIL : EX_DATAERR, "%.*s %s",
             (int)(address.n > 300 ? 300 : address.n), address.p,
             running ? "is being delivered now" : "is no recipient of it that waits");
    return false;
}

/* Who changed what, for the record. False: the call is answered. */
static bool changes_read(struct mailq *q, struct ctl_call *call, struct message *m, struct strv sender,
                         struct buf *out)
{
    static const char *const names[] = { "remove", "old", "add", "new" };
    struct strv text, other;

    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        for (size_t i = 0; ctl_text_nth(call, names[k], i, &text); i++) {
            if (!argument_is_address(text)) {
                ctl_done(call, EX_USAGE, "%.*s is no address", (int)(text.n > 300 ? 300 : text.n),
                         text.n ? text.p : "");
                return false;
            }
            if (k < 2 && !someone_is_meant(q, call, m, text))
                return false;
            if (strcmp(names[k], "new") != 0)
                add_word(out, ";", k == 1 ? "replaced" : k == 0 ? "removed" : "added", text);
            if (k == 1 && ctl_text_nth(call, "new", i, &other))
                add_word(out, "", "by", other);
        }
    }
    if (sender.p) {
        add_word(out, ";", "sender", q->envelope.sender);
        add_word(out, "", "became", sender);
    }
    return true;
}

static void change_head(struct ctl_call *call, struct buf *out)
{
    struct strv who = strv_sub(ctl_text(call, "by"), 0, WHO_MAX);
    char now[64];

    clock_rfc3339(clock_wall_ms(), now, sizeof now);
    buf_addf(out, "%s uid %u", now, ctl_uid(call));
    if (who.n) {
        buf_adds(out, " (");
        buf_addv(out, who);
        buf_addc(out, ')');
    }
    buf_addc(out, ':');
}

static struct edit *edit_read(struct ctl_call *call)
{
    struct edit *edit = mem_new(sizeof *edit);
    uint64_t notify = 0;

    edit->call = call;
    edit->sender = ctl_text(call, "new_sender");
    edit->notify = ctl_number(call, "notify", &notify) && notify;
    return edit;
}

void requeue_edit_act(void *arg, struct ctl_call *call)
{
    struct mailq *q = arg;
    struct strv sender = ctl_text(call, "new_sender"), id, more;
    struct requeue_run *run;
    struct selection s;
    struct err err = { 0 };
    struct bytes *b;
    struct buf change;
    uint32_t handle;
    uint64_t number;
    size_t head;
    bool ok;

    if (!selection_read(&s, call, &err) || !ctl_text_nth(call, "id", 0, &id) ||
        ctl_text_nth(call, "id", 1, &more) || !id_parse(id, &number)) {
        ctl_done(call, EX_USAGE, "which message?");
        return;
    }
    if (!is_ready(q, call))
        return;
    handle = ledger_find(&q->ledger, number);
    b = handle ? message_envelope(q, handle) : NULL;
    if (!b || q->envelope.rcpt_n != ledger_at(&q->ledger, handle)->rcpt_n) {
        bytes_unref(&b);
        ctl_done(call, EX_DATAERR, handle ? "its record cannot be read" : "there is no such message");
        return;
    }
    buf_init(&change, CHANGE_MAX);
    change_head(call, &change);
    head = change.len;
    ok = changes_read(q, call, ledger_at(&q->ledger, handle), sender, &change);
    bytes_unref(&b);
    if (ok && change.len == head) {
        ctl_done(call, EX_USAGE, "say what is to be another");
    } else if (ok && !buf_ok(&change)) {
        ctl_done(call, EX_USAGE, "too many changes at once for the record of them");
    } else if (ok) {
        run = run_new(q, call, &s);
        buf_addv(&run->change, buf_view(&change));
        run->edit = edit_read(call);
        run->edit->change = buf_view(&run->change);
        requeue_run_pump(run);
    }
    buf_clear(&change);
}
