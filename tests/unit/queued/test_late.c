/* test_late.c - what comes late or wrong: former jobs, failures, clocks that jump, syncs that fail */
#include "tests/support/unit.h"
#include "tests/unit/queued/rig.h"

#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/os/fault.h"
#include "queued/store_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void close_rig(struct rig *r)
{
    rig_kill(r);
    rig_free(r);
}

static char last_line[2000];

static void keep_results(void *arg, enum log_level level, const char *line, size_t len)
{
    const char *event = arg;

    (void)level;
    if (memmem(line, len, event, strlen(event)))
        snprintf(last_line, sizeof last_line, "%.*s", (int)len, line);
}

static void a_job_from_before_has_its_delays(void **state)
{
    static char event[] = "event=delivery.result ";
    struct rig *r = rig_new();
    uint64_t id = id_new();
    struct rig_job old;
    struct err err;

    (void)state;
    rig_start(r);
    rig_submit(r, 1, id, "s@example.org", "r:a@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    old = r->jobs[0];
    old.data = (struct buf){ .data = NULL };
    old.txn = (uint64_t)1 << 63;
    rig_kill(r);

    r->loop = loop_new();
    mailq_init(&r->q, r->loop, &r->conf);
    r->q.store = store_open(r->spool.fd, &r->sizes, &err);
    assert_non_null(r->q.store);
    assert_true(store_threads(r->q.store, &err));
    rig_connect_cleanup(r);
    rig_connect_deliverd(r, 0, true);
    assert_true(mailq_start(&r->q, &err));
    rig_inventory(r, 0, id, 0);
    RIG_UNTIL(r, r->q.job_n == 1);
    log_set_sink(keep_results, event);
    rig_result(r, 0, &old, OUTCOME_DELIVERED, "data", true);
    RIG_UNTIL(r, ledger_count(&r->q.ledger) == 0);
    log_set_sink(NULL, NULL);
    /* Connecting took 3 ms, sending 4. */
    if (!strstr(last_line, " to=a@far.test ") || !strstr(last_line, "/0.003/0.004 "))
        fail_msg("%s", last_line);
    close_rig(r);
}

/* A restarted queued that is told of a job with many recipients. */
static void inherited_jobs_are_whole(void **state)
{
    struct rig *r = rig_new();
    struct sched *sched;
    struct rig_job old;
    struct err err;
    uint64_t id = id_new();
    uint32_t part;

    (void)state;
    rig_start(r);
    rig_submit(r, 1, id, "s@example.org",
               "r:a@far.test r:b@far.test r:c@far.test r:d@far.test r:e@far.test r:f@far.test r:g@far.test",
               "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    old = r->jobs[0];
    old.data = (struct buf){ .data = NULL };
    rig_kill(r);

    r->loop = loop_new();
    mailq_init(&r->q, r->loop, &r->conf);
    r->q.store = store_open(r->spool.fd, &r->sizes, &err);
    assert_true(r->q.store && store_threads(r->q.store, &err));
    rig_connect_deliverd(r, 0, true);
    rig_connect_cleanup(r);
    assert_true(mailq_start(&r->q, &err));
    rig_inventory_job(r, 0, &old);
    rig_rest(r);
    sched = r->q.ledger.sched;
    part = ledger_at(&r->q.ledger, ledger_find(&r->q.ledger, id))->part;
    assert_int_equal(r->q.job_n, 1);
    assert_int_equal(sched_running(sched, part), 1);
    /* Seven recipients in two frames, one failure: five in a row would be a rest. */
    old.txn = (uint64_t)1 << 63;
    rig_result_some(r, 0, &old, 1, OUTCOME_DELIVERED, false);
    RIG_UNTIL(r, r->acks == 1);
    assert_int_equal(r->q.job_n, 1);
    old.rcpts[0] = old.rcpts[--old.rcpt_n];
    rig_result(r, 0, &old, OUTCOME_DEFERRED, "connect", true);
    RIG_UNTIL(r, r->q.job_n == 0);
    assert_int_equal(sched_rest_until(sched, part), 0);
    assert_int_equal(sched_running(sched, part), 0);
    /* One success of it is one step of the window. */
    assert_int_equal(sched_window(sched, part), 6);
    close_rig(r);
}

static size_t notified(const struct rig *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->notice_n; i++)
        n += r->notices[i].rcpt_n;
    return n;
}

/* A hundred failures with long replies are one notice, not ten that carry the same header. */
static void many_failures_fit_one_notice(void **state)
{
    struct rig *r = rig_new();
    char reply[2001], *rcpts = malloc(100 * 40);
    size_t n = 0;

    (void)state;
    assert_non_null(rcpts);
    memset(reply, 'x', sizeof reply - 1);
    memcpy(reply, "550 5.1.1 ", 10);
    reply[sizeof reply - 1] = '\0';
    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(rcpts + n, 40, "r:somebody%d@far.test ", i);
    r->reply = reply;
    rig_start(r);
    rig_submit(r, 1, id_new(), "s@example.org", rcpts, "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    assert_int_equal(r->jobs[0].rcpt_n, 100);
    /* In frames that a channel takes. */
    for (int part = 0; part < 10; part++) {
        struct rig_job piece = r->jobs[0];

        memcpy(piece.rcpts, r->jobs[0].rcpts + part * 10, 10 * sizeof *piece.rcpts);
        piece.rcpt_n = 10;
        rig_result(r, 0, &piece, OUTCOME_FAILED, "rcpt", part == 9);
    }
    RIG_UNTIL(r, notified(r) == 100);
    rig_rest(r);
    assert_int_equal(notified(r), 100);
    /* Two when the sweep, which comes every second, found the first frames alone. */
    assert_in_range(r->notice_n, 1, 2);
    assert_true(strlen(r->notices[0].reply) >= 160);
    free(rcpts);
    close_rig(r);
}

/* Commands, each as long as one may be. */
static void submit_commands(struct rig *r, unsigned count)
{
    struct ipc_out out;
    char target[1500];

    memset(target, 'x', sizeof target);
    ipc_out_init(&out);
    for (unsigned i = 0; i < count; i++) {
        if (i % 20 == 0)
            ipc_begin(&out, IPC_Q_RCPTS, 1);
        snprintf(target, 20, "~|/bin/%03u", i);
        target[10] = ' ';
        ipc_group_begin(&out, TAG_RCPT);
        ipc_put_text(&out, TAG_RCPT, SV("user@own.test"));
        ipc_put_u64(&out, TAG_LOCAL, 1);
        ipc_put_text(&out, TAG_TARGET, strv_make(target, sizeof target));
        ipc_group_end(&out);
        if (i % 20 == 19)
            channel_send(r->cleanup, &out);
    }
    ipc_out_clear(&out);
    rig_submit(r, 1, id_new(), "s@example.org", "", "x\r\n");
}

/* A frame that is too long would be the end of the channel, and of it again each time. */
static void failed_commands_fit_their_notices(void **state)
{
    struct rig *r = rig_new();
    size_t done = 0, rcpts = 0;

    (void)state;
    rig_start(r);
    submit_commands(r, 60);
    rig_expect_accepted(r, 1);
    while (rcpts < 60) {
        RIG_UNTIL(r, r->job_n > done);
        for (; done < r->job_n; done++) {
            rcpts += r->jobs[done].rcpt_n;
            rig_result(r, 0, &r->jobs[done], OUTCOME_FAILED, "store", true);
        }
    }
    RIG_UNTIL(r, notified(r) == 60 || r->lost);
    rig_rest(r);
    assert_int_equal(r->lost, 0);
    assert_int_equal(notified(r), 60);
    close_rig(r);
}

/* Nothing the clock does makes a message wait for hours, or come again at once. */
static void a_clock_that_jumps(void **state)
{
    static const int64_t jumps[] = { 86400, -86400 };
    struct rig *r = rig_new();

    (void)state;
    for (size_t i = 0; i < COUNT(jumps); i++) {
        uint64_t id = id_new();
        uint32_t part;
        int64_t left;

        rig_start(r);
        rig_submit(r, 1, id, "s@example.org", "r:a@far.test", "x\r\n");
        RIG_UNTIL(r, rig_job(r, id));
        rig_result(r, 0, rig_job(r, id), OUTCOME_DEFERRED, "rcpt", true);
        RIG_UNTIL(r, r->acks >= 1);
        part = ledger_at(&r->q.ledger, ledger_find(&r->q.ledger, id))->part;
        /* As if the clock had been set by that much since. */
        sched_shift(r->q.ledger.sched, -jumps[i]);
        r->q.wall0 -= jumps[i] * 1000;
        assert_true(llabs(clock_wall_ms() - mailq_now_ms(&r->q)) > 80000000);
        RIG_UNTIL(r, llabs(clock_wall_ms() - mailq_now_ms(&r->q)) < 10000);
        left = (int64_t)sched_part(r->q.ledger.sched, part)->due - clock_wall_ms() / 1000;
        if (left < 200 || left > 400)
            fail_msg("%d: due in %d s", (int)jumps[i], (int)left);
        assert_true(sched_next(r->q.ledger.sched) <= sched_part(r->q.ledger.sched, part)->due);
        rig_kill(r);
    }
    rig_start(r);
    close_rig(r);
}

/* While it was down: what it wrote before lies a day ahead, or behind. */
static void a_clock_that_jumped_while_it_was_down(void **state)
{
    static const int64_t jumps[] = { 86400, -86400 };
    struct rig *r = rig_new();

    (void)state;
    for (size_t i = 0; i < COUNT(jumps); i++) {
        uint64_t id;
        uint32_t part;
        int64_t left;

        rig_start(r);
        id = id_new();
        rig_submit(r, 1, id, "s@example.org", "r:a@far.test", "x\r\n");
        RIG_UNTIL(r, rig_job(r, id));
        r->q.wall0 += jumps[i] * 1000; /* the clock of then */
        rig_result(r, 0, rig_job(r, id), OUTCOME_DEFERRED, "rcpt", true);
        RIG_UNTIL(r, r->acks >= 1);
        rig_kill(r);
        rig_start(r);
        assert_int_not_equal(ledger_find(&r->q.ledger, id), 0);
        part = ledger_at(&r->q.ledger, ledger_find(&r->q.ledger, id))->part;
        left = (int64_t)sched_part(r->q.ledger.sched, part)->due - clock_wall_ms() / 1000;
        if (jumps[i] > 0 && (left < 200 || left > 400))
            fail_msg("due in %d s", (int)left);
        if (jumps[i] < 0)
            RIG_UNTIL(r, rig_job(r, id)); /* its time is long over */
        rig_kill(r);
    }
    rig_start(r);
    close_rig(r);
}

static int64_t mono0, wall0, passed;

static int64_t passed_mono(void)
{
    return mono0 + passed;
}

static int64_t passed_wall(void)
{
    return wall0 + passed;
}

static void take_long(void *arg)
{
    (void)arg;
    passed += 60000;
}

/* An iteration in which something takes a minute before the sweep has its turn: no clock was set. */
static void a_slow_iteration_is_no_step(void **state)
{
    struct rig *r = rig_new();
    struct loop_timer slow;
    int64_t before;

    (void)state;
    rig_start(r);
    rig_rest(r);
    mono0 = clock_mono_ms();
    wall0 = clock_wall_ms();
    passed = 0;
    clock_fake(passed_mono, passed_wall);
    loop_timer_init(&slow, r->loop, take_long, NULL);
    loop_timer_set(&slow, 1);
    before = r->q.wall0;
    passed = 2000; /* both are due, the sweep behind the slow one */
    loop_once(r->loop, 0);
    clock_fake(NULL, NULL);
    assert_int_equal(passed, 62000);
    assert_true(r->q.wall0 == before);
    close_rig(r);
}

static bool segment_is_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *e;
    bool found = false;

    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        char path[4096];
        ssize_t n = readlinkat(dirfd(dir), e->d_name, path, sizeof path);

        found |= n > 0 && memmem(path, (size_t)n, ".seg", 4) != NULL;
    }
    closedir(dir);
    return found;
}

/* After a failed sync the kernel calls the lost pages clean, and a second sync of that file would succeed:
   nobody may be able to try. */
static void a_failed_sync_is_the_last_of_its_file(void **state)
{
    struct rig *r = rig_new();
    char names[16][64];
    struct err err;
    size_t before = 0;

    (void)state;
    r->conf.deliver = false;
    rig_start(r);
    assert_true(fault_arm(SV("queued.segment.sync:EIO:3"), &err));
    for (uint64_t i = 1; i <= 4; i++) {
        size_t files;

        rig_submit(r, i, id_new(), "s@example.org", "r:a@far.test", "x\r\n");
        RIG_UNTIL(r, rig_answer(r, i));
        assert_int_equal(rig_answer(r, i)->code == 451, i < 4);
        assert_true(segment_is_open() == (i == 4));
        files = spool_list(&r->spool, "seg", ".seg", names, 16);
        assert_true(files > before);
        before = files;
    }
    assert_int_equal(ledger_count(&r->q.ledger), 1);
    rig_kill(r);
    rig_start(r);
    assert_int_equal(ledger_count(&r->q.ledger), 1);
    close_rig(r);
}

/* Everything is written and synced, and no snapshot goes on or is about to. */
static bool journal_rests(const struct rig *r)
{
    const struct store *s = r->q.store;
    static unsigned turns;

    turns++;
    if (s->snapshotting || s->snapshot_mark || s->syncing || s->journal.synced != journal_mark(&s->journal))
        turns = 0;
    return turns > 3;
}

/* A snapshot that is larger than what makes one due must not make the next one due. */
static void snapshots_do_not_chase_each_other(void **state)
{
    struct rig *r = rig_new();
    char rcpts[64];
    uint32_t number;

    (void)state;
    r->sizes.snapshot = 400;
    r->sizes.sync_ms = 1;
    rig_start(r);
    for (uint64_t i = 1; i <= 20; i++) {
        snprintf(rcpts, sizeof rcpts, "r:a@d%d.test", (int)i);
        rig_submit(r, i, id_new(), "s@example.org", rcpts, "x\r\n");
    }
    RIG_UNTIL(r, r->job_n == 20);
    for (size_t i = 0; i < 20; i++)
        rig_result(r, 0, &r->jobs[i], OUTCOME_DEFERRED, "rcpt", true);
    RIG_UNTIL(r, r->acks == 20);
    RIG_UNTIL(r, journal_rests(r));
    number = r->q.store->journal.number;
    assert_true(number > 1);
    for (int i = 0; i < 100; i++)
        loop_once(r->loop, 2);
    assert_int_equal(r->q.store->journal.number, number);
    close_rig(r);
}

/* The index of a sealed segment hides what happened to its records; a look at each after the start does not.
 */
static void damage_in_sealed_segments_is_found(void **state)
{
    static char body[40001];
    struct rig *r = rig_new();
    char names[8][64], path[300];
    struct message *m = NULL;
    uint64_t ids[6];
    int fd;

    (void)state;
    memset(body, 'b', sizeof body - 3);
    memcpy(body + sizeof body - 3, "\r\n", 3);
    r->sizes.segment = 131072;
    r->conf.deliver = false;
    rig_start(r);
    for (uint64_t i = 0; i < COUNT(ids); i++) {
        rig_submit(r, i + 1, ids[i] = id_new(), "s@example.org", "r:a@far.test", body);
        RIG_UNTIL(r, r->answer_n == i + 1);
    }
    rig_rest(r);
    rig_stop(r);
    assert_true(spool_list(&r->spool, "seg", ".seg", names, 8) >= 2);
    snprintf(path, sizeof path, "seg/%s", names[0]);
    fd = openat(r->spool.fd, path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0 && pwrite(fd, "X", 1, 20000) == 1);
    close(fd);
    rig_start(r);
    RIG_UNTIL(r, r->q.verified);
    for (size_t i = 0; i < COUNT(ids); i++) {
        m = ledger_at(&r->q.ledger, ledger_find(&r->q.ledger, ids[i]));
        assert_int_equal((m->flags & MESSAGE_DAMAGED) != 0, i == 0);
    }
    close_rig(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_from_before_has_its_delays),
        cmocka_unit_test(inherited_jobs_are_whole),
        cmocka_unit_test(many_failures_fit_one_notice),
        cmocka_unit_test(failed_commands_fit_their_notices),
        cmocka_unit_test(a_clock_that_jumps),
        cmocka_unit_test(a_clock_that_jumped_while_it_was_down),
        cmocka_unit_test(a_slow_iteration_is_no_step),
        cmocka_unit_test(a_failed_sync_is_the_last_of_its_file),
        cmocka_unit_test(snapshots_do_not_chase_each_other),
        cmocka_unit_test(damage_in_sealed_segments_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
