/* test_requeue.c - messages through cleanup again: who, as what, and what becomes of the rest */
#include "tests/unit/queued/requeue_rig.h"

#include "common/base/id.h"
#include "queued/requeue.h"

#include <stdlib.h>

static void origin_is(uint64_t id, const char *rest)
{
    char text[ID_TEXT_SIZE], want[128];

    id_text(id, text);
    snprintf(want, sizeof want, "requeue/%s/%s", text, rest);
    assert_string_equal(got.origin, want);
}

static void as_a_whole_or_as_it_is(void **state)
{
    static const char *const three =
        "r:a@far.test=list@demo.test l:b@demo.test=list@demo.test r:c@far.test";
    uint64_t id;

    (void)state;
    rig_start(r);
    id = message_new("s@x.test", three, "b\r\n");
    assert_int_equal(call("requeue", id, NULL), 0);
    assert_true(done == 1 && kept == 0);
    assert_string_equal(got.rcpts,
                        "resolve list@demo.test (list@demo.test) resolve c@far.test (c@far.test) ");
    origin_is(id, "0-2");
    assert_string_equal(got.barred, "");
    assert_true(!message(id) && message(made[0]) && message(made[0])->rcpt_n == 2);
    /* One who has it: the others of his alias stay what they are, for ever, and he gets nothing. */
    id = message_new("s@x.test", three, "b\r\n");
    over(id, "0");
    assert_int_equal(call("requeue", id, NULL), 0);
    assert_string_equal(got.rcpts, "keep b@demo.test (list@demo.test) resolve c@far.test (c@far.test) ");
    origin_is(id, "1-2/given");
    assert_string_equal(got.barred, "ra@far.test\n");
    assert_true(!message(id) && message(made[1]));
    assert_int_equal(call("requeue", made[1], NULL), 0);
    assert_string_equal(got.rcpts, "keep b@demo.test (list@demo.test) keep c@far.test (c@far.test) ");
    origin_is(made[1], "0-1/given");
    rig_kill(r);
}

static void by_every_way_to_him(void **state)
{
    static const char *const both =
        "l:b@demo.test=one@demo.test=two@demo.test l:c@demo.test=two@demo.test";
    uint64_t id;

    (void)state;
    rig_start(r);
    /* b came by two aliases, which may have parted. */
    id = message_new("s@x.test", both, "b\r\n");
    assert_int_equal(call("requeue", id, NULL), 0);
    assert_string_equal(got.rcpts, "resolve one@demo.test (one@demo.test) "
                                   "resolve two@demo.test (two@demo.test) ");
    origin_is(id, "0-1");
    /* Somebody has it by one of them. */
    id = message_new("s@x.test", both, "b\r\n");
    over(id, "1");
    assert_int_equal(call("requeue", id, NULL), 0);
    assert_string_equal(got.rcpts, "keep b@demo.test (one@demo.test) ");
    origin_is(id, "0/given");
    /* There were more than the record has. */
    id = message_new("s@x.test", "l:b@demo.test=one@demo.test=*=two@demo.test r:c@far.test", "b\r\n");
    assert_int_equal(call("requeue", id, NULL), 0);
    assert_string_equal(got.rcpts, "keep b@demo.test (one@demo.test) resolve c@far.test (c@far.test) ");
    rig_kill(r);
}

/* Who failed, or was removed, may get it by another address now. */
static void who_failed_is_not_barred(void **state)
{
    static const char *const five =
        "r:a@far.test r:b@far.test r:c@far.test r:d@far.test r:e@far.test=list@demo.test";
    static const struct {
        enum entry_kind kind;
        const char *list;
    } entries[] = { { ENTRY_DROPPED, "0" }, { ENTRY_FAILED, "1" }, { ENTRY_DELIVERED, "2" } };
    uint64_t id;

    (void)state;
    rig_start(r);
    id = message_new("s@x.test", five, "b\r\n");
    for (size_t i = 0; i < COUNT(entries); i++)
        store_note(r->q.store,
                   &(struct entry){ .kind = entries[i].kind, .id = id, .list = SV(entries[i].list) });
    rig_rest(r);
    rig_kill(r);
    rig_start(r);
    assert_int_equal(call("requeue", id, NULL), 0);
    assert_string_equal(got.rcpts,
                        "resolve d@far.test (d@far.test) resolve list@demo.test (list@demo.test) ");
    assert_string_equal(got.barred, "rc@far.test\n");
    rig_kill(r);
}

static void envelope_of(uint64_t id, struct envelope *e)
{
    struct err err;
    struct bytes *b = message_bytes(&r->q, ledger_find(&r->q.ledger, id), &err);

    assert_non_null(b);
    assert_true(envelope_parse(b->envelope, e, &err));
    bytes_unref(&b);
}

static void the_envelope_stays(void **state)
{
    struct envelope e;
    uint64_t id;

    (void)state;
    rig_start(r);
    envelope_init(&e);
    id = message_new("s@x.test", "r:a@far.test", "b\r\n");
    assert_int_equal(call("hold", id, NULL), 0);
    assert_int_equal(call("requeue", id, NULL), 0);
    envelope_of(made[0], &e);
    assert_true(strv_is(e.sender, "s@x.test") && strv_is(e.envid, "env") && e.ret == 2 && e.body_type == 1);
    assert_true(e.arrival == 1700000000000 && strv_is(e.client, "192.0.2.7") && strv_is(e.sid, "SID"));
    assert_true(message(made[0])->flags & MESSAGE_HELD);
    /* A freeze is about new mail. What was let go stays so. */
    assert_int_equal(call("release", made[0], NULL), 0);
    store_note(r->q.store,
               &(struct entry){ .kind = ENTRY_FREEZE, .flags = 1, .text = SV("s@x.test") });
    assert_int_equal(call("requeue", made[0], NULL), 0);
    assert_false(message(made[1])->flags & MESSAGE_HELD);
    envelope_clear(&e);
    rig_kill(r);
}

static void warned(uint64_t id)
{
    store_note(
        r->q.store,
        &(struct entry){ .kind = ENTRY_NOTICE, .id = id, .list = SV("0"), .notice = NOTICE_DELAY });
    assert_true(message(id)->flags & MESSAGE_WARNED);
}

static bool has_failed(uint64_t id)
{
    return message(id) && message_rcpt(message(id), 0)->state == RCPT_OWED;
}

/* Whoever is sent again lives no longer, however often, and across a start; the sender is warned once. */
static void the_age_stays(void **state)
{
    static const char *const other[][2] = { { "new_sender", "n@x.test" }, { NULL, NULL } };
    static const char *const more[][2] = { { "add", "b@far.test" }, { NULL, NULL } };
    const uint64_t first = 4242;
    int64_t born = id_wall_ms(first);
    uint64_t last;

    (void)state;
    r->conf.expire_after = 100 * 365 * INT64_C(86400);
    rig_start(r);
    rig_submit(r, 7, first, "s@x.test", "r:a@far.test", "b\r\n");
    RIG_UNTIL(r, rig_answer(r, 7));
    assert_int_equal(message(first)->since, born);
    warned(first);
    assert_int_equal(call("requeue", first, NULL), 0);
    assert_true(message(made[0])->since == born && message(made[0])->flags & MESSAGE_WARNED);
    assert_int_equal(call("edit", made[0], more), 0);
    rig_rest(r);
    rig_kill(r);
    rig_start(r);
    assert_true(message(made[1])->since == born && message(made[1])->flags & MESSAGE_WARNED);
    /* Another sender knows of nothing. */
    assert_int_equal(call("edit", made[1], other), 0);
    last = made[2];
    assert_true(message(last)->since == born && !(message(last)->flags & MESSAGE_WARNED));
    r->conf.expire_after = (mailq_now_ms(&r->q) - born) / 1000 - 60;
    r->conf.deliver = true;
    /* It may be tried once. */
    RIG_UNTIL(r, has_failed(last) || r->job_n);
    if (r->job_n)
        rig_result(r, 0, &r->jobs[0], OUTCOME_DEFERRED, "mail", true);
    RIG_UNTIL(r, has_failed(last));
    rig_kill(r);
}

static void what_is_refused_stays(void **state)
{
    uint64_t id, cursor;

    (void)state;
    rig_start(r);
    obedient = false;
    id = message_new("s@x.test", "r:a@far.test", "b\r\n");
    client_open();
    send_call("requeue", id, NULL, 0);
    RIG_UNTIL(r, got.n == 1);
    assert_true(message(id)->flags & MESSAGE_MOVING);
    cleanup_says(VERDICT_REFUSE);
    done = kept = 0;
    assert_int_equal(answer(&cursor), 0);
    assert_true(kept == 1 && done == 0);
    assert_string_equal(reason, "5.1.1 nobody there");
    assert_true(message(id) && !(message(id)->flags & MESSAGE_MOVING));
    /* Lost cleanup. */
    send_call("requeue", id, NULL, 0);
    RIG_UNTIL(r, got.n == 2);
    rig_connect_cleanup(r);
    assert_int_equal(answer(&cursor), 0);
    assert_true(kept == 2 && message(id) && !(message(id)->flags & MESSAGE_MOVING));
    /* Nobody is left of those whom tables lead to. */
    send_call("requeue", id, NULL, 0);
    RIG_UNTIL(r, got.n == 3);
    cleanup_says(VERDICT_ACCEPT);
    assert_int_equal(answer(&cursor), 0);
    assert_true(done == 1 && !message(id));
    blocking_close(&client);
    rig_kill(r);
}

static void what_comes_too_late_is_not_taken(void **state)
{
    uint64_t id, cursor, held;
    struct blocking first;

    (void)state;
    rig_start(r);
    obedient = false;
    id = message_new("s@x.test", "r:a@far.test", "b\r\n");
    held = message_new("s@x.test", "r:a@far.test", "b\r\n");
    client_open();
    send_call("requeue", id, NULL, 0);
    RIG_UNTIL(r, got.n == 1);
    first = client;
    assert_int_equal(call("delete", id, NULL), 0);
    assert_null(message(id));
    client = first;
    assert_int_equal(answer(&cursor), 0);
    blocking_close(&client);
    rig_submit_origin(r, 7, 777, "r:a@far.test", got.origin);
    RIG_UNTIL(r, rig_answer(r, 7));
    assert_int_equal(rig_answer(r, 7)->verdict, VERDICT_TEMPFAIL);
    assert_null(message(777));
    /* He who asked has left: it goes on all the same. */
    client_open();
    send_call("requeue", held, NULL, 0);
    RIG_UNTIL(r, got.n == 2);
    blocking_close(&client);
    rig_rest(r);
    rig_submit_origin(r, 8, 778, "r:a@far.test", got.origin);
    RIG_UNTIL(r, rig_answer(r, 8));
    assert_int_equal(rig_answer(r, 8)->verdict, VERDICT_ACCEPT);
    RIG_UNTIL(r, message(778) && !message(held));
    rig_kill(r);
}

/* The second submission would be taken for what the first one asks for. */
static void one_at_a_time(void **state)
{
    struct blocking first;
    uint64_t id, cursor;

    (void)state;
    rig_start(r);
    obedient = false;
    id = message_new("s@x.test", "r:a@far.test", "b\r\n");
    client_open();
    send_call("requeue", id, NULL, 0);
    RIG_UNTIL(r, got.n == 1);
    first = client;
    assert_int_equal(call("hold", id, NULL), 0);
    client = first;
    assert_int_equal(answer(&cursor), 0);
    blocking_close(&client);
    assert_int_equal(call("requeue", id, NULL), 0);
    assert_true(kept == 1 && done == 0 && got.n == 1);
    cleanup_says(VERDICT_REFUSE);
    rig_rest(r);
    obedient = true;
    assert_int_equal(call("requeue", id, NULL), 0);
    assert_true(done == 1 && got.n == 2 && !message(id));
    rig_kill(r);
}

/* One goes, another comes, the sender is told of the one: nobody else of it ends. */
static void who_is_removed_may_be_told(void **state)
{
    static const char *const words[][2] = {
        { "remove", "a@far.test" }, { "add", "b@far.test" }, { "notify", "1" }, { NULL, NULL }
    };
    uint64_t id;

    (void)state;
    rig_start(r);
    id = message_new("s@x.test", "r:a@far.test", "b\r\n");
    assert_int_equal(call("edit", id, words), 0);
    assert_true(done == 1 && kept == 0);
    origin_is(id, "0");
    assert_true(message(made[0]) && message(made[0])->rcpt_n == 1);
    assert_true(message(id) && !requeue_is_idle(message_rcpt(message(id), 0)));
    rig_kill(r);
}

static void who_is_being_delivered_to_is_left_out(void **state)
{
    uint64_t id;

    (void)state;
    r->conf.deliver = true;
    rig_start(r);
    id = message_new("s@x.test", "r:a@far.test r:b@other.test", "b\r\n");
    RIG_UNTIL(r, r->job_n == 2);
    assert_int_equal(call("requeue", id, NULL), 0);
    assert_true(kept == 1 && done == 0);
    assert_string_equal(reason, "it is being delivered now");
    rig_result(r, 0, &r->jobs[0], OUTCOME_DEFERRED, "mail", true);
    RIG_UNTIL(r, message(id)->jobs == 1);
    assert_int_equal(call("requeue", id, NULL), 0);
    assert_true(done == 1 && message(id)->open == 1 && message(made[0])->open == 1);
    RIG_UNTIL(r, r->job_n == 3);
    rig_result(r, 0, &r->jobs[1], OUTCOME_DELIVERED, "data", true);
    rig_result(r, 0, &r->jobs[2], OUTCOME_DELIVERED, "data", true);
    RIG_UNTIL(r, ledger_count(&r->q.ledger) == 0);
    rig_kill(r);
}

static void a_message_is_edited(void **state)
{
    static const char *const words[][2] = { { "new_sender", "n@x.test" },  { "remove", "a@far.test" },
                                            { "old", "list@demo.test" },   { "new", "new@far.test" },
                                            { "add", "more@demo.test" },   { "by", "anna" },
                                            { NULL, NULL } };
    static const char *const nobody[][2] = { { "remove", "x@far.test" }, { NULL, NULL } };
    static const char *const nonsense[][2] = { { "add", "a b" }, { NULL, NULL } };
    static const char *const all[][2] = { { "remove", "a@far.test" }, { NULL, NULL } };
    struct envelope e;
    uint64_t id;

    (void)state;
    rig_start(r);
    envelope_init(&e);
    id = message_new("s@x.test", "r:a@far.test l:b@demo.test=list@demo.test r:c@far.test", "b\r\n");
    assert_int_equal(call("edit", id, nobody), 65);
    assert_int_equal(call("edit", id, nonsense), 64);
    assert_int_equal(call("edit", id, NULL), 64);
    assert_int_equal(call("edit", 0, words), 64);
    {
        static const char *many[60][2];
        static char address[320];

        memset(address, 'a', sizeof address - 1);
        memcpy(address + 300, "@far.test", 10);
        for (size_t i = 0; i < 59; i++) {
            many[i][0] = "add";
            many[i][1] = address;
        }
        assert_int_equal(call("edit", id, (const char *const(*)[2])many), 64);
    }
    assert_true(message(id) && got.n == 0);
    assert_int_equal(call("edit", id, words), 0);
    assert_int_equal(done, 1);
    assert_string_equal(got.sender, "n@x.test");
    assert_string_equal(got.rcpts, "resolve new@far.test (list@demo.test) keep c@far.test (c@far.test) "
                                   "resolve more@demo.test (more@demo.test) ");
    origin_is(id, "0-2/given");
    assert_true(!message(id) && message(made[0])->rcpt_n == 3);
    envelope_of(made[0], &e);
    assert_true(strv_ends(e.edited, SV(" (anna): removed a@far.test; replaced list@demo.test by "
                                       "new@far.test; added more@demo.test; sender s@x.test "
                                       "became n@x.test")));
    /* Nobody is left: it ends. */
    id = message_new("s@x.test", "r:a@far.test", "b\r\n");
    got.n = 0;
    assert_int_equal(call("edit", id, all), 0);
    assert_true(done == 1 && got.n == 0 && !message(id));
    envelope_clear(&e);
    rig_kill(r);
}

static void many_messages_and_many_recipients(void **state)
{
    struct buf rcpts;
    uint32_t cursor = 0, handle;
    unsigned open = 0;
    uint64_t id;

    (void)state;
    rig_start(r);
    for (unsigned i = 0; i < 300; i++)
        message_new("s@x.test", "r:a@far.test", "b\r\n");
    assert_int_equal(call("requeue", 0, NULL), 0);
    assert_true(done == 300 && kept == 0 && ledger_count(&r->q.ledger) == 300);
    for (unsigned i = 0; i < 300; i++)
        assert_non_null(message(made[i]));
    assert_int_equal(call("delete", 0, NULL), 0);
    /* More than one frame holds: one message all the same. */
    buf_init(&rcpts, 1u << 20);
    for (unsigned i = 0; i < 700; i++)
        buf_addf(&rcpts, "r:recipient-%u@a-domain-of-some-length-%u.test ", i, i % 7);
    made_n = 0;
    {
        char *text = malloc(rcpts.len + 1);

        memcpy(text, rcpts.data, rcpts.len);
        text[rcpts.len] = '\0';
        id = next_txn + 500000;
        rig_submit_large(r, id, 4242, text, 3000);
        RIG_UNTIL(r, rig_answer(r, id));
        assert_int_equal(rig_answer(r, id)->verdict, VERDICT_ACCEPT);
        free(text);
    }
    assert_int_equal(call("requeue", 4242, NULL), 0);
    assert_true(made_n == 1 && done == 1 && got.frames > 1 && !message(4242));
    while ((handle = ledger_next(&r->q.ledger, &cursor)))
        open += ledger_at(&r->q.ledger, handle)->open;
    assert_int_equal(open, 700);
    buf_clear(&rcpts);
    rig_kill(r);
}

/* Who is over between those that wait makes the list no longer, and is over only once. */
static void gaps_make_no_long_list(void **state)
{
    struct buf rcpts, list;
    struct list_writer writer = { .out = &list };
    uint64_t id;

    (void)state;
    rig_start(r);
    buf_init(&rcpts, 1u << 16);
    buf_init(&list, 1u << 16);
    for (unsigned i = 0; i < 500; i++)
        buf_addf(&rcpts, "r:r-%u@%u.test ", i, i % 7);
    for (unsigned i = 1; i < 499; i += 2)
        list_write(&writer, i);
    list_finish(&writer);
    id = message_new("s@x.test", buf_cstr(&rcpts), "b\r\n");
    over(id, buf_cstr(&list));
    assert_int_equal(call("requeue", id, NULL), 0);
    origin_is(id, "0-499");
    assert_true(!message(id) && message(made[0]) && message(made[0])->open == 251);
    buf_clear(&rcpts);
    buf_clear(&list);
    rig_kill(r);
}

static void who_is_left_out_is_told(void **state)
{
    uint64_t id, cursor;

    (void)state;
    r->conf.deliver = true;
    rig_start(r);
    obedient = false;
    id = message_new("s@x.test", "r:a@far.test r:b@other.test r:c@third.test", "b\r\n");
    RIG_UNTIL(r, r->job_n == 3);
    for (unsigned i = 0; i < 2; i++)
        rig_result(r, 0, &r->jobs[i], OUTCOME_DEFERRED, "mail", true);
    RIG_UNTIL(r, message(id)->jobs == 1);
    client_open();
    left = 0;
    send_call("requeue", id, NULL, 0);
    RIG_UNTIL(r, got.n == 1);
    cleanup_leaves_out("c@third.test", LEFT_HAS_IT);
    cleanup_leaves_out("list@demo.test", LEFT_NOBODY);
    cleanup_says(VERDICT_ACCEPT);
    assert_int_equal(answer(&cursor), 0);
    blocking_close(&client);
    assert_int_equal(left, 3);
    assert_true(message(id)->open == 1);
    rig_kill(r);
}

/* Some of them as if they were in jobs. */
static uint64_t partly_running(unsigned n, bool (*runs)(unsigned i))
{
    struct buf rcpts;
    uint64_t id;

    buf_init(&rcpts, 1u << 20);
    for (unsigned i = 0; i < n; i++)
        buf_addf(&rcpts, "r:%u@x ", i);
    id = message_new("s@x.test", buf_cstr(&rcpts), "b\r\n");
    buf_clear(&rcpts);
    for (unsigned i = 0; i < n; i++)
        if (runs(i))
            rcpt_state_set(message(id), message_rcpt(message(id), i), RCPT_RUNNING);
    return id;
}

static bool every_other(unsigned i)
{
    return i % 2;
}

static bool most(unsigned i)
{
    return i < 1200;
}

/* Who ends must be said in the origin, exactly: what does not fit waits until there is less of it. */
static void too_many_gaps_are_told(void **state)
{
    uint64_t id;

    (void)state;
    rig_start(r);
    id = partly_running(1850, every_other);
    assert_int_equal(call("requeue", id, NULL), 0);
    assert_true(kept == 1 && done == 0 && left == 0 && got.n == 0);
    assert_true(strv_starts(SV(reason), SV("too many of its recipients")));
    assert_true(!(message(id)->flags & MESSAGE_MOVING) && message(id)->open == 1850);
    /* Rows are fewer than those who are left out. */
    id = partly_running(1300, most);
    assert_int_equal(call("requeue", id, NULL), 0);
    assert_true(done == 1 && left == 1000 && message(id)->open == 1200);
    origin_is(id, "1200-1299");
    assert_true(message(made[0]) && message(made[0])->open == 100);
    rig_kill(r);
}

static void a_list_of_many_is_removed(void **state)
{
    static const char *const words[][2] = { { "remove", "list@demo.test" }, { NULL, NULL } };
    struct buf rcpts;
    uint64_t id;

    (void)state;
    rig_start(r);
    buf_init(&rcpts, 1u << 20);
    for (unsigned i = 0; i < 400; i++)
        buf_addf(&rcpts, "r:recipient-%u@a-domain-of-some-length-%u.test=list@demo.test ", i, i % 7);
    id = message_new("s@x.test", buf_cstr(&rcpts), "b\r\n");
    assert_int_equal(call("edit", id, words), 0);
    assert_true(done == 1 && kept == 0 && got.n == 0 && !message(id));
    buf_clear(&rcpts);
    rig_kill(r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, requeue_setup, requeue_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(as_a_whole_or_as_it_is),
        T(by_every_way_to_him),
        T(who_failed_is_not_barred),
        T(the_envelope_stays),
        T(the_age_stays),
        T(what_is_refused_stays),
        T(what_comes_too_late_is_not_taken),
        T(one_at_a_time),
        T(who_is_removed_may_be_told),
        T(who_is_being_delivered_to_is_left_out),
        T(a_message_is_edited),
        T(many_messages_and_many_recipients),
        T(gaps_make_no_long_list),
        T(who_is_left_out_is_told),
        T(too_many_gaps_are_told),
        T(a_list_of_many_is_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
