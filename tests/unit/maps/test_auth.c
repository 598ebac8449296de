/* test_auth.c - who may say that he is who, with a scripted worker: what strangers can learn, and hold up */
#include "tests/unit/maps/conf_text.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "common/os/fd.h"
#include "maps/client.h"
#include "maps/credential.h"
#include "maps/server.h"
#include "maps/salt_key.h"
#include "maps/tables.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char text[] = "hostname = mx.own.test\n"
                           "mailbox postmaster { root = /p }\n"
                           "map logins { type = inline  entries = [ \"joe $good\", \"ann $else\", "
                           "\"lock !$good\", \"des abcdefghijklm\", \"bad $unknown\" ] }\n"
                           "auth { users = logins }\n";

struct world {
    struct conf *conf;
    struct loop *loop;
    struct mapd md;
    struct maps_client *smtpd;
    struct channel *worker;
    struct ipc_out out;
    unsigned checks;
    uint64_t unanswered; /* a question about a user, which is never answered in time */
    char stored[64]; /* of the last check */
};

static struct {
    unsigned n;
    enum ipc_answer answer;
    unsigned iterations;
    char why[200];
    char data[64];
} got;

static int64_t now_ms;

static int64_t fake(void)
{
    return now_ms;
}

/* The password of $good is "right", $unknown is a hash that this host does not know. */
static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct world *w = arg;
    struct strv stored = ipc_get(in, TAG_VALUE), password = ipc_get(in, TAG_DATA);

    if (in->type == IPC_MAP_QUERY) {
        w->unanswered = in->txn;
        return;
    }
    assert_int_equal(in->type, IPC_AUTH_CHECK);
    w->checks++;
    assert_true(strv_cstr(strv_sub(stored, 0, sizeof w->stored - 1), w->stored, sizeof w->stored));
    ipc_begin(&w->out, IPC_AUTH_ANSWER, in->txn);
    if (strv_is(stored, "$unknown")) {
        ipc_put_u64(&w->out, TAG_ANSWER, ANSWER_FAILED);
        ipc_put_text(&w->out, TAG_ERROR, SV("no such hash"));
    } else {
        ipc_put_u64(&w->out, TAG_ANSWER,
                    strv_is(stored, "$good") && strv_is(password, "right") ? ANSWER_FOUND : ANSWER_ABSENT);
    }
    channel_send(ch, &w->out);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct world *w = arg;

    (void)ch;
    (void)why;
    channel_free(&w->worker);
}

static const struct channel_ops worker_ops = { .frame = on_frame, .lost = on_lost };

static void worker_join(struct world *w)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    mapd_edge(&w->md, ROLE_MAPD_WORKER, 0, ends[0]);
    channel_free(&w->worker);
    w->worker = channel_new(w->loop, ends[1], ROLE_MAPD_WORKER, ROLE_MAPD, 0, &worker_ops, w);
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
    struct world *w = calloc(1, sizeof *w);
    int ends[2];

    log_set_sink(quiet, NULL);
    now_ms = 1000000;
    clock_fake(fake, NULL);
    w->conf = conf_of(text, ROLE_MAPD);
    w->loop = loop_new();
    ipc_out_init(&w->out);
    mapd_init(&w->md, w->conf, w->loop);
    w->md.tables = tables_new(w->conf, w->loop, NULL, NULL);
    worker_join(w);
    assert_true(fd_seqpacket_pair(ends));
    w->smtpd = maps_client_new(w->loop, ROLE_SMTPD);
    mapd_edge(&w->md, ROLE_SMTPD, 0, ends[0]);
    maps_client_edge(w->smtpd, ends[1]);
    memset(&got, 0, sizeof got);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    maps_client_free(&w->smtpd);
    mapd_clear(&w->md);
    channel_free(&w->worker);
    ipc_out_clear(&w->out);
    loop_once(w->loop, 0);
    loop_free(&w->loop);
    conf_free(&w->conf);
    free(w);
    clock_fake(NULL, NULL);
    return 0;
}

static void on_answer(void *arg, const struct maps_auth_answer *a)
{
    (void)arg;
    got.n++;
    got.answer = a->answer;
    got.iterations = a->iterations;
    strv_cstr(strv_sub(a->why, 0, sizeof got.why - 1), got.why, sizeof got.why);
    strv_cstr(strv_sub(a->data, 0, sizeof got.data - 1), got.data, sizeof got.data);
}

static void ask(struct world *w, const char *client, const char *login, const char *password)
{
    struct maps_auth q = {
        .kind = AUTH_PASSWORD, .client = SV(client), .login = SV(login), .data = SV(password)
    };

    maps_auth(w->smtpd, &q, 60000, on_answer, NULL);
}

static void pass(struct world *w, int64_t ms)
{
    for (int i = 0; i < 8; i++)
        loop_once(w->loop, 0);
    now_ms += ms;
    for (int i = 0; i < 8; i++)
        loop_once(w->loop, 0);
}

/* INCIDENTS 21: nobody's login, a locked one and a wrong password cost the same work; a secret that cannot be
   used tells of its own login alone. */
static void nobody_and_locked_look_like_somebody(void **state)
{
    static const struct {
        const char *login, *password;
        enum ipc_answer answer;
        const char *stored; /* what the worker got */
    } cases[] = {
        { "nobody@mx.own.test", "right", ANSWER_ABSENT, "$y$" },
        { "joe@mx.own.test", "right", ANSWER_FOUND, "$good" },
        { "joe@mx.own.test", "wrong", ANSWER_ABSENT, "$good" },
        { "lock@mx.own.test", "right", ANSWER_ABSENT, "$good" },
        { "nobody@mx.own.test", "right", ANSWER_ABSENT, "$good" },
        { "des@mx.own.test", "right", ANSWER_ABSENT, "$good" },
        { "bad@mx.own.test", "right", ANSWER_FAILED, "$unknown" },
        { "nobody@mx.own.test", "right", ANSWER_ABSENT, "$good" },
        { "ann@mx.own.test", "right", ANSWER_ABSENT, "$else" },
        { "nobody@mx.own.test", "right", ANSWER_ABSENT, "$else" },
    };
    struct world *w = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        ask(w, "192.0.2.1", cases[i].login, cases[i].password);
        pass(w, 0);
        pass(w, 20000);
        assert_int_equal(got.n, i + 1);
        assert_int_equal(w->checks, i + 1);
        if (got.answer != cases[i].answer ||
            strncmp(w->stored, cases[i].stored, strlen(cases[i].stored)) != 0)
            fail_msg("%s: %d with %s", cases[i].login, got.answer, w->stored);
        now_ms += 3600000;
    }
}

/* Also before anybody with a SCRAM secret came: `mtactl passwd` made theirs. */
static void nobody_has_the_usual_iterations(void **state)
{
    static const char *const logins[] = { "nobody@mx.own.test", "joe@mx.own.test", "lock@mx.own.test" };
    struct world *w = *state;

    for (unsigned i = 0; i < COUNT(logins); i++) {
        struct maps_auth q = { .kind = AUTH_SALT, .client = SV_LIT("192.0.2.1"), .login = SV(logins[i]) };

        maps_auth(w->smtpd, &q, 60000, on_answer, NULL);
        pass(w, 0);
        assert_int_equal(got.n, i + 1);
        assert_int_equal(got.answer, ANSWER_FOUND);
        assert_int_equal(got.iterations, CREDENTIAL_ITERATIONS);
    }
}

/* Answers that wait for their time must not keep others from asking: a /56 holds more networks than that. */
static void guessers_hold_up_nobody_else(void **state)
{
    struct world *w = *state;
    char client[64];

    for (unsigned i = 0; i < 800; i++) {
        snprintf(client, sizeof client, "2001:db8:0:%x::%x", i / 8, i);
        ask(w, client, "joe@mx.own.test", "wrong");
        pass(w, 0);
    }
    assert_int_equal(got.n, 0);
    assert_int_equal(w->checks, 800);
    /* one network's places are taken */
    ask(w, "2001:db8:0:1::99", "joe@mx.own.test", "right");
    pass(w, 0);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.answer, ANSWER_FAILED);
    ask(w, "192.0.2.1", "joe@mx.own.test", "right");
    pass(w, 0);
    assert_int_equal(got.n, 2);
    if (got.answer != ANSWER_FOUND)
        fail_msg("%s", got.why);
}

static void on_user(void *arg, const struct maps_answer *a)
{
    (void)arg;
    assert_int_equal(a->answer, ANSWER_FAILED);
}

/* The only worker hangs in the user database: what waits for it ends, and takes nobody's place for ever. */
static void no_worker_is_free(void **state)
{
    struct world *w = *state;
    struct key_chain chain;

    key_chain_init(&chain);
    key_chain_add(&chain, "passwd", SV("bob"));
    maps_ask(w->smtpd, &chain, MAPS_DEADLINE_MS, on_user, NULL);
    key_chain_clear(&chain);
    pass(w, 10000);
    for (unsigned i = 0; i < 8; i++)
        ask(w, "192.0.2.1", "joe@mx.own.test", "right");
    for (unsigned i = 0; i < 10; i++)
        pass(w, 7000);
    assert_int_equal(got.n, 8);
    assert_int_equal(got.answer, ANSWER_FAILED);
    assert_int_equal(w->checks, 0);
    ipc_begin(&w->out, IPC_MAP_ANSWER, w->unanswered);
    ipc_put_u64(&w->out, TAG_ANSWER, ANSWER_ABSENT);
    channel_send(w->worker, &w->out);
    pass(w, 0);
    ask(w, "192.0.2.1", "joe@mx.own.test", "right");
    pass(w, 0);
    pass(w, 3000);
    assert_int_equal(got.n, 9);
    if (got.answer != ANSWER_FOUND)
        fail_msg("%s", got.why);
}

/* ---- one network, many users ---- */

#define WEBMAIL "198.51.100.5"

static void on_this_one(void *arg, const struct maps_auth_answer *a)
{
    *(char *)arg = a->answer == ANSWER_FOUND ? 'y' : a->answer == ANSWER_ABSENT ? 'n' : 'f';
}

/* The answer: 'y' in, 'n' wrong, 'f' too many open, '-' not yet. */
static char asked(struct world *w, const char *login, const char *password)
{
    static char answers[100]; /* a late one finds its place */
    static unsigned n;
    char *mine = &answers[n++ % sizeof answers];
    struct maps_auth q = {
        .kind = AUTH_PASSWORD, .client = SV_LIT(WEBMAIL), .login = SV(login), .data = SV(password)
    };

    *mine = '-';
    maps_auth(w->smtpd, &q, 60000, on_this_one, mine);
    pass(w, 0);
    pass(w, 2001); /* what a good answer waits for at most */
    return *mine;
}

/* From then on wrong answers of this network take their time. */
static void much_went_wrong(struct world *w)
{
    for (int i = 0; i < 10; i++) {
        ask(w, WEBMAIL, "nobody@mx.own.test", "wrong");
        pass(w, 0);
        pass(w, 17000);
    }
    w->checks = 0;
}

static void fail_often(struct world *w, const char *login, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        ask(w, WEBMAIL, login, "wrong");
        pass(w, 0);
    }
}

/* Eight open ones of the same user: who came in from there before comes in, and so does somebody new. */
static void one_users_wrong_password_is_his_own(void **state)
{
    struct world *w = *state;

    much_went_wrong(w);
    assert_int_equal(asked(w, "joe@mx.own.test", "right"), 'y');
    fail_often(w, "ann@mx.own.test", 9);
    assert_int_equal(w->checks, 1 + 8); /* the ninth of hers was not looked at */
    assert_int_equal(asked(w, "JOE@mx.own.test", "right"), 'y');
    assert_int_equal(asked(w, "lock@mx.own.test", "right"), '-');
    assert_int_equal(w->checks, 1 + 8 + 2);
}

/* Whoever goes through logins has the network's eight places; users of before do not feel it. */
static void sprayers_have_few_places(void **state)
{
    struct world *w = *state;
    char login[64];

    much_went_wrong(w);
    assert_int_equal(asked(w, "joe@mx.own.test", "right"), 'y');
    for (unsigned i = 0; i < 30; i++) {
        snprintf(login, sizeof login, "u%u@mx.own.test", i);
        ask(w, WEBMAIL, login, "wrong");
        pass(w, 0);
    }
    assert_int_equal(w->checks, 1 + 8);
    assert_int_equal(asked(w, "joe@mx.own.test", "right"), 'y');
    assert_int_equal(asked(w, "ann@mx.own.test", "x"), 'f');
}

/* A login that failed last is like any other: guessing at logins that are used there gains nothing. */
static void who_failed_last_shares_the_places(void **state)
{
    struct world *w = *state;

    much_went_wrong(w);
    assert_int_equal(asked(w, "joe@mx.own.test", "right"), 'y');
    assert_int_equal(asked(w, "joe@mx.own.test", "wrong"), '-');
    pass(w, 20000);
    fail_often(w, "ann@mx.own.test", 4);
    fail_often(w, "lock@mx.own.test", 4);
    assert_int_equal(asked(w, "joe@mx.own.test", "right"), 'f');
    pass(w, 20000);
    assert_int_equal(asked(w, "joe@mx.own.test", "right"), 'y');
}

/* From one network only: what is proved there says nothing about others. */
static void proof_is_of_one_network(void **state)
{
    struct world *w = *state;

    much_went_wrong(w);
    ask(w, "203.0.113.1", "joe@mx.own.test", "right");
    pass(w, 0);
    assert_int_equal(got.answer, ANSWER_FOUND);
    fail_often(w, "ann@mx.own.test", 4);
    fail_often(w, "lock@mx.own.test", 4);
    assert_int_equal(asked(w, "joe@mx.own.test", "right"), 'f');
}

/* ---- the salts of nobody ---- */

static void salt_of(struct world *w, const char *login, char dst[64])
{
    struct maps_auth q = { .kind = AUTH_SALT, .client = SV_LIT("192.0.2.1"), .login = SV(login) };

    maps_auth(w->smtpd, &q, 60000, on_answer, NULL);
    pass(w, 0);
    assert_int_equal(got.answer, ANSWER_FOUND);
    memcpy(dst, got.data, 64);
}

/* Two starts of mapd: the file makes them give the same salts; without it they differ. */
static void salts_outlive_a_restart(void **state)
{
    uint8_t first[AUTH_SALT_KEY], second[AUTH_SALT_KEY];
    char dir[] = "/tmp/mansio-salt-XXXXXX", here[4096], a[64], b[64], c[64];
    struct world *w = *state;
    struct err err = { 0 };

    assert_non_null(getcwd(here, sizeof here));
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_true(salt_key_load(first, &err));
    assert_true(salt_key_load(second, &err));
    assert_memory_equal(first, second, sizeof first);
    assert_int_equal(truncate("salt.key", 31), 0);
    assert_true(salt_key_load(second, &err)); /* damaged: a new one, which is kept */
    assert_memory_not_equal(first, second, sizeof first);
    assert_true(salt_key_load(first, &err));
    assert_memory_equal(first, second, sizeof first);
    assert_int_equal(rename("salt.key", "kept"), 0);
    assert_int_equal(symlink("kept", "salt.key"), 0);
    assert_false(salt_key_load(second, &err)); /* there, and cannot be read: it stays, today has another */
    assert_memory_not_equal(first, second, sizeof first);
    assert_int_equal(rename("kept", "salt.key"), 0);
    assert_true(salt_key_load(second, &err));
    assert_memory_equal(first, second, sizeof first);
    auths_salts(w->md.auths, first);
    assert_int_equal(unlink("salt.key"), 0);
    assert_int_equal(mkdir("salt.key.new", 0700), 0);
    assert_false(salt_key_load(second, &err));
    assert_int_equal(rmdir("salt.key.new"), 0);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(rmdir(dir), 0);

    auths_salts(w->md.auths, first);
    salt_of(w, "nobody@mx.own.test", a);
    auths_salts(w->md.auths, second);
    salt_of(w, "nobody@mx.own.test", b);
    auths_salts(w->md.auths, first);
    salt_of(w, "nobody@mx.own.test", c);
    assert_string_not_equal(a, b);
    assert_string_equal(a, c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_and_locked_look_like_somebody, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_has_the_usual_iterations, setup, teardown),
        cmocka_unit_test_setup_teardown(guessers_hold_up_nobody_else, setup, teardown),
        cmocka_unit_test_setup_teardown(no_worker_is_free, setup, teardown),
        cmocka_unit_test_setup_teardown(one_users_wrong_password_is_his_own, setup, teardown),
        cmocka_unit_test_setup_teardown(sprayers_have_few_places, setup, teardown),
        cmocka_unit_test_setup_teardown(who_failed_last_shares_the_places, setup, teardown),
        cmocka_unit_test_setup_teardown(proof_is_of_one_network, setup, teardown),
        cmocka_unit_test_setup_teardown(salts_outlive_a_restart, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
