/* test_handover.c - jobs to a thread and back: order, batches, urgent ones, the end */
#include "tests/support/unit.h"

#include "common/os/handover.h"
#include "common/os/thread.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#define MANY 20000

struct job {
    struct handover_job link;
    char name;
    bool last; /* ends its batch */
    unsigned number;
};

/* What the thread does; gate: it stops in work until the test lets it go on. */
static struct {
    struct handover *hand;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool gate, inside;
    char said[64]; /* names in the order of work, a batch behind each blank */
    size_t said_n;
    char elsewhere; /* the name of a job that does not come back */
} part = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

static unsigned dropped; /* the thread is gone then */

static struct job *job_of(struct handover_job *link)
{
    return (struct job *)link;
}

static void on_drop(struct handover_job *link)
{
    dropped++;
    free(job_of(link));
}

static void say(char c)
{
    if (part.said_n < sizeof part.said - 1)
        part.said[part.said_n++] = c;
}

static void on_work(void *arg, struct handover_chain *batch)
{
    struct handover_chain done;

    (void)arg;
    handover_chain_init(&done);
    pthread_mutex_lock(&part.lock);
    say(' ');
    part.inside = true;
    pthread_cond_broadcast(&part.cond);
    while (part.gate)
        pthread_cond_wait(&part.cond, &part.lock);
    part.inside = false;
    for (struct handover_job *link; (link = handover_chain_take(batch)) != NULL;) {
        say(job_of(link)->name);
        if (job_of(link)->name == part.elsewhere)
            free(job_of(link));
        else
            handover_chain_add(&done, link);
    }
    pthread_mutex_unlock(&part.lock);
    handover_done(part.hand, &done);
}

static void pick_to_last(struct handover_chain *pending, struct handover_chain *batch)
{
    while (pending->first) {
        struct job *job = job_of(handover_chain_take(pending));

        handover_chain_add(batch, &job->link);
        if (job->last)
            return;
    }
}

static const struct handover_spec one_by_one = { .name = "one", .work = on_work, .drop = on_drop };
static const struct handover_spec in_batches = {
    .name = "batch", .work = on_work, .pick = pick_to_last, .drop = on_drop
};

static void part_start(const struct handover_spec *spec, char elsewhere)
{
    struct err err = { 0 };

    part.said_n = 0;
    memset(part.said, 0, sizeof part.said);
    part.gate = part.inside = false;
    part.elsewhere = elsewhere;
    dropped = 0;
    part.hand = handover_new(spec, &part);
    assert_true(handover_start(part.hand, &err));
}

static void gate_close(void)
{
    pthread_mutex_lock(&part.lock);
    part.gate = true;
    pthread_mutex_unlock(&part.lock);
}

static void gate_open(void)
{
    pthread_mutex_lock(&part.lock);
    part.gate = false;
    pthread_cond_broadcast(&part.cond);
    pthread_mutex_unlock(&part.lock);
}

static void wait_inside(void)
{
    pthread_mutex_lock(&part.lock);
    while (!part.inside)
        pthread_cond_wait(&part.cond, &part.lock);
    pthread_mutex_unlock(&part.lock);
}

static struct job *job_new(char name, unsigned number)
{
    struct job *job = calloc(1, sizeof *job);

    assert_non_null(job);
    job->name = name;
    job->number = number;
    return job;
}

/* Capitals are urgent, a dot ends the batch with the job before it. */
static void add(const char *names)
{
    for (const char *p = names; *p; p++) {
        struct job *job = job_new(*p, 0);
        bool last = p[1] == '.';

        job->last = last;
        if (*p >= 'A' && *p <= 'Z')
            handover_add_urgent(part.hand, &job->link);
        else
            handover_add(part.hand, &job->link);
        p += last;
    }
}

static bool wake_is_ready(int timeout_ms)
{
    struct pollfd p = { .fd = handover_wake_fd(part.hand), .events = POLLIN };

    return poll(&p, 1, timeout_ms) == 1;
}

/* The names of the next n jobs that come back; they are freed. */
static void expect_back(const char *want)
{
    char got[64] = "";
    size_t n = 0;

    while (n < strlen(want)) {
        assert_true(wake_is_ready(-1));
        for (struct handover_job *link = handover_take(part.hand), *next; link; link = next) {
            next = link->next;
            assert_true(n < sizeof got - 1);
            got[n++] = job_of(link)->name;
            free(job_of(link));
        }
    }
    assert_string_equal(got, want);
}

static void expect_said(const char *want)
{
    pthread_mutex_lock(&part.lock);
    assert_string_equal(part.said, want);
    pthread_mutex_unlock(&part.lock);
}

static void all_come_back_in_order(void **state)
{
    unsigned added = 0, back = 0;

    (void)state;
    part_start(&one_by_one, 0);
    while (back < MANY) {
        /* Sometimes the thread waits for us, sometimes we for it. */
        for (unsigned i = 0; i < 1 + added % 97 && added < MANY; i++)
            handover_add(part.hand, &job_new('x', added++)->link);
        if (added == MANY)
            assert_true(wake_is_ready(-1));
        for (struct handover_job *link = handover_take(part.hand), *next; link; link = next) {
            next = link->next;
            assert_int_equal(job_of(link)->number, back++);
            free(job_of(link));
        }
    }
    assert_false(wake_is_ready(0));
    assert_null(handover_take(part.hand));
    handover_stop(&part.hand);
    assert_null(part.hand);
    assert_int_equal(dropped, 0);
}

static void urgent_jobs_go_first_and_alone(void **state)
{
    (void)state;
    part_start(&in_batches, 0);
    gate_close();
    add("x");
    wait_inside();
    add("abUcV");
    gate_open();
    expect_back("xUVabc");
    expect_said(" x U V abc");
    handover_stop(&part.hand);
}

static void batches_are_as_picked(void **state)
{
    static const struct {
        const struct handover_spec *spec;
        const char *add, *said;
    } cases[] = {
        { &one_by_one, "abc.d", " x a b c d" },
        { &in_batches, "abc.d", " x abc d" },
        { &in_batches, "a.b.cd", " x a b cd" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        part_start(cases[i].spec, 0);
        gate_close();
        add("x");
        wait_inside();
        add(cases[i].add);
        gate_open();
        expect_back("xabcd");
        expect_said(cases[i].said);
        handover_stop(&part.hand);
    }
}

static void a_job_may_go_elsewhere(void **state)
{
    (void)state;
    part_start(&in_batches, 'b');
    add("ab.c");
    expect_back("ac");
    handover_stop(&part.hand);
    assert_int_equal(dropped, 0);
}

static void *other_thread(void *arg)
{
    struct handover_chain done;

    handover_chain_init(&done);
    handover_done(part.hand, &done); /* nothing wakes nobody */
    for (const char *p = arg; *p; p++)
        handover_chain_add(&done, &job_new(*p, 0)->link);
    handover_done(part.hand, &done);
    add("y");
    return NULL;
}

static void any_thread_may_answer_and_add(void **state)
{
    static char names[] = "pq";
    struct err err = { 0 };
    pthread_t t;

    (void)state;
    part_start(&one_by_one, 0);
    gate_close();
    add("x");
    wait_inside();
    assert_true(thread_start(&t, "other", other_thread, names, &err));
    expect_back("pq");
    pthread_join(t, NULL);
    assert_false(wake_is_ready(0));
    gate_open();
    expect_back("xy");
    handover_stop(&part.hand);
}

static void on_run(void *arg)
{
    pthread_mutex_lock(&part.lock);
    say('!');
    pthread_mutex_unlock(&part.lock);
    *(pthread_t *)arg = pthread_self();
}

static void runs_are_on_the_thread_and_before_jobs(void **state)
{
    pthread_t t = pthread_self();

    (void)state;
    part_start(&one_by_one, 0);
    handover_run(part.hand, on_run, &t); /* it sleeps */
    assert_false(pthread_equal(t, pthread_self()));
    add("a");
    expect_back("a");
    t = pthread_self();
    handover_run(part.hand, on_run, &t);
    assert_false(pthread_equal(t, pthread_self()));
    expect_said("! a!");
    handover_stop(&part.hand);
}

static void what_was_added_is_done_before_the_end(void **state)
{
    (void)state;
    part_start(&in_batches, 'b');
    add("abC");
    handover_stop(&part.hand);
    assert_null(part.hand);
    assert_int_equal(dropped, 2);
    part.said[part.said_n] = '\0';
    assert_non_null(strchr(part.said, 'a'));
    assert_non_null(strchr(part.said, 'b'));
    assert_non_null(strchr(part.said, 'C'));
    handover_stop(&part.hand);
}

static void without_a_thread_all_is_dropped(void **state)
{
    (void)state;
    dropped = 0;
    part.hand = handover_new(&one_by_one, &part);
    add("abC");
    handover_stop(&part.hand);
    assert_int_equal(dropped, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_come_back_in_order),
        cmocka_unit_test(urgent_jobs_go_first_and_alone),
        cmocka_unit_test(batches_are_as_picked),
        cmocka_unit_test(a_job_may_go_elsewhere),
        cmocka_unit_test(any_thread_may_answer_and_add),
        cmocka_unit_test(runs_are_on_the_thread_and_before_jobs),
        cmocka_unit_test(what_was_added_is_done_before_the_end),
        cmocka_unit_test(without_a_thread_all_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
