/* test_upgrade.c - a spool that an older build wrote: today's queue finds everything in it as it was
 *
 * tests/data/spool-0.1.tar.gz holds a message of each kind, named in its file `about`; docs/QUEUE.md says how
 * it is made. Its clock is two hours later here: what waits is due, and delivery is paused as it was left.
 */
#include "tests/support/unit.h"

#include "common/base/clock.h"
#include "common/ipc/ctl.h"
#include "queued/ctl.h"
#include "tests/unit/queued/rig.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct rig *r;
static char about[4096];
static int64_t wall_ms, mono_ms;

static int64_t wall(void)
{
    return wall_ms + clock_mono_ms() - mono_ms;
}

static struct strv about_value(const char *name)
{
    struct strv rest = SV(about), line, word;

    while (strv_cut(&rest, '\n', &line))
        if (strv_cut(&line, ' ', &word) && strv_is(word, name))
            return line;
    fail_msg("%s is not in the spool", name);
    return rest;
}

static uint64_t id_of(const char *kind)
{
    uint64_t id = 0;

    assert_true(id_parse(about_value(kind), &id));
    return id;
}

/* Owners are whoever runs the test; holes stay holes. */
static void unpack(const char *archive, const char *dir)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        execlp("tar", "tar", "--no-same-owner", "-xzf", archive, "-C", dir, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int setup(void **state)
{
    struct buf text;
    uint64_t made;

    (void)state;
    r = calloc(1, sizeof *r);
    rig_init(r);
    r->sizes.segment = store_sizes_default.segment;
    r->sizes.journal_step = store_sizes_default.journal_step;
    unpack(TEST_DATA "/spool-0.1.tar.gz", r->spool.path);
    buf_init(&text, sizeof about - 1);
    spool_read(&r->spool, ".", "about", &text);
    snprintf(about, sizeof about, "%s", buf_cstr(&text));
    buf_clear(&text);
    assert_true(strv_u64(about_value("made"), INT64_MAX, &made));
    wall_ms = (int64_t)made + 2 * 3600 * 1000;
    mono_ms = clock_mono_ms();
    clock_fake(NULL, wall);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clock_fake(NULL, NULL);
    rig_clear(r);
    free(r);
    return 0;
}

static struct message *message(const char *kind)
{
    uint32_t handle = ledger_find(&r->q.ledger, id_of(kind));

    if (!handle)
        fail_msg("%s is not there", kind);
    return ledger_at(&r->q.ledger, handle);
}

/* Its record, in r->q.envelope until the next one is read; text: what its body must end with. */
static void envelope_is(const char *kind, const char *sender, struct strv text)
{
    struct bytes *b = message_envelope(&r->q, ledger_find(&r->q.ledger, id_of(kind)));

    assert_non_null(b);
    expect_text(kind, r->q.envelope.sender, sender);
    expect_bool(kind, strv_ends(b->message, text), true);
    bytes_unref(&b);
}

static void waits(const char *kind, uint32_t recipient, unsigned attempts)
{
    struct message *m = message(kind);
    struct rcpt *rcpt = message_rcpt(m, recipient);
    const struct part *p = sched_part(r->q.ledger.sched, rcpt->part);

    assert_int_equal(rcpt->state, RCPT_WAIT);
    assert_int_equal(p->attempts, attempts);
    assert_in_range(p->due, (wall_ms / 1000) - 7200, wall_ms / 1000);
    assert_in_range(p->tried, (wall_ms / 1000) - 7300, wall_ms / 1000 - 7200);
    expect_text(kind, words_reply(rcpt->words), "450 4.2.1 come again");
    expect_text(kind, words_enhanced(rcpt->words), "4.2.1");
    assert_true(rcpt->words->remote);
}

static void everything_is_as_it_was(void)
{
    static const char *const over[] = { "finished", "deleted", "told" };

    for (size_t i = 0; i < COUNT(over); i++)
        expect_bool(over[i], ledger_find(&r->q.ledger, id_of(over[i])) == 0, true);
    assert_int_equal(ledger_count(&r->q.ledger), 10);
    assert_true(r->q.ledger.paused && !r->q.ledger.paused_in);
    assert_true(ledger_is_frozen(&r->q.ledger, SV("bad@demo.test")));
    waits("deferred", 0, 2);
    waits("partial", 3, 1);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(message_rcpt(message("partial"), i)->state, RCPT_DONE);
    waits("held", 0, 1);
    assert_true(message("held")->flags & MESSAGE_HELD);
    assert_true(message("frozen")->flags & MESSAGE_HELD);
    waits("released", 0, 2);
    assert_false(message("released")->flags & MESSAGE_HELD);
    waits("big", 0, 1);
    assert_true(message("big")->flags & MESSAGE_BIG);
    waits("asked", 0, 1);
    waits("notice", 0, 1);
    assert_true(message("notice")->flags & MESSAGE_NULL);
}

static void records_are_read(void)
{
    char origin[64];

    envelope_is("deferred", "user@demo.test", SV_LIT("\r\nSubject: deferred\r\n\r\nbody of deferred\r\n"));
    assert_false(r->q.envelope.rcpts[0].local);
    expect_text("client", r->q.envelope.client, "127.0.0.1");
    envelope_is("partial", "user@demo.test", SV_LIT("\r\n\r\nbody of partial\r\n"));
    assert_int_equal(r->q.envelope.rcpt_n, 4);
    assert_true(r->q.envelope.rcpts[0].local);
    expect_text("recipient", r->q.envelope.rcpts[3].to, "later@a.test");
    envelope_is("asked", "user@demo.test", SV_LIT("\r\n\r\nbody of asked\r\n"));
    expect_text("ENVID", r->q.envelope.envid, "QQ314159");
    expect_text("ORCPT", r->q.envelope.rcpts[0].orcpt, "rfc822;Later+X@a.test");
    assert_int_equal(r->q.envelope.rcpts[0].notify, NOTIFY_FAILURE | NOTIFY_DELAY);
    assert_int_equal(r->q.envelope.ret, 2);
    envelope_is("frozen", "bad@demo.test", SV_LIT("\r\n\r\nbody of frozen\r\n"));
    envelope_is("notice", "", SV_LIT("--\r\n"));
    snprintf(origin, sizeof origin, "notice/%.13s/0/failure", about_value("told").p);
    expect_text("origin", r->q.envelope.origin, origin);
}

/* Two were owed when the old one died. */
static void owed_notices_are_made(void)
{
    unsigned found = 0;

    RIG_UNTIL(r, r->notice_n == 2);
    for (size_t i = 0; i < r->notice_n; i++) {
        const struct rig_notice *n = &r->notices[i];

        expect_text("told", SV(n->sender), "user@demo.test");
        if (n->id == id_of("owed") && n->kind == NOTICE_FAILURE) {
            found |= 1;
            expect_text("owed", SV(n->reply), "not wanted");
        } else if (n->id == id_of("receipt") && n->kind == NOTICE_SUCCESS) {
            found |= 2;
        }
    }
    assert_int_equal(found, 3);
}

/* As many go at once as the destination's window lets. */
static size_t jobs_answered(void)
{
    size_t n = 0;

    for (size_t i = 0; i < r->job_n; i++) {
        if (r->jobs[i].complete && !r->jobs[i].answered)
            rig_result(r, 0, &r->jobs[i], OUTCOME_DELIVERED, "smtp", true);
        n += r->jobs[i].answered;
    }
    return n;
}

static void was_delivered(const char *kind, uint32_t recipient, struct strv text)
{
    struct rig_job *j = rig_job(r, id_of(kind));

    assert_non_null(j);
    assert_int_equal(j->rcpt_n, 1);
    assert_int_equal(j->rcpts[0].index, recipient);
    expect_text(kind, SV(j->rcpts[0].to), "later@a.test");
    expect_bool(kind, strv_ends(buf_view(&j->data), text), true);
}

static void what_waits_goes_out(void)
{
    struct buf body;

    assert_int_equal(r->job_n, 0);
    mailq_resume(&r->q);
    RIG_UNTIL(r, jobs_answered() == 6);
    rig_rest(r);
    assert_int_equal(r->job_n, 6);
    assert_int_equal(ledger_count(&r->q.ledger), 4);
    was_delivered("deferred", 0, SV_LIT("\r\n\r\nbody of deferred\r\n"));
    was_delivered("released", 0, SV_LIT("\r\n\r\nbody of released\r\n"));
    was_delivered("partial", 3, SV_LIT("\r\n\r\nbody of partial\r\n"));
    was_delivered("asked", 0, SV_LIT("\r\n\r\nbody of asked\r\n"));
    was_delivered("notice", 0, SV_LIT("--\r\n"));
    buf_init(&body, 1u << 20);
    buf_adds(&body, "Subject: big\r\n\r\n");
    for (int i = 0; i < 20000; i++)
        buf_adds(&body, "line of a large body\r\n");
    was_delivered("big", 0, buf_view(&body));
    buf_clear(&body);
}

static void an_old_spool_is_as_it_was(void **state)
{
    (void)state;
    rig_start(r);
    everything_is_as_it_was();
    records_are_read();
    owed_notices_are_made();
    what_waits_goes_out();
    rig_kill(r);
    /* And once more as this version left it. */
    rig_jobs_forget(r);
    rig_start(r);
    assert_int_equal(ledger_count(&r->q.ledger), 4);
    assert_false(r->q.ledger.paused);
    owed_notices_are_made();
    rig_kill(r);
}

/* The sidecar is a cache: the same comes out of the records themselves. */
static void an_old_spool_without_its_index(void **state)
{
    (void)state;
    spool_unlink(&r->spool, "seg", "000001.idx");
    rig_start(r);
    everything_is_as_it_was();
    records_are_read();
    owed_notices_are_made();
    rig_kill(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_old_spool_is_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(an_old_spool_without_its_index, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
