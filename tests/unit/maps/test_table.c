/* test_table.c - tables of each type: loading, answers, replacement, damage; in a directory of its own */
#include "tests/unit/maps/conf_text.h"

#include "common/base/log.h"
#include "maps/include.h"
#include "maps/load.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/mansio-table-XXXXXX";
static unsigned log_lines;
static char log_last[2048];

static void sink(void *arg, enum log_level level, const char *line, size_t len)
{
    (void)arg;
    (void)level;
    log_lines++;
    snprintf(log_last, sizeof log_last, "%.*s", (int)len, line);
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static enum load_step load_all(struct map *m, const char *name, size_t portion, struct err *err)
{
    struct load *l;
    enum load_step step = LOAD_DONE;

    if (!load_begin(m, open(name, O_RDONLY | O_CLOEXEC), &l, err))
        return LOAD_FAILED;
    while (l && (step = load_run(l, portion, err)) == LOAD_MORE)
        ;
    load_free(&l);
    return step;
}

static void expect(struct map *m, const char *key, const char *want, unsigned line)
{
    struct map_value v = { .line = 0 };
    struct err err = { 0 };
    enum ipc_answer a = map_get(m, SV(key), &v, &err);

    if (!want) {
        if (a != ANSWER_ABSENT)
            fail_msg("%s: not absent (%s)", key, err.text);
        return;
    }
    if (a != ANSWER_FOUND)
        fail_msg("%s: not found (%s)", key, err.text);
    expect_text(key, v.text, want);
    assert_int_equal(v.line, line);
}

static struct map *map_of(const char *type, char *source, enum conf_map_type t, enum conf_map_syntax syntax)
{
    static struct conf_map c;

    (void)type;
    c = (struct conf_map){ .type = (int)t, .source = source, .syntax = (int)syntax };
    c.head.name = (char *)"m";
    return map_new(&c);
}

static const enum conf_map_type text_types[] = { CONF_MAP_TEXT, CONF_MAP_LMDB };

static void text_and_lmdb(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(text_types); i++) {
        char source[] = "users";
        struct map *m = map_of("", source, text_types[i], CONF_SYNTAX_TEXT);
        struct map_value v;
        struct err err = { 0 };

        assert_int_equal(map_get(m, SV("a"), &v, &err), ANSWER_FAILED);
        write_file(source, "# c\nA@x.org one\nb@x.org two,\n three\na@X.org again\n");
        log_lines = 0;
        assert_int_equal(load_all(m, source, 1, &err), LOAD_DONE);
        assert_int_equal(log_lines, 1);
        assert_non_null(strstr(log_last, "mapd.map.duplicate"));
        expect(m, "a@x.org", "one", 2);
        expect(m, "b@x.org", "two, three", 3);
        expect(m, "c@x.org", NULL, 0);
        expect(m, "", NULL, 0);
        /* replaced as a whole */
        unlink(source);
        write_file(source, "c@x.org four\n");
        assert_int_equal(load_all(m, source, 100, &err), LOAD_DONE);
        expect(m, "a@x.org", NULL, 0);
        expect(m, "c@x.org", "four", 1);
        /* a mistake keeps the table in use */
        unlink(source);
        write_file(source, "d@x.org five\ne@x.org\n");
        assert_int_equal(load_all(m, source, 100, &err), LOAD_FAILED);
        assert_string_equal(err.text, "users:2: a key without a value");
        expect(m, "c@x.org", "four", 1);
        expect(m, "d@x.org", NULL, 0);
        map_free(&m);
        unlink(source);
        unlink("m.mdb");
    }
}

static void unchanged_is_not_read_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(text_types); i++) {
        char source[] = "users";
        struct map *m = map_of("", source, text_types[i], CONF_SYNTAX_TEXT);
        struct load *l;
        struct err err = { 0 };

        write_file(source, "a one\n");
        assert_int_equal(load_all(m, source, 100, &err), LOAD_DONE);
        assert_true(load_begin(m, open(source, O_RDONLY), &l, &err));
        assert_null(l);
        map_free(&m);
        unlink(source);
        unlink("m.mdb");
    }
}

/* A new mapd uses what the last one compiled, and compiles anew when the source is another or the file is
 * damaged. */
static void lmdb_is_a_cache(void **state)
{
    char source[] = "users";
    struct map *m = map_of("", source, CONF_MAP_LMDB, CONF_SYNTAX_TEXT);
    struct load *l;
    struct err err = { 0 };
    struct stat before, after;

    (void)state;
    write_file(source, "a one\nb two\n");
    assert_int_equal(load_all(m, source, 100, &err), LOAD_DONE);
    map_free(&m);
    assert_int_equal(stat("m.mdb", &before), 0);

    m = map_of("", source, CONF_MAP_LMDB, CONF_SYNTAX_TEXT);
    assert_true(load_begin(m, open(source, O_RDONLY), &l, &err));
    assert_null(l);
    expect(m, "b", "two", 2);
    map_free(&m);
    assert_int_equal(stat("m.mdb", &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);

    /* cut, as after a crash of the machine: not used, not a crash */
    assert_int_equal(truncate("m.mdb", before.st_size - 4096), 0);
    m = map_of("", source, CONF_MAP_LMDB, CONF_SYNTAX_TEXT);
    assert_int_equal(load_all(m, source, 100, &err), LOAD_DONE);
    expect(m, "b", "two", 2);
    map_free(&m);
    write_file("m.mdb", "this is no database, and long enough to look like something else altogether");
    m = map_of("", source, CONF_MAP_LMDB, CONF_SYNTAX_TEXT);
    assert_int_equal(load_all(m, source, 100, &err), LOAD_DONE);
    expect(m, "a", "one", 1);
    /* an abandoned load leaves the table and no file */
    write_file(source, "a other\nb two\nc three\n");
    assert_true(load_begin(m, open(source, O_RDONLY), &l, &err));
    assert_int_equal(load_run(l, 1, &err), LOAD_MORE);
    load_free(&l);
    expect(m, "a", "one", 1);
    assert_int_not_equal(access("m.mdb.new", F_OK), 0);
    map_free(&m);
    unlink(source);
    unlink("m.mdb");
}

static void many_entries(void **state)
{
    char source[] = "users";
    struct map *m = map_of("", source, CONF_MAP_LMDB, CONF_SYNTAX_TEXT);
    struct err err = { 0 };
    FILE *f = fopen(source, "w");

    (void)state;
    assert_non_null(f);
    for (int i = 0; i < 50000; i++)
        fprintf(f, "user%d@example.com u%d/\n", (i * 7919) % 50000, (i * 7919) % 50000);
    fclose(f);
    assert_int_equal(load_all(m, source, 500, &err), LOAD_DONE);
    expect(m, "user0@example.com", "u0/", 1);
    expect(m, "user49999@example.com", "u49999/", 32322);
    expect(m, "user50000@example.com", NULL, 0);
    map_free(&m);
    unlink(source);
    unlink("m.mdb");
}

static void aliases(void **state)
{
    static const enum conf_map_type types[] = { CONF_MAP_ALIASES, CONF_MAP_LMDB };

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        char source[] = "aliases";
        struct map *m = map_of("", source, types[i], CONF_SYNTAX_ALIASES);
        struct err err = { 0 };
        struct map_value v;

        write_file(source, "postmaster: root\nstaff: :include:/etc/mail/staff, boss\nprog: \"|/bin/x\"\n");
        log_lines = 0;
        assert_int_equal(load_all(m, source, 100, &err), LOAD_DONE);
        assert_non_null(strstr(log_last, "mapd.alias.unserved"));
        expect(m, "staff", ":include:/etc/mail/staff, boss", 2);
        assert_string_equal(includes_next(m->includes), "/etc/mail/staff");
        assert_int_equal(map_get(m, SV(":include:/etc/mail/staff"), &v, &err), ANSWER_FAILED);
        assert_true(includes_set(m->includes, SV("/etc/mail/staff"), SV("a\nb\n"), &err));
        expect(m, ":include:/etc/mail/staff", "a, b", 0);
        assert_int_equal(map_get(m, SV(":include:/etc/shadow"), &v, &err), ANSWER_ABSENT);
        unlink(source);
        write_file(source, "a: \"b\n");
        assert_int_equal(load_all(m, source, 100, &err), LOAD_FAILED);
        assert_string_equal(err.text, "aliases:1: unclosed quote or bracket");
        unlink(source);
        write_file(source, "a: b\nc: :include:relative\n");
        assert_int_equal(load_all(m, source, 100, &err), LOAD_FAILED);
        assert_non_null(strstr(err.text, "aliases:2"));
        expect(m, "postmaster", "root", 1);
        map_free(&m);
        unlink(source);
        unlink("m.mdb");
    }
}

static void inline_entries(void **state)
{
    struct conf *conf = conf_of("hostname = mx.own.test\nmailbox postmaster { root = /p }\n"
                                "map m { type = inline  entries = [ \"A@x.org b c\", \"d e\" ] }\n",
                                ROLE_MAPD);
    struct map *m = map_new(conf_map_find(conf, SV("m")));
    struct err err = { 0 };

    (void)state;
    assert_true(map_load_inline(m, &err));
    expect(m, "a@x.org", "b c", 0);
    expect(m, "d", "e", 0);
    expect(m, "x", NULL, 0);
    map_free(&m);
    conf_free(&conf);
}

static void passwd(void **state)
{
    static const char *const odd[] = {
        "", "root:x", "../root", "ro ot", "-root", "r\xc3\xb6\xc3\xb6t", "no-such-user-anywhere"
    };
    struct map_value v;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(map_passwd.get(NULL, SV("root"), &v, &err), ANSWER_FOUND);
    assert_true(strv_starts(v.text, SV("0:0:/")));
    for (size_t i = 0; i < COUNT(odd); i++)
        if (map_passwd.get(NULL, SV(odd[i]), &v, &err) != ANSWER_ABSENT)
            fail_msg("%s is not absent", odd[i]);
}

static void bad_sources(void **state)
{
    char source[] = "users";
    struct map *m = map_of("", source, CONF_MAP_TEXT, CONF_SYNTAX_TEXT);
    struct err err = { 0 };
    struct load *l;

    (void)state;
    assert_false(load_begin(m, open("/dev/null", O_RDONLY), &l, &err));
    assert_false(load_begin(m, open(".", O_RDONLY), &l, &err));
    assert_false(load_begin(m, -1, &l, &err));
    map_free(&m);
}

static int enter(void **state)
{
    (void)state;
    log_set_sink(sink, NULL);
    return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_lmdb),   cmocka_unit_test(unchanged_is_not_read_again),
        cmocka_unit_test(lmdb_is_a_cache), cmocka_unit_test(many_entries),
        cmocka_unit_test(aliases),         cmocka_unit_test(inline_entries),
        cmocka_unit_test(passwd),          cmocka_unit_test(bad_sources),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
