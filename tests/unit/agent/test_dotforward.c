/* test_dotforward.c - ~/.forward: what it says, and when it is not believed */
#include "tests/support/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deliverd/agent/dotforward.h"

/* Targets joined by a line feed; on a mistake the reason. */
static void parsed(const char *content, const char *want)
{
    struct dotforward d;
    struct err err = { 0 };
    struct buf got;

    buf_init(&got, 65536);
    dotforward_init(&d);
    if (dotforward_parse(SV(content), &d, &err)) {
        for (size_t i = 0; i < d.n; i++) {
            buf_addv(&got, dotforward_target(&d, i));
            buf_addc(&got, '\n');
        }
    } else {
        buf_adds(&got, err.text);
    }
    expect_text(content, buf_view(&got), want);
    dotforward_clear(&d);
    buf_clear(&got);
}

static void says(void **state)
{
    static const struct {
        const char *content, *want;
    } cases[] = {
        { "", "" },
        { "\n# a@b.example\n  # c\n\n", "" },
        { "a@b.example", "a@b.example\n" },
        { " a , \"b c\"@d.example,,\r\n\tX Y <e@f.example>\n", "a\n\"b c\"@d.example\ne@f.example\n" },
        { "\\me, |cat -u, \"|a, \\\"b\\\" \\\\c\"\n", "\\me\n|cat -u\n|a, \"b\" \\c\n" },
        { "/home/a/box\n\"/a b/c\"\n/dev/null", "/home/a/box\n/a b/c\n/dev/null\n" },
        { "| /bin/x  y \n", "|/bin/x  y\n" },
        { "a\nno address\n", "line 2: a target is no address" },
        { "a@b@c", "line 1: a target is no address" },
        { "x <|id>", "line 1: a target is no address" },
        { "x </etc/x>", "line 1: a target is no address" },
        { "</C=de/@gw.example>", "/C=de/@gw.example\n" },
        { "\\\\", "line 1: a target is no address" },
        { ":include:/x", "line 1: a target :include: is not served" },
        { "|", "line 1: a target is an empty command" },
        { "<a@b", "line 1: a target has an unclosed quote or bracket" },
        { "\"|a\nb\"", "line 1: a target has an unclosed quote or bracket" },
        { "a\001b", "line 1: a target holds a control byte" },
        { "a\rb", "line 1: a target holds a control byte" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        parsed(cases[i].content, cases[i].want);
}

static void is_bounded(void **state)
{
    struct dotforward d;
    struct err err = { 0 };
    struct buf b;

    (void)state;
    dotforward_init(&d);
    buf_init(&b, 65536);
    for (unsigned i = 0; i <= DOTFORWARD_TARGETS_MAX; i++)
        buf_addf(&b, "u%u\n", i);
    assert_false(dotforward_parse(buf_view(&b), &d, &err));
    buf_reset(&b);
    for (unsigned i = 0; i < DOTFORWARD_TARGETS_MAX; i++)
        buf_addf(&b, "u%u\n", i);
    assert_true(dotforward_parse(buf_view(&b), &d, &err));
    assert_int_equal(d.n, DOTFORWARD_TARGETS_MAX);
    assert_true(dotforward_has(&d, SV("u99")) && !dotforward_has(&d, SV("u100")));
    buf_reset(&b);
    buf_addc(&b, '|');
    for (unsigned i = 0; i < DOTFORWARD_TARGET_MAX; i++)
        buf_addc(&b, 'x');
    assert_false(dotforward_parse(buf_view(&b), &d, &err));
    assert_false(dotforward_parse(strv_make("a\0b", 3), &d, &err));
    buf_clear(&b);
    dotforward_clear(&d);
}

static enum dotforward_answer answer_of(int home, uid_t uid)
{
    struct dotforward d;
    struct err err = { 0 };
    enum dotforward_answer a;

    dotforward_init(&d);
    a = dotforward_read(home, uid, &d, &err);
    dotforward_clear(&d);
    return a;
}

static void file_write(int home, const char *name, mode_t mode)
{
    int fd = openat(home, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0 && write(fd, "a@b.example\n", 12) == 12 && fchmod(fd, mode) == 0);
    close(fd);
}

static void is_believed_only_when_safe(void **state)
{
    char dir[] = "/tmp/mansio-dotforward-XXXXXX";
    uid_t me = geteuid();
    int home, fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    home = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(answer_of(home, me), DOTFORWARD_NONE);
    file_write(home, ".forward", 0644);
    assert_int_equal(answer_of(home, me), DOTFORWARD_FOUND);
    assert_int_equal(answer_of(home, me + 1), DOTFORWARD_NONE); /* nobody's home */
    assert_int_equal(fchmod(home, 0770), 0);
    assert_int_equal(answer_of(home, me), DOTFORWARD_IGNORED);
    assert_int_equal(fchmod(home, 0700), 0);
    file_write(home, ".forward", 0620);
    assert_int_equal(answer_of(home, me), DOTFORWARD_IGNORED);
    file_write(home, ".forward", 0600);
    assert_int_equal(linkat(home, ".forward", home, "other", 0), 0);
    assert_int_equal(answer_of(home, me), DOTFORWARD_IGNORED);
    assert_int_equal(unlinkat(home, ".forward", 0), 0);
    assert_int_equal(symlinkat("other", home, ".forward"), 0);
    assert_int_equal(answer_of(home, me), DOTFORWARD_IGNORED);
    assert_int_equal(unlinkat(home, ".forward", 0), 0);
    assert_int_equal(mkfifoat(home, ".forward", 0600), 0); /* waits for nobody */
    assert_int_equal(answer_of(home, me), DOTFORWARD_IGNORED);
    assert_int_equal(unlinkat(home, ".forward", 0), 0);
    file_write(home, ".forward", 0600);
    fd = openat(home, ".forward", O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
    close(fd);
    assert_int_equal(answer_of(home, me), DOTFORWARD_IGNORED);
    unlinkat(home, ".forward", 0);
    unlinkat(home, "other", 0);
    close(home);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(says),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(is_believed_only_when_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
