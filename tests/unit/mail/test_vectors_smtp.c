/* test_vectors_smtp.c - the shared vectors for commands, parameters, replies and the end of data */
#include "common/mail/command.h"
#include "common/mail/dot.h"
#include "common/mail/line.h"
#include "common/mail/params.h"
#include "common/mail/reply.h"
#include "tests/support/vectors.h"

#define COMMAND_FILE "smtp-syntax-dovecot/command.json"
#define MAIL_FILE "smtp-syntax-dovecot/mail-params.json"
#define RCPT_FILE "smtp-syntax-dovecot/rcpt-params.json"
#define REPLY_FILE "smtp-syntax-dovecot/reply.json"
#define DATA_FILE "smtp-end-of-data/mox-dot-stuffing.json"

static const char needs_extension[] =
    "the extension was not offered: the engine's decision, not the syntax's";
static const char keeps_controls[] =
    "controls in a reply are kept and never leave: log, notice and stored result write them as '?'";

static struct vector_exception exceptions[] = {
    { COMMAND_FILE, "EHLO  example.com\r\n", "two blanks behind a verb mean nothing else than one", 0 },
    { COMMAND_FILE, "RCPT TO:<recipient@example.com> NOTIFY=NEVER\r\n",
      "listed as valid too: this case is one of a smaller length limit", 0 },
    { MAIL_FILE, "ENVID=", "esmtp-value has at least one character (RFC 5321 4.1.2)", 0 },
    { MAIL_FILE, "BODY=FROP", "valid only because that test of Dovecot adds a body type", 0 },
    { MAIL_FILE, "BODY=BINARYMIME", needs_extension, 0 },
    { MAIL_FILE, "RET=FULL", needs_extension, 0 },
    { MAIL_FILE, "SIZE=13", needs_extension, 0 },
    { RCPT_FILE, "ORCPT=rfc822;frop@example.com", needs_extension, 0 },
    { RCPT_FILE, "NOTIFY=NEVER,SUCCESS", "right as a parameter; its meaning is the verb's to check", 0 },
    { REPLY_FILE, "500 This is \x03 worse\r\n", keeps_controls, 0 },
    { REPLY_FILE, "251 example.com We got '\x04'\r\n", keeps_controls, 0 },
    { REPLY_FILE, "250-example.com Hello\r\n250 We got some '\x08' for you\r\n", keeps_controls, 0 },
    { NULL, NULL, NULL, 0 },
};

static void commands(void **state)
{
    json_t *root = vectors_load(COMMAND_FILE), *v;
    size_t i;

    (void)state;
    if (!root)
        skip();
    json_array_foreach(root, i, v) {
        bool theirs = json_is_true(json_object_get(v, "valid")), ours;
        struct strv line, verb, argument;
        struct line_reader r;
        struct buf in;
        size_t consumed;

        assert_true(vectors_text(v, "command", &in));
        line_init(&r, COMMAND_LINE_MAX);
        ours = line_next(&r, buf_view(&in), &line, &consumed) == LINE_OK && command_is_clean(line, false) &&
               command_split(line, &verb, &argument);
        vectors_judge(exceptions, COMMAND_FILE, buf_view(&in), ours, theirs);
        buf_clear(&in);
    }
    vectors_finish(exceptions, COMMAND_FILE);
    json_decref(root);
}

static bool params_ok(struct strv text)
{
    struct param p;
    enum param_step step;
    enum param_body body;
    struct buf decoded;
    bool ok = true;

    buf_init(&decoded, 4096);
    while ((step = param_next(&text, &p)) == PARAM_OK) {
        if (strv_iis(p.keyword, "BODY"))
            ok = ok && param_body(p.value, &body);
        else if (strv_iis(p.keyword, "AUTH") || strv_iis(p.keyword, "ENVID") || strv_iis(p.keyword, "ORCPT"))
            ok = ok && xtext_decode(p.value, &decoded);
    }
    buf_clear(&decoded);
    return ok && step == PARAM_END;
}

static void run_params(const char *file)
{
    json_t *root = vectors_load(file), *v;
    size_t i;

    if (!root)
        skip();
    json_array_foreach(root, i, v) {
        struct buf in;

        assert_true(vectors_text(v, "input", &in));
        vectors_judge(exceptions, file, buf_view(&in), params_ok(buf_view(&in)),
                      json_is_true(json_object_get(v, "valid")));
        buf_clear(&in);
    }
    vectors_finish(exceptions, file);
    json_decref(root);
}

static void mail_params(void **state)
{
    (void)state;
    run_params(MAIL_FILE);
}

static void rcpt_params(void **state)
{
    (void)state;
    run_params(RCPT_FILE);
}

/* Feeds the lines of a reply; what the last one said. */
static enum reply_step read_reply(struct reply *r, struct strv in)
{
    enum reply_step step = REPLY_MORE;
    struct line_reader reader;
    struct strv line;
    size_t consumed;

    line_init(&reader, REPLY_LINE_READ_MAX);
    while (step == REPLY_MORE) {
        if (line_next(&reader, in, &line, &consumed) != LINE_OK)
            return REPLY_BAD;
        step = reply_feed(r, line);
        in = strv_from(in, consumed);
    }
    return step;
}

static void replies(void **state)
{
    json_t *root = vectors_load(REPLY_FILE), *v;
    size_t i;

    (void)state;
    if (!root)
        skip();
    json_array_foreach(root, i, v) {
        bool theirs = json_is_true(json_object_get(v, "valid")), ours;
        const char *code = json_string_value(json_object_get(v, "status"));
        const char *enhanced = json_string_value(json_object_get(v, "enhanced"));
        char status[STATUS_TEXT];
        struct reply r;
        struct buf in;

        assert_true(vectors_text(v, theirs ? "input" : "reply", &in));
        reply_init(&r);
        ours = read_reply(&r, buf_view(&in)) == REPLY_DONE;
        vectors_judge(exceptions, REPLY_FILE, buf_view(&in), ours, theirs);
        if (ours && theirs) {
            assert_int_equal(r.code, strtol(code, NULL, 10));
            assert_int_equal(r.lines, json_array_size(json_object_get(v, "lines")));
            status_text(r.status, status);
            assert_string_equal(status, enhanced ? enhanced : "");
        }
        reply_clear(&r);
        buf_clear(&in);
    }
    vectors_finish(exceptions, REPLY_FILE);
    json_decref(root);
}

static void decode_all(const json_t *v, struct dot_decoder *d, struct buf *out)
{
    struct buf in;
    size_t consumed;

    assert_true(vectors_text(v, "data", &in));
    buf_init(out, 4096);
    dot_decode_init(d);
    assert_int_equal(dot_decode(d, buf_view(&in), out, &consumed), DOT_END);
    assert_int_equal(consumed, in.len);     /* the end is the last CRLF.CRLF, nothing before it */
    buf_clear(&in);
}

static void end_of_data(void **state)
{
    json_t *root = vectors_load(DATA_FILE), *v;
    struct dot_decoder d;
    struct buf out, want;
    size_t i;

    (void)state;
    if (!root)
        skip();
    json_array_foreach(json_object_get(root, "reader_good"), i, v) {
        decode_all(v, &d, &out);
        assert_true(vectors_text(v, "want", &want));
        expect_text("decoded", buf_view(&out), buf_cstr(&want));
        /* The last one holds a bare LF, which we keep and refuse at the end; the others are clean. */
        assert_int_equal(dot_decode_is_dirty(&d), d.bare_lf > 0);
        buf_clear(&out);
        buf_clear(&want);
    }
    json_array_foreach(json_object_get(root, "reader_error"), i, v) {
        decode_all(v, &d, &out);
        assert_true(dot_decode_is_dirty(&d));
        buf_clear(&out);
    }
    json_decref(root);
}

static void writer(void **state)
{
    json_t *root = vectors_load(DATA_FILE), *v;
    size_t i;

    (void)state;
    if (!root)
        skip();
    json_array_foreach(json_object_get(root, "writer_error"), i, v) {
        struct strv in = strv_make(json_string_value(v), json_string_length(v));
        struct dot_encoder e;
        struct buf out;
        bool ok, no_eol = strv_is(in, "bad") || strv_is(in, ".");

        dot_encode_init(&e);
        buf_init(&out, 4096);
        ok = dot_encode(&e, in, &out) && dot_encode_end(&e, &out);
        /* A missing last CRLF is no error for us: the encoder completes the line. */
        assert_int_equal(ok, no_eol);
        if (no_eol)
            expect_text("completed", buf_view(&out), strv_is(in, ".") ? "..\r\n.\r\n" : "bad\r\n.\r\n");
        buf_clear(&out);
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands), cmocka_unit_test(mail_params), cmocka_unit_test(rcpt_params),
        cmocka_unit_test(replies),  cmocka_unit_test(end_of_data), cmocka_unit_test(writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
