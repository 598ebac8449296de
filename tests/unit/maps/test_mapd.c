/* test_mapd.c - mapd's server with the real client on one side and a scripted worker on the other */
#include "tests/unit/maps/conf_text.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "common/os/fd.h"
#include "maps/client.h"
#include "maps/server.h"
#include "maps/tables.h"

#include <stdlib.h>
#include <time.h>

static const char text[] = "hostname = mx.own.test\n"
                           "mailbox postmaster { root = /p }\n"
                           "domains = [ own.test ]\n"
                           "map a { type = inline  entries = [ \"k1 v1\", \"k2 v2\" ] }\n"
                           "map b { type = inline  entries = [ \"k3 v3\" ] }\n"
                           "map gone { type = text  source = /nowhere }\n"
                           "mailbox { uid_exceptions = [ daemon ] }\n";

struct world {
    struct conf *conf;
    struct loop *loop;
    struct mapd md;
    struct maps_client *cleanup, *mtad;
    struct channel *worker, *second; /* the workers' ends; the second answers always */
    struct ipc_out out;
    unsigned worker_questions, second_questions;
    uint64_t unanswered;
    bool silent;
};

static struct {
    unsigned n;
    enum ipc_answer answer;
    bool broken;
    size_t index;
    char value[256], why[256];
} got;

static void on_answer(void *arg, const struct maps_answer *a)
{
    (void)arg;
    got.n++;
    got.answer = a->answer;
    got.broken = a->broken;
    got.index = a->index;
    snprintf(got.value, sizeof got.value, "%.*s", (int)a->value.n, a->value.n ? a->value.p : "");
    snprintf(got.why, sizeof got.why, "%.*s", (int)a->why.n, a->why.n ? a->why.p : "");
}

/* root 0, daemon 1, bob 1000; "broken" cannot be told. */
static void on_worker_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    static const char *const users[][2] = { { "root", "0:0:/root" },
                                            { "daemon", "1:1:/usr/sbin" },
                                            { "bin", "2:2:/bin" },
                                            { "bob", "1000:1000:/users/bob" } };
    struct world *w = arg;
    struct ipc_in group;
    size_t at = 0;
    uint64_t index = 0;

    assert_int_equal(in->type, IPC_MAP_QUERY);
    w->worker_questions++;
    if (ch == w->second)
        w->second_questions++;
    else if (w->silent) {
        w->unanswered = in->txn;
        return;
    }
    ipc_begin(&w->out, IPC_MAP_ANSWER, in->txn);
    for (; ipc_next_group(in, TAG_ITEM, &at, &group); index++) {
        struct strv key = ipc_get(&group, TAG_KEY);

        if (strv_is(key, "broken")) {
            ipc_put_u64(&w->out, TAG_ANSWER, ANSWER_FAILED);
            ipc_put_text(&w->out, TAG_ERROR, SV("LDAP is away"));
            channel_send(ch, &w->out);
            return;
        }
        for (size_t i = 0; i < COUNT(users); i++) {
            if (!strv_is(key, users[i][0]))
                continue;
            ipc_put_u64(&w->out, TAG_ANSWER, ANSWER_FOUND);
            ipc_put_u64(&w->out, TAG_INDEX, index);
            ipc_put_bytes(&w->out, TAG_VALUE, SV(users[i][1]));
            channel_send(ch, &w->out);
            return;
        }
    }
    ipc_put_u64(&w->out, TAG_ANSWER, ANSWER_ABSENT);
    channel_send(ch, &w->out);
}

static void on_worker_lost(void *arg, struct channel *ch, const char *why)
{
    struct world *w = arg;

    (void)why;
    channel_free(ch == w->second ? &w->second : &w->worker);
}

static const struct channel_ops worker_ops = { .frame = on_worker_frame, .lost = on_worker_lost };

static void worker_join(struct world *w)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    mapd_edge(&w->md, ROLE_MAPD_WORKER, 0, ends[0]);
    channel_free(&w->worker);
    w->worker = channel_new(w->loop, ends[1], ROLE_MAPD_WORKER, ROLE_MAPD, 0, &worker_ops, w);
}

static void second_join(struct world *w)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    mapd_edge(&w->md, ROLE_MAPD_WORKER, 1, ends[0]);
    w->second = channel_new(w->loop, ends[1], ROLE_MAPD_WORKER, ROLE_MAPD, 1, &worker_ops, w);
}

static void client_join(struct world *w, struct maps_client **mc, enum role role)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    if (!*mc)
        *mc = maps_client_new(w->loop, role);
    mapd_edge(&w->md, role, 0, ends[0]);
    maps_client_edge(*mc, ends[1]);
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

    log_set_sink(quiet, NULL);
    w->conf = conf_of(text, ROLE_MAPD);
    w->loop = loop_new();
    ipc_out_init(&w->out);
    mapd_init(&w->md, w->conf, w->loop);
    w->md.tables = tables_new(w->conf, w->loop, NULL, NULL);
    worker_join(w);
    client_join(w, &w->cleanup, ROLE_CLEANUP);
    client_join(w, &w->mtad, ROLE_MTAD);
    memset(&got, 0, sizeof got);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    maps_client_free(&w->cleanup);
    maps_client_free(&w->mtad);
    mapd_clear(&w->md);
    channel_free(&w->worker);
    channel_free(&w->second);
    ipc_out_clear(&w->out);
    loop_once(w->loop, 0);
    loop_free(&w->loop);
    conf_free(&w->conf);
    free(w);
    return 0;
}

/* "map:key map:key" */
static uint64_t ask(struct maps_client *mc, const char *items)
{
    static char maps[8][32];
    struct key_chain c;
    struct strv rest = SV(items), word;
    unsigned n = 0;
    uint64_t handle;

    key_chain_init(&c);
    while (strv_word(&rest, &word)) {
        size_t at;

        assert_true(strv_find(word, ':', &at));
        assert_true(strv_cstr(strv_sub(word, 0, at), maps[n], sizeof maps[n]));
        key_chain_add(&c, maps[n++], strv_from(word, at + 1));
    }
    handle = maps_ask(mc, &c, MAPS_DEADLINE_MS, on_answer, NULL);
    key_chain_clear(&c);
    return handle;
}

static void settle(struct world *w, unsigned want)
{
    for (int i = 0; i < 200 && got.n < want; i++)
        loop_once(w->loop, 10);
    assert_int_equal(got.n, want);
}

static const struct {
    const char *name, *items;
    bool mtad;
    enum ipc_answer answer;
    size_t index;
    const char *value;
} cases[] = {
    { "first item", "a:k1 b:k3", false, ANSWER_FOUND, 0, "v1" },
    { "second table", "a:no b:k3", false, ANSWER_FOUND, 1, "v3" },
    { "the first found wins", "b:k3 a:k1", false, ANSWER_FOUND, 0, "v3" },
    { "absent everywhere", "a:x b:y", false, ANSWER_ABSENT, 0, "" },
    { "no question", "", false, ANSWER_ABSENT, 0, "" },
    { "unknown map", "a:x nomap:y b:k3", false, ANSWER_FAILED, 0, "" },
    { "found before the unknown map", "a:k1 nomap:y", false, ANSWER_FOUND, 0, "v1" },
    { "a table that is not loaded is not an empty one", "a:x gone:y b:k3", false, ANSWER_FAILED, 0, "" },
    { "user", "passwd:bob", false, ANSWER_FOUND, 0, "1000:1000:/users/bob" },
    { "user behind tables", "a:x passwd:bob+l passwd:bob b:k3", false, ANSWER_FOUND, 2,
      "1000:1000:/users/bob" },
    { "no such user, then a table", "passwd:carol b:k3", false, ANSWER_FOUND, 1, "v3" },
    { "no such user", "passwd:carol a:x", false, ANSWER_ABSENT, 0, "" },
    { "tables between users", "passwd:x1 a:x passwd:x2 b:k3", false, ANSWER_FOUND, 3, "v3" },
    { "uid 0 has no mailbox", "passwd:root b:k3", false, ANSWER_FOUND, 1, "v3" },
    { "uid below uid_min", "passwd:bin", false, ANSWER_ABSENT, 0, "" },
    { "uid_exceptions", "passwd:daemon", false, ANSWER_FOUND, 0, "1:1:/usr/sbin" },
    { "mtad sees every user", "passwd:root", true, ANSWER_FOUND, 0, "0:0:/root" },
    { "could not tell", "passwd:broken b:k3", false, ANSWER_FAILED, 0, "" },
};

static void chains(void **state)
{
    struct world *w = *state;

    /* twice: the second time users are known */
    for (unsigned round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT(cases); i++) {
            got.n = 0;
            ask(cases[i].mtad ? w->mtad : w->cleanup, cases[i].items);
            assert_int_equal(got.n, 0);
            settle(w, 1);
            if (got.answer != cases[i].answer)
                fail_msg("%s: answer %d (%s)", cases[i].name, got.answer, got.why);
            if (got.answer == ANSWER_FAILED)
                assert_true(*got.why);
            if (got.answer != ANSWER_FOUND)
                continue;
            assert_int_equal(got.index, cases[i].index);
            expect_text(cases[i].name, SV(got.value), cases[i].value);
        }
}

/* Who asks for postmaster must know whether waiting helps. */
static void broken_or_away(void **state)
{
    struct world *w = *state;

    ask(w->cleanup, "gone:x");
    settle(w, 1);
    assert_true(got.answer == ANSWER_FAILED && got.broken);
    ask(w->cleanup, "passwd:broken");
    settle(w, 2);
    assert_true(got.answer == ANSWER_FAILED && !got.broken);
    channel_free(&w->worker);
    ask(w->cleanup, "passwd:bob");
    settle(w, 3);
    assert_true(got.answer == ANSWER_FAILED && !got.broken);
}

static void known_users_cost_no_question(void **state)
{
    struct world *w = *state;

    ask(w->cleanup, "passwd:bob+x passwd:bob");
    settle(w, 1);
    assert_int_equal(w->worker_questions, 1);
    ask(w->cleanup, "passwd:bob+x passwd:bob");
    ask(w->cleanup, "passwd:bob");
    settle(w, 3);
    assert_int_equal(w->worker_questions, 1);
    /* what could not be told is asked again */
    ask(w->cleanup, "passwd:broken");
    ask(w->cleanup, "passwd:broken");
    settle(w, 5);
    assert_int_equal(w->worker_questions, 3);
}

static void worker_dies(void **state)
{
    struct world *w = *state;

    w->silent = true;
    ask(w->cleanup, "passwd:bob");
    for (int i = 0; i < 5; i++)
        loop_once(w->loop, 0);
    channel_free(&w->worker);
    settle(w, 1);
    assert_int_equal(got.answer, ANSWER_FAILED);
    ask(w->cleanup, "passwd:bob");
    settle(w, 2);
    assert_int_equal(got.answer, ANSWER_FAILED);
    assert_non_null(strstr(got.why, "worker"));
    /* tables answer without workers */
    ask(w->cleanup, "a:k1");
    settle(w, 3);
    assert_int_equal(got.answer, ANSWER_FOUND);
    w->silent = false;
    worker_join(w);
    ask(w->cleanup, "passwd:bob");
    settle(w, 4);
    assert_int_equal(got.answer, ANSWER_FOUND);
}

static int64_t skew;

static int64_t skewed(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + skew;
}

static void pass(struct world *w, int64_t ms)
{
    for (int i = 0; i < 5; i++)
        loop_once(w->loop, 0);
    skew += ms;
    for (int i = 0; i < 5; i++)
        loop_once(w->loop, 0);
}

/* One hangs (a dead LDAP server, say): its question goes to the other within the asker's time, and no other
   question waits for it again until it is heard of. */
static void worker_hangs(void **state)
{
    struct world *w = *state;

    clock_fake(skewed, NULL);
    second_join(w);
    w->silent = true;
    ask(w->cleanup, "passwd:carl passwd:bob"); /* both idle: to the first */
    pass(w, 0);
    assert_int_equal(w->second_questions, 0);
    pass(w, 4900);
    pass(w, 3200);
    settle(w, 1);
    assert_int_equal(w->second_questions, 1);
    assert_int_equal(got.answer, ANSWER_FOUND);
    expect_text("bob", SV(got.value), "1000:1000:/users/bob");
    got.n = 0;
    for (int i = 0; i < 5; i++) {
        char items[32];

        snprintf(items, sizeof items, "passwd:user%d", i);
        ask(w->cleanup, items);
        settle(w, 1 + (unsigned)i);
        assert_int_equal(got.answer, ANSWER_ABSENT);
    }
    assert_int_equal(w->second_questions, 6);
    /* nobody else is there: no worker answers, which is told at once */
    channel_free(&w->second);
    pass(w, 0);
    got.n = 0;
    ask(w->cleanup, "passwd:other");
    settle(w, 1);
    assert_int_equal(got.answer, ANSWER_FAILED);
    assert_non_null(strstr(got.why, "no worker answers"));
    /* the late answer of the first: it works again */
    ipc_begin(&w->out, IPC_MAP_ANSWER, w->unanswered);
    ipc_put_u64(&w->out, TAG_ANSWER, ANSWER_ABSENT);
    channel_send(w->worker, &w->out);
    w->silent = false;
    pass(w, 0);
    ask(w->cleanup, "passwd:other");
    settle(w, 2);
    assert_int_equal(got.answer, ANSWER_ABSENT);
    clock_fake(NULL, NULL);
}

/* Both hang: the question ends as a temporary failure, and is put to no third time. */
static void all_workers_hang(void **state)
{
    struct world *w = *state;
    struct channel *second;

    clock_fake(skewed, NULL);
    second_join(w);
    second = w->second;
    w->second = NULL; /* so it is as silent as the first */
    w->silent = true;
    ask(w->cleanup, "passwd:bob");
    pass(w, 8100);
    assert_int_equal(w->worker_questions, 2);
    pass(w, 8100);
    settle(w, 1);
    assert_int_equal(got.answer, ANSWER_FAILED);
    assert_int_equal(w->worker_questions, 2);
    channel_free(&second);
    clock_fake(NULL, NULL);
}

static void asker_leaves_while_a_worker_works(void **state)
{
    struct world *w = *state;

    w->silent = true;
    ask(w->cleanup, "passwd:bob");
    for (int i = 0; i < 5; i++)
        loop_once(w->loop, 0);
    client_join(w, &w->cleanup, ROLE_CLEANUP); /* a new edge: the open question fails */
    settle(w, 1);
    assert_int_equal(got.answer, ANSWER_FAILED);
    w->silent = false;
    ask(w->cleanup, "a:k1");
    settle(w, 2);
    assert_int_equal(got.answer, ANSWER_FOUND);
}

static void cancelled(void **state)
{
    struct world *w = *state;

    maps_cancel(w->cleanup, ask(w->cleanup, "a:k1"));
    maps_cancel(w->cleanup, ask(w->cleanup, ""));
    maps_cancel(w->cleanup, 0);
    maps_cancel(w->cleanup, 12345);
    ask(w->cleanup, "a:k2");
    settle(w, 1);
    expect_text("the last", SV(got.value), "v2");
    for (int i = 0; i < 5; i++)
        loop_once(w->loop, 0);
    assert_int_equal(got.n, 1);
}

static void no_mapd(void **state)
{
    struct world *w = *state;
    struct maps_client *mc = maps_client_new(w->loop, ROLE_CLEANUP);
    struct key_chain c;

    assert_false(maps_client_is_up(mc));
    key_chain_init(&c);
    key_chain_add(&c, "a", SV("k1"));
    maps_ask(mc, &c, 5000, on_answer, NULL);
    settle(w, 1);
    assert_int_equal(got.answer, ANSWER_FAILED);
    c.over = true;
    maps_ask(mc, &c, 5000, on_answer, NULL);
    settle(w, 2);
    assert_int_equal(got.answer, ANSWER_FAILED);
    key_chain_clear(&c);
    maps_client_free(&mc);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(chains), TEST(broken_or_away),    TEST(known_users_cost_no_question),
        TEST(worker_dies), TEST(worker_hangs), TEST(all_workers_hang),
        TEST(asker_leaves_while_a_worker_works),
        TEST(cancelled),   TEST(no_mapd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
