/* ledger.c - what the queue knows of each message, in memory; changed by journal entries only (no I/O) */
#include "queued/ledger.h"

#include "common/base/dict.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/ipc/schema.h"

#include <stdlib.h>

#define SLOTS_FIRST 1024u

_Static_assert(sizeof(struct message) <= 80, "a million messages in 200 MB");

static void on_why_drop(void *arg, void *why)
{
    struct words *w = why;

    words_unref(arg, &w);
}

void ledger_init(struct ledger *l, const struct sched_conf *conf)
{
    struct sched_conf own = *conf;

    memset(l, 0, sizeof *l);
    pool_init(&l->messages, sizeof(struct message));
    l->slot_n = SLOTS_FIRST;
    l->slots = mem_array(l->slot_n, sizeof *l->slots);
    /* What a destination remembers of its last failure is words of ours. */
    own.drop = on_why_drop;
    own.arg = &l->words;
    l->sched = sched_new(&own);
}

static void message_release(struct ledger *l, struct message *m)
{
    for (uint32_t i = 0; i < m->rcpt_n; i++)
        words_unref(&l->words, &message_rcpt(m, i)->words);
    if (m->rcpt_n > 1)
        free(m->rcpt.many);
}

void ledger_clear(struct ledger *l)
{
    uint32_t cursor = 0, handle;

    while ((handle = ledger_next(l, &cursor)))
        message_release(l, ledger_at(l, handle));
    pool_clear(&l->messages);
    MEM_FREE(l->slots);
    MEM_FREE(l->seen);
    l->seen_n = 0;
    sched_free(&l->sched);
    words_clear(&l->words);
    dict_free(&l->lost, NULL);
    dict_free(&l->frozen, NULL);
}

/* ---- by id ---- */

/* Ids come from our own clocks, but also from whoever could write a segment: mix them well, a collision is
 * only slow.
 */
static size_t slot_of(const struct ledger *l, uint64_t id)
{
    id ^= id >> 31;
    id *= 0x9e3779b97f4a7c15u;
    return (size_t)(id >> 20) & (l->slot_n - 1);
}

uint32_t ledger_find(const struct ledger *l, uint64_t id)
{
    uint32_t handle = l->slots[slot_of(l, id)];

    while (handle && ledger_at(l, handle)->id != id)
        handle = ledger_at(l, handle)->hash_next;
    return handle;
}

/* In two steps, since the slot says where the message is: its slot now, what that slot has some calls
 * later. */
void ledger_ahead(struct ledger *l, uint64_t id)
{
    uint64_t *before = &l->ahead[l->ahead_n++ % LEDGER_AHEAD];
    uint32_t handle = l->slots[slot_of(l, *before)];

    if (handle)
        __builtin_prefetch(ledger_at(l, handle));
    __builtin_prefetch(&l->slots[slot_of(l, id)], 1);
    *before = id;
}

/* The same for entries: a journal mostly follows the order of the records. */
static uint32_t entry_find(struct ledger *l, uint64_t id)
{
    uint32_t next = l->last_found + 1;

    if (id == 0 || next > l->messages.used || ledger_at(l, next)->id != id)
        next = ledger_find(l, id); /* 0 is nobody's, and that of every free slot */
    if (next)
        l->last_found = next;
    return next;
}

static void slots_grow(struct ledger *l)
{
    size_t old_n = l->slot_n;
    uint32_t *old = l->slots;

    l->slot_n *= 2;
    l->slots = mem_array(l->slot_n, sizeof *l->slots);
    for (size_t i = 0; i < old_n; i++) {
        for (uint32_t handle = old[i], next; handle; handle = next) {
            struct message *m = ledger_at(l, handle);
            uint32_t *slot = &l->slots[slot_of(l, m->id)];

            next = m->hash_next;
            m->hash_next = *slot;
            *slot = handle;
        }
    }
    free(old);
}

uint32_t ledger_next(const struct ledger *l, uint32_t *cursor)
{
    while (*cursor < l->messages.used) {
        uint32_t handle = ++*cursor;

        if (ledger_at(l, handle)->id)
            return handle;
    }
    return 0;
}

size_t ledger_count(const struct ledger *l)
{
    return l->messages.live;
}

/* ---- standing ---- */

enum standing message_standing(const struct message *m)
{
    if (m->flags & MESSAGE_DAMAGED)
        return STANDING_DAMAGED;
    if (m->flags & MESSAGE_HELD)
        return STANDING_HELD;
    if (m->jobs > 0)
        return STANDING_RUNNING;
    return m->waiting > 0 ? STANDING_DEFERRED : STANDING_ACTIVE;
}

static enum standing counted_as(const struct message *m)
{
    return (enum standing)(m->flags >> MESSAGE_STANDING);
}

void ledger_recount(struct ledger *l, struct message *m)
{
    enum standing now = message_standing(m);

    if (now == counted_as(m))
        return;
    l->standings[counted_as(m)]--;
    l->standings[now]++;
    m->flags = (uint16_t)((m->flags & ((1u << MESSAGE_STANDING) - 1)) | now << MESSAGE_STANDING);
}

/* ---- adding and removing ---- */

#define FOLDED_MAX 512u

uint64_t ledger_sender(struct strv sender)
{
    char lower[FOLDED_MAX];
    size_t n = sender.n < sizeof lower ? sender.n : sizeof lower;

    for (size_t i = 0; i < n; i++)
        lower[i] = byte_lower(sender.p[i]);
    return hash_sip(strv_make(lower, n));
}

static struct strv rcpt_domain(const struct envelope_rcpt *r, char dst[256])
{
    size_t at = 0, n;

    if (!strv_rfind(r->to, '@', &at))
        return SV_LIT("");
    n = r->to.n - at - 1 < 255 ? r->to.n - at - 1 : 255;
    for (size_t i = 0; i < n; i++)
        dst[i] = byte_lower(r->to.p[at + 1 + i]);
    return strv_make(dst, n);
}

static uint8_t sched_class_of(uint64_t priority)
{
    switch (priority_class(priority)) {
    case PRIORITY_CLASS_URGENT: return SCHED_URGENT;
    case PRIORITY_CLASS_NORMAL: return SCHED_NORMAL;
    case PRIORITY_CLASS_BULK: return SCHED_BULK;
    }
    return SCHED_NORMAL;
}

/* The message's part for the destination of this recipient. */
static uint32_t part_for(struct ledger *l, struct message *m, uint32_t handle, const struct envelope *e,
                         const struct envelope_rcpt *r)
{
    char text[256];
    struct strv domain = rcpt_domain(r, text);
    uint32_t part = m->part;

    while (part &&
           (sched_is_local(l->sched, part) != r->local || !strv_eq(sched_domain(l->sched, part), domain)))
        part = sched_part(l->sched, part)->sibling;
    if (part)
        return part;
    part = sched_part_new(l->sched, domain, r->local, (uint32_t)m->sender);
    sched_part(l->sched, part)->message = handle;
    sched_part(l->sched, part)->class = sched_class_of(e->priority);
    sched_part(l->sched, part)->sibling = m->part;
    m->part = part;
    return part;
}

uint32_t ledger_add(struct ledger *l, uint64_t id, const struct envelope *e, struct place place)
{
    uint32_t handle = pool_take(&l->messages), *slot;
    struct message *m = ledger_at(l, handle);

    if (l->messages.live > l->slot_n)
        slots_grow(l);
    slot = &l->slots[slot_of(l, id)];
    m->id = id;
    m->hash_next = *slot;
    *slot = handle;
    m->place = place;
    m->sender = ledger_sender(e->sender);
    m->since = e->since ? (int64_t)e->since : id_wall_ms(id);
    m->flags = (uint16_t)((e->big ? MESSAGE_BIG : 0) | (e->sender.n == 0 ? MESSAGE_NULL : 0) |
                          (e->hold.n ? MESSAGE_HELD : 0));
    m->rcpt_n = m->open = (uint32_t)e->rcpt_n;
    if (m->rcpt_n > 1)
        m->rcpt.many = mem_array(m->rcpt_n, sizeof *m->rcpt.many);
    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        message_rcpt(m, i)->part = part_for(l, m, handle, e, &e->rcpts[i]);
        message_rcpt(m, i)->notify = (uint8_t)e->rcpts[i].notify;
        if (e->rcpts[i].original.n)
            m->flags |= MESSAGE_ORIGINAL;
        if (e->rcpts[i].notify & NOTIFY_EXPANDED) {
            rcpt_state_set(m, message_rcpt(m, i), RCPT_OWED);
            message_rcpt(m, i)->success = 1 + SUCCESS_EXPANDED;
        }
    }
    /* A notice about a failed notice is the last one. */
    if (l->double_bounce && e->sender.n == 0 &&
        ((strv_starts(e->origin, SV_LIT("notice/")) && !strv_ends(e->origin, SV_LIT("/double"))) ||
         (strv_starts(e->origin, SV_LIT("requeue/")) && strv_ends(e->origin, SV_LIT("/notice")))))
        m->flags |= MESSAGE_DOUBLE;
    l->standings[STANDING_ACTIVE]++;
    ledger_recount(l, m);
    return handle;
}

void ledger_remove(struct ledger *l, uint32_t handle)
{
    struct message *m = ledger_at(l, handle);
    uint32_t *link = &l->slots[slot_of(l, m->id)];

    if (l->gone)
        l->gone(l->arg, m);
    l->standings[counted_as(m)]--;
    while (*link != handle)
        link = &ledger_at(l, *link)->hash_next;
    *link = m->hash_next;
    for (uint32_t part = m->part, next; part; part = next) {
        next = sched_part(l->sched, part)->sibling;
        sched_part_free(l->sched, part);
    }
    message_release(l, m);
    pool_give(&l->messages, handle);
}

/* ---- entries ---- */

static void rcpt_words(struct ledger *l, struct rcpt *r, const struct entry *e)
{
    words_unref(&l->words, &r->words);
    r->words = words_ref(&l->words, e->enhanced, e->relay, e->reply, e->remote);
}

static void rcpt_done(struct ledger *l, struct message *m, struct rcpt *r, bool success)
{
    words_unref(&l->words, &r->words);
    r->noticing = 0;
    r->success = success;
    rcpt_state_set(m, r, RCPT_DONE);
    m->open--;
}

static void rcpt_deferred(struct ledger *l, struct message *m, struct rcpt *r, const struct entry *e)
{
    struct part *p = sched_part(l->sched, r->part);

    rcpt_words(l, r, e);
    rcpt_state_set(m, r, RCPT_WAIT);
    p->tried = (uint32_t)e->time;
    p->attempts = (uint16_t)(e->attempts < UINT16_MAX ? e->attempts : UINT16_MAX);
    p->due = (uint32_t)(e->due < UINT32_MAX ? e->due : UINT32_MAX);
}

static void rcpt_apply(struct ledger *l, struct message *m, struct rcpt *r, const struct entry *e)
{
    if (r->state == RCPT_DONE)
        return;
    switch (e->kind) {
    case ENTRY_DELIVERED: rcpt_done(l, m, r, true); break;
    case ENTRY_DROPPED: rcpt_done(l, m, r, false); break;
    case ENTRY_NOTICE:
        /* Also when the result itself did not survive a power cut: the sender was told, so it is over. */
        rcpt_done(l, m, r, e->notice == NOTICE_SUCCESS);
        break;
    case ENTRY_FAILED:
    case ENTRY_SUCCEEDED:
        rcpt_words(l, r, e);
        rcpt_state_set(m, r, RCPT_OWED);
        r->success = e->kind == ENTRY_FAILED ? 0 : (uint8_t)(1 + (e->flags & 3));
        sched_part(l->sched, r->part)->tried = (uint32_t)e->time;
        break;
    case ENTRY_DEFERRED:
        if (r->state != RCPT_OWED)
            rcpt_deferred(l, m, r, e);
        break;
    default: break;
    }
}

static enum ledger_result apply_list(struct ledger *l, const struct entry *e)
{
    uint32_t handle = entry_find(l, e->id), first, last;
    struct strv rest = e->list;
    struct message *m;

    if (!handle)
        return LEDGER_UNKNOWN;
    m = ledger_at(l, handle);
    if (e->kind == ENTRY_NOTICE && e->notice == NOTICE_DELAY) {
        m->flags = (uint16_t)((m->flags | MESSAGE_WARNED) & ~MESSAGE_WARNING);
        return LEDGER_APPLIED;
    }
    while (ranges_next(&rest, &first, &last)) {
        if (last >= m->rcpt_n)
            return LEDGER_UNKNOWN;
        for (uint32_t i = first; i <= last; i++)
            rcpt_apply(l, m, message_rcpt(m, i), e);
    }
    if (m->open > 0) {
        ledger_recount(l, m);
        return LEDGER_APPLIED;
    }
    ledger_remove(l, handle);
    return LEDGER_OVER;
}

static enum ledger_result apply_flags(struct ledger *l, const struct entry *e)
{
    uint32_t handle = entry_find(l, e->id);
    struct message *m;

    if (!handle) {
        if (e->kind == ENTRY_MESSAGE && l->lost)
            dict_set_u64(l->lost, e->id, l);
        return LEDGER_UNKNOWN;
    }
    m = ledger_at(l, handle);
    if (e->kind == ENTRY_HOLD)
        m->flags |= MESSAGE_HELD;
    else if (e->kind == ENTRY_RELEASE)
        m->flags = (uint16_t)(m->flags & ~(MESSAGE_HELD | MESSAGE_DAMAGED));
    else
        m->flags = (uint16_t)(m->flags | MESSAGE_NAMED | (e->flags & ENTRY_FLAG_WARNED ? MESSAGE_WARNED : 0));
    ledger_recount(l, m);
    return LEDGER_APPLIED;
}

static void snapshot_begin(struct ledger *l)
{
    uint32_t cursor = 0, handle;

    l->seen_n = 0;
    while ((handle = ledger_next(l, &cursor)))
        ledger_at(l, handle)->flags = (uint16_t)(ledger_at(l, handle)->flags & ~MESSAGE_NAMED);
}

static void snapshot_segment(struct ledger *l, const struct entry *e)
{
    l->seen = mem_resize(l->seen, l->seen_n + 1, sizeof *l->seen);
    l->seen[l->seen_n].segment = (uint32_t)e->segment;
    l->seen[l->seen_n++].offset = (uint32_t)e->offset;
}

static int seen_compare(const void *a, const void *b)
{
    const struct ledger_seen *x = a, *y = b;

    return x->segment < y->segment ? -1 : x->segment > y->segment;
}

static void snapshot_end(struct ledger *l)
{
    uint32_t cursor = 0, handle;

    if (l->seen_n)
        qsort(l->seen, l->seen_n, sizeof *l->seen, seen_compare);
    while ((handle = ledger_next(l, &cursor))) {
        struct message *m = ledger_at(l, handle);
        struct ledger_seen key = { m->place.segment, 0 };
        struct ledger_seen *s =
            l->seen_n ? bsearch(&key, l->seen, l->seen_n, sizeof key, seen_compare) : NULL;

        if (s && m->place.offset < s->offset && !(m->flags & MESSAGE_NAMED))
            ledger_remove(l, handle);
    }
    l->seen_n = 0;
}

/* ---- what an operator decided about senders and the whole queue ---- */

#define SENDER_MAX 1024u

static struct strv sender_key(struct strv sender, char dst[SENDER_MAX])
{
    size_t n = sender.n < SENDER_MAX ? sender.n : SENDER_MAX;

    for (size_t i = 0; i < n; i++)
        dst[i] = byte_lower(sender.p[i]);
    return strv_make(dst, n);
}

static void freeze_apply(struct ledger *l, const struct entry *e)
{
    char key[SENDER_MAX];

    if (!l->frozen)
        l->frozen = dict_new();
    if (e->flags)
        dict_set(l->frozen, sender_key(e->text, key), l);
    else
        dict_pop(l->frozen, sender_key(e->text, key));
}

bool ledger_is_frozen(const struct ledger *l, struct strv sender)
{
    char key[SENDER_MAX];

    return l->frozen && dict_count(l->frozen) && dict_get(l->frozen, sender_key(sender, key));
}

struct each_frozen {
    void (*fn)(void *arg, struct strv sender);
    void *arg;
};

static void on_frozen(void *arg, struct strv key, void *value)
{
    struct each_frozen *each = arg;

    (void)value;
    each->fn(each->arg, key);
}

void ledger_each_frozen(const struct ledger *l, void (*fn)(void *arg, struct strv sender), void *arg)
{
    struct each_frozen each = { fn, arg };

    if (l->frozen)
        dict_each(l->frozen, on_frozen, &each);
}

uint64_t ledger_pauses(const struct ledger *l)
{
    return (l->paused ? ENTRY_PAUSE_OUT : 0) | (l->paused_in ? ENTRY_PAUSE_IN : 0);
}

enum ledger_result ledger_apply(struct ledger *l, const struct entry *e)
{
    switch (e->kind) {
    case ENTRY_DELIVERED:
    case ENTRY_FAILED:
    case ENTRY_SUCCEEDED:
    case ENTRY_DROPPED:
    case ENTRY_DEFERRED:
    case ENTRY_NOTICE: {
        enum ledger_result result = apply_list(l, e);

        /* The last word on a message that no segment has: it was over, not lost. */
        if (result == LEDGER_UNKNOWN && l->lost && e->kind != ENTRY_DEFERRED && e->kind != ENTRY_FAILED &&
            e->kind != ENTRY_SUCCEEDED)
            dict_pop_u64(l->lost, e->id);
        return result;
    }
    case ENTRY_HOLD:
    case ENTRY_RELEASE:
    case ENTRY_MESSAGE: return apply_flags(l, e);
    case ENTRY_PAUSE:
        l->paused = e->flags & ENTRY_PAUSE_OUT;
        l->paused_in = e->flags & ENTRY_PAUSE_IN;
        break;
    case ENTRY_FREEZE: freeze_apply(l, e); break;
    case ENTRY_BEGIN: snapshot_begin(l); break;
    case ENTRY_SEGMENT: snapshot_segment(l, e); break;
    case ENTRY_END: snapshot_end(l); break;
    case ENTRY_VOID:
    case ENTRY_SYNCED: break;
    }
    return LEDGER_APPLIED;
}

/* ---- snapshots ---- */

static enum entry_kind told_as(const struct rcpt *r)
{
    switch ((enum rcpt_state)r->state) {
    case RCPT_DONE: return r->success ? ENTRY_DELIVERED : ENTRY_DROPPED;
    case RCPT_OWED: return r->success ? ENTRY_SUCCEEDED : ENTRY_FAILED;
    case RCPT_WAIT: return ENTRY_DEFERRED;
    case RCPT_RUNNING:
        /* Deferred before, or never tried: its words tell. */
        return r->words ? ENTRY_DEFERRED : ENTRY_MESSAGE;
    case RCPT_OPEN: return r->words ? ENTRY_DEFERRED : ENTRY_MESSAGE;
    }
    return ENTRY_MESSAGE;
}

static bool told_alike(const struct rcpt *a, const struct rcpt *b)
{
    return told_as(a) == told_as(b) && a->words == b->words && a->part == b->part &&
           a->success == b->success;
}

void ledger_tell(const struct ledger *l, uint32_t handle, struct buf *scratch,
                 void (*fn)(void *arg, const struct entry *e), void *arg)
{
    struct message *m = ledger_at(l, handle);
    struct entry e = { .kind = ENTRY_MESSAGE,
                       .id = m->id,
                       .flags = m->flags & MESSAGE_WARNED ? ENTRY_FLAG_WARNED : 0 };

    fn(arg, &e);
    if (m->flags & MESSAGE_HELD)
        fn(arg, &(struct entry){ .kind = ENTRY_HOLD, .id = m->id, .text = SV_LIT("held") });
    for (uint32_t i = 0, n; i < m->rcpt_n; i += n) {
        struct rcpt *r = message_rcpt(m, i);
        struct list_writer list = { .out = scratch };

        buf_reset(scratch);
        for (n = 0; i + n < m->rcpt_n && told_alike(r, message_rcpt(m, i + n)); n++)
            list_write(&list, i + n);
        list_finish(&list);
        e = (struct entry){ .kind = told_as(r), .id = m->id, .list = buf_view(scratch) };
        if (e.kind == ENTRY_MESSAGE)
            continue;
        if (e.kind == ENTRY_SUCCEEDED)
            e.flags = r->success - 1u;
        e.attempts = sched_part(l->sched, r->part)->attempts;
        e.due = sched_part(l->sched, r->part)->due;
        e.time = sched_part(l->sched, r->part)->tried;
        e.enhanced = words_enhanced(r->words);
        e.relay = words_relay(r->words);
        e.reply = words_reply(r->words);
        e.remote = r->words && r->words->remote;
        fn(arg, &e);
    }
}

bool part_has(const struct ledger *l, uint32_t part, enum rcpt_state state)
{
    struct message *m = ledger_at(l, sched_part(l->sched, part)->message);

    for (uint32_t i = 0; i < m->rcpt_n; i++)
        if (message_rcpt(m, i)->part == part && message_rcpt(m, i)->state == state)
            return true;
    return false;
}
