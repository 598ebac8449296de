/* test_envelope.c - envelopes: round trips, hostile values, wrong texts */
#include "tests/support/unit.h"

#include "queued/envelope.h"

#include <stdlib.h>
#include <string.h>

static struct buf text;

static void parse_back(const struct envelope *e, struct envelope *back)
{
    struct err err;

    buf_clear(&text);
    buf_init(&text, ENVELOPE_MAX);
    envelope_print(e, &text);
    if (!envelope_parse(buf_view(&text), back, &err))
        fail_msg("%s in:\n%s", err.text, buf_cstr(&text));
}

static void same(const char *name, struct strv got, struct strv want)
{
    if (!strv_eq(got, want))
        fail_msg("%s: \"%.*s\" is not \"%.*s\"", name, (int)got.n, got.p, (int)want.n, want.p);
}

static void everything_comes_back(void **state)
{
    struct envelope e, back;

    (void)state;
    envelope_init(&e);
    envelope_init(&back);
    e.sender = SV("s@example.org");
    e.arrival = 1763681234567;
    e.stored = 1763681234570;
    e.since = 1763000000000;
    e.sid = SV("SID");
    e.client = SV("192.0.2.1");
    e.client_name = SV("client.example");
    e.helo = SV("[192.0.2.1]");
    e.protocol = SV("ESMTP");
    e.login = SV("user name");
    e.origin = SV("notice/X/0/failure");
    e.hold = SV("by hand");
    e.envid = SV("id+3Dx");
    e.body_type = 1;
    e.priority = 255;
    e.ret = 2;
    e.big = true;
    e.big_size = 123456789012;
    e.big_crc = 0xdeadbeef;
    for (int i = 0; i < 3; i++) {
        struct envelope_rcpt *r = envelope_add(&e);

        r->to = SV(i == 1 ? "a%b@c" : "x@y");
        r->local = i == 1;
        if (i == 2) {
            r->original = SV("\"odd \\\" one\"@d"), r->also = SV("b@d\n*");
            r->orcpt = SV("rfc822;a+40b");
            r->notify = 7;
        }
    }
    parse_back(&e, &back);
    same("sender", back.sender, e.sender);
    same("login", back.login, e.login);
    same("origin", back.origin, e.origin);
    same("hold", back.hold, e.hold);
    same("envid", back.envid, e.envid);
    assert_true(back.arrival == e.arrival && back.stored == e.stored && back.since == e.since);
    assert_true(back.body_type == 1 && back.priority == 255 && back.ret == 2);
    assert_true(back.big && back.big_size == e.big_size && back.big_crc == e.big_crc);
    assert_int_equal(back.rcpt_n, 3);
    for (size_t i = 0; i < 3; i++) {
        same("to", back.rcpts[i].to, e.rcpts[i].to);
        same("original", back.rcpts[i].original, e.rcpts[i].original);
        same("also", back.rcpts[i].also, e.rcpts[i].also);
        same("orcpt", back.rcpts[i].orcpt, e.rcpts[i].orcpt);
        assert_true(back.rcpts[i].local == e.rcpts[i].local && back.rcpts[i].notify == e.rcpts[i].notify);
    }
    envelope_clear(&e);
    envelope_clear(&back);
    buf_clear(&text);
}

/* INCIDENTS 2 and 15: no byte of a value can end its line or begin another. */
static void every_byte_in_every_value(void **state)
{
    struct envelope e, back;
    char value[4] = "a?b";

    (void)state;
    envelope_init(&e);
    envelope_init(&back);
    for (int c = 0; c < 256; c++) {
        value[1] = (char)c;
        envelope_reset(&e);
        e.sender = strv_make(value, 3);
        e.helo = strv_make(value + 1, 1);
        e.hold = strv_make(value, 2);
        envelope_add(&e)->to = strv_make(value, 3);
        e.rcpts[0].original = strv_make(value + 1, 2);
        parse_back(&e, &back);
        assert_int_equal(back.rcpt_n, 1);
        same("sender", back.sender, e.sender);
        same("helo", back.helo, e.helo);
        same("hold", back.hold, e.hold);
        same("to", back.rcpts[0].to, e.rcpts[0].to);
        same("original", back.rcpts[0].original, e.rcpts[0].original);
    }
    envelope_clear(&e);
    envelope_clear(&back);
    buf_clear(&text);
}

static void wrong_texts(void **state)
{
    static const struct {
        const char *name, *text;
        bool ok;
    } cases[] = {
        { "smallest", "sender: \nlocal: a\n\n", true },
        { "unknown key", "sender: \nfuture: x\nlocal: a\n\n", true },
        { "order", "local: a\nsender: x\n\n", true },
        { "empty", "", false },
        { "only the end", "\n", false },
        { "no sender", "local: a\n\n", false },
        { "no recipient", "sender: a\n\n", false },
        { "empty recipient", "sender: a\nlocal: \n\n", false },
        { "no end", "sender: a\nlocal: b\n", false },
        { "line without end", "sender: a\nlocal: b", false },
        { "more behind the end", "sender: a\nlocal: b\n\nx: y\n", false },
        { "no colon", "sender a\nlocal: b\n\n", false },
        { "no blank", "sender:a\nlocal: b\n\n", false },
        { "no key", ": a\nsender: x\nlocal: b\n\n", false },
        { "detail before a recipient", "sender: a\nnotify: 1\nlocal: b\n\n", false },
        { "escape", "sender: a%4\nlocal: b\n\n", false },
        { "escape at the end", "sender: a%\nlocal: b\n\n", false },
        { "number", "sender: a\narrival: 1x\nlocal: b\n\n", false },
        { "huge number", "sender: a\narrival: 99999999999999999999\nlocal: b\n\n", false },
        { "notify", "sender: a\nlocal: b\nnotify: 32\n\n", false },
        { "big", "sender: a\nbig: 12\nlocal: b\n\n", false },
        { "big checksum", "sender: a\nbig: 12 123456\nlocal: b\n\n", false },
    };
    struct envelope e;
    struct err err;

    (void)state;
    envelope_init(&e);
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_bool(cases[i].name, envelope_parse(SV(cases[i].text), &e, &err), cases[i].ok);
    envelope_clear(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(every_byte_in_every_value),
        cmocka_unit_test(wrong_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
