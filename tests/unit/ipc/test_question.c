/* test_question.c - answers, deadlines, loss and cancelling; done never runs inside the call that asked */
#include "tests/support/unit.h"

#include "common/base/clock.h"
#include "common/ipc/channel.h"
#include "common/ipc/question.h"
#include "common/net/loop.h"

#include <string.h>
#include <sys/socket.h>

static int64_t now_ms;

static int64_t fake_mono(void)
{
    return now_ms;
}

struct world {
    struct loop *loop;
    struct channel *here, *there;
    struct asker *asker;
    struct ipc_out out;
    uint64_t asked[64]; /* numbers that the other side saw */
    unsigned asked_count;
    unsigned answers, failures;
    unsigned order[64], done_count;
    bool asking; /* inside asker_ask */
    bool ask_again;
};

struct slot {
    struct world *w;
    unsigned number;
};

static struct slot slots[64];

static void on_done(void *arg, struct ipc_in *answer)
{
    struct slot *s = arg;
    struct world *w = s->w;

    assert_false(w->asking);
    if (answer) {
        w->answers++;
        assert_int_equal(answer->type, IPC_MAP_ANSWER);
    } else {
        w->failures++;
    }
    w->order[w->done_count++] = s->number;
}

static uint64_t ask(struct world *w, unsigned number, int64_t deadline)
{
    uint64_t handle;

    slots[number] = (struct slot){ w, number };
    ipc_begin(&w->out, IPC_MAP_QUERY, asker_txn(w->asker));
    w->asking = true;
    handle = asker_ask(w->asker, &w->out, deadline, on_done, &slots[number]);
    w->asking = false;
    assert_true(handle != 0);
    return handle;
}

static void here_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct world *w = arg;

    (void)ch;
    asker_answer(w->asker, in);
}

static void there_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct world *w = arg;

    (void)ch;
    w->asked[w->asked_count++] = in->txn;
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct world *w = arg;

    (void)why;
    if (ch != w->here)
        return;
    asker_set_channel(w->asker, NULL);
    channel_free(&w->here);
}

static const struct channel_ops here_ops = { here_frame, on_lost, NULL };
static const struct channel_ops there_ops = { there_frame, on_lost, NULL };

static void run(struct world *w)
{
    for (int i = 0; i < 6; i++)
        loop_once(w->loop, 0);
}

static void connect_peer(struct world *w)
{
    int s[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, s), 0);
    w->here = channel_new(w->loop, s[0], ROLE_CLEANUP, ROLE_MAPD, 0, &here_ops, w);
    w->there = channel_new(w->loop, s[1], ROLE_MAPD, ROLE_CLEANUP, 0, &there_ops, w);
    asker_set_channel(w->asker, w->here);
}

static int set_up(void **state)
{
    static struct world w;

    memset(&w, 0, sizeof w);
    now_ms = 1000;
    clock_fake(fake_mono, NULL);
    w.loop = loop_new();
    w.asker = asker_new(w.loop);
    ipc_out_init(&w.out);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    asker_free(&w->asker);
    channel_free(&w->here);
    channel_free(&w->there);
    ipc_out_clear(&w->out);
    loop_once(w->loop, 0);
    loop_free(&w->loop);
    clock_fake(NULL, NULL);
    return 0;
}

static void answer(struct world *w, uint64_t txn)
{
    ipc_begin(&w->out, IPC_MAP_ANSWER, txn);
    ipc_put_u64(&w->out, TAG_ANSWER, ANSWER_FOUND);
    channel_send(w->there, &w->out);
}

static void answers_find_their_questions(void **state)
{
    struct world *w = *state;

    connect_peer(w);
    for (unsigned i = 0; i < 10; i++)
        ask(w, i, 1000);
    run(w);
    assert_int_equal(w->asked_count, 10);
    for (unsigned i = 10; i-- > 0;)
        answer(w, w->asked[i]);
    run(w);
    assert_int_equal(w->answers, 10);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(w->order[i], 9 - i);
    assert_int_equal(asker_pending(w->asker), 0);
}

static void second_and_unasked_answers_are_ignored(void **state)
{
    struct world *w = *state;

    connect_peer(w);
    ask(w, 0, 1000);
    run(w);
    answer(w, w->asked[0]);
    answer(w, w->asked[0]);
    answer(w, 999999);
    run(w);
    assert_int_equal(w->answers, 1);
    assert_non_null(w->here);
}

static void deadlines_pass_in_order_of_time(void **state)
{
    struct world *w = *state;

    connect_peer(w);
    ask(w, 0, 300);
    ask(w, 1, 100);
    ask(w, 2, 200);
    ask(w, 3, 100);
    run(w);
    now_ms += 99;
    run(w);
    assert_int_equal(w->failures, 0);
    now_ms += 1;
    run(w);
    assert_int_equal(w->failures, 2);
    now_ms += 1000;
    run(w);
    assert_int_equal(w->failures, 4);
    assert_int_equal(w->order[0], 1);
    assert_int_equal(w->order[1], 3);
    assert_int_equal(w->order[2], 2);
    assert_int_equal(w->order[3], 0);
    answer(w, w->asked[0]); /* too late: nobody waits */
    run(w);
    assert_int_equal(w->answers, 0);
}

static void question_without_a_channel_fails_from_the_loop(void **state)
{
    struct world *w = *state;

    assert_false(asker_ready(w->asker));
    ask(w, 0, 1000);
    assert_int_equal(w->done_count, 0);
    run(w);
    assert_int_equal(w->failures, 1);
}

static void loss_fails_everything_at_once_and_the_next_channel_works(void **state)
{
    struct world *w = *state;

    connect_peer(w);
    for (unsigned i = 0; i < 5; i++)
        ask(w, i, 100000);
    run(w);
    channel_free(&w->there);
    run(w);
    assert_int_equal(w->failures, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(w->order[i], i);
    assert_false(asker_ready(w->asker));
    connect_peer(w);
    w->asked_count = 0;
    ask(w, 5, 1000);
    run(w);
    answer(w, w->asked[0]);
    run(w);
    assert_int_equal(w->answers, 1);
}

static void cancelled_questions_stay_silent(void **state)
{
    struct world *w = *state;
    uint64_t a, b, c;

    connect_peer(w);
    a = ask(w, 0, 100);
    b = ask(w, 1, 100);
    c = ask(w, 2, 100);
    run(w);
    asker_cancel(w->asker, a);
    asker_cancel(w->asker, a);
    asker_cancel(w->asker, 0);
    answer(w, a);
    asker_set_channel(w->asker, NULL); /* fails b and c, later */
    asker_cancel(w->asker, b);
    run(w);
    assert_int_equal(w->done_count, 1);
    assert_int_equal(w->order[0], 2);
    asker_cancel(w->asker, c);
    assert_int_equal(asker_pending(w->asker), 0);
}

static void on_done_free(void *arg, struct ipc_in *in)
{
    struct world *w = arg;

    (void)in;
    w->failures++;
    asker_free(&w->asker);
}

static void freeing_inside_done_is_safe(void **state)
{
    struct world *w = *state;

    connect_peer(w);
    for (int i = 0; i < 3; i++) {
        ipc_begin(&w->out, IPC_MAP_QUERY, asker_txn(w->asker));
        asker_ask(w->asker, &w->out, 10, on_done_free, w);
    }
    now_ms += 100;
    run(w);
    assert_int_equal(w->failures, 1);
    assert_null(w->asker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_find_their_questions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(second_and_unasked_answers_are_ignored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deadlines_pass_in_order_of_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(question_without_a_channel_fails_from_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(loss_fails_everything_at_once_and_the_next_channel_works, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(cancelled_questions_stay_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(freeing_inside_done_is_safe, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
