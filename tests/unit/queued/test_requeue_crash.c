/* test_requeue_crash.c - kill -9 and errors at every step of a requeue: nothing is lost, nothing doubled */
#include "tests/unit/queued/requeue_rig.h"

#include "common/os/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGES 12u
#define MANY     300u /* recipients of the last one: more than a frame holds */

static const char *const some_domain = "a-domain-with-a-rather-long-name.of-the-longer-sort.far.test";

static void name_body(unsigned i, char body[32])
{
    snprintf(body, 32, "message number %u.\r\n", i);
}

/* Each message lives once, whatever its id is now, with all its recipients. */
static void all_once(const char *fault)
{
    unsigned count[MESSAGES] = { 0 };
    uint32_t cursor = 0, handle;
    struct err err;

    while ((handle = ledger_next(&r->q.ledger, &cursor))) {
        struct bytes *b = message_bytes(&r->q, handle, &err);

        if (!b)
            fail_msg("%s: a message cannot be read: %s", fault, err.text);
        for (unsigned i = 0; i < MESSAGES; i++) {
            char body[32];

            name_body(i, body);
            if (!strv_ends(b->message, SV(body)))
                continue;
            count[i]++;
            if (i == MESSAGES - 1 && ledger_at(&r->q.ledger, handle)->open != MANY)
                fail_msg("%s: %u of %u recipients are left", fault, ledger_at(&r->q.ledger, handle)->open,
                         MANY);
        }
        bytes_unref(&b);
    }
    for (unsigned i = 0; i < MESSAGES; i++)
        if (count[i] != 1)
            fail_msg("%s: message %u is there %u times", fault, i, count[i]);
}

static void messages_make(void)
{
    struct buf many;

    buf_init(&many, 1u << 16);
    for (unsigned i = 0; i < MANY; i++)
        buf_addf(&many, "r:r%u@%s ", i, some_domain);
    for (unsigned i = 0; i < MESSAGES; i++) {
        char body[32];

        name_body(i, body);
        message_new("s@x.test",
                    i == MESSAGES - 1 ? buf_cstr(&many)
                    : i % 3           ? "r:a@far.test"
                                      : "r:a@far.test l:b@demo.test",
                    body);
    }
    buf_clear(&many);
}

static void child_runs(const char *fault)
{
    struct err err = { 0 };

    messages_make();
    rig_rest(r);
    if (!fault_arm(SV(fault), &err))
        _exit(4);
    (void)call("requeue", 0, NULL);
    if (got.most < 2)
        _exit(5);
    rig_rest(r);
    (void)call("requeue", 0, NULL);
    rig_rest(r);
    _exit(0);
}

static bool live_with(const char *fault)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        rig_start(r);
        child_runs(fault);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    if (!(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) && status != 0)
        fail_msg("%s: the child ended with %d", fault, status);
    for (int again = 0; again < 2; again++) {
        rig_start(r);
        all_once(fault);
        rig_rest(r);
        rig_kill(r);
    }
    rig_clear(r);
    spool_make(&r->spool);
    return WIFSIGNALED(status);
}

static void crashes_neither_lose_nor_double(void **state)
{
    static const char *const points[] = { "queued.segment.write",    "queued.segment.written",
                                          "queued.segment.sync",     "queued.requeue.committed",
                                          "queued.journal.write",    "queued.journal.sync",
                                          "queued.segment.create",   "queued.unlink" };

    (void)state;
    r->sizes.segment = 65536;
    for (size_t i = 0; i < COUNT(points); i++) {
        unsigned reached = 0;
        char fault[96];

        for (unsigned spared = 0; spared < 6; spared += i < 4 ? 2 : 3) {
            snprintf(fault, sizeof fault, "%s:crash:%u", points[i], spared);
            reached += live_with(fault);
        }
        if (!reached && i < 6)
            fail_msg("%s is never reached", points[i]);
        snprintf(fault, sizeof fault, "%s:%s:2", points[i], i % 2 ? "ENOSPC" : "EIO");
        if (i != 3)
            live_with(fault);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, requeue_setup, requeue_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(crashes_neither_lose_nor_double),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
