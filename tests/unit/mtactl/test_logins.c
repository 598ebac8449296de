/* test_logins.c - the text of a credentials file, read and changed; files replaced whole */
#include "tests/support/unit.h"

#include "common/base/err.h"
#include "mtactl/logins.h"
#include "mtactl/replace.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void changes(void **state)
{
    static const struct {
        const char *name, *before, *login, *secret, *after;
        unsigned found;
    } cases[] = {
        { "first", "", "dad@r.test", "$y$1", "dad@r.test $y$1\n", 0 },
        { "appended", "# users\na@r.test x\n", "dad@r.test", "$y$1", "# users\na@r.test x\ndad@r.test $y$1\n",
          0 },
        { "no end of line", "a@r.test x", "dad@r.test", "$y$1", "a@r.test x\ndad@r.test $y$1\n", 0 },
        { "in its place", "a@r.test x\ndad@r.test old\nz@r.test y\n", "dad@r.test", "new",
          "a@r.test x\ndad@r.test new\nz@r.test y\n", 1 },
        { "any case", "DAD@r.test old\n", "dad@r.test", "new", "dad@r.test new\n", 1 },
        { "bare name of our realm", "dad old\nb x\n", "dad@r.test", "new", "dad@r.test new\nb x\n", 1 },
        { "bare name is not of another", "dad old\n", "dad@other.test", "new",
          "dad old\ndad@other.test new\n", 0 },
        { "all of several", "dad 1\nb x\ndad@r.test 2\n", "dad@r.test", "new", "dad@r.test new\nb x\n", 2 },
        { "continued", "dad@r.test\n  old\n# kept\n\n  older\nb x\n", "dad@r.test", "new",
          "dad@r.test new\n# kept\n\nb x\n", 1 },
        { "continuation of another", "b\n dad@r.test\n", "dad@r.test", "new",
          "b\n dad@r.test\ndad@r.test new\n", 0 },
        { "commented out", "#dad@r.test old\n  # dad@r.test\n", "dad@r.test", "new",
          "#dad@r.test old\n  # dad@r.test\ndad@r.test new\n", 0 },
        { "quoted", "\"dad@r.test\" old\n", "dad@r.test", "new", "dad@r.test new\n", 1 },
        { "carriage returns", "dad@r.test old\r\nb x\r\n", "dad@r.test", "new", "dad@r.test new\nb x\r\n",
          1 },
        { "prefix is another", "dad@r.test.org old\n", "dad@r.test", NULL, "dad@r.test.org old\n", 0 },
        { "removed", "a x\ndad@r.test old\n more\nz y\n", "dad@r.test", NULL, "a x\nz y\n", 1 },
        { "not there", "a x\n", "dad@r.test", NULL, "a x\n", 0 },
        { "unclosed quote", "\"dad@r.test old\n", "dad@r.test", "new", "\"dad@r.test old\ndad@r.test new\n",
          0 },
        { "backslash at the end", "\"dad\\", "dad@r.test", "new", "\"dad\\\ndad@r.test new\n", 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct strv secret = cases[i].secret ? SV(cases[i].secret) : strv_make(NULL, 0);
        struct buf out;
        unsigned found;

        buf_init(&out, 4096);
        found = logins_change(SV(cases[i].before), SV(cases[i].login), SV_LIT("r.test"), secret, &out);
        expect_text(cases[i].name, buf_view(&out), cases[i].after);
        if (found != cases[i].found)
            fail_msg("%s: found %u", cases[i].name, found);
        buf_clear(&out);
    }
}

static void completion(void **state)
{
    static const struct {
        const char *given, *login; /* NULL: refused */
    } cases[] = {
        { "dad", "dad@r.test" },
        { "Dad", "dad@r.test" },
        { "dad@Other.test", "dad@other.test" },
        { "d\xc3\xa4", "d\xc3\xa4@r.test" },
        { "", NULL },
        { "a b", NULL },
        { "a\tb", NULL },
        { "a\nb", NULL },
        { "#dad", NULL },
        { "\"dad", NULL },
        { "@r.test", NULL },
        { "dad@", NULL },
        { "a\\b", NULL },
        { "a\x7f", NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *why = NULL;
        struct buf out;
        bool ok;

        buf_init(&out, 1024);
        ok = login_complete(SV(cases[i].given), SV_LIT("R.test"), &out, &why);
        expect_bool(cases[i].given, ok, cases[i].login != NULL);
        if (ok)
            expect_text(cases[i].given, buf_view(&out), cases[i].login);
        else if (!why)
            fail_msg("%s: refused without a word", cases[i].given);
        buf_clear(&out);
    }
}

static void kinds(void **state)
{
    (void)state;
    assert_string_equal(login_kind(SV_LIT("$y$j9T$x$y")), "yescrypt");
    assert_string_equal(login_kind(SV_LIT("{scram-sha-256}1,a,b,c")), "scram-sha-256");
    assert_string_equal(login_kind(SV_LIT("$6$a$b")), "sha512crypt");
    assert_string_equal(login_kind(SV_LIT("!")), "locked");
    assert_string_equal(login_kind(SV_LIT("")), "locked");
}

/* The link stays, mode stays, contents are new, and nothing is left behind. */
static void replacing(void **state)
{
    char dir[] = "/tmp/test-logins-XXXXXX", file[64], link_[64], second[64];
    struct replace r, other;
    struct err err = { 0 };
    struct buf text;
    struct stat st;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/real", dir);
    snprintf(link_, sizeof link_, "%s/link", dir);
    snprintf(second, sizeof second, "%s/second", dir);
    buf_init(&text, 4096);
    assert_false(replace_begin(&r, file, false, 100, &text, &err));
    replace_end(&r);
    assert_true(replace_begin(&r, file, true, 100, &text, &err));
    assert_int_equal(r.st.st_mode & 07777, 0600);
    assert_true(replace_commit(&r, SV_LIT("one\n"), &err));
    replace_end(&r);
    assert_int_equal(chmod(file, 0640), 0);
    assert_int_equal(symlink(file, link_), 0);
    assert_true(replace_begin(&r, link_, true, 100, &text, &err));
    expect_text("contents", buf_view(&text), "one\n");
    assert_false(replace_begin(&other, file, true, 50, &text, &err));
    assert_non_null(strstr(err.text, "somebody else"));
    replace_end(&other);
    assert_true(replace_commit(&r, SV_LIT("two\n"), &err));
    replace_end(&r);
    assert_int_equal(lstat(link_, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(link(file, second), 0);
    buf_reset(&text);
    assert_false(replace_begin(&r, file, true, 100, &text, &err));
    assert_non_null(strstr(err.text, "several names"));
    replace_end(&r);
    fd = open(file, O_RDONLY);
    assert_true(fd >= 0);
    close(fd);
    buf_clear(&text);
    assert_int_equal(unlink(file) | unlink(link_) | unlink(second) | rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes),
        cmocka_unit_test(completion),
        cmocka_unit_test(kinds),
        cmocka_unit_test(replacing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
