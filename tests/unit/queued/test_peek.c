/* test_peek.c - going through many records gives what reading each of them gives, damaged and new ones too */
#include "tests/support/unit.h"

#include "common/base/dict.h"
#include "queued/ctl.h"
#include "tests/unit/queued/rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGES 400u

static struct rig *r;

static int setup(void **state)
{
    (void)state;
    r = rig_new();
    rig_keep_all(r);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(r);
    return 0;
}

/* Small ones, some of 20 KiB, some of which only the beginning is read, some whose body is in big/. */
static void submit(uint64_t id)
{
    static const size_t sizes[] = { 40000, 20000, 300000, 33000 };
    char to[64];

    snprintf(to, sizeof to, "r:user%u@far.test l:b@demo.test", (unsigned)id);
    if (id % 16 == 0)
        rig_submit_large(r, id, id, to, sizes[id / 16 % 4]);
    else
        rig_submit(r, id, id, id % 3 ? "sender@x.test" : "", to, "body\r\n");
}

static void expect_same(uint32_t handle)
{
    char sender[64], to[64];
    uint64_t size;
    size_t n;
    struct bytes *b;

    assert_true(message_peek(&r->q, handle, &size));
    n = r->q.envelope.rcpt_n;
    assert_int_equal(n, 2);
    assert_true(strv_cstr(r->q.envelope.sender, sender, sizeof sender));
    assert_true(strv_cstr(r->q.envelope.rcpts[0].to, to, sizeof to));
    b = message_envelope(&r->q, handle);
    assert_non_null(b);
    assert_int_equal(r->q.envelope.rcpt_n, n);
    assert_true(strv_is(r->q.envelope.sender, sender) && strv_is(r->q.envelope.rcpts[0].to, to));
    assert_true(size == b->message.n + (r->q.envelope.big ? r->q.envelope.big_size : 0));
    bytes_unref(&b);
}

static void expect_all_same(unsigned least)
{
    uint32_t cursor = 0, handle;
    unsigned n = 0;

    for (; (handle = ledger_next(&r->q.ledger, &cursor)); n++)
        expect_same(handle);
    assert_true(n >= least);
    /* In no order. */
    for (unsigned i = 0; i < n; i++) {
        cursor = (i * 7919 + 13) % r->q.ledger.messages.used;
        if ((handle = ledger_next(&r->q.ledger, &cursor)))
            expect_same(handle);
    }
}

static void fill(void)
{
    for (uint64_t id = 1; id <= MESSAGES; id++) {
        submit(1000 + id);
        if (id % 50 == 0)
            RIG_UNTIL(r, r->answer_n == id);
    }
}

static void many_are_as_one_by_one(void **state)
{
    (void)state;
    r->sizes.segment = 4u << 20;
    rig_start_bare(r);
    rig_connect_cleanup(r);
    fill();
    expect_all_same(MESSAGES); /* new: from memory */
    rig_rest(r);
    rig_kill(r);
    rig_start_bare(r);
    rig_connect_cleanup(r);
    expect_all_same(MESSAGES); /* from disk */
    rig_kill(r);
}

/* The window was read when the segment was shorter: what was written since is found. */
static void a_record_behind_the_window(void **state)
{
    (void)state;
    rig_start_bare(r);
    rig_connect_cleanup(r);
    for (uint64_t id = 1; id <= 20; id++) {
        submit(1000 + id * 3);
        RIG_UNTIL(r, r->answer_n == id);
        while (dict_count(r->q.fresh) > 0) { /* as their first attempt does */
            uint64_t fresh = 1000 + id * 3;
            struct bytes *b = dict_pop_u64(r->q.fresh, fresh);

            assert_non_null(b);
            r->q.fresh_bytes -= b->size;
            bytes_unref(&b);
        }
        expect_all_same((unsigned)id);
    }
    rig_kill(r);
}

static void flip(struct place place, uint32_t at)
{
    char path[200];
    unsigned char byte;
    int fd;

    snprintf(path, sizeof path, "%s/seg/%06u.seg", r->spool.path, place.segment);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, place.offset + at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, place.offset + at), 1);
    close(fd);
}

static uint32_t small_from(uint32_t cursor)
{
    uint32_t handle;

    while ((handle = ledger_next(&r->q.ledger, &cursor)) &&
           ledger_at(&r->q.ledger, handle)->place.length > 4096)
        ;
    return handle;
}

/* Small records are checked whole, and told as damaged; their neighbours are as they were. */
static void damage_is_seen(void **state)
{
    uint32_t cursor = 0, handle, first, second;
    unsigned damaged = 0;
    uint64_t size;

    (void)state;
    rig_start_bare(r);
    rig_connect_cleanup(r);
    fill();
    rig_rest(r);
    rig_kill(r);
    rig_start_bare(r);
    first = small_from(100);
    second = small_from(200);
    flip(ledger_at(&r->q.ledger, first)->place, 130);
    flip(ledger_at(&r->q.ledger, second)->place, ledger_at(&r->q.ledger, second)->place.length - 2);
    while ((handle = ledger_next(&r->q.ledger, &cursor))) {
        bool ok = message_peek(&r->q, handle, &size);

        assert_int_equal(ok, handle != first && handle != second);
        damaged += !ok;
    }
    assert_int_equal(damaged, 2);
    assert_int_equal(r->q.ledger.standings[STANDING_DAMAGED], 2);
    rig_kill(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_are_as_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_behind_the_window, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_seen, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
