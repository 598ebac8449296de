/* test_loop.c - timers, tasks, reaping, signals, descriptors of the event loop */
#include "tests/support/unit.h"

#include "common/base/clock.h"
#include "common/net/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms;
static char story[4096];

/* A word for the story; what a callback gets is not const. */
#define WORD(s) ((char[]){ s })

static int64_t fake_mono(void)
{
    return now_ms;
}

static int set_up(void **state)
{
    now_ms = 1000000;
    clock_fake(fake_mono, NULL);
    story[0] = '\0';
    *state = loop_new();
    return 0;
}

static int tear_down(void **state)
{
    struct loop *l = *state;

    loop_free(&l);
    clock_fake(NULL, NULL);
    return 0;
}

static void tell(void *arg)
{
    size_t n = strlen(story);

    snprintf(story + n, sizeof story - n, "%s ", (const char *)arg);
}

/* ---- timers ---- */

static void timers_run_in_order_of_time(void **state)
{
    struct loop *l = *state;
    struct loop_timer t[4];

    loop_timer_init(&t[0], l, tell, WORD("a300"));
    loop_timer_init(&t[1], l, tell, WORD("b100"));
    loop_timer_init(&t[2], l, tell, WORD("c200"));
    loop_timer_init(&t[3], l, tell, WORD("d0"));
    loop_timer_set(&t[0], 300);
    loop_timer_set(&t[1], 100);
    loop_timer_set(&t[2], 200);
    loop_timer_set(&t[3], -5);
    loop_once(l, 0);
    assert_string_equal(story, "d0 ");
    now_ms += 99;
    loop_once(l, 0);
    assert_string_equal(story, "d0 ");
    now_ms += 1000;
    loop_once(l, 0);
    assert_string_equal(story, "d0 b100 c200 a300 ");
    assert_false(loop_timer_is_set(&t[0]));
}

static void timer_moves_both_ways_and_stops(void **state)
{
    struct loop *l = *state;
    struct loop_timer later, sooner, stopped;

    loop_timer_init(&later, l, tell, WORD("later"));
    loop_timer_init(&sooner, l, tell, WORD("sooner"));
    loop_timer_init(&stopped, l, tell, WORD("stopped"));
    loop_timer_set(&later, 100);
    loop_timer_set(&later, 200);
    loop_timer_set(&sooner, 300);
    loop_timer_set(&sooner, 150);
    loop_timer_set(&stopped, 100);
    loop_timer_stop(&stopped);
    loop_timer_stop(&stopped);
    now_ms += 149;
    loop_once(l, 0);
    assert_string_equal(story, "");
    now_ms += 1;
    loop_once(l, 0);
    assert_string_equal(story, "sooner ");
    now_ms += 50;
    loop_once(l, 0);
    assert_string_equal(story, "sooner later ");
}

struct again {
    struct loop_timer timer;
    unsigned count;
};

static void set_again(void *arg)
{
    struct again *a = arg;

    a->count++;
    loop_timer_set(&a->timer, 0);
}

static void timer_that_sets_itself_does_not_hold_the_loop(void **state)
{
    struct loop *l = *state;
    struct again a = { .count = 0 };

    loop_timer_init(&a.timer, l, set_again, &a);
    loop_timer_set(&a.timer, 0);
    loop_once(l, 0);
    assert_int_equal(a.count, 1);
    loop_once(l, -1); /* due already: does not wait */
    assert_int_equal(a.count, 2);
    loop_timer_stop(&a.timer);
}

static unsigned ran;
static int64_t last_due;

static void count_due(void *arg)
{
    struct loop_timer *t = arg;

    assert_true(t->due >= last_due && t->due <= now_ms);
    last_due = t->due;
    ran++;
}

static void many_timers_keep_their_order(void **state)
{
    enum { MANY = 2000 };
    struct loop *l = *state;
    struct loop_timer *t = calloc(MANY, sizeof *t);
    unsigned set = 0;

    srand(7);
    ran = 0;
    last_due = 0;
    for (int i = 0; i < MANY; i++)
        loop_timer_init(&t[i], l, count_due, &t[i]);
    for (int i = 0; i < 20000; i++) {
        struct loop_timer *one = &t[rand() % MANY];

        if (rand() % 4)
            loop_timer_set(one, rand() % 10000);
        else
            loop_timer_stop(one);
    }
    for (int i = 0; i < MANY; i++)
        set += loop_timer_is_set(&t[i]);
    for (int step = 0; step < 110; step++) {
        now_ms += 100;
        loop_once(l, 0);
    }
    assert_int_equal(ran, set);
    free(t);
}

static void real_wait_ends_when_a_timer_is_due(void **state)
{
    struct loop *l = *state;
    struct loop_timer t;
    int64_t start;

    clock_fake(NULL, NULL);
    loop_timer_init(&t, l, tell, WORD("due"));
    loop_timer_set(&t, 30);
    start = clock_mono_ms();
    while (!story[0])
        loop_once(l, 5000);
    assert_true(clock_mono_ms() - start >= 30);
    assert_true(clock_mono_ms() - start < 3000);
}

/* ---- tasks ---- */

static struct loop *task_loop;
static struct loop_task first, second, third;

static void run_first(void *arg)
{
    tell(arg);
    loop_later(task_loop, &third);
    loop_later_cancel(task_loop, &second);
}

static void tasks_run_once_in_order_and_may_change_each_other(void **state)
{
    struct loop *l = *state;

    task_loop = l;
    first = (struct loop_task){ .fn = run_first, .arg = WORD("first") };
    second = (struct loop_task){ .fn = tell, .arg = WORD("second") };
    third = (struct loop_task){ .fn = tell, .arg = WORD("third") };
    loop_later(l, &first);
    loop_later(l, &second);
    loop_later(l, &first);
    loop_once(l, -1); /* work is waiting: no sleep */
    assert_string_equal(story, "first third ");
    loop_later(l, &second);
    loop_later(l, &third);
    loop_later_cancel(l, &third);
    loop_later(l, &first);
    loop_later_cancel(l, &first);
    loop_later(l, &third);
    loop_once(l, -1);
    assert_string_equal(story, "first third second third ");
    loop_later_cancel(l, &third);
}

static void run_circle(void *arg)
{
    struct loop_task *t = arg;

    ran++;
    loop_later(task_loop, t);
}

static void circle_of_tasks_leaves_room_for_descriptors(void **state)
{
    struct loop *l = *state;
    struct loop_task t = { .fn = run_circle, .arg = &t };

    task_loop = l;
    ran = 0;
    loop_later(l, &t);
    loop_once(l, 0);
    assert_true(ran > 1 && ran < 1000);
    loop_later_cancel(l, &t);
}

static void reap_more(void *obj)
{
    static char two[] = "two";

    tell(obj);
    if (!strcmp(obj, "one"))
        loop_reap(task_loop, reap_more, two);
}

static void reaping_happens_last_and_may_reap_more(void **state)
{
    struct loop *l = *state;
    struct loop_task t = { .fn = tell, .arg = WORD("task") };

    task_loop = l;
    loop_reap(l, reap_more, WORD("one"));
    loop_later(l, &t);
    loop_once(l, -1);
    assert_string_equal(story, "task one two ");
}

/* ---- descriptors and signals ---- */

struct watched {
    struct loop *loop;
    struct loop_io io;
    int events;
    unsigned calls;
};

static void on_io(void *arg, int events)
{
    struct watched *w = arg;

    w->events |= events;
    w->calls++;
}

static void readiness_is_told_as_asked(void **state)
{
    struct watched w = { .loop = *state };
    int s[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s), 0);
    loop_io_init(&w.io, w.loop, s[0], on_io, &w);
    loop_io_set(&w.io, LOOP_READ);
    loop_once(w.loop, 0);
    assert_int_equal(w.events, 0);
    loop_io_set(&w.io, LOOP_READ | LOOP_WRITE);
    loop_once(w.loop, 0);
    assert_int_equal(w.events, LOOP_WRITE);
    assert_int_equal(write(s[1], "x", 1), 1);
    loop_once(w.loop, 0);
    assert_int_equal(w.events, LOOP_READ | LOOP_WRITE);
    w.events = 0;
    loop_io_set(&w.io, LOOP_READ);
    loop_once(w.loop, 0);
    assert_int_equal(w.events, LOOP_READ);
    w.events = 0;
    loop_io_set(&w.io, 0);
    loop_once(w.loop, 0);
    assert_int_equal(w.events, 0);
    loop_io_clear(&w.io);
    close(s[0]);
    close(s[1]);
}

static struct watched pair_of[2];

static void clear_the_other(void *arg, int events)
{
    struct watched *w = arg, *other = w == &pair_of[0] ? &pair_of[1] : &pair_of[0];

    (void)events;
    w->calls++;
    loop_io_clear(&other->io);
    memset(&other->io, 0xee, sizeof other->io); /* its storage is gone */
}

static void clearing_a_ready_descriptor_silences_it(void **state)
{
    int s[2][2];

    for (int i = 0; i < 2; i++) {
        pair_of[i] = (struct watched){ .loop = *state };
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s[i]), 0);
        loop_io_init(&pair_of[i].io, *state, s[i][0], clear_the_other, &pair_of[i]);
        loop_io_set(&pair_of[i].io, LOOP_READ);
        assert_int_equal(write(s[i][1], "x", 1), 1);
    }
    loop_once(*state, 0);
    assert_int_equal(pair_of[0].calls + pair_of[1].calls, 1);
    loop_io_clear(&pair_of[pair_of[0].calls ? 0 : 1].io);
    for (int i = 0; i < 2; i++) {
        close(s[i][0]);
        close(s[i][1]);
    }
}

static void on_signal(void *arg, int signo)
{
    unsigned *count = arg;

    assert_int_equal(signo, SIGUSR1);
    (*count)++;
}

static void signals_arrive_from_the_loop(void **state)
{
    struct loop *l = *state;
    unsigned count = 0;

    assert_true(loop_signal(l, SIGUSR1, on_signal, &count));
    assert_false(loop_signal(l, SIGUSR1, on_signal, &count));
    raise(SIGUSR1);
    assert_int_equal(count, 0);
    for (int i = 0; i < 100 && !count; i++)
        loop_once(l, 100);
    assert_int_equal(count, 1);
}

static void stop_loop(void *arg)
{
    loop_stop(arg);
    tell(WORD("stop"));
}

static void run_ends_after_the_iteration_of_stop(void **state)
{
    struct loop *l = *state;
    struct loop_timer t;
    struct loop_task after = { .fn = tell, .arg = WORD("flushed") };

    clock_fake(NULL, NULL);
    loop_timer_init(&t, l, stop_loop, l);
    loop_timer_set(&t, 100); /* later than anything that may hold up the start */
    loop_later(l, &after);
    loop_run(l);
    assert_string_equal(story, "flushed stop ");
}

static void time_is_read_once_per_iteration(void **state)
{
    struct loop *l = *state;

    now_ms = 5000;
    assert_true(loop_now(l) == 5000); /* outside an iteration it is always the clock's */
    now_ms = 6000;
    assert_true(loop_now(l) == 6000);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(timers_run_in_order_of_time),
        LOOP_TEST(timer_moves_both_ways_and_stops),
        LOOP_TEST(timer_that_sets_itself_does_not_hold_the_loop),
        LOOP_TEST(many_timers_keep_their_order),
        LOOP_TEST(real_wait_ends_when_a_timer_is_due),
        LOOP_TEST(tasks_run_once_in_order_and_may_change_each_other),
        LOOP_TEST(circle_of_tasks_leaves_room_for_descriptors),
        LOOP_TEST(reaping_happens_last_and_may_reap_more),
        LOOP_TEST(readiness_is_told_as_asked),
        LOOP_TEST(clearing_a_ready_descriptor_silences_it),
        LOOP_TEST(signals_arrive_from_the_loop),
        LOOP_TEST(run_ends_after_the_iteration_of_stop),
        LOOP_TEST(time_is_read_once_per_iteration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
