/* test_resolve.c - recipients to addresses, with tables of the test: expansion, loops, bounds, failure */
#include "tests/support/unit.h"

#include "cleanup/resolve.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/mail/address.h"
#include "conf/conf.h"

#include <stdlib.h>

static const char conf_text[] =
    "hostname = mx.own.test\n"
    "domains = [ own.test, second.test, third.test, loop.test, cmd.test, deep.test, closed.test, sick.test, "
    "torn.test ]\n"
    "address { aliases = aliases  virtual = virtual  extension = \"+\"  max_depth = 10\n"
    "  max_expansion = 20 }\n"
    "mailbox a { lookup = users  root = /m  owner = vmail }\n"
    "mailbox postmaster { lookup = pm  root = /p  path = \"post/\" }\n";

/* "map:key" -> value; value "!" is FAILED, "!!" FAILED until somebody mends a table. */
static const char *const tables[][2] = {
    { "users:bob@own.test", "bob/" },
    { "users:alice@own.test", "alice/" },
    { "users:carol@second.test", "carol/" },
    { "virtual:info@own.test", "bob@own.test, alice@own.test" },
    { "virtual:ext@own.test", "someone@far.test" },
    { "virtual:twice@own.test", "bob@own.test BOB@Own.Test bob@own.test" },
    { "virtual:self@own.test", "self@own.test, bob@own.test" },
    { "users:self@own.test", "self/" },
    { "virtual:selfless@own.test", "selfless@own.test" },
    { "virtual:blank@own.test", "bob@own.test alice@own.test" },
    { "virtual:bare@own.test", "bob" },
    { "virtual:bare@second.test", "carol" },
    { "virtual:@third.test", "bob@own.test" },
    { "virtual:gone@own.test", "error:550 5.1.6 She has moved" },
    { "virtual:ops@own.test", "error:nouser Not from outside" },
    { "aliases:ops", "bob" },
    { "virtual:@moved.test", "@far.test" },
    { "virtual:@renamed.test", "@own.test" },
    { "virtual:here@moved.test", "bob@own.test" },
    { "virtual:@parts.test", "%1-x%3@far.test" },
    { "virtual:old+*@detail.test", "new+%2@far.test" },
    { "virtual:+*@detail.test", "%2@far.test" },
    { "virtual:@detail.test", "%2@far.test" },
    { "virtual:@again.test", "%1@again.test bob@own.test" },
    { "aliases:percent", "%1@far.test" },
    { "virtual:later@own.test", "error:450 4.2.1 Later" },
    { "virtual:mixed@own.test", "gone@own.test, bob@own.test" },
    { "virtual:onlygone@own.test", "gone@own.test" },
    { "virtual:bad@own.test", "no@@address" },
    { "virtual:far@far.test", "far@far.test, bob@own.test" },
    { "aliases:team", "bob, alice, ext" },
    { "aliases:ring1", "ring2" },
    { "aliases:ring2", "ring3" },
    { "aliases:ring3", "ring1" },
    { "aliases:ringout", "ringout2, bob" },
    { "aliases:ringout2", "ringout" },
    { "aliases:partly", "bob, nobodyhere" },
    { "aliases:nowhere", "nobodyhere" },
    { "aliases:bob+list", "alice" },
    { "aliases:null", "/dev/null" },
    { "aliases:nullbob", "/dev/null, bob" },
    { "aliases:final", "\\bob" },
    { "virtual:bob@third.test", "\\bob@own.test" },
    { "aliases:prog", "bob, \"|/bin/prog x\"" },
    { "aliases:file", "/var/mail/x" },
    { "aliases:unclosed", "\"bob" },
    { "aliases:named", "Bob B. <bob@own.test>, \"A, B\" <alice@own.test>" },
    { "aliases:root", "bob" },
    { "aliases:mailer-daemon", "postmaster" },
    { "virtual:postmaster@second.test", "admin@second.test" },
    { "aliases:admin", "nobodyhere" },
    { "virtual:postmaster@loop.test", "ring1@loop.test" },
    { "virtual:postmaster@cmd.test", "bob@own.test, prog@own.test" },
    { "virtual:postmaster@deep.test", "d1@own.test" },
    { "virtual:@closed.test", "error:550 5.7.1 Closed" },
    { "virtual:postmaster@sick.test", "broken@own.test" },
    { "virtual:postmaster@torn.test", "root@own.test, tornlist@own.test" },
    { "aliases:tornlist", ":include:/etc/torn" },
    { "aliases::include:/etc/torn", "!!" },
    { "aliases:torn", "!!" },
    { "aliases:list", ":include:/etc/list" },
    { "aliases::include:/etc/list", "bob, :include:/etc/more" },
    { "aliases::include:/etc/more", "alice, :include:/etc/list" },
    { "aliases:lostlist", ":include:/etc/lost" },
    { "aliases:badlist", "bob, :include:/etc/bad" },
    { "aliases::include:/etc/bad", "!" },
    { "aliases:broken", "!" },
    { "virtual:broken@second.test", "!" },
    { "users:userbroken@own.test", "!" },
    { "aliases:deepbroken", "bob, team2" },
    { "aliases:team2", "alice, broken" },
    { "aliases:d1", "d2" },
    { "aliases:d2", "d3" },
    { "aliases:d3", "d4" },
    { "aliases:d4", "d5" },
    { "aliases:d5", "d6" },
    { "aliases:d6", "d7" },
    { "aliases:d7", "d8" },
    { "aliases:d8", "d9" },
    { "aliases:d9", "d10" },
    { "aliases:d10", "d11" },
    { "aliases:d11", "bob" },
    { "aliases:e2", "d3" },
    { "aliases:fan", "a1@f.test,a2@f.test,a3@f.test,a4@f.test,a5@f.test,a6@f.test,a7@f.test,a8@f.test,"
                     "a9@f.test,a10@f.test,a11@f.test,a12@f.test,a13@f.test,a14@f.test,a15@f.test,a16@f.test,"
                     "a17@f.test,a18@f.test,a19@f.test,a20@f.test" },
    { "aliases:fan21", "fan, a21@f.test" },
};

struct asked {
    uint64_t handle;
    maps_done *done;
    void *arg;
    enum ipc_answer answer;
    bool broken;
    size_t index;
    const char *value;
    struct asked *next;
};

struct fake {
    struct asked *first, **tail;
    uint64_t last;
    unsigned questions, at_once, most, cancelled;
    bool reverse;     /* answers come last first */
    unsigned fail_at; /* the question with this number cannot be told; 0: none */
};

static const char *look(const char *map, struct strv key)
{
    for (size_t i = 0; i < COUNT(tables); i++) {
        size_t n = strlen(map);

        if (strncmp(tables[i][0], map, n) == 0 && tables[i][0][n] == ':' &&
            strv_is(key, tables[i][0] + n + 1))
            return tables[i][1];
    }
    return NULL;
}

static uint64_t fake_ask(void *ctx, const struct key_chain *chain, maps_done *done, void *arg)
{
    struct fake *f = ctx;
    struct asked *a = mem_new(sizeof *a);

    *a = (struct asked){ .handle = ++f->last, .done = done, .arg = arg, .answer = ANSWER_ABSENT };
    assert_false(chain->over);
    for (size_t i = 0; i < chain->n && a->answer == ANSWER_ABSENT; i++) {
        a->value = look(chain->items[i].map, key_chain_key(chain, i));
        a->index = i;
        if (a->value)
            a->answer = a->value[0] == '!' ? ANSWER_FAILED : ANSWER_FOUND;
    }
    a->broken = a->answer == ANSWER_FAILED && strcmp(a->value, "!!") == 0;
    if (++f->questions == f->fail_at) {
        a->answer = ANSWER_FAILED;
        a->broken = false;
    }
    if (++f->at_once > f->most)
        f->most = f->at_once;
    if (f->reverse) {
        a->next = f->first;
        f->first = a;
    } else {
        struct asked **at = &f->first;

        while (*at)
            at = &(*at)->next;
        *at = a;
    }
    return a->handle;
}

static void fake_cancel(void *ctx, uint64_t handle)
{
    struct fake *f = ctx;

    for (struct asked **at = &f->first; *at; at = &(*at)->next)
        if ((*at)->handle == handle) {
            struct asked *a = *at;

            *at = a->next;
            free(a);
            f->at_once--;
            f->cancelled++;
            return;
        }
    fail_msg("cancelled what is not open");
}

static void fake_answer_one(struct fake *f)
{
    struct asked *a = f->first;
    struct maps_answer m = { .answer = a->answer,
                             .index = a->index,
                             .value = SV(a->value),
                             .origin = SV("/etc/t:7"),
                             .why = SV("map m: table broken"),
                             .broken = a->broken };

    f->first = a->next;
    f->at_once--;
    a->done(a->arg, &m);
    free(a);
}

static struct conf *conf;
static struct key_chain chain;
static unsigned done_count;
static bool internal; /* the mail comes from here */

static void on_done(void *arg, struct resolve *r)
{
    (void)arg;
    (void)r;
    done_count++;
}

/* "ok a@b b@c*" (leaves; * is local) or "CODE x.y.z" */
static void run(struct fake *f, const char *rcpt, struct buf *got)
{
    struct resolve_env env = {
        .conf = conf, .ask = fake_ask, .cancel = fake_cancel, .ctx = f, .chain = &chain, .id = "TEST"
    };
    struct resolve *r;
    const struct resolve_result *res;
    struct address a;
    enum resolve_step step;

    if (!address_parse(SV(rcpt), 0, &a, NULL))
        fail_msg("%s is no address", rcpt);
    done_count = 0;
    env.internal = internal;
    step = resolve_start(&env, &a, false, 20, on_done, NULL, &r);
    address_clear(&a);
    while (f->first)
        fake_answer_one(f);
    assert_int_equal(done_count, step == RESOLVE_LATER);
    res = resolve_result(r);
    if (res->verdict != VERDICT_ACCEPT) {
        assert_int_equal(res->verdict, res->code < 500 ? VERDICT_TEMPFAIL : VERDICT_REFUSE);
        assert_true(res->text.n > 0);
        assert_true(res->rule.n > 0);
        buf_addf(got, "%d %s", res->code, res->enhanced);
    } else {
        buf_adds(got, "ok");
        for (size_t i = 0; i < res->leaf_n; i++)
            buf_addf(got, " %.*s%s", (int)res->leaves[i].address.n, res->leaves[i].address.p,
                     res->leaves[i].local ? "*" : "");
    }
    assert_int_equal(f->at_once, 0);
    resolve_free(&r);
    assert_null(r);
}

static const struct {
    const char *name, *rcpt, *want;
} cases[] = {
    { "mailbox", "bob@own.test", "ok bob@own.test*" },
    { "any case, kept", "Bob@OWN.test", "ok Bob@own.test*" },
    { "extension", "bob+x@own.test", "ok bob+x@own.test*" },
    { "postmaster is caught too", "postmaster@third.test", "ok bob@own.test*" },
    { "alias of an extension wins", "bob+list@own.test", "ok alice@own.test*" },
    { "nobody", "nobodyhere@own.test", "550 5.1.1" },
    { "postmaster needs no table", "postmaster@own.test", "ok postmaster@own.test*" },
    { "Postmaster in any case", "PostMaster@own.test", "ok PostMaster@own.test*" },
    { "postmaster whose alias leads to nobody", "PostMaster@second.test", "ok PostMaster@second.test*" },
    { "postmaster in a ring", "postmaster@loop.test", "ok postmaster@loop.test*" },
    { "postmaster to a command", "postmaster@cmd.test", "ok postmaster@cmd.test*" },
    { "postmaster too deep", "postmaster@deep.test", "ok postmaster@deep.test*" },
    { "postmaster of a closed domain", "postmaster@closed.test", "ok postmaster@closed.test*" },
    { "others of a closed domain", "x@closed.test", "550 5.7.1" },
    { "postmaster, could not tell", "postmaster@sick.test", "451 4.3.0" },
    { "postmaster, a list that cannot be read", "postmaster@torn.test", "ok postmaster@torn.test*" },
    { "others, a list that cannot be read", "tornlist@own.test", "451 4.3.0" },
    { "others, a table that cannot be read", "torn@own.test", "451 4.3.0" },
    { "by way of a postmaster", "mailer-daemon@second.test", "ok postmaster@second.test*" },
    { "an answer to a notice", "MAILER-DAEMON@third.test", "ok bob@own.test*" },
    { "mailer-daemon of a closed domain", "mailer-daemon@closed.test", "550 5.7.1" },
    { "the host's name", "MAILER-DAEMON@mx.own.test", "ok postmaster@mx.own.test*" },
    { "others at the host's name", "bob@mx.own.test", "ok bob@mx.own.test" },
    { "a foreign domain stays", "x@relay.test", "ok x@relay.test" },
    { "a subdomain is foreign", "bob@sub.own.test", "ok bob@sub.own.test" },
    { "a literal is foreign", "bob@[127.0.0.1]", "ok bob@[127.0.0.1]" },
    { "virtual to two", "info@own.test", "ok bob@own.test* alice@own.test*" },
    { "virtual to outside", "ext@own.test", "ok someone@far.test" },
    { "duplicates once", "twice@own.test", "ok bob@own.test*" },
    { "itself and another", "self@own.test", "ok self@own.test* bob@own.test*" },
    { "itself without a mailbox", "selfless@own.test", "451 4.3.5" },
    { "blanks separate", "blank@own.test", "ok bob@own.test* alice@own.test*" },
    { "a bare name has the domain of its alias", "bare@own.test", "ok bob@own.test*" },
    { "also in another domain", "bare@second.test", "ok carol@second.test*" },
    { "catch-all", "anything@third.test", "ok bob@own.test*" },
    { "whole address before catch-all", "bob@third.test", "ok bob@own.test*" },
    { "a foreign address in virtual, itself and a copy", "far@far.test", "ok far@far.test bob@own.test*" },
    { "error value", "gone@own.test", "550 5.1.6" },
    { "error value before an alias", "ops@own.test", "550 5.1.1" },
    { "Postfix: another domain", "Ann+x@moved.test", "ok Ann+x@far.test" },
    { "Postfix: nobody of that name there", "nobodyhere@renamed.test", "550 5.1.1" },
    { "Postfix: somebody", "bob@renamed.test", "ok bob@own.test*" },
    { "Postfix: but for one", "here@moved.test", "ok bob@own.test*" },
    { "quotes stay where they are needed", "\"a b\"@moved.test", "ok \"a b\"@far.test" },
    { "sendmail: user", "ann@parts.test", "ok ann-x@far.test" },
    { "sendmail: user and detail", "ann+y+z@parts.test", "ok ann-x+y+z@far.test" },
    { "sendmail: the detail", "ann+bob@detail.test", "ok bob@far.test" },
    { "sendmail: any detail of one user", "Old+x@detail.test", "ok new+x@far.test" },
    { "sendmail: a detail that is not there", "ann@detail.test", "451 4.3.5" },
    { "filled to itself is its own mailbox", "ann@again.test", "ok ann@again.test bob@own.test*" },
    { "in aliases a percent is a letter", "percent@own.test", "ok %1@far.test" },
    { "temporary error value", "later@own.test", "450 4.2.1" },
    { "error beside others: delivery will say", "mixed@own.test", "ok gone@own.test* bob@own.test*" },
    { "error alone below", "onlygone@own.test", "550 5.1.6" },
    { "a target that is no address", "bad@own.test", "451 4.3.5" },
    { "alias to three", "team@own.test", "ok bob@own.test* alice@own.test* someone@far.test" },
    { "ring", "ring1@own.test", "451 4.3.5" },
    { "ring with a way out", "ringout@own.test", "ok bob@own.test*" },
    { "a member is missing", "partly@own.test", "ok bob@own.test* nobodyhere@own.test*" },
    { "all members are missing", "nowhere@own.test", "451 4.3.5" },
    { "to nowhere on purpose", "null@own.test", "ok" },
    { "to nowhere and somebody", "nullbob@own.test", "ok bob@own.test*" },
    { "backslash", "final@own.test", "ok bob@own.test*" },
    { "a command is not served", "prog@own.test", "451 4.3.5" },
    { "a file is not served", "file@own.test", "451 4.3.5" },
    { "unclosed quote", "unclosed@own.test", "451 4.3.5" },
    { "names and brackets", "named@own.test", "ok bob@own.test* alice@own.test*" },
    { "a list by its path", "\":include:/etc/list\"@own.test", "550 5.1.1" },
    { "a list by its path, in a domain with a catch-all", "\":INCLUDE:/etc/list\"@third.test",
      "ok bob@own.test*" },
    { "lists that include each other", "list@own.test", "ok bob@own.test* alice@own.test*" },
    { "a list that is not there", "lostlist@own.test", "451 4.3.5" },
    { "a list that failed", "badlist@own.test", "451 4.3.0" },
    { "alias table broken", "broken@own.test", "451 4.3.0" },
    { "virtual table broken", "broken@second.test", "451 4.3.0" },
    { "mailbox table broken", "userbroken@own.test", "451 4.3.0" },
    { "broken below, beside what works", "deepbroken@own.test", "451 4.3.0" },
    { "depth 9", "d3@own.test", "ok bob@own.test*" },
    { "depth 10", "e2@own.test", "ok bob@own.test*" },
    { "depth 11", "d1@own.test", "451 4.3.5" },
    { "as many as permitted", "fan@own.test",
      "ok a1@f.test a2@f.test a3@f.test a4@f.test a5@f.test a6@f.test "
      "a7@f.test a8@f.test a9@f.test a10@f.test a11@f.test a12@f.test a13@f.test a14@f.test a15@f.test "
      "a16@f.test "
      "a17@f.test a18@f.test a19@f.test a20@f.test" },
    { "one more", "fan21@own.test", "451 4.3.5" },
};

/* Words of a line in another order: answers may come in any. */
static int word_cmp(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_words(struct buf *b)
{
    char *words[64], *copy = mem_str(buf_cstr(b)), *p = copy;
    size_t n = 0;

    for (char *word; (word = strsep(&p, " "));)
        words[n++] = word;
    qsort(words + 1, n - 1, sizeof *words, word_cmp);
    buf_reset(b);
    for (size_t i = 0; i < n; i++)
        buf_addf(b, "%s%s", i ? " " : "", words[i]);
    free(copy);
}

static void resolves(void **state)
{
    (void)state;
    for (int reverse = 0; reverse < 2; reverse++)
        for (size_t i = 0; i < COUNT(cases); i++) {
            struct fake f = { .reverse = reverse };
            struct buf got, want;

            buf_init(&got, 4096);
            buf_init(&want, 4096);
            run(&f, cases[i].rcpt, &got);
            buf_adds(&want, cases[i].want);
            if (reverse) {
                sort_words(&got);
                sort_words(&want);
            }
            expect_text(cases[i].name, buf_view(&got), buf_cstr(&want));
            assert_true(f.most <= 16);
            buf_clear(&got);
            buf_clear(&want);
        }
}

/* Refusals of the virtual table are for the world: cron's mail goes on to aliases and mailboxes, and hears
   the table's words when there is nobody. */
static void own_mail_passes_refusals(void **state)
{
    static const struct {
        const char *rcpt, *want;
    } own[] = {
        { "ops@own.test", "ok bob@own.test*" },
        { "gone@own.test", "550 5.1.6" },
        { "x@closed.test", "550 5.7.1" },
        { "nobodyhere@own.test", "550 5.1.1" },
    };

    (void)state;
    internal = true;
    for (size_t i = 0; i < COUNT(own); i++) {
        struct fake f = { 0 };
        struct buf got;

        buf_init(&got, 4096);
        run(&f, own[i].rcpt, &got);
        expect_text(own[i].rcpt, buf_view(&got), own[i].want);
        buf_clear(&got);
    }
    internal = false;
}

/* Whatever question fails, the recipient is refused temporarily: never accepted in part, never unknown. */
static void any_failure_is_temporary(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fake probe = { 0 };
        struct buf got;

        buf_init(&got, 4096);
        run(&probe, cases[i].rcpt, &got);
        for (unsigned at = 1; at <= probe.questions; at++) {
            struct fake f = { .fail_at = at };

            buf_reset(&got);
            run(&f, cases[i].rcpt, &got);
            if (!strv_starts(buf_view(&got), SV("451 4.3.")))
                fail_msg("%s, question %u fails: %s", cases[i].name, at, buf_cstr(&got));
        }
        buf_clear(&got);
    }
}

static void one_question_for_a_mailbox(void **state)
{
    struct fake f = { 0 };
    struct buf got;

    (void)state;
    buf_init(&got, 4096);
    run(&f, "bob@own.test", &got);
    assert_int_equal(f.questions, 1);
    buf_clear(&got);
}

/* What smtpd logs with a 451: the table and why it could not be asked, also behind an alias. */
static void refusal_says_why(void **state)
{
    static const char *const cases_why[][2] = {
        { "broken@own.test", "map m: table broken" },
        { "deepbroken@own.test", "map aliases, /etc/t:7: map m: table broken" },
        { "prog@own.test",
          "map aliases, /etc/t:7: a target is a command or file, not permitted here (address.commands)" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases_why); i++) {
        struct fake f = { 0 };
        struct resolve_env env = {
            .conf = conf, .ask = fake_ask, .cancel = fake_cancel, .ctx = &f, .chain = &chain, .id = "TEST"
        };
        struct resolve *r;
        struct address a;

        assert_true(address_parse(SV(cases_why[i][0]), 0, &a, NULL));
        resolve_start(&env, &a, false, 20, on_done, NULL, &r);
        address_clear(&a);
        while (f.first)
            fake_answer_one(&f);
        expect_text(cases_why[i][0], resolve_result(r)->rule, cases_why[i][1]);
        resolve_free(&r);
    }
}

static void freed_while_asking(void **state)
{
    struct fake f = { 0 };
    struct resolve_env env = {
        .conf = conf, .ask = fake_ask, .cancel = fake_cancel, .ctx = &f, .chain = &chain, .id = "TEST"
    };
    struct resolve *r;
    struct address a;

    (void)state;
    assert_true(address_parse(SV("team@own.test"), 0, &a, NULL));
    assert_int_equal(resolve_start(&env, &a, false, 20, on_done, NULL, &r), RESOLVE_LATER);
    fake_answer_one(&f);
    assert_int_equal(f.at_once, 3);
    resolve_free(&r);
    assert_int_equal(f.at_once, 0);
    assert_int_equal(f.cancelled, 3);
    address_clear(&a);
}

static void quiet(void *arg, enum log_level level, const char *line, size_t len)
{
    (void)arg;
    (void)level;
    (void)line;
    (void)len;
}

static int setup(void **state)
{
    struct conf_errors errs;

    (void)state;
    log_set_sink(quiet, NULL);
    conf_errors_init(&errs);
    key_chain_init(&chain);
    if (!conf_parse_text(SV(conf_text), "test.conf", ROLE_CLEANUP, &conf, &errs))
        return -1;
    conf_errors_clear(&errs);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    key_chain_clear(&chain);
    conf_free(&conf);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolves),
        cmocka_unit_test(own_mail_passes_refusals),
        cmocka_unit_test(any_failure_is_temporary),
        cmocka_unit_test(one_question_for_a_mailbox),
        cmocka_unit_test(refusal_says_why),
        cmocka_unit_test(freed_while_asking),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
