/* test_batch.c - messages that become durable together: all of them, all but the one that failed, or none */
#include "tests/support/unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/os/fault.h"
#include "deliverd/agent/batch.h"
#include "tests/unit/agent/scratch.h"

static struct scratch scratch;
static struct maildir_place place;
static struct deposit deposit;
static struct batch batch;

struct told {
    unsigned n, delivered, parts;
    uint64_t first, failed; /* txn */
    char status[8];
};

static void tell(void *arg, const struct batch_item *item)
{
    struct told *t = arg;

    if (!item) {
        t->parts++;
        return;
    }
    if (t->n++ == 0)
        t->first = item->txn;
    if (item->result.outcome == OUTCOME_DELIVERED) {
        t->delivered++;
    } else {
        t->failed = item->txn;
        snprintf(t->status, sizeof t->status, "%s", item->result.enhanced);
    }
}

static int setup(void **state)
{
    (void)state;
    umask(077);
    log_set_level(LOG_LV_ERROR);
    scratch_make(&scratch);
    place = (struct maildir_place){ scratch.fd, scratch.path, "mx.example.com", geteuid() };
    deposit_init(&deposit, &place);
    deposit.later = true;
    batch.n = 0;
    batch.part_ms = BATCH_PART_MS;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fault_disarm_all();
    batch_drop(&batch);
    deposit_abort(&deposit);
    scratch_remove(&scratch);
    return 0;
}

static void add(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct deposit_request r = { .path = i % 2 ? SV("user/") : SV("other/"),
                                     .rcpt = SV("u@b.example"),
                                     .sender = SV(""),
                                     .data = SV("x"),
                                     .size = 1,
                                     .body_fd = -1 };

        assert_int_equal(deposit_begin(&deposit, &r), DEPOSIT_WRITTEN);
        batch_add(&batch, &deposit, 100 + i, "0000000000000");
    }
}

static void lies(int tmp, int shown)
{
    assert_int_equal(scratch_count(&scratch, "user/tmp") + scratch_count(&scratch, "other/tmp"), tmp);
    assert_int_equal(scratch_count(&scratch, "user/new") + scratch_count(&scratch, "other/new"), shown);
}

static void all_together(void **state)
{
    struct told t = { 0 };

    (void)state;
    add(BATCH_MAX);
    assert_true(batch_full(&batch));
    lies(BATCH_MAX, 0); /* nobody sees what is not durable */
    batch_commit(&batch, tell, &t);
    lies(0, BATCH_MAX);
    assert_int_equal(t.delivered, BATCH_MAX);
    assert_int_equal(t.first, 100);
    assert_int_equal(t.parts, 1);
    assert_int_equal(batch.n, 0);
    add(1);
    batch_commit(&batch, tell, &t);
    lies(0, BATCH_MAX + 1);
}

static void lies_in_parts(void *arg, const struct batch_item *item)
{
    struct told *t = arg;

    tell(t, item);
    if (item)
        lies(5 - (int)t->n, (int)t->n); /* nothing of the next ones is shown yet */
}

/* A disk that takes its time for each. */
static void told_in_parts(void **state)
{
    struct told t = { 0 };

    (void)state;
    batch.part_ms = 0;
    add(5);
    batch_commit(&batch, lies_in_parts, &t);
    assert_int_equal(t.delivered, 5);
    assert_int_equal(t.parts, 5);
}

static void one_fails(void **state)
{
    static const struct {
        const char *fault, *status;
    } cases[] = {
        { "agent.file.sync:EIO:1", "4.3.0" },
        { "agent.file.rename:ENOSPC:1", "4.3.1" },
        { "agent.new.sync:EIO:1", "4.3.0" },
    };

    (void)state;
    if (!fault_arm(SV("x:EIO:1"), &(struct err){ 0 }))
        skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct told t = { 0 };
        struct err err = { 0 };

        add(5);
        fault_disarm_all();
        assert_true(fault_arm(SV(cases[i].fault), &err));
        batch_commit(&batch, tell, &t);
        fault_disarm_all();
        assert_int_equal(t.n, 5);
        assert_int_equal(t.delivered, 4);
        assert_int_equal(t.failed, 100);
        assert_string_equal(t.status, cases[i].status);
        lies(0, 4 * (int)(i + 1));
    }
}

static void withdrawn(void **state)
{
    struct told t = { 0 };

    (void)state;
    add(3);
    assert_true(batch_remove(&batch, 101));
    assert_false(batch_remove(&batch, 101));
    lies(2, 0);
    batch_commit(&batch, tell, &t);
    assert_int_equal(t.delivered, 2);
    lies(0, 2);
    add(3);
    batch_drop(&batch);
    lies(0, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_together, setup, teardown),
        cmocka_unit_test_setup_teardown(told_in_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(one_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(withdrawn, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
