/* test_dsn_text.c - templates of notices: their file, each mistake at its line, and what is filled in */
#include "common/mail/dsn.h"
#include "common/mail/dsn_builtin.h"
#include "common/mail/header.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- the file ---- */

struct heard {
    char text[1024];
};

static void on_mistake(void *arg, unsigned line, const char *what, enum dsn_unknown unknown, struct strv word)
{
    struct heard *h = arg;
    size_t n = strlen(h->text);

    snprintf(h->text + n, sizeof h->text - n, "%s%u:%.40s%s%.*s", n ? "|" : "", line, what,
             unknown == DSN_A_VARIABLE ? "!"
             : unknown == DSN_A_KIND   ? "!!"
                                       : "",
             (int)word.n, word.p);
}

static const struct {
    const char *name, *file, *heard;
} mistakes[] = {
    { "nothing is said", "", "" },
    { "comments alone", "# a\n\n  \n#b", "" },
    { "a kind with all", "[delay]\nSubject: x ${count}\nFrom: A b\n\ntext\n${recipients}\n", "" },
    { "only a text", "[delay]\n\ntext\n", "" },
    { "only a subject", "[delay]\nSubject: x", "" },
    { "several lines may be indented", "[delay]\n\n  ${recipients}  \n", "" },
    { "CRLF", "[delay]\r\nSubject: x\r\n\r\ntext\r\n", "" },
    { "a byte order mark", "\xef\xbb\xbf[delay]\n\nx\n", "" },
    { "an escape", "[delay]\n\n$${count} $x $ 5$ ${count}\n", "" },
    { "text before the first kind", "hello\nroot:x:0\n", "1:before the first kind, such as [failure]" },
    { "no such kind", "#\n[bounce]\n\nx\n", "2:there is no kind of notice \"bounce\"!!bounce" },
    { "a kind without its end", "[failure\n\nx\n", "1:there is no kind of notice \"failur\"!!failur" },
    { "a kind twice", "[delay]\n\nx\n[delay]\n\ny\n", "4:the kind stands twice" },
    { "a field that is none", "[delay]\nTo: x\n", "2:neither Subject nor From; an empty line " },
    { "text without an empty line", "[delay]\nHello\n", "2:neither Subject nor From; an empty line " },
    { "an empty subject", "[delay]\nSubject:\n", "2:Subject is empty" },
    { "an address as name", "[delay]\nFrom: <a@b>\n", "2:From is a name for display, up to 100 by" },
    { "a variable in the name", "[delay]\nFrom: ${hostname} [x]\n",
      "2:From is a name for display, up to 100 by" },
    { "no text", "[delay]\nSubject: x\n\n\n[failure]\n\nx\n", "1:the kind has no text behind its empty li" },
    { "no text at the end", "\n[delay]\n\n", "2:the kind has no text behind its empty li" },
    { "an unknown variable", "[delay]\n\na ${hostnam} b\n", "3:there is no variable \"hostnam\"!hostnam" },
    { "no name", "[delay]\n\n${}\n", "3:there is no variable \"\"!" },
    { "a variable of the shell", "[delay]\n\n${run{x}}\n", "3:there is no variable \"run{x\"!run{x" },
    { "two mistakes in a line", "[delay]\n\n${a} ${b}\n",
      "3:there is no variable \"a\"!a|3:there is no variable \"b\"!b" },
    { "no end", "[delay]\n\n${count\n", "3:\"${\" without \"}\"; $${ stands for \"${\" it" },
    { "several lines in the subject", "[delay]\nSubject: ${recipients}\n",
      "2:${recipients} stands for several lines: " },
    { "several lines in a line", "[delay]\n\nTo ${addresses}\n",
      "3:${addresses} stands for several lines: o" },
    { "several lines often",
      "[delay]\n\n${recipients}\n${addresses}\n${recipients}\n${addresses}\n\n"
      "[failure]\n\n${recipients}\n${addresses}\n${recipients}\n# ${recipients}\n${addresses}\n",
      "" },
    { "several lines too often",
      "[delay]\n\n${recipients}\n${recipients}\n${recipients}\n${recipients}\n${addresses}\n",
      "7:${addresses}: a kind has up to four line" },
    { "not UTF-8", "[delay]\n\nGr\xfc\xdf\x65\n", "3:not UTF-8" },
    { "a control", "[delay]\n\na\x1b[1m\n", "3:a control character" },
    { "a control of C1", "[delay]\n\na\xc2\x9b\n", "3:a control character" },
    { "a bare CR", "[delay]\n\na\rb\n", "3:a control character" },
};

static void each_mistake(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mistakes); i++) {
        struct heard h = { "" };
        struct dsn_texts *t = dsn_texts_read(SV(mistakes[i].file), on_mistake, &h);

        if (strcmp(h.text, mistakes[i].heard) != 0 || (t != NULL) != (mistakes[i].heard[0] == '\0'))
            fail_msg("%s: %s", mistakes[i].name, h.text);
        dsn_texts_free(&t);
    }
}

static void lines_have_a_limit(void **state)
{
    char file[1024] = "[delay]\n\n";
    size_t n = strlen(file);
    struct dsn_texts *t;

    (void)state;
    memset(file + n, 'x', 500);
    t = dsn_texts_read(strv_make(file, n + 500), NULL, NULL);
    assert_non_null(t);
    dsn_texts_free(&t);
    file[n + 500] = 'x';
    assert_null(dsn_texts_read(strv_make(file, n + 501), NULL, NULL));
    assert_null(dsn_texts_read(strv_make("[delay]\n\na\0b", 12), NULL, NULL));
}

/* ---- filling in ---- */

static struct dsn_rcpt rcpts[2];

static struct dsn notice(const struct dsn_texts *texts)
{
    rcpts[0] = (struct dsn_rcpt){ .rcpt = SV_LIT("bob@far.example"),
                                  .action = DSN_DELAYED,
                                  .status = STATUS(4, 2, 1),
                                  .remote_mta = SV_LIT("mx.far.example"),
                                  .diagnostic = SV_LIT("450 4.2.1 later"),
                                  .retry_until_ms = 1795390050000 };
    rcpts[1] = (struct dsn_rcpt){ .rcpt = SV_LIT("eve@far.example"),
                                  .action = DSN_DELAYED,
                                  .reason = SV_LIT("no route") };
    return (struct dsn){
        .hostname = SV_LIT("mx.example.com"),
        .to = SV_LIT("alice@home.example"),
        .notice_id = SV_LIT("01NOTICE"),
        .original_id = SV_LIT("01MESSAGE"),
        .arrival_ms = 1795217240000,
        .now_ms = 1795217240000 + 5 * 3600000,
        .rcpts = rcpts,
        .rcpt_count = 2,
        .header = SV_LIT("From: a\r\n"),
        .texts = texts,
        .expire_s = 4 * 86400,
    };
}

static const struct {
    const char *name, *line, *text;
} lines[] = {
    { "text as it is", "  Two  blanks stay", "  Two  blanks stay\r\n" },
    { "hostname", "at ${hostname}.", "at mx.example.com.\r\n" },
    { "ids", "${id} ${notice}", "01MESSAGE 01NOTICE\r\n" },
    { "postmaster", "${postmaster}", "postmaster@mx.example.com\r\n" },
    { "sender and count", "${sender}, ${count}", "alice@home.example, 2\r\n" },
    { "the first recipient", "${recipient} ${status}", "bob@far.example 4.2.1\r\n" },
    { "what was said", "${remote_host}: ${remote_words}", "mx.far.example: 450 4.2.1 later\r\n" },
    { "times", "${hours} h of ${days} d", "5 h of 4 d\r\n" },
    { "dates", "${arrival}", "Fri, 20 Nov 2026 23:27:20 +0000\r\n" },
    { "until", "${until}", "Sun, 22 Nov 2026 23:27:30 +0000\r\n" },
    { "now", "${now}", "Sat, 21 Nov 2026 04:27:20 +0000\r\n" },
    { "an escape", "$${count} is ${count}", "${count} is 2\r\n" },
    { "no value, no line", "before\nwhy: ${reason} at ${hostname}\nbehind", "before\r\nbehind\r\n" },
    { "a comment", "a\n# ${count}\nb", "a\r\nb\r\n" },
    { "addresses", "${addresses}", "bob@far.example\r\neve@far.example\r\n" },
    { "recipients", "to:\n  ${recipients}\nend",
      "to:\r\n<bob@far.example>\r\n    mx.far.example said:\r\n    450 4.2.1 later\r\n\r\n"
      "<eve@far.example>\r\n    no route\r\nend\r\n" },
    { "two languages", "Hello ${sender}\n\n\xc3\x9c\x62\x65r ${count} Empf\xc3\xa4nger",
      "Hello alice@home.example\r\n\r\n\xc3\x9c\x62\x65r 2 Empf\xc3\xa4nger\r\n" },
    { "wrapped behind its indent",
      "  1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 ${recipient} end",
      "  1234567890 1234567890 1234567890 1234567890 1234567890 1234567890\r\n  bob@far.example end\r\n" },
};

static void each_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        char file[1024];
        struct dsn_texts *t;
        struct buf out;
        struct dsn d;

        snprintf(file, sizeof file, "[delay]\n\n%s\n\n[failure]\n\nx", lines[i].line);
        t = dsn_texts_read(SV(file), NULL, NULL);
        assert_non_null(t);
        d = notice(t);
        buf_init(&out, 1 << 16);
        dsn_text(&d, &out);
        expect_text(lines[i].name, buf_view(&out), lines[i].text);
        buf_clear(&out);
        dsn_texts_free(&t);
    }
}

static void expect_in(const struct buf *out, const char *text)
{
    if (!memmem(out->data, out->len, text, strlen(text)))
        fail_msg("\"%s\" is missing in:\n%s", text, buf_cstr(out));
}

/* Values are values: nothing in them is a variable, a line, a field or a byte over 127. */
static void words_stay_words(void **state)
{
    struct dsn_texts *t = dsn_texts_read(
        SV_LIT("[delay]\nSubject: \xc3\x9c: ${remote_words}\n\nsaid: ${remote_words} ${recipient}\n"), NULL,
        NULL);
    struct dsn d = notice(t);
    struct buf out;
    bool eight;

    (void)state;
    rcpts[0].diagnostic = SV("550 ${hostname} $(id) `id` %s\r\nBcc: z@z\r\n\r\n\x01\xc3\xb6 =?utf-8?Q?x?=");
    rcpts[0].rcpt = SV("\"${id}\r\n.\r\n\"@x");
    buf_init(&out, 1 << 16);
    dsn_subject(&d, &out);
    expect_text("subject", buf_view(&out),
                "\xc3\x9c: 550 ${hostname} $(id) `id` %s  Bcc: z@z    ??? =?utf-8?Q?x?=");
    buf_reset(&out);
    dsn_text(&d, &out);
    expect_text("text", buf_view(&out),
                "said: 550 ${hostname} $(id) `id` %s Bcc: z@z ??? =?utf-8?Q?x?= \"${id} . \"@x\r\n");
    buf_reset(&out);
    assert_true(dsn_compose(&d, &out, &eight));
    assert_false(eight);
    assert_null(memmem(out.data, out.len, "\nBcc", 4));
    assert_null(memmem(out.data, out.len, "\r\n.\r\n", 5));
    buf_clear(&out);
    dsn_texts_free(&t);
}

static void foreign_words_are_shown_as_they_are(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    header_encode(SV_LIT("550 =?utf-8?B?4oCu?= no"), &out);
    assert_true(strv_starts(buf_view(&out), SV_LIT("=?utf-8?B?NTUwID0/dXRmLTg/Qj80b0N1Pz0gbm8=?=")));
    buf_reset(&out);
    header_encode(SV_LIT("550 a=b? no"), &out);
    assert_true(strv_is(buf_view(&out), "550 a=b? no"));
    buf_clear(&out);
}

static void utf8_goes_over_every_hop(void **state)
{
    struct dsn_texts *t = dsn_texts_read(SV_LIT("[delay]\nSubject: Zustellung verz\xc3\xb6gert: ${id}\nFrom: "
                                                "Postb\xc3\xbcro\n\nGr\xc3\xbc\xc3\x9f\x65\n"),
                                         NULL, NULL);
    struct dsn d = notice(t);
    struct buf out;
    bool eight;

    (void)state;
    buf_init(&out, 1 << 16);
    assert_true(dsn_compose(&d, &out, &eight));
    assert_false(eight);
    for (size_t i = 0; i < out.len; i++)
        assert_true((unsigned char)out.data[i] < 0x80);
    expect_in(&out, "Subject: =?utf-8?B?WnVzdGVsbHVuZyB2ZXJ6w7ZnZXJ0OiAwMU1FU1NBR0U=?=\r\n");
    expect_in(&out, "From: =?utf-8?B?UG9zdGLDvHJv?= <MAILER-DAEMON@mx.example.com>\r\n");
    expect_in(&out,
              "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
              "Gr=C3=BC=C3=9Fe\r\n");
    buf_clear(&out);
    dsn_texts_free(&t);
}

/* A notice must go out: what outgrows its limit with a file's texts is told with the built-in ones. */
static void too_long_for_a_file_is_told_without_it(void **state)
{
    static char said[900];
    static struct dsn_rcpt many[400];
    struct dsn_texts *t = dsn_texts_read(
        SV_LIT("[delay]\nSubject: MINE\n\nOUR WORDS\n${recipients}\n${recipients}\n${recipients}\n"
               "${recipients}\n"),
        NULL, NULL);
    struct dsn d = notice(t);
    struct buf out;
    bool eight;

    (void)state;
    memset(said, 'x', sizeof said);
    for (size_t i = 0; i < COUNT(many); i++) {
        many[i] = rcpts[0];
        many[i].diagnostic = strv_make(said, sizeof said);
    }
    buf_init(&out, 4u << 20);
    buf_adds(&out, "before");
    d.rcpts = many;
    for (d.rcpt_count = 100; d.rcpt_count <= 400; d.rcpt_count += 300) {
        bool mine = d.rcpt_count == 100;

        for (int whole = 0; whole < 2; whole++) {
            d.body = whole ? SV_LIT("body\r\n") : (struct strv){ 0 };
            buf_cut(&out, 6);
            assert_true(dsn_compose(&d, &out, &eight));
            assert_true(strv_starts(buf_view(&out), SV_LIT("beforeFrom: ")));
            assert_true((memmem(out.data, out.len, "OUR WORDS", 9) != NULL) == mine);
            assert_true((memmem(out.data, out.len, "Subject: MINE", 13) != NULL) == mine);
            assert_true(buf_ok(&out));
        }
        buf_cut(&out, 6);
        d.body = SV_LIT("");
        assert_true(dsn_begin(&d, "=_b", &out));
        assert_true(strv_starts(buf_view(&out), SV_LIT("beforeFrom: ")));
        assert_true((memmem(out.data, out.len, "OUR WORDS", 9) != NULL) == mine);
    }
    buf_clear(&out);
    d.rcpt_count = COUNT(many);
    buf_init(&out, 1u << 16); /* too long in any words */
    assert_false(dsn_compose(&d, &out, &eight));
    buf_clear(&out);
    dsn_texts_free(&t);
}

/* ---- the sample ---- */

static struct dsn_texts *sample(char **text)
{
    FILE *f = fopen("etc/notices.txt", "r");
    struct dsn_texts *t;
    size_t n;

    assert_non_null(f);
    *text = calloc(1, DSN_TEXTS_MAX);
    n = fread(*text, 1, DSN_TEXTS_MAX - 1, f);
    fclose(f);
    t = dsn_texts_read(strv_make(*text, n), NULL, NULL);
    assert_non_null(t);
    return t;
}

static void sample_is_what_is_built_in(void **state)
{
    struct dsn_texts *builtin = dsn_texts_new(), *t;
    char *text, name[64];

    (void)state;
    t = sample(&text);
    for (unsigned k = 0; k < DSN_KINDS; k++) {
        struct dsn_words a = dsn_words(t, (enum dsn_kind)k), b = dsn_words(builtin, (enum dsn_kind)k);

        snprintf(name, sizeof name, "\n[%s]\n", dsn_kind_name((enum dsn_kind)k));
        assert_non_null(strstr(text, name));
        assert_true(a.subject.n > 0 && a.from.n > 0 && a.text.n > 0);
        assert_true(strv_eq(a.subject, b.subject) && strv_eq(a.from, b.from));
        if (!strv_eq(a.text, b.text))
            fail_msg("%s: %.*s", name, (int)b.text.n, b.text.p);
    }
    for (size_t i = 0; dsn_variable(i); i++) {
        snprintf(name, sizeof name, "${%s}", dsn_variable(i));
        if (!strstr(text, name))
            fail_msg("etc/notices.txt does not explain %s", name);
    }
    free(text);
    dsn_texts_free(&t);
    dsn_texts_free(&builtin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake),
        cmocka_unit_test(lines_have_a_limit),
        cmocka_unit_test(each_line),
        cmocka_unit_test(words_stay_words),
        cmocka_unit_test(foreign_words_are_shown_as_they_are),
        cmocka_unit_test(utf8_goes_over_every_hop),
        cmocka_unit_test(too_long_for_a_file_is_told_without_it),
        cmocka_unit_test(sample_is_what_is_built_in),
    };

    setenv("TZ", "UTC0", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
