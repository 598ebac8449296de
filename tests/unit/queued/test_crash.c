/* test_crash.c - kill -9 at every durable step, and power cuts: nothing is lost, nothing is done twice */
#include "tests/support/unit.h"
#include "tests/unit/queued/rig.h"

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/id.h"
#include "common/os/fault.h"
#include "queued/store_private.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGES    24u
#define PATIENCE_MS 60000 /* for what must happen, on a busy machine and under a sanitizer */

/* What the outside world knows of a message; the child tells it through a pipe, one byte per event. */
struct known {
    uint64_t id;
    bool accepted, refused; /* answers that arrived */
    bool told;              /* a final result was sent to queued */
    bool acked;             /* and acknowledged */
};

static struct rig *r;

static int setup(void **state)
{
    (void)state;
    r = rig_new();
    r->sizes.segment = 131072;
    r->sizes.snapshot = 400;
    r->sizes.sync_ms = 1;
    r->conf.max_jobs = 1000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fault_disarm_all();
    rig_free(r);
    return 0;
}

static void tell(int fd, char event, unsigned index)
{
    const char bytes[2] = { event, (char)index };

    if (write(fd, bytes, 2) != 2)
        _exit(3);
}

static void tell_answers(int fd, size_t *seen)
{
    for (; *seen < r->answer_n; (*seen)++)
        tell(fd, r->answers[*seen].verdict == VERDICT_ACCEPT ? 'A' : 'R',
             (unsigned)r->answers[*seen].txn - 1);
}

/* The load: small and large messages, delivered and deferred by turns. Single steps, so that a crash finds
   all stages. */
static void load(int fd, const uint64_t *ids)
{
    size_t answers = 0, jobs = 0;
    unsigned acks = 0, told[RIG_JOBS], told_n = 0;

    for (unsigned i = 0; i < MESSAGES; i++) {
        if (i % 6 == 5)
            rig_submit_large(r, i + 1, ids[i], "r:a@far.test", 300000);
        else
            rig_submit(r, i + 1, ids[i], "s@example.org", "l:a@demo.test", "a body of some bytes\r\n");
    }
    for (int64_t end = clock_mono_ms() + PATIENCE_MS;
         clock_mono_ms() < end && (answers < MESSAGES || acks < told_n || jobs < r->job_n);) {
        loop_once(r->loop, 2);
        tell_answers(fd, &answers);
        for (; jobs < r->job_n && r->jobs[jobs].complete; jobs++) {
            unsigned index = 0;

            while (ids[index] != r->jobs[jobs].id)
                index++;
            tell(fd, 'J', index);
            if (index % 3 != 1) {
                tell(fd, 'T', index);
                told[told_n++] = index;
            } else {
                told[told_n++] = UINT32_MAX;
            }
            rig_result(r, 0, &r->jobs[jobs], index % 3 != 1 ? OUTCOME_DELIVERED : OUTCOME_DEFERRED, "data",
                       true);
        }
        for (; acks < r->acks; acks++)
            if (told[acks] != UINT32_MAX)
                tell(fd, 'K', told[acks]);
    }
}

/* Until the slow things have happened too: the snapshot's files, bodies that are not needed any more. */
static void settle(void)
{
    char names[MESSAGES][64];

    for (int64_t end = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < end;) {
        const struct store *st = r->q.store;

        if (st->journal.oldest > 1 && st->doomed_n == 0 && st->journal.synced == st->journal.written &&
            spool_list(&r->spool, "big", "", names, MESSAGES) == 0)
            return;
        loop_once(r->loop, 2);
    }
}

static pid_t child(const uint64_t *ids, const char *fault, bool calm, int *from)
{
    struct err err = { .cls = ERR_OK };
    int ends[2];
    pid_t pid;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) {
        close(ends[1]);
        *from = ends[0];
        return pid;
    }
    close(ends[0]);
    /* What cannot even begin is begun again by mtad: a disk that refuses does so once there is mail. */
    if (!calm)
        rig_start(r);
    if (!fault_arm(SV(fault), &err)) {
        fprintf(stderr, "%s\n", err.text);
        _exit(4);
    }
    if (calm)
        rig_start(r);
    load(ends[1], ids);
    if (calm) {
        settle();
        rig_stop(r);
    }
    _exit(0);
}

static void listen_to(int fd, struct known *k)
{
    char event[2];

    while (read(fd, event, 2) == 2) {
        struct known *m = &k[(unsigned char)event[1]];

        m->accepted = m->accepted || event[0] == 'A';
        m->refused = m->refused || event[0] == 'R';
        m->told = m->told || event[0] == 'T';
        m->acked = m->acked || event[0] == 'K';
    }
    close(fd);
}

static void check(const char *name, const struct known *k)
{
    struct err err;

    for (unsigned i = 0; i < MESSAGES; i++) {
        uint32_t handle = ledger_find(&r->q.ledger, k[i].id);

        if (k[i].accepted && !k[i].told && !handle)
            fail_msg("%s: message %u was accepted and is lost", name, i);
        if (k[i].refused && handle)
            fail_msg("%s: message %u was refused and is there", name, i);
        if (k[i].acked && handle)
            fail_msg("%s: message %u was delivered for good and would be again", name, i);
        if (handle) {
            struct bytes *b = message_bytes(&r->q, handle, &err);

            if (!b)
                fail_msg("%s: message %u cannot be read: %s", name, i, err.text);
            bytes_unref(&b);
        }
    }
    if (r->q.ledger.paused)
        fail_msg("%s: delivery is paused", name);
}

/* One life with a fault, then two starts. calm: it ends in order, unless the fault ends it. */
static bool live_with(const char *fault, bool calm)
{
    struct known known[MESSAGES];
    uint64_t ids[MESSAGES];
    int from, status;
    pid_t pid;

    memset(known, 0, sizeof known);
    for (unsigned i = 0; i < MESSAGES; i++)
        known[i].id = ids[i] = id_new();
    pid = child(ids, fault, calm, &from);
    listen_to(from, known);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) && status != 0)
        fail_msg("%s: the child ended with %d", fault, status);
    for (int again = 0; again < 2; again++) {
        r->conf.deliver = false;
        rig_start(r);
        check(fault, known);
        rig_rest(r);
        rig_kill(r);
        r->conf.deliver = true;
    }
    rig_clear(r);
    spool_make(&r->spool);
    return WIFSIGNALED(status);
}

static bool crash_at(const char *point, unsigned spared)
{
    char fault[96];

    snprintf(fault, sizeof fault, "%s:crash:%u", point, spared);
    return live_with(fault, true);
}

static const char *const points[] = {
    "queued.segment.create", "queued.segment.created", "queued.segment.write",   "queued.segment.written",
    "queued.segment.sync",   "queued.journal.create",  "queued.journal.created", "queued.journal.write",
    "queued.journal.sync",   "queued.journal.spare",   "queued.journal.forget",  "queued.big.create",
    "queued.big.write",      "queued.big.name",        "queued.big.sync",        "queued.unlink",
    "queued.sidecar.write",
};

static void kill_9_at_every_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(points); i++) {
        unsigned reached = 0;

        for (unsigned spared = 0; spared < 5 && crash_at(points[i], spared); spared += 3)
            reached++;
        if (reached == 0)
            fail_msg("%s is never reached", points[i]);
    }
}

/* The disk refuses a step, once or a few times, and then obeys again: what was refused is not there, what was
   accepted is, and the journal was renewed rather than trusted. */
static void errors_at_every_step(void **state)
{
    static const char *const errors[] = { "EIO:1", "ENOSPC:2", "EROFS:1" };

    (void)state;
    for (size_t i = 0; i < COUNT(points); i++) {
        char fault[96];

        snprintf(fault, sizeof fault, "%s:%s", points[i], errors[i % COUNT(errors)]);
        live_with(fault, false);
    }
}

/* A second crash, while the first one is being recovered from. */
static void kill_9_during_recovery(void **state)
{
    static const char *const during[] = { "queued.recovery.cut", "queued.journal.create",
                                          "queued.journal.created", "queued.sidecar.write",
                                          "queued.journal.spare" };
    struct err err;

    (void)state;
    for (size_t i = 0; i < COUNT(during); i++) {
        struct known known[MESSAGES];
        uint64_t ids[MESSAGES];
        int from, status;
        char fault[96];
        pid_t pid;

        memset(known, 0, sizeof known);
        for (unsigned k = 0; k < MESSAGES; k++)
            known[k].id = ids[k] = id_new();
        pid = child(ids, "queued.segment.sync:crash:2", true, &from);
        listen_to(from, known);
        waitpid(pid, &status, 0);
        pid = fork();
        if (pid == 0) {
            snprintf(fault, sizeof fault, "%s:crash:0", during[i]);
            r->conf.deliver = false;
            if (!fault_arm(SV(fault), &err))
                _exit(4);
            rig_start(r);
            _exit(0);
        }
        waitpid(pid, &status, 0);
        r->conf.deliver = false;
        rig_start(r);
        check(during[i], known);
        rig_kill(r);
        r->conf.deliver = true;
        rig_clear(r);
        spool_make(&r->spool);
    }
}

/* ---- power cuts ---- */

/* Where each file is durable for certain: behind the last acknowledged record, the last synced journal byte.
 */
struct durable {
    uint64_t segment_end[64];
    uint64_t journal_end;
    uint32_t journal_number;
};

static void durable_now(struct durable *d)
{
    memset(d, 0, sizeof *d);
    for (size_t i = 0; i < r->q.store->account.n; i++)
        d->segment_end[r->q.store->account.rows[i].number % 64] = r->q.store->account.rows[i].used;
    d->journal_end = r->q.store->journal.synced_at;
    d->journal_number = r->q.store->journal.number;
}

/* What was not durable is cut, zero, noise, or noise in some pages only. */
static void tear(struct spool *s, const char *sub, const char *name, uint64_t from, unsigned how)
{
    struct buf bytes;

    buf_init(&bytes, (size_t)1 << 28);
    spool_read(s, sub, name, &bytes);
    if (from < bytes.len) {
        if (how == 0)
            buf_cut(&bytes, (size_t)from);
        for (size_t i = (size_t)from; i < bytes.len; i++) {
            bool page = how < 3 || (i / 4096 * 7919 + i / 512 * 31) % 3 == 0;

            if (page)
                bytes.data[i] = how == 1 ? '\0' : (char)rand_below(256);
        }
        spool_write(s, sub, name, buf_view(&bytes));
    }
    buf_clear(&bytes);
}

static void power_cut(struct spool *s, const struct durable *d, unsigned how)
{
    char names[128][64];
    size_t n = spool_list(s, "seg", ".seg", names, 128);

    for (size_t i = 0; i < n; i++) {
        uint32_t number;

        assert_true(segment_name_parse(names[i], ".seg", &number));
        tear(s, "seg", names[i], d->segment_end[number % 64] ? d->segment_end[number % 64] : SEGMENT_FIRST,
             how);
    }
    n = spool_list(s, "state", ".jnl", names, 128);
    for (size_t i = 0; i < n; i++) {
        uint32_t number;

        assert_true(segment_name_parse(names[i], ".jnl", &number));
        if (number == d->journal_number)
            tear(s, "state", names[i], d->journal_end, how);
    }
    /* Sidecars are never synced. */
    n = spool_list(s, "seg", ".idx", names, 128);
    for (size_t i = 0; i < n; i++)
        tear(s, "seg", names[i], how * 50, how);
}

static void power_cuts_lose_nothing(void **state)
{
    struct err err;

    (void)state;
    r->sizes.sync_ms = 20;
    assert_true(fault_arm(SV("queued.segment.sync:delay=3"), &err));
    for (unsigned round = 0; round < 12; round++) {
        struct known known[MESSAGES];
        struct durable durable;
        struct spool copy;
        unsigned stop = (unsigned)rand_below(MESSAGES);
        bool durably_done[MESSAGES] = { false };

        memset(known, 0, sizeof known);
        rig_start(r);
        for (unsigned i = 0; i < MESSAGES; i++) {
            known[i].id = id_new();
            rig_submit(r, i + 1, known[i].id, "s@example.org", i % 2 ? "l:a@demo.test" : "r:a@far.test",
                       "body\r\n");
        }
        for (size_t done = 0; r->answer_n < stop;) {
            loop_once(r->loop, 1);
            for (; done < r->job_n; done++)
                if (done % 2)
                    rig_result(r, 0, &r->jobs[done], OUTCOME_DELIVERED, "data", true);
            /* Gone and everything written by then synced: it must not come again. */
            for (unsigned i = 0; i < MESSAGES; i++)
                durably_done[i] =
                    durably_done[i] || (rig_answer(r, i + 1) && !ledger_find(&r->q.ledger, known[i].id) &&
                                        r->q.store->journal.synced == journal_mark(&r->q.store->journal));
        }
        for (size_t i = 0; i < r->answer_n; i++)
            known[r->answers[i].txn - 1].accepted = true;
        for (unsigned i = 0; i < MESSAGES; i++) {
            known[i].told = known[i].accepted && !ledger_find(&r->q.ledger, known[i].id);
            known[i].acked = durably_done[i];
        }
        durable_now(&durable);
        spool_copy(&r->spool, &copy);
        rig_kill(r);
        rig_clear(r);
        r->spool = copy;
        power_cut(&r->spool, &durable, round % 4);
        r->conf.deliver = false;
        for (int again = 0; again < 2; again++) {
            rig_start(r);
            check("power cut", known);
            rig_kill(r);
        }
        r->conf.deliver = true;
        rig_clear(r);
        spool_make(&r->spool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kill_9_at_every_step, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_at_every_step, setup, teardown),
        cmocka_unit_test_setup_teardown(kill_9_during_recovery, setup, teardown),
        cmocka_unit_test_setup_teardown(power_cuts_lose_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
