/* compact.c - copies the living records out of a nearly empty segment, so that it can go
 *
 * A copy is committed like a message: same id, new line, new place. Only when it is durable the ledger points
 * to it. A crash in between leaves both; at the next start the later place wins, so the old segment goes only
 * after the copies are durable, which commits are, and after the journal is, which store_release sees to.
 *
 * It is looked for when a segment is full and every few seconds, and one segment follows the other: steady
 * load of which a few per cent stay leaves a sparse segment for each that it fills.
 */
#include "queued/store_private.h"

#include "common/base/log.h"
#include "common/base/mem.h"

#include <stdlib.h>

#define FLYING_MAX 64u     /* copies under way: new mail must not wait behind them */
#define LOOK_MAX   50000u  /* messages looked at per step: a millisecond; some steps fit into an iteration */

static bool copy_start(struct store *s, struct message *m)
{
    struct buf bytes;
    struct record record;
    struct err err;
    struct commit *c;
    bool ok;

    buf_init(&bytes, m->place.length + 1);
    ok = store_read(s, m->place, &bytes, &record, &err);
    if (ok) {
        c = commit_new(m->id, COMMIT_COPY);
        c->length = bytes.len;
        c->envelope_n = record.sizes.envelope;
        c->owner = (uint64_t)m->place.segment << 32 | m->place.offset;
        c->record = mem_copy(bytes.data, bytes.len);
        s->compact_flying++;
        store_commit(s, c);
    } else {
        char id[ID_TEXT_SIZE];

        id_text(m->id, id);
        LOG(ERROR, "queue.compact.failed", KS("id", id), KI("segment", m->place.segment),
            KS("reason", err.text));
    }
    buf_clear(&bytes);
    return ok;
}

static void compact_end(struct store *s)
{
    struct account_row *row = account_find(&s->account, s->compacting);
    bool emptied = !row || row->live == 0;

    if (row && s->compact_bad)
        row->keep = true;
    LOG(INFO, "queue.compact.done", KI("segment", s->compacting), KI("left", row ? row->live : 0));
    s->compacting = 0;
    store_release(s);
    /* One that could not be emptied, as on a full disk, is tried again after some time. */
    if (emptied)
        compact_soon(s);
}

static void compact_go_on(struct store *s)
{
    uint32_t handle = 0;

    for (unsigned looked = 0; s->compact_flying < FLYING_MAX && looked < LOOK_MAX; looked++) {
        struct message *m;

        handle = ledger_next(s->ledger, &s->compact_cursor);
        if (!handle)
            break;
        m = ledger_at(s->ledger, handle);
        if (m->place.segment == s->compacting && !copy_start(s, m))
            s->compact_bad = true;
    }
    if (s->compact_flying > 0)
        return; /* the next one that is done goes on */
    if (handle)
        compact_soon(s);
    else
        compact_end(s);
}

void compact_soon(struct store *s)
{
    if (!s->closing)
        loop_later(s->loop, &s->compact_task);
}

static void on_task(void *arg)
{
    compact_step(arg);
}

void compact_init(struct store *s)
{
    s->compact_task = (struct loop_task){ .fn = on_task, .arg = s };
}

void compact_step(struct store *s)
{
    struct account_row *row;

    if (s->closing)
        return;
    if (!s->compacting) {
        row = account_sparse(&s->account);
        if (!row)
            return;
        s->compacting = row->number;
        s->compact_cursor = 0;
        s->compact_bad = false;
    }
    compact_go_on(s);
}

void compact_done(struct store *s, struct commit *c)
{
    uint32_t handle = ledger_find(s->ledger, c->id);
    struct message *m = handle ? ledger_at(s->ledger, handle) : NULL;

    s->compact_flying--;
    if (!c->ok) {
        s->compact_bad = s->compact_bad || c->err.cls != ERR_LIMIT;
    } else if (m && (uint64_t)m->place.segment << 32 == (c->owner & ~(uint64_t)UINT32_MAX)) {
        account_dead(&s->account, m->place);
        m->place = c->place;
        account_live(&s->account, m->place);
    } else {
        /* Over in the meantime; the journal says so by id, which holds for the copy too. The row must exist,
           so that its segment goes some day. */
        account_row(&s->account, c->place.segment);
    }
    commit_free(&c);
    if (s->compacting)
        compact_soon(s);
}
