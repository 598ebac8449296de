/* test_tables.c - mapd's tables over a loop: portions, changed sources, :include: lists through mtad */
#include "tests/unit/maps/conf_text.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/net/loop.h"
#include "maps/map.h"
#include "maps/tables.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/mansio-tables-XXXXXX";
static char log_text[16384];

static struct {
    char name[10][64], map[10][64];
    unsigned n;
} asked;

static void sink(void *arg, enum log_level level, const char *line, size_t len)
{
    size_t at = strlen(log_text);

    (void)arg;
    (void)level;
    if (at + len + 2 < sizeof log_text)
        snprintf(log_text + at, sizeof log_text - at, "%.*s\n", (int)len, line);
}

static void on_ask(void *arg, const char *name, const char *map)
{
    (void)arg;
    assert_true(asked.n < COUNT(asked.name));
    snprintf(asked.name[asked.n], sizeof asked.name[0], "%s", name);
    snprintf(asked.map[asked.n], sizeof asked.map[0], "%s", map);
    asked.n++;
}

/* As if the file was changed so many seconds ago. */
static void age(const char *name, int seconds)
{
    struct timespec t[2];

    clock_gettime(CLOCK_REALTIME, &t[0]);
    t[0].tv_sec -= seconds;
    t[1] = t[0];
    assert_int_equal(utimensat(AT_FDCWD, name, t, 0), 0);
}

static int file_with(const char *name, const char *text)
{
    FILE *f;

    unlink(name);
    f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    age(name, 10);
    return open(name, O_RDONLY | O_CLOEXEC);
}

static const char text[] = "hostname = mx.own.test\n"
                           "mailbox postmaster { root = /p }\n"
                           "map users { type = lmdb  source = /t/users }\n"
                           "map aliases { type = aliases  source = /t/aliases }\n"
                           "map still { type = text  source = /t/still  auto = no }\n"
                           "map in { type = inline  entries = [ \"a b\" ] }\n";

static enum ipc_answer get(struct tables *t, const char *map, const char *key, struct buf *value)
{
    struct map *m = tables_find(t, SV(map));
    struct map_value v;
    struct err err = { 0 };
    enum ipc_answer a;

    assert_non_null(m);
    a = map_get(m, SV(key), &v, &err);
    buf_reset(value);
    if (a == ANSWER_FOUND)
        buf_addv(value, v.text);
    else if (a == ANSWER_FAILED)
        buf_adds(value, err.text);
    return a;
}

static void start(void **state)
{
    struct conf *conf = conf_of(text, ROLE_MAPD);
    struct loop *loop = loop_new();
    struct tables *t = tables_new(conf, loop, NULL, NULL);
    struct buf v;

    (void)state;
    buf_init(&v, 65536);
    assert_null(tables_find(t, SV("none")));
    assert_int_equal(get(t, "in", "a", &v), ANSWER_FOUND);
    /* before its source came, a table is no empty table */
    assert_int_equal(get(t, "users", "a", &v), ANSWER_FAILED);
    tables_source(t, SV("users"), file_with("users", "a one\n"), true);
    assert_int_equal(get(t, "users", "a", &v), ANSWER_FOUND);
    log_text[0] = '\0';
    tables_source(t, SV("aliases"), file_with("aliases", "a: b\nc\n"), true);
    assert_non_null(strstr(log_text, "/t/aliases:2"));
    assert_int_equal(get(t, "aliases", "a", &v), ANSWER_FAILED);
    assert_non_null(strstr(buf_cstr(&v), "/t/aliases:2"));
    /* what is no table with a source is not loaded into one */
    tables_source(t, SV("in"), file_with("x", "a other\n"), true);
    tables_source(t, SV("passwd"), file_with("x", "a other\n"), true);
    tables_source(t, SV("none"), file_with("x", "a other\n"), true);
    assert_int_equal(get(t, "in", "a", &v), ANSWER_FOUND);
    expect_text("inline", buf_view(&v), "b");
    buf_clear(&v);
    tables_free(&t);
    loop_free(&loop);
    conf_free(&conf);
}

static void in_portions(void **state)
{
    struct conf *conf = conf_of(text, ROLE_MAPD);
    struct loop *loop = loop_new();
    struct tables *t = tables_new(conf, loop, NULL, NULL);
    struct buf source, v;
    int rounds = 0;

    (void)state;
    buf_init(&v, 65536);
    buf_init(&source, 1u << 20);
    for (int i = 0; i < 2600; i++)
        buf_addf(&source, "key%d v%d\n", i, i);
    tables_source(t, SV("users"), file_with("users", "key1 old\n"), true);
    tables_source(t, SV("users"), file_with("users", buf_cstr(&source)), false);
    while (get(t, "users", "key2599", &v) == ANSWER_ABSENT) {
        /* the table in use answers until the new one is whole */
        assert_int_equal(get(t, "users", "key1", &v), ANSWER_FOUND);
        expect_text("old", buf_view(&v), "old");
        loop_once(loop, 100);
        assert_true(++rounds < 50);
    }
    assert_true(rounds > 4);
    /* a newer source while one is being read: the newer wins */
    tables_source(t, SV("users"), file_with("users", buf_cstr(&source)), false);
    loop_once(loop, 100);
    tables_source(t, SV("users"), file_with("users", "key1 newest\n"), false);
    for (int i = 0; i < 20; i++)
        loop_once(loop, 0);
    assert_int_equal(get(t, "users", "key1", &v), ANSWER_FOUND);
    expect_text("newest", buf_view(&v), "newest");
    assert_int_equal(get(t, "users", "key2", &v), ANSWER_ABSENT);
    buf_clear(&v);
    buf_clear(&source);
    tables_free(&t);
    loop_free(&loop);
    conf_free(&conf);
}

/* "source:MAP", or a list of aliases. fd -1: refused. */
static void answer(struct tables *t, const char *name, int fd, bool never)
{
    struct tables_answer a = { .fd = fd, .why = SV(fd < 0 ? "No such file" : ""), .never = never };

    tables_helper(t, name, strncmp(name, "source:", 7) == 0 ? name + 7 : "aliases", &a);
}

static void watched(void **state)
{
    struct conf *conf = conf_of(text, ROLE_MAPD);
    struct loop *loop = loop_new();
    struct tables *t = tables_new(conf, loop, on_ask, NULL);
    struct buf v;

    (void)state;
    buf_init(&v, 65536);
    asked.n = 0;
    tables_source(t, SV("users"), file_with("users", "a one\n"), true);
    tables_source(t, SV("aliases"), file_with("aliases", "a: b\n"), true);
    tables_source(t, SV("still"), file_with("still", "a one\n"), true);
    tables_look(t);
    assert_int_equal(asked.n, 2);
    assert_string_equal(asked.name[0], "source:users");
    assert_string_equal(asked.name[1], "source:aliases");
    /* while an answer is awaited it is not asked for again */
    tables_look(t);
    assert_int_equal(asked.n, 2);
    log_text[0] = '\0';
    answer(t, "source:users", open("users", O_RDONLY), false);
    assert_string_equal(log_text, "");
    answer(t, "source:aliases", -1, true);
    asked.n = 0;
    tables_look(t);
    assert_int_equal(asked.n, 1);
    answer(t, "source:users", file_with("users", "a two\n"), false);
    for (int i = 0; i < 5; i++)
        loop_once(loop, 10);
    assert_int_equal(get(t, "users", "a", &v), ANSWER_FOUND);
    expect_text("changed", buf_view(&v), "two");
    /* what is away for a moment is looked for again, and the table stays meanwhile */
    asked.n = 0;
    tables_look(t);
    answer(t, "source:users", -1, false);
    assert_int_equal(get(t, "users", "a", &v), ANSWER_FOUND);
    tables_look(t);
    assert_int_equal(asked.n, 2);
    answer(t, "source:users", file_with("users", "a three\n"), false);
    for (int i = 0; i < 5; i++)
        loop_once(loop, 10);
    assert_int_equal(get(t, "users", "a", &v), ANSWER_FOUND);
    expect_text("back", buf_view(&v), "three");
    buf_clear(&v);
    tables_free(&t);
    loop_free(&loop);
    conf_free(&conf);
}

static int64_t wall;

static int64_t standing_wall(void)
{
    return wall;
}

/* A source that is written in steps: half of it would refuse those in the other half for good. */
static void half_written(void **state)
{
    struct conf *conf = conf_of(text, ROLE_MAPD);
    struct loop *loop = loop_new();
    struct tables *t = tables_new(conf, loop, on_ask, NULL);
    struct buf v;
    FILE *f;

    (void)state;
    buf_init(&v, 65536);
    wall = clock_wall_ms(); /* however long the steps take, they lie close together */
    clock_fake(NULL, standing_wall);
    tables_source(t, SV("users"), file_with("users", "a one\nb two\n"), true);
    f = fopen("users", "w");
    assert_non_null(f);
    fputs("a three\n", f);
    fflush(f);
    answer(t, "source:users", open("users", O_RDONLY), false);
    for (int i = 0; i < 5; i++)
        loop_once(loop, 10);
    assert_int_equal(get(t, "users", "b", &v), ANSWER_FOUND);
    expect_text("the table in use stays", buf_view(&v), "two");
    fputs("b four\n", f);
    fclose(f);
    answer(t, "source:users", open("users", O_RDONLY), false);
    assert_int_equal(get(t, "users", "b", &v), ANSWER_FOUND);
    expect_text("it changed since the last look", buf_view(&v), "two");
    /* the next look comes soon, not after 15 s */
    asked.n = 0;
    for (int i = 0; i < 60 && !asked.n; i++)
        loop_once(loop, 100);
    assert_true(asked.n > 0);
    clock_fake(NULL, NULL);
    age("users", 10);
    answer(t, "source:users", open("users", O_RDONLY), false);
    for (int i = 0; i < 5; i++)
        loop_once(loop, 10);
    assert_int_equal(get(t, "users", "b", &v), ANSWER_FOUND);
    expect_text("whole", buf_view(&v), "four");
    buf_clear(&v);
    tables_free(&t);
    loop_free(&loop);
    conf_free(&conf);
}

static void includes(void **state)
{
    struct conf *conf = conf_of(text, ROLE_MAPD);
    struct loop *loop = loop_new();
    struct tables *t = tables_new(conf, loop, on_ask, NULL);
    struct buf v;
    int fd;

    (void)state;
    buf_init(&v, 65536);
    asked.n = 0;
    tables_source(t, SV("aliases"), file_with("aliases", "a: :include:/t/list\nb: :include:/t/gone\n"), true);
    assert_int_equal(asked.n, 2);
    assert_string_equal(asked.name[0], "include:/t/list");
    assert_string_equal(asked.map[0], "aliases");
    assert_int_equal(get(t, "aliases", ":include:/t/list", &v), ANSWER_FAILED);
    asked.n = 0;
    answer(t, "include:/t/list", file_with("list", "x@y\n:include:/t/more\n"), false);
    assert_int_equal(asked.n, 1);
    assert_string_equal(asked.name[0], "include:/t/more");
    answer(t, "include:/t/gone", -1, false);
    assert_int_equal(get(t, "aliases", ":include:/t/list", &v), ANSWER_FOUND);
    expect_text("list", buf_view(&v), "x@y, :include:/t/more");
    assert_int_equal(get(t, "aliases", ":include:/t/gone", &v), ANSWER_FAILED);
    assert_non_null(strstr(buf_cstr(&v), "No such file"));
    /* lists are read again with the next look, and answer meanwhile */
    asked.n = 0;
    tables_look(t);
    assert_int_equal(asked.n, 5);
    assert_int_equal(get(t, "aliases", ":include:/t/list", &v), ANSWER_FOUND);
    answer(t, "include:/t/list", file_with("list", "z@y\n"), false);
    assert_int_equal(get(t, "aliases", ":include:/t/list", &v), ANSWER_FOUND);
    expect_text("list again", buf_view(&v), "z@y");
    /* half written: not yet; gone, or with a mistake: the members in use stay, and one line says so */
    fd = file_with("list", "half@y\n");
    age("list", 0);
    answer(t, "include:/t/list", fd, false);
    assert_int_equal(get(t, "aliases", ":include:/t/list", &v), ANSWER_FOUND);
    expect_text("half", buf_view(&v), "z@y");
    log_text[0] = '\0';
    answer(t, "include:/t/list", file_with("list", "\"z@y\n"), false);
    assert_non_null(strstr(log_text, "kept=\"the members in use\""));
    log_text[0] = '\0';
    answer(t, "include:/t/list", file_with("list", "\"z@y\n"), false);
    assert_string_equal(log_text, "");
    answer(t, "include:/t/list", -1, false);
    assert_non_null(strstr(log_text, "mapd.include.failed"));
    assert_int_equal(get(t, "aliases", ":include:/t/list", &v), ANSWER_FOUND);
    expect_text("kept", buf_view(&v), "z@y");
    buf_clear(&v);
    tables_free(&t);
    loop_free(&loop);
    conf_free(&conf);
}

static int enter(void **state)
{
    (void)state;
    log_set_sink(sink, NULL);
    return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    static const char *const names[] = { "users", "aliases", "still", "x", "list", "users.mdb", "fresh" };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        unlink(names[i]);
    return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

/* Two configurations at once: what is the same is one table, what differs is another; the end of either
   leaves the other whole. */
static void two_configurations(void **state)
{
    static const char next[] = "hostname = mx.own.test\n"
                               "mailbox postmaster { root = /p }\n"
                               "map users { type = lmdb  source = /t/users }\n"
                               "map fresh { type = text  source = /t/fresh }\n"
                               "map in { type = inline  entries = [ \"a c\" ] }\n";

    (void)state;
    for (int older_ends = 0; older_ends < 2; older_ends++) {
        struct conf *conf[2] = { conf_of(text, ROLE_MAPD), conf_of(next, ROLE_MAPD) };
        struct loop *loop = loop_new();
        struct tables *t[2] = { tables_new(conf[0], loop, NULL, NULL) };
        struct tables *rest;
        const char *why;
        struct buf v;

        buf_init(&v, 65536);
        tables_source(t[0], SV("users"), file_with("users", "a one\n"), true);
        t[1] = tables_next(t[0], conf[1]);
        assert_ptr_equal(tables_find(t[0], SV("users")), tables_find(t[1], SV("users")));
        assert_null(tables_find(t[1], SV("aliases")));
        assert_true(tables_are_read(t[1], &why));
        assert_non_null(why); /* fresh has no source yet */
        tables_source(t[1], SV("fresh"), file_with("fresh", "a new\n"), true);
        assert_true(tables_are_read(t[1], &why));
        assert_null(why);
        assert_int_equal(get(t[0], "in", "a", &v), ANSWER_FOUND);
        expect_text("the old one", buf_view(&v), "b");
        assert_int_equal(get(t[1], "in", "a", &v), ANSWER_FOUND);
        expect_text("the new one", buf_view(&v), "c");
        assert_true(tables_look_after(t[1], "users") && !tables_look_after(t[0], "users"));
        tables_free(&t[!older_ends]);
        rest = t[older_ends];
        tables_adopt(rest);
        conf_free(&conf[!older_ends]);
        assert_true(tables_look_after(rest, "users"));
        assert_int_equal(get(rest, "users", "a", &v), ANSWER_FOUND);
        tables_source(rest, SV("users"), file_with("users", "a two\nb three\n"), true);
        assert_int_equal(get(rest, "users", "b", &v), ANSWER_FOUND);
        buf_clear(&v);
        tables_free(&rest);
        loop_free(&loop);
        conf_free(&conf[older_ends]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start),
        cmocka_unit_test(in_portions),
        cmocka_unit_test(two_configurations),
        cmocka_unit_test(watched),
        cmocka_unit_test(half_written),
        cmocka_unit_test(includes),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
