/* test_forward.c - messages that users send on: how often, in all their branches together */
#include "tests/support/unit.h"
#include "tests/unit/queued/rig.h"

#include "common/base/id.h"


static struct rig *r;
static struct ipc_out out;
static uint64_t asked, answered; /* numbers of N_FORWARD and J_FORWARDED */
static enum ipc_verdict verdict;
static char enhanced[16];

static void on_other(struct rig *rig, struct ipc_in *in)
{
    (void)rig;
    if (in->type == IPC_N_FORWARD)
        asked = in->txn;
    if (in->type != IPC_J_FORWARDED)
        return;
    answered = in->txn;
    verdict = (enum ipc_verdict)ipc_get_u64(in, TAG_VERDICT);
    (void)strv_cstr(ipc_get(in, TAG_ENHANCED), enhanced, sizeof enhanced);
}

static int setup(void **state)
{
    (void)state;
    r = rig_new();
    r->other = on_other;
    if (!out.bytes.max)
        ipc_out_init(&out);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(r);
    return 0;
}

/* The first recipient's ~/.forward (or the list that it is) sends the message on, to these. The new id; 0: it
   was refused. */
static uint64_t send_on(uint64_t id, const char *user, const char *rcpts)
{
    static uint64_t number = 100;
    char text[ID_TEXT_SIZE], origin[64];
    uint64_t next = id_new();

    RIG_UNTIL(r, rig_job(r, id));
    asked = answered = 0;
    ipc_begin(&out, IPC_J_FORWARD, ++number);
    ipc_put_u64(&out, TAG_ID, id);
    ipc_put_u64(&out, TAG_RCPT_INDEX, 0);
    if (user)
        ipc_put_text(&out, TAG_USER, SV(user));
    else
        ipc_put_text(&out, TAG_SENDER, SV("owner-list@demo.test"));
    ipc_put_text(&out, TAG_TARGET, SV("whoever"));
    channel_send(r->deliverd[0], &out);
    RIG_UNTIL(r, asked || answered);
    if (answered)
        return 0;
    id_text(id, text);
    snprintf(origin, sizeof origin, "forward/%s/0", text);
    rig_submit_origin(r, ++number, next, rcpts, origin);
    RIG_UNTIL(r, rig_answer(r, number) && answered);
    assert_int_equal(verdict, VERDICT_ACCEPT);
    return next;
}

static uint64_t forwards_of(uint64_t id)
{
    struct envelope e;
    struct err err;
    struct bytes *b = message_bytes(&r->q, ledger_find(&r->q.ledger, id), &err);
    uint64_t n;

    assert_non_null(b);
    envelope_init(&e);
    assert_true(envelope_parse(b->envelope, &e, &err));
    n = e.forwards;
    envelope_clear(&e);
    bytes_unref(&b);
    return n;
}

static uint64_t letter(void)
{
    uint64_t id = id_new();

    rig_submit(r, id, id, "s@example.org", "l:a@demo.test", "body\r\n");
    RIG_UNTIL(r, rig_answer(r, id));
    assert_int_equal(forwards_of(id), 0);
    return id;
}

static void branches_share_what_there_is(void **state)
{
    static const char *const ten = "l:1@demo.test l:2@demo.test l:3@demo.test l:4@demo.test l:5@demo.test "
                                   "l:6@demo.test l:7@demo.test l:8@demo.test l:9@demo.test l:10@demo.test";
    uint64_t id;

    (void)state;
    rig_start(r);
    id = send_on(letter(), "a", ten);
    assert_int_equal(forwards_of(id), 1 + 999 / 10);
    id = send_on(id, "b", ten);
    assert_int_equal(forwards_of(id), 1 + 98 / 10);
    id = send_on(id, "c", ten);
    assert_int_equal(forwards_of(id), 1);
    assert_int_equal(send_on(id, "d", ten), 0);
    assert_int_equal(verdict, VERDICT_REFUSE);
    assert_string_equal(enhanced, "5.4.6");
    rig_kill(r);
}

static void chains_lists_and_others_hosts_cost_one(void **state)
{
    uint64_t id;

    (void)state;
    rig_start(r);
    id = letter();
    for (uint64_t i = 1; i < 20; i++) {
        id = send_on(id, "a", "l:b@demo.test r:x@far.test r:y@far.test");
        assert_int_equal(forwards_of(id), 1 + 1000 - i);
    }
    id = send_on(letter(), NULL, "l:b@demo.test l:c@demo.test");
    assert_int_equal(forwards_of(id), 1 + 999);
    rig_kill(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(branches_share_what_there_is, setup, teardown),
        cmocka_unit_test_setup_teardown(chains_lists_and_others_hosts_cost_one, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
