/* test_files.c - configuration files: includes, owners, kinds and sizes of files, overrides */
#include "conf/listen.h"
#include "conf/map.h"
#include "conf/mailbox.h"
#include "conf/queue.h"
#include "conf/route.h"
#include "conf/source.h"
#include "conf/top.h"
#include "tests/unit/conf/mistakes.h"

#include <sys/stat.h>

static const struct conf_options plain = { .system_name = "mx.example.com", .cores = 3, .resolv_conf = "" };

static void put(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* The conf or NULL; message holds what was said. */
static struct conf *load(const char *path, const struct conf_options *options, struct buf *message)
{
    struct conf *conf = NULL;
    struct conf_errors errs;
    conf_errors_init(&errs);
    buf_reset(message);
    if (!conf_load_with(path, options, &conf, &errs))
        conf_errors_text(&errs, message);
    conf_errors_clear(&errs);
    return conf;
}

static void includes(void **state)
{
    struct buf message;
    char where[64];
    (void)state;
    buf_init(&message, 65536);
    assert_int_equal(mkdir("d", 0755), 0);
    put("d/1.conf", "listen one { address = 127.0.0.1:2501 }\n");
    put("d/2.conf", "listen two { address = 127.0.0.1:2502 }\ninclude \"sub.inc\"");
    put("d/sub.inc", "\n\nqueue { warn_after = 1h }\n");
    put("m.conf", "include \"d/*.conf\"\ninclude \"none/*.conf\"\ndomains = [ example.com ]\n");
    struct conf *conf = load("m.conf", &plain, &message);
    assert_string_equal(buf_cstr(&message), "");
    assert_int_equal(conf->listen_n, 2);
    assert_string_equal(conf->listens[0]->head.name, "one");
    assert_int_equal(conf->queue->warn_after, 3600);
    conf_where_text(conf_where(&conf->queue->head, "queue", "warn_after"), where, sizeof(where));
    assert_string_equal(where, "d/sub.inc:3");
    conf_free(&conf);

    put("d/sub.inc", "queue { warn_afterr = 1h }\ndomains = [ example.net ]\n");
    assert_null(load("m.conf", &plain, &message));
    assert_string_equal(buf_cstr(&message),
                        "m.conf:3:1: \"domains\" is set already at d/sub.inc:2\n"
                        "    domains = [ example.com ]\n"
                        "    ^^^^^^^\n"
                        "d/sub.inc:1:9: unknown name \"warn_afterr\" in section \"queue\"; did you mean "
                        "\"warn_after\"?\n"
                        "    queue { warn_afterr = 1h }\n"
                        "            ^^^^^^^^^^^\n");

    put("d/sub.inc", "include \"../m.conf\"\n");
    assert_null(load("m.conf", &plain, &message));
    assert_string_equal(buf_cstr(&message), "d/sub.inc:1:9: d/../m.conf: includes itself\n"
                                            "    include \"../m.conf\"\n"
                                            "            ^^^^^^^^^^^\n");
    unlink("d/1.conf");
    unlink("d/2.conf");
    unlink("d/sub.inc");
    rmdir("d");
    buf_clear(&message);
}

/* sendmail's local-host-names and relay-domains as they are. */
static void lists_in_files(void **state)
{
    struct buf message;
    char dir[1000], text[4000];
    (void)state;
    buf_init(&message, 65536);
    assert_non_null(getcwd(dir, sizeof(dir)));
    put("names", "# what we are called\n\n  Example.COM   # the shop\nlocalhost\r\n\texample.org");
    put("relayed", "backup.example\n");
    snprintf(text, sizeof(text),
             "domains = [ first.example, \"%s/names\", last.example ]\nrelay { to = \"%s/relayed\" }\n"
             "mailbox a { domains = [ \"%s/names\" ] }\n", dir, dir, dir);
    put("m.conf", text);
    struct conf *conf = load("m.conf", &plain, &message);
    assert_string_equal(buf_cstr(&message), "");
    assert_int_equal(conf->top->domains.n, 5);
    static const char *const want[] = { "first.example", "example.com", "localhost", "example.org",
                                        "last.example" };
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(conf->top->domains.v[i], want[i]);
    assert_int_equal(conf->mailboxes[0]->domains.n, 3);
    conf_free(&conf);

    put("names", "example.com\nexa mple.org\n  x..example # two\n");
    put("m.conf", "domains = [ \"/nonexistent/names\" ]\n");
    assert_null(load("m.conf", &plain, &message));
    assert_non_null(strstr(buf_cstr(&message), "m.conf:1:13: /nonexistent/names: No such file"));
    snprintf(text, sizeof(text), "domains = \"%s/names\"\n", dir);
    put("m.conf", text);
    assert_null(load("m.conf", &plain, &message));
    assert_non_null(strstr(buf_cstr(&message), "/names:2:1: \"exa mple.org\" is not a domain"));
    assert_non_null(strstr(buf_cstr(&message), "/names:3:3: \"x..example\" is not a domain: two dots"));
    assert_int_equal(chmod("names", 0666), 0);
    assert_null(load("m.conf", &plain, &message));
    assert_non_null(strstr(buf_cstr(&message), "can be written by others"));
    unlink("names");
    unlink("relayed");
    buf_clear(&message);
}

static void bounds_includes(void **state)
{
    struct buf message;
    (void)state;
    buf_init(&message, 65536);
    for (int i = 0; i <= CONF_INCLUDE_DEPTH_MAX; i++) {
        char name[32], text[64];
        snprintf(name, sizeof(name), "i%d.conf", i);
        snprintf(text, sizeof(text), "include \"i%d.conf\"\n", i + 1);
        put(name, i == CONF_INCLUDE_DEPTH_MAX ? "domains = [ ]\n" : text);
    }
    assert_null(load("i0.conf", &plain, &message));
    assert_non_null(
        strstr(buf_cstr(&message), "i7.conf:1:9: i8.conf: includes go too deep (8 files in each other)\n"));
    struct conf *conf = load("i1.conf", &plain, &message);
    assert_non_null(conf);
    conf_free(&conf);
    for (int i = 0; i <= CONF_INCLUDE_DEPTH_MAX; i++) {
        char name[32];
        snprintf(name, sizeof(name), "i%d.conf", i);
        unlink(name);
    }
    buf_clear(&message);
}

static void distrusts_files(void **state)
{
    struct buf message;
    (void)state;
    buf_init(&message, 65536);
    put("m.conf", "domains = [ ]\n");
    assert_int_equal(chmod("m.conf", 0664), 0);
    assert_null(load("m.conf", &plain, &message));
    assert_string_equal(buf_cstr(&message),
                        "m.conf: can be written by others (mode 0664): chmod go-w m.conf\n");
    assert_int_equal(chmod("m.conf", 0602), 0);
    assert_null(load("m.conf", &plain, &message));
    assert_int_equal(chmod("m.conf", 0600), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown("m.conf", 12345, 0), 0);
        assert_null(load("m.conf", &plain, &message));
        assert_string_equal(buf_cstr(&message),
                            "m.conf: belongs to uid 12345; it must belong to root (or to the "
                            "caller): chown root m.conf\n");
    }
    unlink("m.conf");
    assert_null(load("m.conf", &plain, &message));
    assert_string_equal(buf_cstr(&message), "m.conf: No such file or directory\n");
    assert_int_equal(mkfifo("m.conf", 0600), 0);
    assert_null(load("m.conf", &plain, &message));              /* and does not hang */
    assert_string_equal(buf_cstr(&message), "m.conf: not a regular file\n");
    unlink("m.conf");
    assert_null(load("/", &plain, &message));
    put("m.conf", "");
    assert_int_equal(truncate("m.conf", (off_t)CONF_FILE_MAX + 1), 0);
    assert_null(load("m.conf", &plain, &message));
    assert_string_equal(buf_cstr(&message), "m.conf: is larger than 4 MiB; long tables belong into a map\n");
    assert_int_equal(truncate("m.conf", (off_t)CONF_FILE_MAX), 0);
    assert_null(load("m.conf", &plain, &message));
    assert_non_null(strstr(buf_cstr(&message), "m.conf:1:1: NUL byte"));
    buf_clear(&message);
}

static void names_itself(void **state)
{
    struct conf_options options = plain;
    struct buf message;
    (void)state;
    buf_init(&message, 65536);
    put("m.conf", "domains = [ ]\n");
    options.system_name = "MAIL.Example.com";
    struct conf *conf = load("m.conf", &options, &message);
    assert_string_equal(conf->top->hostname, "mail.example.com");
    assert_int_equal(conf_where(&conf->top->head, "", "hostname").line, 0);
    assert_string_equal(conf_route_for(conf, SV("x.example"))->helo, "mail.example.com");
    conf_free(&conf);
    options.system_name = "mail";
    assert_null(load("m.conf", &options, &message));
    assert_string_equal(
        buf_cstr(&message),
        "m.conf: hostname is missing, and the system's name \"mail\" cannot stand in (it has no dot; the "
        "full name is needed, such as mx.example.com); add a line such as: hostname = mx.example.com\n");
    buf_clear(&message);
}

static void overrides(void **state)
{
    static const char *const texts[] = {
        "hostname = b.example.com  queue { directory = \"/srv/x y\" }  listen three { address = "
        "127.0.0.1:2503 }",
        "queue { warn_after = 2h }",
    };
    struct conf_options options = plain;
    struct buf message;
    char where[64];
    (void)state;
    buf_init(&message, 65536);
    put("m.conf", "hostname = a.example.com\nqueue { warn_after = 1h  expire_after = 2d }\n"
                  "listen one { address = 127.0.0.1:2501 }\nlisten two { address = 127.0.0.1:2502 }\n"
                  "mailbox { uid_min = 500 }\n");
    options.overrides = texts;
    options.override_n = COUNT(texts);
    struct conf *conf = load("m.conf", &options, &message);
    assert_string_equal(buf_cstr(&message), "");
    assert_string_equal(conf->top->hostname, "b.example.com");
    assert_string_equal(conf->queue->directory, "/srv/x y");
    assert_int_equal(conf->queue->warn_after, 7200);
    assert_int_equal(conf->queue->expire_after, 2 * 86400);
    assert_int_equal(conf->listen_n, 1);
    assert_string_equal(conf->listens[0]->head.name, "three");
    assert_int_equal(conf->mailboxes[0]->uid_min, 500);
    conf_where_text(conf_where(&conf->queue->head, "queue", "warn_after"), where, sizeof(where));
    assert_string_equal(where, "option 2:1");
    conf_free(&conf);

    static const char *const bad[] = { "hostname = a.example.com  hostname = b.example.com",
                                       "queue { x = 1 }", "include \"m.conf\"" };
    options.overrides = bad;
    options.override_n = 2;
    assert_null(load("m.conf", &options, &message));
    assert_non_null(strstr(buf_cstr(&message), "option 1:1:27: \"hostname\" is set already at option 1:1\n"));
    assert_non_null(strstr(buf_cstr(&message), "option 2:1:9: unknown name \"x\" in section \"queue\"\n"));
    options.override_n = 3;
    assert_null(load("m.conf", &options, &message));
    assert_non_null(strstr(buf_cstr(&message), "option 3:1:1: include is not possible here\n"));
    buf_clear(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(includes), cmocka_unit_test(lists_in_files),
           cmocka_unit_test(bounds_includes), cmocka_unit_test(distrusts_files),
        cmocka_unit_test(names_itself), cmocka_unit_test(overrides),
    };
    return cmocka_run_group_tests(tests, mistakes_setup, mistakes_teardown);
}
