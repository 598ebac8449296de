/* test_parts.c - the small pure parts: floor, counts per client, chunks, reply and verb tables */
#include "../../support/unit.h"

#include "smtpd/body.h"
#include "smtpd/clients.h"
#include "smtpd/rate.h"
#include "smtpd/replies.h"
#include "smtpd/verbs.h"

#include <stdlib.h>

/* Two bytes a second with pauses, for a quarter of an hour: somebody types a letter. He sends it before the
   grace is over, or stays far below the floor and still has all of it. */
static void typing_survives(void **state)
{
    struct rate r;

    (void)state;
    rate_begin(&r, 50, 0);
    for (int64_t s = 1; s <= 9 * 60; s++) {
        rate_bytes(&r, s % 20 < 15 ? 3 : 0, s * 1000);
        if (rate_deadline(&r) <= s * 1000)
            fail_msg("cut off after %d s", (int)s);
    }
}

static void dripping_ends(void **state)
{
    struct rate r;
    int64_t s = 0;

    (void)state;
    rate_begin(&r, 50, 0);
    while (rate_deadline(&r) > s * 1000 && s < 100000)
        rate_bytes(&r, 1, ++s * 1000);
    assert_true(s > 9 * 60 && s < 12 * 60);
}

static void fast_bytes_buy_no_more_than_the_grace(void **state)
{
    struct rate r;

    (void)state;
    rate_begin(&r, 50, 0);
    rate_bytes(&r, 100u << 20, 1000);
    assert_int_equal(rate_deadline(&r), 1000 + RATE_GRACE_MS);
    rate_bytes(&r, UINT64_MAX, 2000);
    assert_int_equal(rate_deadline(&r), 2000 + RATE_GRACE_MS);
}

static void our_own_time_is_free(void **state)
{
    struct rate r;

    (void)state;
    rate_begin(&r, 50, 0);
    rate_bytes(&r, 0, RATE_GRACE_MS - 1000);
    rate_resume(&r, 100 * (int64_t)RATE_GRACE_MS);
    assert_int_equal(rate_deadline(&r), 100 * (int64_t)RATE_GRACE_MS + 1000);
    rate_begin(&r, 0, 0);
    rate_bytes(&r, 1, RATE_GRACE_MS * 10);
    assert_true(rate_deadline(&r) == INT64_MAX);
}

static void clients_are_counted_by_address_and_network(void **state)
{
    static const struct {
        const char *addr;
        unsigned want;
    } steps[] = {
        { "192.0.2.1", 1 },      { "192.0.2.1", 2 },       { "192.0.2.2", 1 }, { "2001:db8::1", 1 },
        { "2001:db8::ffff", 2 }, { "2001:db8:0:1::1", 1 }, { "192.0.2.1", 3 },
    };
    struct clients c;
    struct netaddr a = { .family = AF_UNSPEC };

    (void)state;
    clients_init(&c);
    for (size_t i = 0; i < COUNT(steps); i++) {
        assert_true(netaddr_parse_ip(SV(steps[i].addr), &a));
        assert_int_equal(clients_add(&c, &a), steps[i].want);
    }
    clients_remove(&c, &a);
    assert_int_equal(clients_add(&c, &a), 3);
    for (int i = 0; i < 5; i++)
        clients_remove(&c, &a);
    assert_int_equal(clients_add(&c, &a), 1);
    clients_clear(&c);
}

/* Chunks over the whole range of cuts: nothing is lost, no chunk is over its size. */
static void body_chunks_add_up(void **state)
{
    static const size_t pieces[] = { 1, 2, 3, 1000, 61437, 61438, 61439, 61440, 65536, 200000 };
    struct buf text, got;

    (void)state;
    buf_init(&text, 1u << 20);
    for (int i = 0; text.len < 190000; i++)
        buf_addf(&text, "%sline %d\r\n", i % 7 ? "" : "..", i);
    buf_adds(&text, ".\r\nNOOP\r\n");
    for (size_t k = 0; k < COUNT(pieces); k++) {
        struct body b;
        enum body_step step = BODY_MORE;
        size_t at = 0;

        buf_init(&got, 1u << 20);
        body_begin(&b);
        while (step != BODY_END) {
            size_t used;

            step = body_feed(&b, strv_sub(buf_view(&text), at, pieces[k]), &used);
            at += used;
            assert_true(b.data.len <= BODY_CHUNK && buf_ok(&b.data));
            if (step != BODY_MORE) {
                buf_addv(&got, buf_view(&b.data));
                buf_reset(&b.data);
            }
        }
        assert_int_equal(body_size(&b), got.len);
        expect_text("rest", strv_from(buf_view(&text), at), "NOOP\r\n");
        assert_null(memmem(got.data, got.len, "\r\n..", 4));
        body_clear(&b);
        buf_clear(&got);
    }
    buf_clear(&text);
}

static void every_reply_is_complete(void **state)
{
    (void)state;
    for (int i = 0; i < RE__COUNT; i++) {
        const struct reply_def *d = &reply_table[i];

        if (!d->name || !d->text || !d->when || d->code < 200 || d->code > 599)
            fail_msg("reply %d has a hole", i);
        if (d->enhanced && d->enhanced[0] - '0' != d->code / 100)
            fail_msg("%s: %s does not fit %d", d->name, d->enhanced, d->code);
        for (int k = 0; k < i; k++)
            if (strcmp(reply_table[k].name, d->name) == 0)
                fail_msg("%s: twice", d->name);
    }
}

static void details_are_made_harmless(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    reply_put(&out, RE_UNKNOWN_PARAM, SV_LIT("A%s\x01\xff"));
    expect_text("detail", buf_view(&out), "555 5.5.4 Parameter not supported: A%s??\r\n");
    buf_clear(&out);
}

static void verbs_are_found_in_any_case(void **state)
{
    (void)state;
    for (const struct verb *v = verb_table; v->name; v++) {
        char lower[32];
        size_t n = strlen(v->name);

        for (size_t i = 0; i <= n; i++)
            lower[i] = byte_lower(v->name[i]);
        assert_ptr_equal(verb_find(SV(lower)), v);
        if (!v->run && reply_table[v->reply].code < 500)
            fail_msg("%s: neither a handler nor a refusal", v->name);
    }
    assert_null(verb_find(SV_LIT("EHL")));
    assert_null(verb_find(SV_LIT("EHLOO")));
    assert_null(verb_find(strv_make("", 0)));
}

/* docs/REPLIES.md between its markers is this table. UPDATE=1 writes it. */
static void document_is_current(void **state)
{
    static char old[65536];
    static const char begin[] = "<!-- generated: replies -->\n", end[] = "<!-- end -->\n";
    const char *path = "docs/REPLIES.md";
    struct buf want;
    FILE *f = fopen(path, "rb");
    char *from, *to;

    (void)state;
    assert_non_null(f);
    old[fread(old, 1, sizeof old - 1, f)] = '\0';
    fclose(f);
    from = strstr(old, begin);
    to = from ? strstr(from, end) : NULL;
    assert_non_null(to);
    buf_init(&want, 1u << 20);
    buf_add(&want, old, (size_t)(from - old) + strlen(begin));
    replies_document(&want);
    buf_adds(&want, to);
    if (getenv("UPDATE")) {
        f = fopen(path, "wb");
        assert_non_null(f);
        fwrite(want.data, 1, want.len, f);
        fclose(f);
    } else if (!strv_is(buf_view(&want), old)) {
        fail_msg("%s is not current: run this test with UPDATE=1", path);
    }
    buf_clear(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typing_survives),
        cmocka_unit_test(dripping_ends),
        cmocka_unit_test(fast_bytes_buy_no_more_than_the_grace),
        cmocka_unit_test(our_own_time_is_free),
        cmocka_unit_test(clients_are_counted_by_address_and_network),
        cmocka_unit_test(body_chunks_add_up),
        cmocka_unit_test(every_reply_is_complete),
        cmocka_unit_test(details_are_made_harmless),
        cmocka_unit_test(verbs_are_found_in_any_case),
        cmocka_unit_test(document_is_current),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
