/* batch.c - messages that are whole in tmp/ and become durable together */
#include "deliverd/agent/batch.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/os/fd.h"

void batch_add(struct batch *b, struct deposit *d, uint64_t txn, const char *id)
{
    struct batch_item *item = &b->items[b->n++];

    item->txn = txn;
    item->failed = false;
    snprintf(item->id, sizeof item->id, "%s", id);
    snprintf(item->rcpt, sizeof item->rcpt, "%s", d->rcpt);
    item->size = d->text.written;
    deposit_clean(d);
    fd_close(&d->box.dir_fd); /* three descriptors for each, see the limit of the role */
    item->box = d->box;
    item->file = d->file;
    d->box.tmp_fd = d->box.new_fd = d->file.fd = -1;
    d->state = DEPOSIT_IDLE;
}

static void item_discard(struct batch_item *item)
{
    maildir_discard(&item->box, &item->file);
    maildir_close(&item->box);
}

bool batch_remove(struct batch *b, uint64_t txn)
{
    for (unsigned i = 0; i < b->n; i++) {
        if (b->items[i].txn != txn)
            continue;
        item_discard(&b->items[i]);
        memmove(&b->items[i], &b->items[i + 1], (b->n - i - 1) * sizeof b->items[0]);
        b->n--;
        return true;
    }
    return false;
}

void batch_drop(struct batch *b)
{
    for (unsigned i = 0; i < b->n; i++)
        item_discard(&b->items[i]);
    b->n = 0;
}

enum step { SYNC, SHOW, SETTLE };

static void steps(struct batch *b, unsigned from, unsigned to, enum step step)
{
    for (unsigned i = from; i < to; i++) {
        struct batch_item *item = &b->items[i];
        struct err err = { 0 };
        bool ok = true;

        if (item->failed)
            continue;
        switch (step) {
        case SYNC: ok = maildir_sync(&item->box, &item->file, &err); break;
        case SHOW: ok = maildir_show(&item->box, &item->file, item->size, &err); break;
        case SETTLE: ok = maildir_settle(&item->box, &item->file, &err); break;
        }
        item->failed = !ok;
        if (!ok || step == SETTLE)
            deposit_result_make(&item->result, ok ? NULL : &err, item->box.shown);
    }
}

/* Those from this one on whose files are durable in time; where the next ones begin. */
static unsigned part_sync(struct batch *b, unsigned from)
{
    int64_t until = clock_mono_ms() + b->part_ms;
    unsigned to = from;

    do {
        steps(b, to, to + 1, SYNC);
        to++;
    } while (to < b->n && clock_mono_ms() < until);
    return to;
}

void batch_commit(struct batch *b, void (*tell)(void *arg, const struct batch_item *item), void *arg)
{
    unsigned from = 0, to;

    for (unsigned i = 0; b->n > 1 && i < b->n; i++)
        maildir_write_begins(&b->items[i].file);
    for (; from < b->n; from = to) {
        to = part_sync(b, from);
        steps(b, from, to, SHOW);
        steps(b, from, to, SETTLE);
        for (unsigned i = from; i < to; i++) {
            tell(arg, &b->items[i]);
            maildir_close(&b->items[i].box);
        }
        tell(arg, NULL);
    }
    b->n = 0;
}
