/* batch.c - messages that are whole in tmp/ and become durable together */
#include "deliverd/agent/batch.h"

#include <stdio.h>
#include <string.h>

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

static void step_all(struct batch *b, enum step step)
{
    for (unsigned i = 0; i < b->n; i++) {
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

void batch_commit(struct batch *b, void (*tell)(void *arg, const struct batch_item *item), void *arg)
{
    for (unsigned i = 0; b->n > 1 && i < b->n; i++)
        maildir_write_begins(&b->items[i].file);
    step_all(b, SYNC);
    step_all(b, SHOW);
    step_all(b, SETTLE);
    for (unsigned i = 0; i < b->n; i++) {
        tell(arg, &b->items[i]);
        maildir_close(&b->items[i].box);
    }
    b->n = 0;
}
