/* ledger.h - what the queue knows of each message, in memory; changed by journal entries only (no I/O)
 *
 * The same function applies an entry when it happens and when it is read back at the next start, so that what
 * runs and what a crash leaves cannot differ. 80 bytes per message, 16 more per recipient beyond the first,
 * 48 per part.
 */
#pragma once

#include "queued/committer.h"
#include "queued/entry.h"
#include "queued/envelope.h"
#include "queued/schedule.h"
#include "queued/words.h"

enum rcpt_state {
    RCPT_OPEN,    /* to be tried as soon as its part may go */
    RCPT_RUNNING, /* in a job */
    RCPT_WAIT,    /* deferred until its part is due */
    RCPT_OWED,    /* failed, or a receipt is wanted; the sender was not told yet */
    RCPT_DONE,
};

/* What is said of a whole message; the order of the metric's label. */
enum standing {
    STANDING_ACTIVE,
    STANDING_RUNNING,
    STANDING_DEFERRED,
    STANDING_HELD,
    STANDING_DAMAGED,
    STANDING__N,
};

struct rcpt {
    struct words *words; /* counted: last reply; NULL: none */
    uint32_t part;
    uint8_t state; /* changed by rcpt_state_set alone */
    uint8_t notify;
    uint8_t noticing; /* a notice about it is being composed or committed */
    uint8_t success;  /* OWED: 1 + enum ipc_success; 0: it failed. DONE: 1: he has it; 0: not */
};

enum {
    MESSAGE_BIG = 1,  /* the body is in big/ID */
    MESSAGE_NULL = 2, /* null reverse-path: nobody is told */
    MESSAGE_HELD = 4,
    MESSAGE_WARNED = 8,    /* the delay notice went out */
    MESSAGE_WARNING = 16,  /* it is being composed or committed */
    MESSAGE_NAMED = 32,    /* by the snapshot that is being read */
    MESSAGE_OWED = 64,     /* in the list of messages that owe a notice */
    MESSAGE_DAMAGED = 128, /* its record or body cannot be read */
    MESSAGE_DOUBLE = 256,  /* a notice: should it fail, somebody is told */
    MESSAGE_MOVING = 512,  /* cleanup has it to submit it anew: nothing of it begins */
    MESSAGE_ORIGINAL = 1024, /* a recipient has an address before it was resolved */
#define MESSAGE_STANDING 13 /* the three highest bits: the standing under which it is counted */
};

struct message {
    uint32_t hash_next; /* not the first bytes of id: the free list of the pool writes there */
    uint32_t part;      /* first of the sibling chain */
    uint64_t id;        /* 0: the slot is free */
    struct place place;
    uint32_t rcpt_n;
    uint32_t open;         /* recipients that are not DONE */
    uint32_t waiting;      /* recipients that WAIT */
    uint32_t retry_notice; /* seconds: not before */
    uint16_t flags;
    uint16_t jobs;
    union {
        struct rcpt one;
        struct rcpt *many; /* owned, when rcpt_n > 1 */
    } rcpt;
    uint64_t sender; /* ledger_sender */
    int64_t since;   /* wall ms: when it came first, whatever its id; age and expiry count from here */
};

#define LEDGER_AHEAD 8u

struct ledger {
    struct pool messages;
    uint32_t *slots; /* owned hash table of message handles */
    size_t slot_n;
    uint32_t last_found; /* handle of the last entry's message */
    uint64_t ahead[LEDGER_AHEAD]; /* the ids last told to ledger_ahead, in a ring */
    size_t ahead_n;
    struct sched *sched; /* owned */
    struct words_table words;
    /* Snapshots being read: segment -> offset below which what is not named is done. */
    struct ledger_seen {
        uint32_t segment, offset;
    } * seen; /* owned */
    size_t seen_n;
    struct dict *lost; /* ids named by a snapshot and found in no segment; NULL unless replaying */
    uint32_t standings[STANDING__N]; /* messages, always right */
    bool double_bounce; /* somebody is told of notices that fail */
    bool paused;    /* nothing is delivered */
    bool paused_in; /* nothing is accepted, by an operator */
    struct dict *frozen; /* owned: senders, lower case, whose new mail is held; NULL: none */
    /* A message is over and about to leave: its place is free. */
    void (*gone)(void *arg, const struct message *m);
    void *arg;
};

void ledger_init(struct ledger *l, const struct sched_conf *conf);
void ledger_clear(struct ledger *l);

uint32_t ledger_find(const struct ledger *l, uint64_t id); /* 0: none */
/* ledger_find will be asked for this one soon (after twice LEDGER_AHEAD others is best): fetches what it
   reads from memory that no cache has. */
void ledger_ahead(struct ledger *l, uint64_t id);
static inline struct message *ledger_at(const struct ledger *l, uint32_t handle)
{
    return pool_at(&l->messages, handle);
}
static inline struct rcpt *message_rcpt(struct message *m, uint32_t i)
{
    return m->rcpt_n > 1 ? &m->rcpt.many[i] : &m->rcpt.one;
}
static inline void rcpt_state_set(struct message *m, struct rcpt *r, enum rcpt_state state)
{
    m->waiting -= r->state == RCPT_WAIT;
    m->waiting += state == RCPT_WAIT;
    r->state = (uint8_t)state;
}
enum standing message_standing(const struct message *m);
/* After a change of its flags, jobs or recipients that was no entry: counts it where it stands now. */
void ledger_recount(struct ledger *l, struct message *m);
/* Of an address without regard to case: 64 bits of a keyed hash, so that two of the senders in a queue have
   the same one about never (of a million of them: once in 37 million queues). */
uint64_t ledger_sender(struct strv sender);
/* Handles from *cursor (start with 0) on; 0 at the end. Messages may come and go between calls. */
uint32_t ledger_next(const struct ledger *l, uint32_t *cursor);
size_t ledger_count(const struct ledger *l);

/* Adds a message, all recipients open, all parts idle. id must not be there yet. */
uint32_t ledger_add(struct ledger *l, uint64_t id, const struct envelope *e, struct place place);
/* It left the queue: frees it, after l->gone was told. */
void ledger_remove(struct ledger *l, uint32_t message);

enum ledger_result {
    LEDGER_APPLIED,
    LEDGER_UNKNOWN, /* no such message (it is over), or no such recipient */
    LEDGER_OVER,    /* applied, and the message is over and gone */
};
enum ledger_result ledger_apply(struct ledger *l, const struct entry *e);

/* The entries that make a fresh message into this one, first ENTRY_MESSAGE; scratch is for lists. */
void ledger_tell(const struct ledger *l, uint32_t message, struct buf *scratch,
                 void (*fn)(void *arg, const struct entry *e), void *arg);

/* Is new mail of this sender to be held? */
bool ledger_is_frozen(const struct ledger *l, struct strv sender);
void ledger_each_frozen(const struct ledger *l, void (*fn)(void *arg, struct strv sender), void *arg);
uint64_t ledger_pauses(const struct ledger *l); /* flags of ENTRY_PAUSE */

/* Parts of the message whose recipients are open or wait; used after recovery and when a hold ends. */
bool part_has(const struct ledger *l, uint32_t part, enum rcpt_state state);
