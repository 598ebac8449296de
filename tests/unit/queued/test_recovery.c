/* test_recovery.c - what a start makes of spools that something happened to */
#include "tests/support/unit.h"
#include "tests/unit/queued/rig.h"

#include "common/base/id.h"
#include "common/base/log.h"
#include "common/os/fault.h"
#include "queued/store_private.h"

#include <stdlib.h>

static struct rig *r;
static char names[64][64];
static struct buf bytes;

static int setup(void **state)
{
    (void)state;
    r = rig_new();
    buf_init(&bytes, (size_t)1 << 28);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fault_disarm_all();
    rig_free(r);
    buf_clear(&bytes);
    return 0;
}

/* Messages with these ids' count, each with a body of so many bytes; all accepted. */
static void fill(uint64_t *ids, size_t n, size_t body)
{
    char *text = malloc(body + 1);

    assert_non_null(text);
    memset(text, 'x', body);
    text[body] = '\0';
    for (size_t i = 0; i < n; i++) {
        ids[i] = id_new();
        rig_submit(r, i + 1, ids[i], "s@example.org", "r:a@far.test", text);
        if (i % 8 == 7)
            RIG_UNTIL(r, r->answer_n == i + 1);
    }
    RIG_UNTIL(r, r->answer_n == n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(r->answers[i].verdict, VERDICT_ACCEPT);
    free(text);
}

static size_t count(void)
{
    return ledger_count(&r->q.ledger);
}

static bool has(uint64_t id)
{
    return ledger_find(&r->q.ledger, id) != 0;
}

static void deliver(uint64_t id)
{
    RIG_UNTIL(r, rig_job(r, id));
    rig_result(r, 0, rig_job(r, id), OUTCOME_DELIVERED, "data", true);
    RIG_UNTIL(r, !has(id));
}

static void segment_change(size_t at, struct strv with)
{
    assert_true(spool_list(&r->spool, "seg", ".seg", names, 64) > 0);
    spool_read(&r->spool, "seg", names[0], &bytes);
    assert_true(at + with.n <= bytes.len);
    memcpy(bytes.data + at, with.p, with.n);
    spool_write(&r->spool, "seg", names[0], buf_view(&bytes));
    memcpy(strrchr(names[0], '.'), ".idx", 5);
    if (spool_has(&r->spool, "seg", names[0]))
        spool_unlink(&r->spool, "seg", names[0]);
}

static void empty_segments_go(void **state)
{
    uint64_t ids[3];

    (void)state;
    rig_start(r);
    fill(ids, 3, 10);
    for (int i = 0; i < 3; i++)
        deliver(ids[i]);
    rig_kill(r);
    rig_start(r);
    RIG_UNTIL(r, spool_list(&r->spool, "seg", "", names, 64) == 0);
    assert_int_equal(count(), 0);
    rig_kill(r);
}

static void full_segments_roll_and_go(void **state)
{
    uint64_t ids[60];

    (void)state;
    r->sizes.segment = 65536;
    r->conf.max_jobs = 1000;
    rig_start(r);
    fill(ids, 60, 4000);
    assert_true(spool_list(&r->spool, "seg", ".seg", names, 64) >= 4);
    assert_true(spool_list(&r->spool, "seg", ".idx", names, 64) >= 3);
    for (int i = 0; i < 60; i++)
        deliver(ids[i]);
    RIG_UNTIL(r, spool_list(&r->spool, "seg", ".seg", names, 64) == 1);
    assert_int_equal(spool_list(&r->spool, "seg", ".idx", names, 64), 0);
    rig_kill(r);
}

static void sidecars_say_what_segments_say(void **state)
{
    uint64_t ids[60];

    (void)state;
    r->sizes.segment = 65536;
    r->conf.deliver = false;
    rig_start(r);
    fill(ids, 60, 4000);
    rig_kill(r);
    /* Whole, damaged, missing. */
    for (int round = 0; round < 3; round++) {
        size_t n = spool_list(&r->spool, "seg", ".idx", names, 64);

        assert_true(n >= 4);
        for (size_t i = 0; round == 1 && i < n; i++) {
            spool_read(&r->spool, "seg", names[i], &bytes);
            bytes.data[bytes.len / 2] = (char)(bytes.data[bytes.len / 2] ^ 1);
            spool_write(&r->spool, "seg", names[i], buf_view(&bytes));
        }
        for (size_t i = 0; round == 2 && i < n; i++)
            spool_unlink(&r->spool, "seg", names[i]);
        rig_start(r);
        assert_int_equal(count(), 60);
        for (int i = 0; i < 60; i++)
            assert_true(has(ids[i]));
        rig_kill(r);
    }
}

static void damage_costs_one_record(void **state)
{
    uint64_t ids[3];
    struct place place;

    (void)state;
    r->conf.deliver = false;
    rig_start(r);
    fill(ids, 3, 100);
    place = ledger_at(&r->q.ledger, ledger_find(&r->q.ledger, ids[1]))->place;
    rig_kill(r);
    segment_change(place.offset + 200, SV("damage"));
    for (int i = 0; i < 2; i++) {
        rig_start(r);
        assert_int_equal(count(), 2);
        assert_true(has(ids[0]) && has(ids[2]));
        rig_kill(r);
    }
    /* What is damaged is never unlinked: somebody may want to look at it. */
    r->conf.deliver = true;
    rig_start(r);
    deliver(ids[0]);
    deliver(ids[2]);
    rig_rest(r);
    rig_kill(r);
    rig_start(r);
    rig_rest(r);
    assert_int_equal(spool_list(&r->spool, "seg", ".seg", names, 64), 1);
    rig_kill(r);
}

static void one_copy_of_the_header_is_enough(void **state)
{
    uint64_t ids[2];

    (void)state;
    r->conf.deliver = false;
    rig_start(r);
    fill(ids, 2, 100);
    rig_kill(r);
    segment_change(0, SV("damage"));
    rig_start(r);
    assert_int_equal(count(), 2);
    rig_kill(r);
    segment_change(SEGMENT_COPY + 20, SV("damage"));
    rig_start(r);
    assert_int_equal(count(), 0);
    assert_int_equal(spool_list(&r->spool, "seg", ".seg", names, 64), 1);
    rig_kill(r);
}

static void a_record_damaged_while_it_waits_is_held(void **state)
{
    uint64_t ids[1];

    (void)state;
    r->conf.deliver = false;
    rig_start(r);
    fill(ids, 1, 100);
    rig_kill(r);
    assert_int_equal(spool_list(&r->spool, "seg", ".seg", names, 64), 1);
    spool_read(&r->spool, "seg", names[0], &bytes);
    bytes.data[bytes.len - 20] = 'Y';
    spool_write(&r->spool, "seg", names[0], buf_view(&bytes));
    /* The sidecar still tells of it. */
    r->conf.deliver = true;
    for (int i = 0; i < 2; i++) {
        rig_start(r);
        rig_rest(r);
        assert_int_equal(count(), 1);
        assert_int_equal(r->job_n, 0);
        rig_kill(r);
    }
}

static void without_a_journal_nothing_is_sent(void **state)
{
    uint64_t ids[2], more;

    (void)state;
    rig_start(r);
    fill(ids, 2, 100);
    RIG_UNTIL(r, r->job_n == 2);
    rig_kill(r);
    for (size_t n = spool_list(&r->spool, "state", ".jnl", names, 64); n > 0; n--)
        spool_unlink(&r->spool, "state", names[n - 1]);
    for (int i = 0; i < 2; i++) {
        rig_start(r);
        rig_rest(r);
        assert_int_equal(r->job_n, 0);
        assert_true(count() >= 2);
        /* New mail is taken. */
        more = id_new();
        rig_submit(r, 50, more, "s@example.org", "r:a@far.test", "x\r\n");
        RIG_UNTIL(r, rig_answer(r, 50));
        assert_int_equal(rig_answer(r, 50)->verdict, VERDICT_ACCEPT);
        rig_rest(r);
        assert_int_equal(r->job_n, 0);
        if (i == 0)
            rig_kill(r);
    }
    spool_write(&r->spool, "state", "resume", SV(""));
    RIG_UNTIL(r, r->job_n == 4);
    assert_false(spool_has(&r->spool, "state", "resume"));
    rig_kill(r);
    rig_start(r);
    RIG_UNTIL(r, r->job_n == 4);
    rig_kill(r);
}

static void journal_change(const char *what)
{
    size_t n = spool_list(&r->spool, "state", ".jnl", names, 64);

    assert_true(n > 0);
    if (strcmp(what, "first gone") == 0) {
        spool_unlink(&r->spool, "state", names[0]);
        return;
    }
    if (strcmp(what, "second gone") == 0) {
        spool_unlink(&r->spool, "state", names[1]);
        return;
    }
    spool_read(&r->spool, "state", names[0], &bytes);
    if (strcmp(what, "header") == 0)
        bytes.data[3] = '?';
    else
        bytes.data[JOURNAL_HEADER + 12] = (char)(bytes.data[JOURNAL_HEADER + 12] ^ 1);
    spool_write(&r->spool, "state", names[0], buf_view(&bytes));
}

static void a_damaged_journal_pauses(void **state)
{
    static const char *const cases[] = { "first gone", "second gone", "header", "line" };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t ids[2];

        rig_start(r);
        fill(ids, 2, 100);
        deliver(ids[0]);
        rig_kill(r);
        rig_start(r);
        rig_kill(r);
        rig_start(r);
        rig_rest(r);
        assert_int_equal(r->job_n, 1);
        rig_kill(r);
        journal_change(cases[i]);
        rig_start(r);
        rig_rest(r);
        if (!r->q.ledger.paused || r->job_n > 0)
            fail_msg("%s: not paused", cases[i]);
        rig_kill(r);
        rig_clear(r);
        rig_init(r);
    }
}

static void a_torn_journal_does_not_pause(void **state)
{
    uint64_t ids[4];
    uint64_t written, synced;

    (void)state;
    r->sizes.sync_ms = 100000;
    rig_start(r);
    fill(ids, 4, 100);
    deliver(ids[0]);
    rig_rest(r);
    written = r->q.store->journal.at;
    synced = r->q.store->journal.synced_at;
    assert_true(written > synced);
    for (uint64_t cut = synced; cut <= written; cut += 13) {
        struct spool copy, original = r->spool;

        spool_copy(&r->spool, &copy);
        spool_list(&copy, "state", ".jnl", names, 64);
        spool_read(&copy, "state", names[0], &bytes);
        memset(bytes.data + cut, cut % 2 ? '\0' : 'q', 5);
        spool_write(&copy, "state", names[0], buf_view(&bytes));
        for (int again = 0; again < 2; again++) {
            struct rig *other = malloc(sizeof *other);

            rig_init(other);
            rig_clear(other);
            other->spool = copy;
            rig_start_bare(other);
            assert_false(other->q.ledger.paused);
            assert_true(ledger_count(&other->q.ledger) == 3 || ledger_count(&other->q.ledger) == 4);
            rig_kill(other);
            free(other);
        }
        spool_remove(&copy);
        r->spool = original;
    }
    rig_kill(r);
}

static void a_missing_body_is_never_sent(void **state)
{
    uint64_t id = id_new();

    (void)state;
    r->conf.deliver = false;
    rig_start(r);
    rig_submit_large(r, 1, id, "r:a@far.test", 600000);
    RIG_UNTIL(r, rig_answer(r, 1));
    rig_kill(r);
    spool_list(&r->spool, "big", "", names, 64);
    spool_unlink(&r->spool, "big", names[0]);
    r->conf.deliver = true;
    rig_start(r);
    rig_rest(r);
    assert_int_equal(count(), 1);
    assert_int_equal(r->job_n, 0);
    rig_kill(r);
}

static void orphaned_bodies_go(void **state)
{
    (void)state;
    rig_start(r);
    rig_kill(r);
    spool_write(&r->spool, "big", "0000000000001", SV("orphan"));
    spool_write(&r->spool, "big", "tmp.1", SV("orphan"));
    rig_start(r);
    assert_int_equal(spool_list(&r->spool, "big", "", names, 64), 0);
    rig_kill(r);
}

static void snapshots_keep_everything(void **state)
{
    uint64_t ids[40];

    (void)state;
    r->sizes.snapshot = 2000;
    r->sizes.segment = 65536;
    rig_start(r);
    fill(ids, 40, 4000);
    for (int i = 0; i < 40; i++) {
        RIG_UNTIL(r, rig_job(r, ids[i]));
        if (i % 4 == 0)
            rig_result(r, 0, rig_job(r, ids[i]), OUTCOME_FAILED, "rcpt", true);
        else if (i % 4 == 1)
            rig_result(r, 0, rig_job(r, ids[i]), OUTCOME_DEFERRED, "rcpt", true);
        else
            rig_result(r, 0, rig_job(r, ids[i]), OUTCOME_DELIVERED, "data", true);
    }
    RIG_UNTIL(r, count() == 20);
    RIG_UNTIL(r, r->q.store->journal.oldest > 1);
    for (int round = 0; round < 3; round++) {
        rig_kill(r);
        rig_start(r);
        rig_rest(r);
        assert_int_equal(count(), 20);
        assert_int_equal(r->job_n, 0);
        assert_int_equal(r->notice_n, 10);
        for (int i = 0; i < 40; i++)
            if (has(ids[i]) != (i % 4 < 2))
                fail_msg("round %d message %d", round, i);
    }
    rig_kill(r);
}

/* How many of these messages went out, each as it was. */
static size_t jobs_of(const uint64_t *ids, size_t n)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        const struct rig_job *j = rig_job(r, ids[i]);

        if (!j || !j->complete)
            continue;
        assert_int_equal(j->data.len, 4000 + 2 + strlen("Subject: test\r\n"));
        found++;
    }
    return found;
}

static bool compacted(void)
{
    compact_step(r->q.store);
    return spool_list(&r->spool, "seg", ".seg", names, 64) <= 2;
}

static void sparse_segments_are_compacted(void **state)
{
    uint64_t ids[60], left[6];
    size_t n = 0;

    (void)state;
    r->sizes.segment = 65536;
    rig_start(r);
    fill(ids, 60, 4000);
    for (int i = 0; i < 60; i++) {
        if (i % 10 == 0)
            left[n++] = ids[i];
        else
            deliver(ids[i]);
    }
    rig_rest(r);
    RIG_UNTIL(r, compacted());
    assert_int_equal(count(), 6);
    for (int restart = 0; restart < 2; restart++) {
        /* After a start a destination begins with a window of five, whichever of the copies come first. */
        RIG_UNTIL(r, jobs_of(left, n) >= 5);
        rig_kill(r);
        rig_start(r);
        assert_int_equal(count(), 6);
    }
    rig_kill(r);
}

/* A crash between the copy and the unlinking: the message stands twice and is one. */
static void both_copies_are_one_message(void **state)
{
    uint64_t ids[60];
    struct spool copy;

    (void)state;
    r->sizes.segment = 65536;
    rig_start(r);
    fill(ids, 60, 4000);
    for (int i = 1; i < 60; i++)
        deliver(ids[i]);
    RIG_UNTIL(r, store_noted(r->q.store));
    assert_true(fault_arm(SV("queued.unlink:EIO:0"), &(struct err){ .cls = ERR_OK }));
    for (int i = 0; i < 5; i++) {
        compact_step(r->q.store);
        rig_rest(r);
    }
    spool_copy(&r->spool, &copy);
    rig_kill(r);
    fault_disarm_all();
    spool_remove(&r->spool);
    r->spool = copy;
    rig_start(r);
    assert_int_equal(count(), 1);
    assert_true(has(ids[0]));
    rig_kill(r);
}

/* A batch that was refused because its sync failed may stand on the disk all the same. */
static void refused_records_do_not_come_back(void **state)
{
    uint64_t good = id_new(), refused = id_new();
    struct spool copy;
    struct err err;

    (void)state;
    r->conf.deliver = false;
    rig_start(r);
    rig_submit(r, 1, good, "s@example.org", "r:a@far.test", "x\r\n");
    RIG_UNTIL(r, rig_answer(r, 1));
    assert_true(fault_arm(SV("queued.segment.sync:EIO"), &err));
    rig_submit(r, 2, refused, "s@example.org", "r:a@far.test", "refused\r\n");
    /* Before the abandoned file can be cut: what stands there now. */
    RIG_UNTIL(r, rig_answer(r, 2));
    assert_int_equal(rig_answer(r, 2)->code, 451);
    rig_rest(r);
    spool_copy(&r->spool, &copy);
    rig_kill(r);
    spool_remove(&r->spool);
    r->spool = copy;
    rig_start(r);
    assert_true(has(good) && !has(refused));
    rig_kill(r);
}

static void notices_in_segments_end_what_was_owed(void **state)
{
    uint64_t id = id_new(), notice = id_new();
    struct spool copy;

    (void)state;
    rig_start(r);
    rig_submit(r, 1, id, "s@example.org", "r:a@far.test r:b@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    rig_result_some(r, 0, &r->jobs[0], 1, OUTCOME_FAILED, false);
    rig_result_some(r, 0, &r->jobs[0], 2, OUTCOME_DEFERRED, true);
    RIG_UNTIL(r, r->notice_n == 1);
    /* The journal as it was before the notice, the segment with it: a power cut between the two syncs. */
    spool_copy(&r->spool, &copy);
    rig_submit_origin(r, 2, notice, "l:s@example.org", r->notices[0].origin);
    RIG_UNTIL(r, rig_answer(r, 2));
    rig_rest(r);
    spool_list(&r->spool, "seg", ".seg", names, 64);
    spool_read(&r->spool, "seg", names[0], &bytes);
    spool_write(&copy, "seg", names[0], buf_view(&bytes));
    rig_kill(r);
    spool_remove(&r->spool);
    r->spool = copy;
    rig_start(r);
    rig_rest(r);
    assert_int_equal(r->notice_n, 0);
    assert_int_equal(count(), 2);
    rig_kill(r);
}

static void a_broken_journal_is_begun_anew(void **state)
{
    static const char *const faults[] = { "queued.journal.write:EIO", "queued.journal.sync:EIO",
                                          "queued.journal.write:ENOSPC:5" };
    struct err err;

    (void)state;
    for (size_t i = 0; i < COUNT(faults); i++) {
        uint64_t ids[3];

        rig_start(r);
        fill(ids, 3, 100);
        RIG_UNTIL(r, r->job_n == 3);
        assert_true(fault_arm(SV(faults[i]), &err));
        rig_result(r, 0, rig_job(r, ids[0]), OUTCOME_DELIVERED, "data", true);
        RIG_UNTIL(r, r->acks == 1 && r->q.store->journal.synced == r->q.store->journal.written &&
                         !r->q.store->journal_down);
        fault_disarm_all();
        deliver(ids[1]);
        rig_kill(r);
        rig_start(r);
        assert_int_equal(count(), 1);
        assert_true(has(ids[2]));
        deliver(ids[2]);
        rig_kill(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(empty_segments_go),
        T(full_segments_roll_and_go),
        T(sidecars_say_what_segments_say),
        T(damage_costs_one_record),
        T(one_copy_of_the_header_is_enough),
        T(a_record_damaged_while_it_waits_is_held),
        T(without_a_journal_nothing_is_sent),
        T(a_damaged_journal_pauses),
        T(a_torn_journal_does_not_pause),
        T(a_missing_body_is_never_sent),
        T(orphaned_bodies_go),
        T(snapshots_keep_everything),
        T(sparse_segments_are_compacted),
        T(both_copies_are_one_message),
        T(refused_records_do_not_come_back),
        T(notices_in_segments_end_what_was_owed),
        T(a_broken_journal_is_begun_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
