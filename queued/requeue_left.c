/* requeue_left.c - who gets nothing of a message that goes through cleanup again: told one by one */
#include "queued/requeue.h"

#include "common/base/log.h"

#define ROWS_MAX 1000u /* of a message; the log has all of them */

void requeue_left_add(struct requeue *op, char why, struct strv address, struct strv original)
{
    buf_addc(&op->left, why);
    buf_addv(&op->left, address);
    /* No address holds a line feed or a NUL. */
    buf_addc(&op->left, '\n');
    buf_addv(&op->left, original);
    buf_addc(&op->left, '\0');
    op->left_n++;
}

static const char *reason_of(char why)
{
    switch (why) {
    case REQUEUE_LEFT_RUNNING: return "is being delivered to now";
    case REQUEUE_LEFT_NOBODY: return "leads to nobody now";
    default: return "has it, or gets it by the old message";
    }
}

static void row_left(struct requeue_run *run, const char *id, struct strv address, struct strv original,
                     const char *reason)
{
    ctl_row(run->call, "left");
    ctl_put(run->call, "id", SV(id));
    ctl_put(run->call, "recipient", address);
    ctl_put(run->call, "original", original);
    ctl_put(run->call, "reason", SV(reason));
    ctl_row_end(run->call);
}

void requeue_left_tell(struct requeue_run *run, const struct requeue *op, uint64_t new_id)
{
    struct strv rest = buf_view(&op->left), entry, address;
    char id[ID_TEXT_SIZE], now[ID_TEXT_SIZE] = "";

    id_text(op->id, id);
    if (new_id)
        id_text(new_id, now);
    for (unsigned n = 0; rest.n && strv_cut(&rest, '\0', &entry) && entry.n; n++) {
        const char *reason = reason_of(entry.p[0]);

        entry = strv_from(entry, 1);
        (void)strv_cut(&entry, '\n', &address);
        LOG(INFO, "queue.requeue.left", KS("id", id), KS("new", now), KV("rcpt", address),
            KV("orig_to", strv_eq(entry, address) ? strv_make(NULL, 0) : entry), KS("reason", reason));
        if (run->call && n < ROWS_MAX)
            row_left(run, id, address, entry, reason);
    }
}
