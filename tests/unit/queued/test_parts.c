/* test_parts.c - the small containers: pool, heap, words, ids, account, and the ledger's own rules */
#include "tests/support/unit.h"

#include "common/ipc/schema.h"
#include "queued/account.h"
#include "queued/ids.h"
#include "queued/ledger.h"
#include "queued/segment.h"

#include <stdlib.h>
#include <string.h>

static void pools(void **state)
{
    struct pool p;
    uint32_t handles[10000];

    (void)state;
    pool_init(&p, 24);
    for (uint32_t i = 0; i < 10000; i++) {
        handles[i] = pool_take(&p);
        assert_true(handles[i] > 0);
        memcpy(pool_at(&p, handles[i]), &i, sizeof i);
    }
    for (uint32_t i = 0; i < 10000; i += 2)
        pool_give(&p, handles[i]);
    assert_int_equal(p.live, 5000);
    for (uint32_t i = 1; i < 10000; i += 2)
        assert_memory_equal(pool_at(&p, handles[i]), &i, sizeof i);
    for (uint32_t i = 0; i < 5000; i++) {
        static const char zero[24];

        assert_memory_equal(pool_at(&p, pool_take(&p)), zero, 24);
    }
    assert_int_equal(p.used, 10000);
    pool_clear(&p);
}

static uint32_t places[1000];

static void on_moved(void *arg, uint32_t handle, uint32_t place)
{
    (void)arg;
    places[handle] = place;
}

static void heaps(void **state)
{
    struct heap h = { .moved = on_moved };
    uint32_t last = 0, n = 0;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        heap_add(&h, i * 7919 % 1009, i);
    for (uint32_t i = 0; i < 1000; i += 3)
        heap_remove(&h, places[i]);
    for (uint32_t i = 0; i < 1000; i += 3)
        assert_int_equal(places[i], 0);
    while (h.count > 0) {
        assert_true(h.items[0].key >= last);
        last = h.items[0].key;
        heap_remove(&h, 1);
        n++;
    }
    assert_int_equal(n, 1000 - 334);
    heap_clear(&h);
}

static void equal_words_are_kept_once(void **state)
{
    struct words_table t = { .slots = NULL };
    struct words *w[300], *again;
    char reply[32];

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(reply, sizeof reply, "reply %d", i % 100);
        w[i] = words_ref(&t, SV("4.4.1"), SV("relay"), SV(reply), false);
        assert_ptr_equal(w[i], w[i % 100]);
    }
    assert_int_equal(t.count, 100);
    again = words_ref(&t, SV("4.4.1"), SV("relay"), SV("reply 1"), true);
    assert_ptr_not_equal(again, w[1]);
    words_unref(&t, &again);
    /* The parts of a text do not run into each other. */
    again = words_ref(&t, SV("4.4.1r"), SV("elay"), SV("reply 1"), false);
    assert_ptr_not_equal(again, w[1]);
    expect_text("relay", words_relay(again), "elay");
    words_unref(&t, &again);
    for (int i = 0; i < 300; i++)
        words_unref(&t, &w[i]);
    assert_int_equal(t.count, 0);
    words_clear(&t);
}

static void id_lists(void **state)
{
    struct ids s = { .max = 100 };
    uint64_t id;

    (void)state;
    for (uint64_t i = 1; i <= 250; i++)
        ids_push(&s, i);
    assert_false(ids_has(&s, 150));
    assert_true(ids_has(&s, 151) && ids_has(&s, 250));
    for (uint64_t i = 151; i <= 250; i++)
        assert_true(ids_pop(&s, &id) && id == i);
    assert_false(ids_pop(&s, &id));
    ids_clear(&s);
}

static void accounts(void **state)
{
    struct account a = { .rows = NULL };
    struct account_row *row;

    (void)state;
    for (uint32_t n = 5; n > 0; n--)
        for (uint32_t i = 0; i < 100; i++)
            account_live(&a, (struct place){ n, SEGMENT_FIRST + i * 1000, 1000 });
    account_seal_before(&a, 5);
    account_empty(&a, 10);
    assert_null(account_gone(&a, 1000));
    for (uint32_t i = 0; i < 100; i++) {
        account_dead(&a, (struct place){ 2, SEGMENT_FIRST + i * 1000, 1000 });
        account_dead(&a, (struct place){ 5, SEGMENT_FIRST + i * 1000, 1000 });
        if (i < 90)
            account_dead(&a, (struct place){ 3, SEGMENT_FIRST + i * 1000, 1000 });
    }
    row = account_sparse(&a);
    assert_true(row && row->number == 3);
    account_empty(&a, 77);
    assert_null(account_gone(&a, 76));
    row = account_gone(&a, 77);
    assert_true(row && row->number == 2);
    account_remove(&a, 2);
    /* The current segment is empty too, but it is not sealed. */
    assert_null(account_gone(&a, 77));
    assert_null(account_find(&a, 2));
    assert_non_null(account_find(&a, 5));
    account_clear(&a);
}

static const int64_t retry[] = { 300 };

static uint64_t below(uint64_t n)
{
    return n - 1;
}

static uint64_t add(struct ledger *l, uint64_t id, size_t rcpts, const char *sender)
{
    struct envelope e;

    envelope_init(&e);
    e.sender = SV(sender);
    for (size_t i = 0; i < rcpts; i++) {
        struct envelope_rcpt *r = envelope_add(&e);

        r->to = i % 3 == 0 ? SV("a@One.test") : i % 3 == 1 ? SV("b@two.test") : SV("c@one.TEST");
        r->local = i % 3 == 1;
    }
    ledger_add(l, id, &e, (struct place){ 1, (uint32_t)id * 10, 10 });
    envelope_clear(&e);
    return id;
}

static void parts_are_by_destination(void **state)
{
    const struct sched_conf conf = { .retry = retry, .retry_n = 1, .below = below };
    struct ledger l;
    struct message *m;

    (void)state;
    ledger_init(&l, &conf);
    add(&l, 1, 9, "s@x");
    m = ledger_at(&l, ledger_find(&l, 1));
    assert_int_equal(sched_dest_count(l.sched), 2);
    assert_int_equal(message_rcpt(m, 0)->part, message_rcpt(m, 2)->part);
    assert_int_not_equal(message_rcpt(m, 0)->part, message_rcpt(m, 1)->part);
    expect_text("domain", sched_domain(l.sched, message_rcpt(m, 2)->part), "one.test");
    assert_true(sched_is_local(l.sched, message_rcpt(m, 1)->part));
    ledger_clear(&l);
}

static void collect(void *arg, const struct entry *e)
{
    entry_print(e, "0123456789abcdef0123456789abcdef", arg);
}

/* What a snapshot tells makes the same ledger again, and telling that says the same. */
static void snapshots_tell_everything(void **state)
{
    const struct sched_conf conf = { .retry = retry, .retry_n = 1, .below = below };
    const struct entry entries[] = {
        { .kind = ENTRY_DELIVERED, .id = 1, .list = SV_LIT("0,2") },
        { .kind = ENTRY_FAILED,
          .id = 1,
          .list = SV_LIT("1"),
          .enhanced = SV_LIT("5.1.1"),
          .reply = SV_LIT("no") },
        { .kind = ENTRY_DEFERRED,
          .id = 1,
          .list = SV_LIT("4-6"),
          .attempts = 3,
          .due = 99,
          .reply = SV_LIT("later") },
        { .kind = ENTRY_DROPPED, .id = 1, .list = SV_LIT("3") },
        { .kind = ENTRY_SUCCEEDED, .id = 1, .list = SV_LIT("7-8"), .flags = SUCCESS_RELAYED },
        { .kind = ENTRY_NOTICE, .id = 1, .list = SV_LIT("7"), .notice = NOTICE_SUCCESS },
        { .kind = ENTRY_NOTICE, .id = 2, .list = SV_LIT("0"), .notice = NOTICE_DELAY },
        { .kind = ENTRY_HOLD, .id = 3, .text = SV_LIT("x") },
        { .kind = ENTRY_DELIVERED, .id = 4, .list = SV_LIT("0-1") },
    };
    struct ledger a, b;
    struct buf first, second, scratch;
    uint32_t cursor = 0, handle;

    (void)state;
    ledger_init(&a, &conf);
    ledger_init(&b, &conf);
    buf_init(&first, 1u << 20);
    buf_init(&second, 1u << 20);
    buf_init(&scratch, 1u << 20);
    for (uint64_t id = 1; id <= 4; id++) {
        add(&a, id, id == 1 ? 9 : 2, "s@x");
        add(&b, id, id == 1 ? 9 : 2, "s@x");
    }
    for (size_t i = 0; i < COUNT(entries); i++)
        assert_int_equal(ledger_apply(&a, &entries[i]),
                         i + 1 == COUNT(entries) ? LEDGER_OVER : LEDGER_APPLIED);
    assert_int_equal(ledger_count(&a), 3);
    ledger_apply(&b, &(struct entry){ .kind = ENTRY_BEGIN });
    while ((handle = ledger_next(&a, &cursor)))
        ledger_tell(&a, handle, &scratch, collect, &first);
    for (char *p = first.data, *end; (end = strchr(p, '\n')); p = end + 1) {
        struct entry e;

        buf_reset(&scratch);
        buf_add(&scratch, p, (size_t)(end - p));
        assert_true(entry_parse(scratch.data, scratch.len, "0123456789abcdef0123456789abcdef", &e));
        assert_int_not_equal(ledger_apply(&b, &e), LEDGER_UNKNOWN);
    }
    ledger_apply(&b, &(struct entry){ .kind = ENTRY_SEGMENT, .segment = 1, .offset = 1000 });
    ledger_apply(&b, &(struct entry){ .kind = ENTRY_END });
    assert_int_equal(ledger_count(&b), 3);
    for (cursor = 0; (handle = ledger_next(&b, &cursor));)
        ledger_tell(&b, handle, &scratch, collect, &second);
    assert_string_equal(buf_cstr(&first), buf_cstr(&second));
    /* Who is over has it, or has it not. */
    for (uint32_t i = 0; i < 9; i++) {
        const struct rcpt *got = message_rcpt(ledger_at(&b, ledger_find(&b, 1)), i);

        if (got->state == RCPT_DONE)
            assert_int_equal(got->success, i != 3);
        else
            assert_int_equal(got->success, i == 8 ? 1 + SUCCESS_RELAYED : 0);
    }
    buf_clear(&first);
    buf_clear(&second);
    buf_clear(&scratch);
    ledger_clear(&a);
    ledger_clear(&b);
}

static void nothing_beyond_the_end(void **state)
{
    const struct sched_conf conf = { .retry = retry, .retry_n = 1, .below = below };
    struct ledger l;

    (void)state;
    ledger_init(&l, &conf);
    add(&l, 1, 2, "s@x");
    assert_int_equal(ledger_apply(&l,
                                  &(struct entry){ .kind = ENTRY_DELIVERED, .id = 1, .list = SV_LIT("0-2") }),
                     LEDGER_UNKNOWN);
    assert_int_equal(ledger_apply(&l,
                                  &(struct entry){ .kind = ENTRY_DELIVERED, .id = 2, .list = SV_LIT("0") }),
                     LEDGER_UNKNOWN);
    assert_int_equal(ledger_count(&l), 1);
    for (uint64_t id = 10; id < 5000; id++)
        add(&l, id, 1, "s@x");
    for (uint64_t id = 10; id < 5000; id++)
        assert_int_not_equal(ledger_find(&l, id), 0);
    ledger_clear(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools),
        cmocka_unit_test(heaps),
        cmocka_unit_test(equal_words_are_kept_once),
        cmocka_unit_test(id_lists),
        cmocka_unit_test(accounts),
        cmocka_unit_test(parts_are_by_destination),
        cmocka_unit_test(snapshots_tell_everything),
        cmocka_unit_test(nothing_beyond_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
