/* test_postdrop.c - drop files, message text, options, recipients */
#include "tests/support/unit.h"

#include "common/mail/dropfile.h"
#include "postdrop/extract.h"
#include "postdrop/message.h"
#include "postdrop/options.h"

/* ---- the head ---- */

#define FIRST "mansio-drop: 1\n"

static const struct {
    const char *name, *text;
    bool ok, more; /* more: it only is not complete */
} heads[] = {
    { "least", FIRST "sender: \nrcpt: a\n\n", true, false },
    { "message behind", FIRST "sender: a@b\nrcpt: c@d\n\nrcpt: x\n\n", true, false },
    { "all lines", FIRST "sender: a\nname: X Y\nlogin: a\nenvid: e\nnotify: 6\nret: 2\nrcpt: c\nrcpt: d\n\n",
      true, false },
    { "empty", "", false, true },
    { "cut", FIRST "sender: a\nrcpt: b\n", false, true },
    { "cut in the first line", "mansio-dr", false, true },
    { "other first line", "mansio-drop: 2\n", false, false },
    { "no sender", FIRST "rcpt: a\n\n", false, false },
    { "no recipient", FIRST "sender: a\n\n", false, false },
    { "sender twice", FIRST "sender: a\nsender: b\nrcpt: c\n\n", false, false },
    { "unknown key", FIRST "sender: a\norigin: x\nrcpt: c\n\n", false, false },
    { "no blank", FIRST "sender:a\nrcpt: c\n\n", false, false },
    { "no colon", FIRST "sender a\nrcpt: c\n\n", false, false },
    { "control byte", FIRST "sender: a\rb\nrcpt: c\n\n", false, false },
    { "tab in a name", FIRST "sender: a\nname: a\tb\nrcpt: c\n\n", false, false },
    { "bad address", FIRST "sender: a b\nrcpt: c\n\n", false, false },
    { "null recipient", FIRST "sender: a\nrcpt: \n\n", false, false },
    { "notify too large", FIRST "sender: a\nnotify: 16\nrcpt: c\n\n", false, false },
    { "ret no number", FIRST "sender: a\nret: x\nrcpt: c\n\n", false, false },
};

static void test_head(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct drop_head h = { .rcpts = NULL };
        struct err err = { .cls = ERR_OK };
        size_t size = 0;
        struct buf again;

        expect_bool(heads[i].name, drop_head_parse(SV(heads[i].text), &h, &size, &err), heads[i].ok);
        if (!heads[i].ok)
            expect_bool(heads[i].name, err.cls == ERR_OK, heads[i].more);
        buf_init(&again, 65536);
        if (heads[i].ok) {
            assert_true(drop_head_print(&h, &again, &err));
            expect_text(heads[i].name, strv_sub(SV(heads[i].text), 0, size), buf_cstr(&again));
        }
        buf_clear(&again);
        drop_head_clear(&h);
    }
}

static void test_head_limits(void **state)
{
    struct drop_head h = { .sender = SV_LIT("a") };
    char long_name[DROP_VALUE_MAX + 2];
    struct buf out;
    struct err err;

    (void)state;
    memset(long_name, 'x', sizeof long_name);
    for (size_t i = 0; i < DROP_RCPTS_MAX; i++)
        drop_head_rcpt(&h, SV_LIT("b"));
    buf_init(&out, DROP_HEAD_MAX);
    assert_true(drop_head_print(&h, &out, &err));
    drop_head_rcpt(&h, SV_LIT("b"));
    assert_false(drop_head_print(&h, &out, &err));
    h.rcpt_n = 1;
    h.name = strv_make(long_name, DROP_VALUE_MAX);
    assert_true(drop_head_print(&h, &out, &err));
    h.name.n++;
    assert_false(drop_head_print(&h, &out, &err));
    buf_clear(&out);
    drop_head_clear(&h);
}

/* ---- the text ---- */

static const struct {
    const char *name;
    struct strv in;
    const char *want;
} texts[] = {
    { "empty", { "", 0 }, "" },
    { "LF", { "a\nb\n", 4 }, "a\r\nb\r\n" },
    { "CRLF", { "a\r\nb", 4 }, "a\r\nb\r\n" },
    { "bare CR", { "a\rb\n", 4 }, "a b\r\n" },
    { "CR CR LF", { "a\r\r\n", 4 }, "a \r\n" },
    { "last CR", { "a\r", 2 }, "a\r\n" },
    { "NUL", { "a\0b\n", 4 }, "a?b\r\n" },
    { "separator", { "From root Thu Jan  1 00:00:00 1970\nSubject: x\n", 46 }, "Subject: x\r\n" },
    { "quoted separator", { ">From root Thu Jan  1 00:00:00 1970\nx\n", 38 }, "x\r\n" },
    { "prose", { "From now on\n", 12 }, "From now on\r\n" },
    { "field", { "From: a\n\n", 9 }, "From: a\r\n\r\n" },
    { "dots", { ".\n..\n", 5 }, ".\r\n..\r\n" },
};

static void test_intake(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        for (size_t step = 1; step < 64; step += 7) {
            struct intake t;
            struct buf out;

            buf_init(&out, 4096);
            intake_init(&t);
            for (size_t at = 0; at < texts[i].in.n; at += step)
                intake_feed(&t, strv_sub(texts[i].in, at, step), &out);
            intake_end(&t, &out);
            expect_text(texts[i].name, buf_view(&out), texts[i].want);
            buf_clear(&out);
        }
}

static void test_dots(void **state)
{
    static const struct {
        const char *in, *want;
        bool ended;
    } cases[] = {
        { "a\n.\nb\n", "a\n", true },      { ".\n", "", true },           { "a\n.\r\nb", "a\n", true },
        { "a.\n.b\n", "a.\n.b\n", false }, { "..\n", "..\n", false },     { "a\n.", "a\n.", false },
        { ".\rx\n", ".\rx\n", false },     { "a\n\n.\n", "a\n\n", true }, { "a .\n", "a .\n", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t step = 1; step < 8; step++) {
            struct strv in = SV(cases[i].in);
            struct dots d = { .state = DOTS_START };
            struct buf out;
            bool ended = false;

            buf_init(&out, 4096);
            for (size_t at = 0; at < in.n && !ended; at += step)
                ended = dots_feed(&d, strv_sub(in, at, step), &out);
            dots_flush(&d, &out);
            expect_bool(cases[i].in, ended, cases[i].ended);
            expect_text(cases[i].in, buf_view(&out), cases[i].want);
            buf_clear(&out);
        }
}

static void test_extract(void **state)
{
    static const struct {
        const char *block, *want; /* want NULL: refused */
    } cases[] = {
        { "To: a, B C <b@x.org>\r\nCc: c\r\nBcc: d@x.org\r\nSubject: e\r\n", "a\nb@x.org\nc\nd@x.org\n" },
        { "To: a\r\nResent-Cc: b\r\n", "b\n" },
        { "To: a\r\nResent-From: b\r\n", "a\n" },
        { "Resent-From: n\r\nResent-To: new\r\nResent-Cc: too\r\nResent-From: o\r\nResent-To: old\r\nTo: "
          "a\r\n",
          "new\ntoo\n" },
        { "Resent-To: new\r\nReceived: x\r\nResent-Cc: old\r\nTo: a\r\n", "new\n" },
        { "Received: x\r\nResent-To: new\r\nSubject: y\r\nResent-Bcc: too\r\nTo: a\r\n", "new\ntoo\n" },
        { "To: undisclosed-recipients:;\r\n", "" },
        { "Subject: a\r\n", "" },
        { "To: a b\r\n", NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err;
        struct buf out;

        buf_init(&out, 4096);
        expect_bool(cases[i].block, extract_header(SV(cases[i].block), &out, &err), cases[i].want != NULL);
        if (cases[i].want)
            expect_text(cases[i].block, buf_view(&out), cases[i].want);
        buf_clear(&out);
    }
}

/* ---- the command line ---- */

static int split(const char *line, char text[256], char *argv[16])
{
    char *p = text;
    int argc = 0;

    snprintf(text, 256, "%s", line);
    while (p && argc < 15) {
        argv[argc] = p;
        p = strchr(p, ' ');
        if (p)
            *p++ = '\0';
        if (strcmp(argv[argc], "''") == 0)
            argv[argc][0] = '\0';
        argc++;
    }
    argv[argc] = NULL;
    return argc;
}

static void test_options(void **state)
{
    static const struct {
        const char *line; /* words between blanks; '' is an empty one */
        bool ok;
        enum sendmail_mode mode;
        bool extract, dots, has_sender;
        const char *sender, *name;
        int rcpts;
    } cases[] = {
        { "sendmail a b", true, MODE_SUBMIT, false, false, false, "", NULL, 2 },
        { "/usr/sbin/sendmail -t -i", true, MODE_SUBMIT, true, true, false, "", NULL, 0 },
        { "sendmail -ti", true, MODE_SUBMIT, true, true, false, "", NULL, 0 },
        { "sendmail -oi -oem -odb a", true, MODE_SUBMIT, false, true, false, "", NULL, 1 },
        { "sendmail -FCronDaemon -i -B8BITMIME -oem root", true, MODE_SUBMIT, false, true, false, "",
          "CronDaemon", 1 },
        { "sendmail -f '' a", true, MODE_SUBMIT, false, false, true, "", NULL, 1 },
        { "sendmail -f <> a", true, MODE_SUBMIT, false, false, true, "", NULL, 1 },
        { "sendmail -f<x@y> -r x@y a", true, MODE_SUBMIT, false, false, true, "x@y", NULL, 1 },
        { "sendmail -fx -ry a", false, MODE_SUBMIT, false, false, true, "", NULL, 0 },
        { "sendmail -iF Name -- -a", true, MODE_SUBMIT, false, true, false, "", "Name", 1 },
        { "sendmail -bs", true, MODE_SMTP, false, false, false, "", NULL, 0 },
        { "sendmail -bp", true, MODE_QUEUE, false, false, false, "", NULL, 0 },
        { "/usr/bin/mailq", true, MODE_QUEUE, false, false, false, "", NULL, 0 },
        { "newaliases", true, MODE_ALIASES, false, false, false, "", NULL, 0 },
        { "sendmail -bi", true, MODE_ALIASES, false, false, false, "", NULL, 0 },
        { "sendmail -bv a", true, MODE_VERIFY, false, false, false, "", NULL, 1 },
        { "sendmail -bd -q1h", true, MODE_DAEMON, false, false, false, "", NULL, 0 },
        { "sendmail -q30m", true, MODE_DAEMON, false, false, false, "", NULL, 0 },
        { "sendmail -q", true, MODE_FLUSH, false, false, false, "", NULL, 0 },
        { "sendmail -qRx.org", true, MODE_FLUSH, false, false, false, "", NULL, 0 },
        { "sendmail -d0.1 -bv root", true, MODE_VERIFY, false, false, false, "", NULL, 1 },
        { "sendmail -d0.1", true, MODE_VERSION, false, false, false, "", NULL, 0 },
        { "sendmail -bt", true, MODE_UNKNOWN, false, false, false, "", NULL, 0 },
        { "sendmail -O X=y -L tag -X /x -N never -R hdrs -V id a", true, MODE_SUBMIT, false, false, false, "",
          NULL, 1 },
        { "sendmail -N never,success a", false, MODE_SUBMIT, false, false, false, "", NULL, 0 },
        { "sendmail -R x a", false, MODE_SUBMIT, false, false, false, "", NULL, 0 },
        { "sendmail -z", false, MODE_SUBMIT, false, false, false, "", NULL, 0 },
        { "sendmail -f", false, MODE_SUBMIT, false, false, false, "", NULL, 0 },
        { "sendmail -", true, MODE_SUBMIT, false, false, false, "", NULL, 1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[256], *argv[16];
        struct options o;
        struct err err;
        int argc = split(cases[i].line, text, argv);
        bool ok = options_parse(argc, argv, &o, &err);

        expect_bool(cases[i].line, ok, cases[i].ok);
        if (!ok)
            continue;
        if (o.mode != cases[i].mode || o.rcpt_n != cases[i].rcpts)
            fail_msg("%s: mode %d, %d recipients", cases[i].line, (int)o.mode, o.rcpt_n);
        expect_bool(cases[i].line, o.extract, cases[i].extract);
        expect_bool(cases[i].line, o.dots, cases[i].dots);
        expect_bool(cases[i].line, o.has_sender, cases[i].has_sender);
        expect_text(cases[i].line, o.sender, cases[i].sender);
        expect_text(cases[i].line, SV(o.name), cases[i].name ? cases[i].name : "");
    }
    assert_non_null(strstr(options_letters(), "f:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head), cmocka_unit_test(test_head_limits), cmocka_unit_test(test_intake),
        cmocka_unit_test(test_dots), cmocka_unit_test(test_extract),     cmocka_unit_test(test_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
