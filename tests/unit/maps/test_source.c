/* test_source.c - sources in the syntaxes of Postfix and sendmail, whole tables and located mistakes */
#include "tests/support/unit.h"

#include "maps/source.h"

static const struct {
    const char *name;
    enum source_syntax syntax;
    const char *text, *want; /* "line key=value" joined by '|', or the error */
} sources[] = {
    { "postfix virtual", SYNTAX_TEXT,
      "# virtual(5)\n\nexample.com\tanything\npostmaster@example.com postmaster\n"
      "joe@example.com   joe@somewhere,\n  jane@somewhere\n@example.net jim\n",
      "3 example.com=anything|4 postmaster@example.com=postmaster|"
      "5 joe@example.com=joe@somewhere, jane@somewhere|7 @example.net=jim" },
    { "comments and empty lines do not end a line (postmap)", SYNTAX_TEXT,
      "a 1,\n# between\n\n  # also\n\t2\nb 3\n", "1 a=1, 2|6 b=3" },
    { "no newline at the end", SYNTAX_TEXT, "a b", "1 a=b" },
    { "CRLF", SYNTAX_TEXT, "a b\r\nc d\r\n", "1 a=b|2 c=d" },
    { "keys in lower case, values as they are", SYNTAX_TEXT, "Bob@X.Org Alice@Y.Org\n",
      "1 bob@x.org=Alice@Y.Org" },
    { "quoted key", SYNTAX_TEXT, "\"a b\"@x.org c\n", "1 a b@x.org=c" },
    { "blanks behind the value", SYNTAX_TEXT, "a b  \t\n", "1 a=b" },
    { "virtusertable error", SYNTAX_TEXT, "joe@x.org\terror:nouser 550 No such user here\n",
      "1 joe@x.org=error:nouser 550 No such user here" },
    { "UTF-8 passes", SYNTAX_TEXT, "m\xc3\xbcller@x.org a\n", "1 m\xc3\xbcller@x.org=a" },
    { "empty", SYNTAX_TEXT, "", "" },
    { "comments alone", SYNTAX_TEXT, "# a\n  # b\n\n", "" },
    { "key without value", SYNTAX_TEXT, "a b\nc\n", "t:2: a key without a value" },
    { "continuation of nothing", SYNTAX_TEXT, "# x\n  a b\n",
      "t:2: begins with a blank, but there is no line before it to continue" },
    { "control", SYNTAX_TEXT, "a b\nb \x01\n", "t:2: a control character" },
    { "unclosed key", SYNTAX_TEXT, "\"a b\n", "t:1: unclosed quote in the key" },

    { "sendmail aliases", SYNTAX_ALIASES,
      "# Basic system aliases\nMAILER-DAEMON: postmaster\npostmaster:\troot\n\nbin:            root\n"
      "abuse : root, ops@example.com,\n\tarchive\ndecode:\t\t\"|/usr/bin/uudecode\"\nnobody: /dev/null\n",
      "2 mailer-daemon=postmaster|3 postmaster=root|5 bin=root|6 abuse=root, ops@example.com, archive|"
      "8 decode=\"|/usr/bin/uudecode\"|9 nobody=/dev/null" },
    { "quoted name", SYNTAX_ALIASES, "\"name: with colon\": bob\n", "1 name: with colon=bob" },
    { "include", SYNTAX_ALIASES, "staff: :include:/etc/mail/staff\n", "1 staff=:include:/etc/mail/staff" },
    { "line continued by a backslash", SYNTAX_ALIASES, "a: b,\\\nc\nd: e\n", "1 a=b, c|3 d=e" },
    { "no colon", SYNTAX_ALIASES, "a: b\nbob root\n", "t:2: no \":\" behind the name" },
    { "no target", SYNTAX_ALIASES, "bob:\nroot: x\n", "t:1: a key without a value" },
    { "a domain in the name", SYNTAX_ALIASES, "bob@x.org: a\n",
      "t:1: the name of an alias has no domain (map virtual is for whole addresses)" },

    { "list", SYNTAX_INCLUDE, "# members\nbob, alice@x.org\n\n  carol\n\"B, D\" <d@x.org>\n",
      "2 =bob, alice@x.org|4 =carol|5 =\"B, D\" <d@x.org>" },
};

static void collect(const char *text, size_t n, enum source_syntax syntax, struct buf *got)
{
    struct source s;
    struct strv key, value;
    struct err err = { 0 };
    enum source_step step;

    source_init(&s, strv_make(text, n), syntax, "t");
    while ((step = source_next(&s, &key, &value, &err)) == SOURCE_ENTRY)
        buf_addf(got, "%s%u %.*s=%.*s", got->len ? "|" : "", s.at, (int)key.n, key.p, (int)value.n, value.p);
    if (step == SOURCE_BAD) {
        assert_int_equal(err.cls, ERR_CONF);
        buf_reset(got);
        buf_adds(got, err.text);
    }
    source_clear(&s);
}

static void source_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sources); i++) {
        struct buf got;

        buf_init(&got, 65536);
        collect(sources[i].text, strlen(sources[i].text), sources[i].syntax, &got);
        expect_text(sources[i].name, buf_view(&got), sources[i].want);
        buf_clear(&got);
    }
}

static void nul_is_refused(void **state)
{
    struct buf got;

    (void)state;
    buf_init(&got, 1024);
    collect("a b\0c\n", 6, SYNTAX_TEXT, &got);
    expect_text("NUL", buf_view(&got), "t:1: a control character");
    buf_clear(&got);
}

static enum source_step sized(size_t key_len, size_t value_len)
{
    struct source s;
    struct strv key, value;
    struct err err = { 0 };
    struct buf text;
    enum source_step step;

    buf_init(&text, 1u << 20);
    for (size_t i = 0; i < key_len; i++)
        buf_addc(&text, 'k');
    buf_addc(&text, ' ');
    for (size_t i = 0; i < value_len; i++)
        buf_addc(&text, 'v');
    source_init(&s, buf_view(&text), SYNTAX_TEXT, "t");
    step = source_next(&s, &key, &value, &err);
    source_clear(&s);
    buf_clear(&text);
    return step;
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(sized(SOURCE_KEY_MAX - 1, 1), SOURCE_ENTRY);
    assert_int_equal(sized(SOURCE_KEY_MAX, 1), SOURCE_ENTRY);
    assert_int_equal(sized(SOURCE_KEY_MAX + 1, 1), SOURCE_BAD);
    assert_int_equal(sized(1, SOURCE_VALUE_MAX - 1), SOURCE_ENTRY);
    assert_int_equal(sized(1, SOURCE_VALUE_MAX), SOURCE_ENTRY);
    assert_int_equal(sized(1, SOURCE_VALUE_MAX + 1), SOURCE_BAD);
    assert_int_equal(sized(1, 1u << 19), SOURCE_BAD);
}

static void survey(void **state)
{
    struct source_targets t = source_survey(SV("a, :include:/x, |y, /z, /dev/null"));

    (void)state;
    assert_int_equal(t.includes, 1);
    assert_int_equal(t.unserved, 2);
    assert_false(t.bad);
    assert_true(source_survey(SV("a, \"b")).bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(source_cases),
        cmocka_unit_test(nul_is_refused),
        cmocka_unit_test(limits),
        cmocka_unit_test(survey),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
