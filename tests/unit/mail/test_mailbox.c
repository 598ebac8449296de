/* test_mailbox.c - addresses in header fields */
#include "common/mail/mailbox.h"
#include "tests/support/unit.h"

/* The list as text: "address{name}[group]" per mailbox, "BAD" for each element that is none. */
static void list(struct strv value, unsigned flags, struct buf *out)
{
    struct mailbox m = { .had_route = false };
    struct mailbox_iter it;
    enum mailbox_step step;
    const char *why;

    mailbox_iter_init(&it, value, flags);
    while ((step = mailbox_next(&it, &m, &why)) != MAILBOX_END) {
        if (out->len > 0)
            buf_addc(out, ' ');
        if (step == MAILBOX_BAD) {
            buf_addf(out, "BAD(%s)", why);
            continue;
        }
        address_format(&m.address, out);
        if (m.name.len > 0)
            buf_addf(out, "{%s}", buf_cstr(&m.name));
        if (m.group.n > 0)
            buf_addf(out, "[%.*s]", (int)m.group.n, m.group.p);
        if (m.had_route)
            buf_adds(out, "(route)");
    }
    mailbox_clear(&m);
    mailbox_clear(&m);
}

static const struct {
    const char *name, *in;
    unsigned flags;
    const char *want;
} cases[] = {
    { "one", "a@x.org", 0, "a@x.org" },
    { "list", "a@x.org, b@x.org,c@x.org", 0, "a@x.org b@x.org c@x.org" },
    { "brackets", "<a@x.org>", 0, "a@x.org" },
    { "name", "Joe Q. Public <joe@x.org>", 0, "joe@x.org{Joe Q. Public}" },
    { "quoted name", "\"Giant; \\\"Big\\\" Box\" <a@x.org>", 0, "a@x.org{Giant; \"Big\" Box}" },
    { "comma in a quoted name", "\"a, b\" <a@x.org>, c@x.org", 0, "a@x.org{a, b} c@x.org" },
    { "folded name", "Mary\r\n Smith\r\n\t<a@x.org>", 0, "a@x.org{Mary Smith}" },
    { "encoded word untouched", "=?utf-8?Q?a=2C?= <a@x.org>", 0, "a@x.org{=?utf-8?Q?a=2C?=}" },
    { "old style name", "a@x.org (Joe)", 0, "a@x.org{Joe}" },
    { "comments", "a(c)@(c)x.org(c)", 0, "a@x.org{c}" },
    { "nested comment with a comma", "a@x.org (a(b,\\)c)d), b@x.org", 0, "a@x.org{a d} b@x.org" },
    { "comment alone", "(nobody)", 0, "" },
    { "empty", "", 0, "" },
    { "empty elements", ",, a@x.org , ,", 0, "a@x.org" },
    { "group", "Team: a@x.org, B <b@x.org>; c@x.org", 0, "a@x.org[Team] b@x.org{B}[Team] c@x.org" },
    { "empty group", "undisclosed-recipients:;", 0, "" },
    { "two groups", "A:a@x.org;, B:b@x.org;", 0, "a@x.org[A] b@x.org[B]" },
    { "group without an end", "A: a@x.org", 0, "a@x.org[A]" },
    { "nameless group", ": a@x.org;", 0, "a@x.org[:]" },
    { "route", "<@a.org,@b.org:c@x.org>", 0, "c@x.org(route)" },
    { "blanks around dots and @", "a . b @ x . org", 0, "a.b@x.org" },
    { "quoted local part", "\"a b\"@x.org", 0, "\"a b\"@x.org" },
    { "mixed words", "\"a b\".c@x.org", 0, "\"a b.c\"@x.org" },
    { "@ in quotes", "\"a@b\"@x.org", 0, "\"a@b\"@x.org" },
    { "literal", "a@[192.0.2.1]", 0, "a@[192.0.2.1]" },
    { "local", "root, a@x.org", ADDRESS_LOCAL_OK, "root a@x.org" },
    { "folded quoted string", "\"a\r\n\tb\" <a@x.org>", 0, "a@x.org{a b}" },
    { "semicolon list", "a@x.org; b@x.org", 0, "a@x.org b@x.org" },
    { "bracket in a comment", "A (<z@y>) <a@x.org>", 0, "a@x.org{A}" },
    { "UTF-8", "\xc3\xb6@x.org", ADDRESS_UTF8, "\xc3\xb6@x.org" },

    { "local not taken", "root", 0, "BAD(address has no domain)" },
    { "bad one in a list", "a b@x.org, c@x.org", 0, "BAD(blank inside the address) c@x.org" },
    { "two @", "a@b@x.org", 0, "BAD(second @ in the address)" },
    { "unclosed bracket", "<a@x.org", 0, "BAD(address is not closed by >)" },
    { "text behind the bracket", "<a@x.org> x, c@x.org", 0, "BAD(text behind >) c@x.org" },
    { "empty brackets", "<>", 0, "BAD(empty local part)" },
    { "quotes in the domain", "a@\"x\"", 0, "BAD(quotes in the domain)" },
    { "unclosed quotes", "\"a@x.org", 0, "BAD(quoted local part is not closed)" },
    { "unclosed quotes at a quoted quote", "\"a\\\"", 0, "BAD(quoted local part is not closed)" },
    { "one quote", "\"", 0, "BAD(quoted local part is not closed)" },
    { "empty domain", "a@", 0, "BAD(empty domain)" },
    { "no local part", "@x.org", 0, "BAD(empty local part)" },
    { "backslash", "a\\b@x.org", 0, "BAD(bad character in the address)" },
    { "8-bit", "\xc3\xb6@x.org", 0, "BAD(non-ASCII character in the local part)" },
    { "word behind a comment", "a (c) b@x.org", 0, "BAD(blank inside the address)" },
    { "route without an address", "<@a.org:>", 0, "BAD(empty local part)" },
};

static void lists(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf out;

        buf_init(&out, 4096);
        list(SV(cases[i].in), cases[i].flags, &out);
        expect_text(cases[i].name, buf_view(&out), cases[i].want);
        buf_clear(&out);
    }
}

static void spec_points_into_the_value(void **state)
{
    struct mailbox m = { .had_route = false };
    struct mailbox_iter it;
    struct strv value = SV("A <@r:a(c)@x.org>, b@y.org (B)");

    (void)state;
    mailbox_iter_init(&it, value, 0);
    assert_int_equal(mailbox_next(&it, &m, NULL), MAILBOX_OK);
    expect_text("spec", m.spec, "a(c)@x.org");
    assert_true(m.spec.p > value.p && m.spec.p < value.p + value.n);
    assert_int_equal(it.last, 0);
    assert_int_equal(mailbox_next(&it, &m, NULL), MAILBOX_OK);
    expect_text("spec", m.spec, "b@y.org (B)");
    assert_int_equal(mailbox_next(&it, &m, NULL), MAILBOX_END);
    mailbox_clear(&m);
}

static void hostile_sizes(void **state)
{
    struct buf in, out;

    (void)state;
    buf_init(&in, 1 << 20);
    buf_init(&out, 1 << 20);
    for (int i = 0; i < 100000; i++)
        buf_addc(&in, '(');
    list(buf_view(&in), 0, &out);
    expect_text("deep comment", buf_view(&out), "");
    buf_reset(&in);
    for (int i = 0; i < MAILBOX_COMMENT_DEPTH; i++)
        buf_addc(&in, '(');
    for (int i = 0; i < MAILBOX_COMMENT_DEPTH; i++)
        buf_addc(&in, ')');
    buf_adds(&in, "a@x.org");
    list(buf_view(&in), 0, &out);
    assert_true(strv_starts(buf_view(&out), SV("a@x.org")));
    buf_reset(&in);
    buf_reset(&out);
    for (int i = 0; i < 300; i++)
        buf_addc(&in, 'a');
    buf_adds(&in, "@x.org");
    list(buf_view(&in), 0, &out);
    expect_text("too long", buf_view(&out), "BAD(address is too long)");
    buf_reset(&in);
    buf_reset(&out);
    for (int i = 0; i < 2000; i++)
        buf_adds(&in, "ab ");
    buf_adds(&in, "<a@x.org>");
    list(buf_view(&in), 0, &out);
    assert_true(strv_starts(buf_view(&out), SV("a@x.org{ab ab")));
    assert_true(out.len < MAILBOX_NAME_MAX + 20);
    buf_clear(&in);
    buf_clear(&out);
}

static void formats(void **state)
{
    static const struct {
        const char *name, *want;
    } t[] = {
        { "", "a@x.org" },
        { "Joe Public", "Joe Public <a@x.org>" },
        { "Joe Q. Public", "\"Joe Q. Public\" <a@x.org>" },
        { "a\"b\\c", "\"a\\\"b\\\\c\" <a@x.org>" },
        { "a\r\nBcc: b", "\"a  Bcc: b\" <a@x.org>" },
        { "=?utf-8?Q?x?=", "=?utf-8?Q?x?= <a@x.org>" },
        { "\xc3\xb6", "\xc3\xb6 <a@x.org>" },
    };
    struct address a;

    (void)state;
    assert_true(address_parse(SV("a@x.org"), 0, &a, NULL));
    for (size_t i = 0; i < COUNT(t); i++) {
        struct buf out;

        buf_init(&out, 1000);
        mailbox_format(SV(t[i].name), &a, &out);
        expect_text(t[i].name, buf_view(&out), t[i].want);
        buf_clear(&out);
    }
    address_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(spec_points_into_the_value),
        cmocka_unit_test(hostile_sizes),
        cmocka_unit_test(formats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
