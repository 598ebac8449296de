/* test_ctl.c - what an operator decided stands after a crash: also when only a snapshot of the journal is
 * left */
#include "tests/support/unit.h"

#include "tests/unit/queued/operator.h"

#include <sys/socket.h>

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

static struct blocking client;
static int rows, absent; /* absent: those among them that say of an id that it is not there */

static void on_row(const char *kind, const struct rowread_value *value)
{
    rows += !value && strcmp(kind, "progress") != 0; /* which comes with each second that a call takes */
    absent += !value && strcmp(kind, "absent") == 0;
}

/* The status of one portion, and the cursor of the next (0: there is none); its rows are added to `rows`. */
static int portion(uint64_t *cursor)
{
    return operator_answer(r, &client, on_row, cursor);
}

/* The status of a call that is answered in one portion. */
static int answer(void)
{
    uint64_t cursor;
    int code;

    rows = absent = 0;
    code = portion(&cursor);
    assert_int_equal(cursor, 0);
    return code;
}

static int call(const char *act, const char *name, const char *value)
{
    struct err err = { 0 };
    int code;

    operator_open(r, &client);
    blocking_call(&client, act, 0);
    blocking_text(&client, name, SV(value));
    assert_int_equal(blocking_send(&client, &err), BLOCKING_OK);
    code = answer();
    blocking_close(&client);
    return code;
}

static void decisions_stand(void)
{
    assert_true(r->q.ledger.paused && r->q.ledger.paused_in);
    assert_true(ledger_is_frozen(&r->q.ledger, SV("Bad@x.test")));
    assert_false(ledger_is_frozen(&r->q.ledger, SV("good@x.test")));
    assert_null(rig_message(r, 101));
    assert_true(rig_message(r, 102) && rig_message(r, 102)->flags & MESSAGE_HELD);
    assert_true(rig_message(r, 103) && !(rig_message(r, 103)->flags & MESSAGE_HELD));
}

static void decisions_survive_a_crash(void **state)
{
    (void)state;
    rig_start(r);
    assert_int_equal(call("pause", "side", "out"), 0);
    for (uint64_t id = 101; id <= 103; id++)
        rig_submit(r, id, id, id == 102 ? "held@x.test" : "s@x.test", "r:a@far.test", "body\r\n");
    RIG_UNTIL(r, r->answer_n == 3);
    assert_int_equal(call("hold", "sender", "held@x.test"), 0);
    assert_int_equal(rows, 1);
    assert_int_equal(call("freeze", "sender", "bad@x.test"), 0);
    assert_int_equal(call("freeze", "sender", "good@x.test"), 0);
    assert_int_equal(call("thaw", "sender", "good@x.test"), 0);
    assert_int_equal(call("pause", "side", "in"), 0);
    {
        char id[ID_TEXT_SIZE];

        id_text(101, id);
        assert_int_equal(call("delete", "id", id), 0);
        assert_int_equal(rows, 1);
    }
    assert_true(store_durable(r->q.store, store_mark(r->q.store)));
    rig_kill(r);
    rig_start(r);
    decisions_stand();
    /* Many starts make many journal files, and those a snapshot, which the next start has instead of them. */
    for (int i = 0; i < 20; i++) {
        rig_rest(r);
        rig_kill(r);
        rig_start(r);
    }
    rig_rest(r);
    decisions_stand();
    rig_kill(r);
}

static int hold_of_before(const char *id)
{
    struct err err = { 0 };

    operator_open(r, &client);
    blocking_call(&client, "hold", 0);
    if (id)
        blocking_text(&client, "id", SV(id));
    else
        blocking_number(&client, "all", 1);
    blocking_number(&client, "until", 1);
    assert_int_equal(blocking_send(&client, &err), BLOCKING_OK);
    assert_int_equal(answer(), 0);
    blocking_close(&client);
    return rows;
}

/* What came after the list was shown is not meant; whose id is said is, though a clock was ahead. */
static void an_id_is_meant_whatever_its_time(void **state)
{
    uint64_t id = id_new();
    char text[ID_TEXT_SIZE];

    (void)state;
    rig_start(r);
    assert_int_equal(call("pause", "side", "out"), 0);
    rig_submit(r, 1, id, "s@x.test", "r:a@far.test", "body\r\n");
    RIG_UNTIL(r, r->answer_n == 1);
    assert_int_equal(hold_of_before(NULL), 0);
    id_text(id, text);
    assert_int_equal(hold_of_before(text), 1);
    assert_true(rig_message(r, id)->flags & MESSAGE_HELD);
    rig_kill(r);
}

/* Their names are read from the disk, one after the other. */
static void senders_are_summed_up(void **state)
{
    (void)state;
    rig_start(r);
    assert_int_equal(call("pause", "side", "out"), 0);
    for (uint64_t id = 101; id <= 130; id++) {
        char sender[32];

        snprintf(sender, sizeof sender, "s%u@x.test", (unsigned)id % 25);
        rig_submit(r, id, id, sender, "r:a@far.test", "body\r\n");
    }
    RIG_UNTIL(r, r->answer_n == 30);
    rig_kill(r);
    rig_start(r);
    assert_int_equal(call("summary", "by", "sender"), 0);
    assert_int_equal(rows, 22); /* 20, the others, all */
    assert_int_equal(call("summary", "by", "destination"), 0);
    assert_int_equal(rows, 2);
    rig_kill(r);
}

/* All portions: a list ends one after some milliseconds, whatever is in it by then. */
static void call_of_ids(const char *act, uint64_t cursor)
{
    struct err err = { 0 };
    char text[ID_TEXT_SIZE];

    rows = absent = 0;
    do {
        operator_open(r, &client);
        blocking_call(&client, act, cursor);
        for (uint64_t id = 1; id <= 1500; id++) {
            id_text(id, text);
            blocking_text(&client, "id", SV(text));
        }
        assert_int_equal(blocking_send(&client, &err), BLOCKING_OK);
        assert_int_equal(portion(&cursor), 0);
        blocking_close(&client);
    } while (cursor);
}

/* From the first one, and from the midst of them as a later portion of an answer begins. */
static void thousands_of_ids_are_gone_through(void **state)
{
    (void)state;
    rig_start(r);
    assert_int_equal(call("pause", "side", "out"), 0);
    for (uint64_t id = 501; id <= 530; id++)
        rig_submit(r, id, id, "s@x.test", "r:a@far.test", "body\r\n");
    RIG_UNTIL(r, r->answer_n == 30);
    call_of_ids("hold", 0);
    assert_int_equal(absent, 1500 - 30);
    assert_int_equal(rows - absent, 30);
    call_of_ids("list", 0);
    assert_int_equal(rows, 60);
    call_of_ids("list", 510);
    assert_int_equal(rows, 40);
    for (uint64_t id = 501; id <= 530; id++)
        assert_true(rig_message(r, id)->flags & MESSAGE_HELD);
    rig_kill(r);
}

/* Each id that is not in the queue is told; one that is there and needs no change is not among them. */
static void ids_that_are_not_there_are_told(void **state)
{
    static const char *const acts[] = { "hold", "release", "flush", "delete", "bounce" };
    char text[ID_TEXT_SIZE];

    (void)state;
    rig_start(r);
    assert_int_equal(call("pause", "side", "out"), 0);
    rig_submit(r, 1, 601, "s@x.test", "r:a@far.test", "body\r\n");
    RIG_UNTIL(r, r->answer_n == 1);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        id_text(602, text);
        assert_int_equal(call(acts[i], "id", text), 0);
        assert_int_equal(absent, 1);
        assert_int_equal(rows, 1);
        assert_int_equal(call(acts[i], "sender", "nobody@x.test"), 0);
        assert_int_equal(rows, 0);
    }
    id_text(601, text);
    assert_int_equal(call("release", "id", text), 0);
    assert_int_equal(rows, 0);
    assert_int_equal(call("delete", "id", text), 0);
    assert_int_equal(rows - absent, 1);
    assert_int_equal(call("delete", "id", text), 0);
    assert_int_equal(absent, 1);
    rig_kill(r);
}

static void an_answer_waits_for_the_sync(void **state)
{
    char peek;
    struct err err = { 0 };

    (void)state;
    r->sizes.sync_ms = 300;
    rig_start(r);
    operator_open(r, &client);
    blocking_call(&client, "pause", 0);
    blocking_text(&client, "side", SV("out"));
    assert_int_equal(blocking_send(&client, &err), BLOCKING_OK);
    RIG_UNTIL(r, r->q.ledger.paused);
    assert_false(store_durable(r->q.store, store_mark(r->q.store)));
    assert_true(recv(client.fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT) < 0);
    assert_int_equal(answer(), 0);
    assert_true(store_durable(r->q.store, store_mark(r->q.store)));
    blocking_close(&client);
    rig_kill(r);
}

static void a_caller_who_leaves_is_forgotten(void **state)
{
    struct err err = { 0 };

    (void)state;
    r->sizes.sync_ms = 300;
    rig_start(r);
    operator_open(r, &client);
    blocking_call(&client, "freeze", 0);
    blocking_text(&client, "sender", SV("x@x.test"));
    assert_int_equal(blocking_send(&client, &err), BLOCKING_OK);
    RIG_UNTIL(r, ledger_is_frozen(&r->q.ledger, SV("x@x.test")));
    blocking_close(&client);
    rig_rest(r);
    assert_int_equal(call("status", "x", "y"), 0);
    rig_kill(r);
}

static void wrong_calls(void **state)
{
    (void)state;
    rig_start(r);
    assert_int_equal(call("dance", "x", "y"), 64);
    assert_int_equal(call("delete", "x", "y"), 64);
    assert_int_equal(call("hold", "id", "short"), 64);
    assert_int_equal(call("pause", "side", "up"), 64);
    assert_int_equal(call("show", "id", "0000000000009"), 65);
    assert_int_equal(call("freeze", "x", "y"), 64);
    rig_kill(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(decisions_survive_a_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_that_are_not_there_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(an_id_is_meant_whatever_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(senders_are_summed_up, setup, teardown),
        cmocka_unit_test_setup_teardown(thousands_of_ids_are_gone_through, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_waits_for_the_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(a_caller_who_leaves_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_calls, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
