/* test_dsn.c - notices: RFC 3464 structure, nothing injected, content whole */
#include "common/mail/dsn.h"
#include "common/mail/header.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <time.h>

static struct dsn_texts *builtin;

static struct dsn_rcpt failed(void)
{
    return (struct dsn_rcpt){
        .rcpt = SV_LIT("bob@far.example"), .orcpt = { "", 0 }, .action = DSN_FAILED,
        .status = STATUS(5, 1, 1),
        .remote_mta = SV_LIT("mx.far.example"), .diagnostic = SV_LIT("550 5.1.1 no such user / sorry"),
        .reason = { "", 0 }, .last_attempt_ms = 1795217250000, .retry_until_ms = 0,
    };
}

static struct dsn notice(const struct dsn_rcpt *rcpts, size_t count)
{
    return (struct dsn){
        .hostname = SV_LIT("mx.example.com"), .to = SV_LIT("alice@home.example"),
        .notice_id = SV_LIT("01NOTICE"),
        .original_id = SV_LIT("01MESSAGE"), .envid = { "", 0 }, .arrival_ms = 1795217240000,
        .now_ms = 1795217250000, .rcpts = rcpts, .rcpt_count = count,
        .header = SV_LIT("From: alice@home.example\r\nSubject: hello\r\n"), .body = SV_LIT("text\r\n"),
        .texts = builtin,
    };
}

static void expect_in(struct strv out, const char *text)
{
    if (!memmem(out.p, out.n, text, strlen(text)))
        fail_msg("\"%s\" is missing in:\n%.*s", text, (int)out.n, out.p);
}

/* Header, then parts in the right order, lines that fit; returns the boundary line's length. */
static void check_structure(struct strv out, size_t parts)
{
    struct header_scan s;
    struct header_field f;
    struct strv at, boundary, body;
    char line[128];
    size_t n = 0, pos, len = 0;

    header_scan_init(&s);
    assert_int_equal(header_scan(&s, out), HEADER_END);
    assert_true(header_find(strv_sub(out, 0, s.header_len), "Content-Type", &f));
    assert_true(strv_find(f.value, '"', &pos));
    boundary = strv_from(f.value, pos + 1);
    assert_true(strv_find(boundary, '"', &pos));
    boundary.n = pos;
    body = strv_from(out, s.body_at);
    snprintf(line, sizeof line, "\r\n--%.*s", (int)boundary.n, boundary.p);
    assert_true(strv_starts(body, SV(line + 2)));
    for (at = body; at.n > 0;) {
        const char *p = memmem(at.p, at.n, line + 2, strlen(line + 2));

        if (!p)
            break;
        n++;
        at = strv_from(at, (size_t)(p - at.p) + 1);
    }
    assert_int_equal(n, parts + 1);
    snprintf(line, sizeof line, "\r\n--%.*s--\r\n", (int)boundary.n, boundary.p);
    assert_true(strv_ends(out, SV(line)));
    for (size_t i = 0; i < out.n; i++) {
        if (out.p[i] == '\n') {
            assert_true(i > 0 && out.p[i - 1] == '\r');
            assert_true(len <= HEADER_LINE_HARD + 1);
            len = 0;
        } else {
            len++;
        }
    }
}

static void failure(void **state)
{
    struct dsn_rcpt r = failed();
    struct dsn d = notice(&r, 1);
    struct buf out;
    bool eight;

    (void)state;
    buf_init(&out, 1 << 16);
    assert_true(dsn_compose(&d, &out, &eight));
    assert_false(eight);
    check_structure(buf_view(&out), 3);
    expect_in(buf_view(&out), "From: Mail Delivery System <MAILER-DAEMON@mx.example.com>\r\n");
    expect_in(buf_view(&out), "To: <alice@home.example>\r\n");
    expect_in(buf_view(&out), "Subject: Undelivered mail returned to sender\r\n");
    expect_in(buf_view(&out), "Message-ID: <01NOTICE@mx.example.com>\r\n");
    expect_in(buf_view(&out), "Auto-Submitted: auto-replied\r\n");
    expect_in(buf_view(&out), "Content-Type: multipart/report; report-type=delivery-status;");
    expect_in(buf_view(&out), "<bob@far.example>\r\n    mx.far.example said:\r\n"
                              "    550 5.1.1 no such user / sorry\r\n");
    expect_in(buf_view(&out), "Content-Type: message/delivery-status\r\n\r\n"
                              "Reporting-MTA: dns; mx.example.com\r\n"
                              "Arrival-Date: Fri, 20 Nov 2026 23:27:20 +0000\r\n\r\n"
                              "Final-Recipient: rfc822; bob@far.example\r\nAction: failed\r\n"
                              "Status: 5.1.1\r\n"
                              "Remote-MTA: dns; mx.far.example\r\n"
                              "Diagnostic-Code: smtp; 550 5.1.1 no such user / sorry\r\n"
                              "Last-Attempt-Date: Fri, 20 Nov 2026 23:27:30 +0000\r\n\r\n--");
    expect_in(buf_view(&out), "Content-Type: message/rfc822\r\n\r\nFrom: alice@home.example\r\n"
                              "Subject: hello\r\n\r\n"
                              "text\r\n\r\n--");
    buf_clear(&out);
}

static void delay_with_reason_and_header_only(void **state)
{
    struct dsn_rcpt r = failed();
    struct dsn d = notice(&r, 1);
    struct buf out;
    bool eight;

    (void)state;
    r.action = DSN_DELAYED;
    r.status = STATUS(0, 0, 0);
    r.diagnostic = r.remote_mta = SV("");
    r.reason = SV("connection lost after RCPT TO");
    r.orcpt = SV("rfc822;Bob@orig.example");
    r.retry_until_ms = 1795390050000;
    d.envid = SV("QQ314159");
    d.body = strv_make(NULL, 0);
    buf_init(&out, 1 << 16);
    assert_true(dsn_compose(&d, &out, &eight));
    check_structure(buf_view(&out), 3);
    expect_in(buf_view(&out), "Subject: Delivery delayed (still being retried)\r\n");
    expect_in(buf_view(&out), "<bob@far.example>\r\n    connection lost after RCPT TO\r\n");
    /* RFC 3464 2.2: the order of the fields */
    expect_in(buf_view(&out), "message/delivery-status\r\n\r\nOriginal-Envelope-Id: QQ314159\r\n"
                              "Reporting-MTA: dns; mx.example.com\r\nArrival-Date: ");
    expect_in(buf_view(&out), "\r\n\r\nOriginal-Recipient: rfc822;Bob@orig.example\r\n"
                              "Final-Recipient: rfc822; bob");
    expect_in(buf_view(&out), "Status: 4.0.0\r\n"
                              "Diagnostic-Code: x-mansio; connection lost after RCPT TO\r\n");
    expect_in(buf_view(&out), "Will-Retry-Until: Sun, 22 Nov 2026 23:27:30 +0000\r\n");
    expect_in(buf_view(&out), "Content-Type: text/rfc822-headers\r\n\r\nFrom: alice@home.example\r\n"
                              "Subject: hello\r\n\r\n--");
    buf_clear(&out);
}

static void what_matters_most_decides(void **state)
{
    struct dsn_rcpt r[3] = { failed(), failed(), failed() };
    struct dsn d = notice(r, 3);
    struct buf out;
    bool eight;

    (void)state;
    r[0].action = DSN_RELAYED;
    r[0].status = STATUS(2, 0, 0);
    r[1].action = DSN_FAILED;
    r[2].action = DSN_DELAYED;
    r[2].rcpt = SV("carol@far.example");
    buf_init(&out, 1 << 16);
    assert_true(dsn_compose(&d, &out, &eight));
    check_structure(buf_view(&out), 3);
    expect_in(buf_view(&out), "Subject: Undelivered mail returned to sender\r\n");
    expect_in(buf_view(&out), "<bob@far.example> (relayed)\r\n");
    expect_in(buf_view(&out), "<carol@far.example> (delayed)\r\n");
    expect_in(buf_view(&out), "Action: relayed\r\nStatus: 2.0.0\r\n");
    assert_string_equal(dsn_action_name(DSN_EXPANDED), "expanded");
    buf_clear(&out);
}

static void boundary_avoids_the_content(void **state)
{
    struct dsn_rcpt r = failed();
    struct dsn d = notice(&r, 1);
    struct buf out;
    bool eight;

    (void)state;
    d.header = SV("X: =_01NOTICE.0\r\n");
    d.body = SV("--=_01NOTICE.1\r\n--=_01NOTICE.2--\r\n");
    buf_init(&out, 1 << 16);
    assert_true(dsn_compose(&d, &out, &eight));
    expect_in(buf_view(&out), "boundary=\"=_01NOTICE.3\"");
    check_structure(buf_view(&out), 3);
    buf_clear(&out);
}

static void foreign_text_is_harmless(void **state)
{
    struct dsn_rcpt r = failed();
    struct dsn d = notice(&r, 1);
    char big[20000];
    struct buf out;
    bool eight;

    (void)state;
    memset(big, 'x', sizeof big);
    for (size_t i = 500; i < sizeof big; i += 3000)
        big[i] = ' ';
    memcpy(big, "550 \r\nBcc: z@z\r\n\r\n\x01\xc3\xb6", 22);
    r.diagnostic = strv_make(big, sizeof big);
    r.remote_mta = SV("a\r\nb");
    r.rcpt = SV("\"a\r\nb\"@x");
    d.body = strv_make("a\0b\xc3\xb6\r\n", 7);
    buf_init(&out, 1 << 20);
    assert_true(dsn_compose(&d, &out, &eight));
    assert_true(eight);
    check_structure(buf_view(&out), 3);
    expect_in(buf_view(&out), "Content-Transfer-Encoding: 8bit\r\n");
    expect_in(buf_view(&out), "a?b\xc3\xb6\r\n");
    assert_null(memmem(out.data, out.len, "\nBcc", 4));
    assert_null(memmem(out.data, out.len, "\0", 1));
    buf_clear(&out);
}

static void limit(void **state)
{
    struct dsn_rcpt r = failed();
    struct dsn d = notice(&r, 1);
    struct buf out;
    bool eight;

    (void)state;
    buf_init(&out, 1000);
    assert_false(dsn_compose(&d, &out, &eight));
    buf_clear(&out);
}

int main(void)
{
    int failures;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failure),
        cmocka_unit_test(delay_with_reason_and_header_only),
        cmocka_unit_test(what_matters_most_decides),
        cmocka_unit_test(boundary_avoids_the_content),
        cmocka_unit_test(foreign_text_is_harmless),
        cmocka_unit_test(limit),
    };

    setenv("TZ", "UTC0", 1);
    tzset();
    builtin = dsn_texts_new();
    failures = cmocka_run_group_tests(tests, NULL, NULL);
    dsn_texts_free(&builtin);
    return failures;
}
