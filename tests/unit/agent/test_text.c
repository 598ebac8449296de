/* test_text.c - CRLF to LF and the search for our own Delivered-To, with pieces cut anywhere */
#include "tests/support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/mail/header.h"
#include "common/os/fault.h"
#include "common/os/file.h"
#include "deliverd/agent/loop_scan.h"
#include "deliverd/agent/text.h"

static struct text text;

/* in, cut after every `step` bytes, as it stands in the file. */
static void convert(struct strv in, size_t step, struct buf *out)
{
    int fd = memfd_create("text", MFD_CLOEXEC);
    struct err err = { 0 };

    assert_true(fd >= 0);
    text_init(&text, fd);
    for (size_t at = 0; at < in.n; at += step)
        assert_true(text_message(&text, strv_sub(in, at, step)));
    assert_true(text_end(&text));
    assert_true(file_read(fd, out, &err));
    assert_int_equal(text.written, out->len);
    close(fd);
}

static void line_ends(void **state)
{
    static const struct {
        const char *name, *in, *want;
    } cases[] = {
        { "nothing", "", "" },
        { "lines", "a\r\nb\r\n", "a\nb\n" },
        { "no end of line at the end", "a\r\nb", "a\nb" },
        { "empty lines", "\r\n\r\n\r\n", "\n\n\n" },
        { "a CR alone stays", "a\rb\r\n", "a\rb\n" },
        { "a CR before CRLF", "a\r\r\nb", "a\r\nb" },
        { "only CRs", "\r\r\r", "\r\r\r" },
        { "a CR at the end", "a\r\nb\r", "a\nb\r" },
        { "a LF alone stays", "a\nb\r\n", "a\nb\n" },
        { "from lines are nobody's business", "\r\nFrom me\r\n", "\nFrom me\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t step = 1; step <= strlen(cases[i].in) + 1; step++) {
            struct buf out;

            buf_init(&out, 1000);
            convert(SV(cases[i].in), step, &out);
            expect_text(cases[i].name, buf_view(&out), cases[i].want);
            buf_clear(&out);
        }
    }
}

/* Lines that end before, at and behind the buffer's end. */
static void large(void **state)
{
    const size_t n = 3 * TEXT_BUFFER + 17;
    char *in = malloc(n);
    struct buf want, out;

    (void)state;
    buf_init(&want, n);
    buf_init(&out, n);
    for (size_t i = 0; i < n; i++)
        in[i] = i % 61 == 59 ? '\r' : i % 61 == 60 ? '\n' : (char)('a' + i % 26);
    for (size_t i = 0; i < n; i++) {
        if (i % 61 != 59)
            buf_addc(&want, in[i]);
    }
    for (size_t step = 1009; step < n * 2; step *= 3) {
        buf_reset(&out);
        convert(strv_make(in, n), step, &out);
        assert_int_equal(out.len, want.len);
        assert_memory_equal(out.data, want.data, want.len);
    }
    buf_clear(&want);
    buf_clear(&out);
    free(in);
}

static void nul_and_8bit(void **state)
{
    static const char in[] = "a\0b\xff\r\n\xc3\xa9\r\n";
    struct buf out;

    (void)state;
    buf_init(&out, 100);
    convert(strv_make(in, sizeof in - 1), 3, &out);
    assert_int_equal(out.len, sizeof in - 3);
    assert_memory_equal(out.data, "a\0b\xff\n\xc3\xa9\n", out.len);
    buf_clear(&out);
}

static void write_failures(void **state)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct err err = { 0 };

    (void)state;
    assert_true(fd >= 0);
    text_init(&text, fd);
    assert_true(text_message(&text, SV("hello\r\n")));
    assert_false(text_end(&text));
    assert_int_equal(errno, ENOSPC);
    close(fd);
#ifdef MANSIO_CHECK
    fd = memfd_create("text", MFD_CLOEXEC);
    assert_true(fault_arm(SV("agent.file.write:EDQUOT"), &err));
    text_init(&text, fd);
    assert_true(text_message(&text, SV("hello\r\n")));
    assert_false(text_end(&text));
    assert_int_equal(errno, EDQUOT);
    fault_disarm_all();
    close(fd);
#else
    (void)err;
#endif
}

/* ---- loops ---- */

static bool scan(const char *rcpt, struct strv in, size_t step)
{
    static struct loop_scan s;

    loop_scan_init(&s, SV(rcpt));
    for (size_t at = 0; at < in.n; at += step)
        loop_scan_feed(&s, strv_sub(in, at, step));
    loop_scan_end(&s);
    return s.found;
}

static void loops(void **state)
{
    static const struct {
        const char *name, *in;
        bool want;
    } cases[] = {
        { "nothing", "", false },
        { "other header", "Subject: a@b.example\r\n\r\n", false },
        { "first", "Delivered-To: a@b.example\r\nSubject: x\r\n\r\n", true },
        { "later", "Subject: x\r\nDelivered-To: a@b.example\r\n\r\n", true },
        { "any case", "DELIVERED-to: A@B.Example\r\n\r\n", true },
        { "blanks", "Delivered-To:\ta@b.example \r\n\r\n", true },
        { "no blank", "Delivered-To:a@b.example\r\n\r\n", true },
        { "folded", "Delivered-To:\r\n a@b.example\r\nX: y\r\n\r\n", true },
        { "second of two", "Delivered-To: c@d\r\nDelivered-To: a@b.example\r\n\r\n", true },
        { "other address", "Delivered-To: aa@b.example\r\n\r\n", false },
        { "a part of it", "Delivered-To: a@b.exampl\r\n\r\n", false },
        { "more behind it", "Delivered-To: a@b.example, c@d\r\n\r\n", false },
        { "in the body", "Subject: x\r\n\r\nDelivered-To: a@b.example\r\n", false },
        { "no header at all", "\r\nDelivered-To: a@b.example\r\n", false },
        { "a fold of another field", "Subject: x\r\n Delivered-To: a@b.example\r\n\r\n", false },
        { "longer name", "X-Delivered-To: a@b.example\r\n\r\n", false },
        { "longer name at the end", "Delivered-Too: a@b.example\r\n\r\n", false },
        { "the message ends in the header", "Subject: x\r\nDelivered-To: a@b.example", true },
        { "bare LF lines", "Delivered-To: a@b.example\n\n", true },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t step = 1; step <= strlen(cases[i].in) + 1; step++)
            expect_bool(cases[i].name, scan("a@b.example", SV(cases[i].in), step), cases[i].want);
    }
}

/* A line that does not fit is not taken for its beginning, and the search ends somewhere. */
static void bounds(void **state)
{
    struct buf in;

    (void)state;
    buf_init(&in, 4 << 20);
    buf_adds(&in, "Delivered-To: a@b.example");
    while (in.len < LOOP_LINE_MAX)
        buf_addc(&in, ' ');
    buf_adds(&in, "x\r\nX: y\r\n\r\n");
    assert_false(scan("a@b.example", buf_view(&in), 100));
    buf_reset(&in);
    buf_adds(&in, "X: ");
    for (int i = 0; i < 10000; i++)
        buf_addc(&in, 'x');
    buf_adds(&in, "\r\nDelivered-To: a@b.example\r\n\r\n");
    assert_true(scan("a@b.example", buf_view(&in), 100));
    buf_reset(&in);
    while (in.len <= HEADER_SIZE_MAX)
        buf_adds(&in, "X: 34567890123456789012345678901234567890\r\n");
    buf_adds(&in, "Delivered-To: a@b.example\r\n\r\n");
    assert_false(scan("a@b.example", buf_view(&in), 4096));
    buf_clear(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_ends), cmocka_unit_test(large),  cmocka_unit_test(nul_and_8bit),
        cmocka_unit_test(write_failures), cmocka_unit_test(loops), cmocka_unit_test(bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
