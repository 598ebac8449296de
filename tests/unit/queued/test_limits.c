/* test_limits.c - what a route allows: recipients of one message at a time */
#include "tests/unit/queued/rig.h"

#include "common/base/id.h"
#include "common/base/mem.h"
#include "conf/conf.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static struct conf *conf_of(const char *text)
{
    struct conf *conf = NULL;
    struct conf_errors errs;

    conf_errors_init(&errs);
    if (!conf_parse_text(SV(text), "test", ROLE_QUEUED, &conf, &errs))
        fail_msg("%s", errs.list[0].text);
    conf_errors_clear(&errs);
    return conf;
}

static void a_message_goes_in_pieces(void **state)
{
    struct conf *conf = conf_of("hostname = own.test\nroute few.test { max_recipients = 2 }\n");
    struct rig *r = mem_new(sizeof *r);
    uint64_t id = id_new();
    unsigned at_few = 0;

    (void)state;
    rig_init(r);
    rig_start(r);
    r->q.routes = conf;
    rig_submit(r, 1, id, "s@example.org",
               "r:a@few.test r:b@few.test r:c@few.test r:d@few.test r:e@few.test "
               "r:a@any.test r:b@any.test r:c@any.test l:a@few.test l:b@few.test l:c@few.test",
               "x\r\n");
    RIG_UNTIL(r, r->job_n == 5);
    for (size_t i = 0; i < r->job_n; i++) {
        bool few = strcmp(r->jobs[i].dest, "few.test") == 0 && !r->jobs[i].local;

        at_few += few;
        assert_true(few ? r->jobs[i].rcpt_n <= 2 : r->jobs[i].rcpt_n == 3);
    }
    assert_int_equal(at_few, 3);
    for (size_t i = 0; i < 5; i++)
        rig_result(r, 0, &r->jobs[i], OUTCOME_DELIVERED, "end", true);
    RIG_UNTIL(r, ledger_count(&r->q.ledger) == 0);
    rig_kill(r);
    rig_clear(r);
    free(r);
    conf_free(&conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_goes_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
