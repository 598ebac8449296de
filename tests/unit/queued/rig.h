/* rig.h - a whole queue in a temporary directory, with the far ends of its channels in the test's hands */
#pragma once

#include "common/base/clock.h"
#include "conf/queue.h"
#include "queued/mailq.h"
#include "tests/unit/queued/spool.h"

#define RIG_JOBS    256
#define RIG_ANSWERS 1024

struct rig_job { /* a J_START as deliverd saw it */
    uint64_t txn, id;
    bool local;
    char dest[64], sender[64];
    struct {
        uint32_t index;
        char to[64];
    } rcpts[128];
    size_t rcpt_n;
    uint64_t size, attempt, flags;
    struct buf data; /* owned: the message as far as it came */
    bool complete, answered;
};

struct rig_answer { /* a Q_SUBMITTED */
    uint64_t txn;
    enum ipc_verdict verdict;
    unsigned code;
};

struct rig_notice { /* an N_COMPOSE */
    uint64_t txn, id;
    enum ipc_notice kind;
    char origin[512], sender[64], reply[256], text[128], enhanced[16], header[256];
    uint64_t last_attempt;
    size_t rcpt_n;
};

struct rig {
    struct spool spool;
    struct loop *loop;
    struct conf_queue conf;
    int64_t retry[8];
    struct mailq q;
    struct channel *cleanup;     /* the far end */
    struct channel *deliverd[4]; /* far ends */
    struct rig_job jobs[RIG_JOBS];
    size_t job_n;
    struct rig_answer answers[RIG_ANSWERS];
    size_t answer_n;
    struct rig_notice notices[64];
    size_t notice_n;
    unsigned acks;
    unsigned lost;
    bool busy;         /* deferred results are words of the remote: 450 4.2.0 */
    const char *reply; /* to failures; NULL: the usual one */
    const char *group; /* of the destination's hosts, told with results; NULL: not known */
    uint64_t lookup;   /* ms of the look-up, told with results */
    bool hold_results; /* the test answers jobs itself */
    struct store_sizes sizes;
    void (*other)(struct rig *r, struct ipc_in *in); /* any other frame to cleanup or deliverd; may be NULL */
};

/* A queue on spool->path; conf and sizes were set by rig_init and may have been changed. */
void rig_init(struct rig *r);
/* Nothing expires or is warned of: for ids that a test makes up, which are of the year 2020. */
void rig_keep_all(struct rig *r);
void rig_start(struct rig *r);      /* deliverd 0 and cleanup are connected, both new */
void rig_start_bare(struct rig *r); /* nobody is connected */
/* As a crash would leave it, except for what the kernel keeps: no drain. */
void rig_kill(struct rig *r);
void rig_stop(struct rig *r);  /* orderly */
void rig_clear(struct rig *r); /* removes the directory */
struct rig *rig_new(void);     /* on the heap, after rig_init */
void rig_free(struct rig *r);  /* and rig_clear */

void rig_connect_cleanup(struct rig *r);
void rig_connect_deliverd(struct rig *r, unsigned index, bool lived);
void rig_disconnect_deliverd(struct rig *r, unsigned index);

/* One frame: sender, recipients "l:a@b" or "r:a@b" separated by blanks, a body of so many bytes. */
void rig_submit(struct rig *r, uint64_t txn, uint64_t id, const char *sender, const char *rcpts,
                const char *body);
void rig_submit_origin(struct rig *r, uint64_t txn, uint64_t id, const char *rcpts, const char *origin);
/* In chunks. */
void rig_submit_large(struct rig *r, uint64_t txn, uint64_t id, const char *rcpts, size_t body_size);
void rig_query(struct rig *r, uint64_t txn, uint64_t id);
void rig_notice_failed(struct rig *r, uint64_t txn, const char *origin);

/* The answer of deliverd index to a job: one outcome for all recipients, or for those of the bit mask only.
 */
void rig_result(struct rig *r, unsigned deliverd, struct rig_job *job, enum ipc_outcome outcome,
                const char *step, bool last);
void rig_result_some(struct rig *r, unsigned deliverd, struct rig_job *job, uint64_t mask,
                     enum ipc_outcome outcome, bool last);
void rig_inventory(struct rig *r, unsigned deliverd, uint64_t id, uint32_t rcpt); /* id 0: only the end */
void rig_inventory_job(struct rig *r, unsigned deliverd, const struct rig_job *job);

/* Runs the loop until the condition holds; fails the test after many rounds and as much time as a machine
   may need that has much else to do. */
#define RIG_PATIENCE_MS 60000
#define RIG_UNTIL(r, condition)                                                                              \
    for (int64_t rounds_ = 0, end_ = clock_mono_ms() + RIG_PATIENCE_MS; !(condition); rounds_++) {           \
        if (rounds_ > 2000 && clock_mono_ms() > end_)                                                        \
            fail_msg("line %d: never: %s", __LINE__, #condition);                                            \
        loop_once((r)->loop, 5);                                                                             \
    }
void rig_jobs_forget(struct rig *r);     /* those that deliverd saw; they are not answered then */
/* The ledger counts as many of each standing as there are; rig_kill looks too. */
void rig_check_standings(struct rig *r);
void rig_rest(struct rig *r); /* until nothing moves any more: writes, syncs, frames */

void rig_expect_accepted(struct rig *r, uint64_t txn); /* waits for the answer */
const struct rig_answer *rig_answer(const struct rig *r, uint64_t txn); /* NULL: none yet */
struct rig_job *rig_job(struct rig *r, uint64_t id); /* the newest for this message; NULL: none */
struct message *rig_message(struct rig *r, uint64_t id); /* NULL: it is over */
