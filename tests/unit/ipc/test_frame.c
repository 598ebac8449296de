/* test_frame.c - every message of the schema: round trip, and each way to break its rules */
#include "tests/support/unit.h"
#include "tests/unit/ipc/frame_make.h"

#include <stdlib.h>
#include <string.h>

static struct ipc_out out;

static int set_up(void **state)
{
    (void)state;
    ipc_out_init(&out);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ipc_out_clear(&out);
    return 0;
}

static bool decodes(struct err *err)
{
    struct ipc_in in;

    make_header(&out);
    return ipc_decode(buf_view(&out.bytes), out.fd_count, &in, err);
}

/* Walks all fields of all messages, those in groups too. */
static void each_field(void (*fn)(const struct ipc_message *m, const struct ipc_field *f))
{
    for (const struct ipc_message *m = ipc_messages; m->type; m++) {
        for (const struct ipc_field *f = m->fields; f->tag; f++) {
            fn(m, f);
            if (f->kind != IPC_GROUP)
                continue;
            for (const struct ipc_field *g = f->group->fields; g->tag; g++)
                fn(m, g);
        }
    }
}

static void schema_holds_together(void **state)
{
    unsigned count = 0;

    (void)state;
    for (const struct ipc_message *m = ipc_messages; m->type; m++, count++) {
        unsigned fields = 0;

        assert_ptr_equal(ipc_message_find(m->type), m);
        assert_true(m->from && m->to && m->doc && m->name);
        assert_true(m->fds <= IPC_FDS_MAX || m->fds == IPC_FDS_ANY);
        for (const struct ipc_field *f = m->fields; f->tag; f++, fields++) {
            if (!ipc_tag_name(f->tag))
                fail_msg("%s: tag %u has no name", m->name, f->tag);
            for (const struct ipc_field *g = m->fields; g < f; g++)
                if (g->tag == f->tag)
                    fail_msg("%s: %s stands twice", m->name, ipc_tag_name(f->tag));
            assert_true((f->kind == IPC_GROUP) == (f->group != NULL));
        }
        assert_true(fields < 64); /* bits of the decoder's mask */
    }
    assert_int_equal(count, IPC__END - 1);
    assert_null(ipc_message_find(IPC__END));
    assert_null(ipc_message_find(IPC_NONE));
    assert_null(ipc_message_find(0xffff));
}

static void every_message_survives_a_round_trip(void **state)
{

    (void)state;
    for (const struct ipc_message *m = ipc_messages; m->type; m++) {
        for (unsigned optional = 0; optional < 2; optional++) {
            struct make how = { .optional = optional, .repeat = optional ? 3 : 0 };
            struct err err = { 0 };
            struct ipc_in in;

            make_frame(m, &how, &out);
            if (!ipc_finish(&out, &err) || !ipc_decode(buf_view(&out.bytes), out.fd_count, &in, &err))
                fail_msg("%s: %s", m->name, err.text);
            assert_int_equal(in.type, m->type);
            assert_ptr_equal(in.schema, m);
            assert_true(in.txn == 0x1122334455667788);
            assert_int_equal(in.bulk, out.bulk);
            for (const struct ipc_field *f = m->fields; f->tag; f++) {
                enum ipc_tag tag = (enum ipc_tag)f->tag;

                assert_int_equal(ipc_has(&in, tag), f->need == IPC_REQUIRED || optional);
                if (f->kind == IPC_U64)
                    assert_int_equal(ipc_get_u64(&in, tag), f->need == IPC_REQUIRED || optional ? 1 : 0);
            }
        }
    }
}

static void frame_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    for (const struct ipc_message *m = ipc_messages; m->type; m++) {
        struct make how = { .optional = true, .repeat = 2 };
        struct err err = { 0 };

        make_frame(m, &how, &out);
        assert_true(ipc_finish(&out, &err));
        for (size_t n = 0; n < out.bytes.len; n++) {
            struct ipc_in in;
            /* an exact copy, so that reading past the cut is seen */
            char *cut = malloc(n ? n : 1);

            memcpy(cut, out.bytes.data, n);
            if (ipc_decode(strv_make(cut, n), out.fd_count, &in, NULL))
                fail_msg("%s cut at %zu", m->name, n);
            /* with a header that agrees, a cut behind a whole optional field may be right: it must only not
             * crash */
            if (n >= IPC_HEADER_SIZE) {
                uint32_t be = __builtin_bswap32((uint32_t)(n - IPC_HEADER_SIZE));

                memcpy(cut + 4, &be, sizeof be);
                if (ipc_decode(strv_make(cut, n), out.fd_count, &in, NULL))
                    assert_ptr_equal(in.schema, m);
            }
            free(cut);
        }
    }
}

static void refuse_omission(const struct ipc_message *m, const struct ipc_field *f)
{
    struct make how = { .repeat = 1, .omit = f };

    if (f->need != IPC_REQUIRED)
        return;
    make_frame(m, &how, &out);
    if (decodes(NULL))
        fail_msg("%s without %s", m->name, ipc_tag_name(f->tag));
}

static void refuse_repetition(const struct ipc_message *m, const struct ipc_field *f)
{
    struct make how = { .repeat = 1, .twice = f };

    make_frame(m, &how, &out);
    if (decodes(NULL) != (f->need == IPC_REPEATED))
        fail_msg("%s with %s twice", m->name, ipc_tag_name(f->tag));
}

static void refuse_size(const struct ipc_message *m, const struct ipc_field *f)
{
    size_t max = f->max ? f->max : IPC_TEXT_MAX;
    struct make how = { .repeat = 1, .special = f };

    if (f->kind == IPC_U64 && f->max) {
        for (uint64_t v = f->max; v <= (uint64_t)f->max + 1; v++) {
            how.number = v;
            make_frame(m, &how, &out);
            if (decodes(NULL) != (v == f->max))
                fail_msg("%s %s=%u", m->name, ipc_tag_name(f->tag), (unsigned)v);
        }
    }
    if (f->kind != IPC_TEXT && !(f->kind == IPC_BYTES && f->max))
        return;
    for (how.size = max - 1; how.size <= max + 1; how.size++) {
        make_frame(m, &how, &out);
        if (decodes(NULL) != (how.size <= max))
            fail_msg("%s %s of %zu bytes", m->name, ipc_tag_name(f->tag), how.size);
    }
    how.size = 0;
    make_frame(m, &how, &out);
    assert_true(decodes(NULL));
}

/* Where the first field with this tag lies (its head), or 0. */
static size_t find_field(const struct ipc_out *o, uint16_t tag, size_t from, size_t end)
{
    while (from < end) {
        uint16_t t;
        uint32_t n;

        memcpy(&t, o->bytes.data + from, 2);
        memcpy(&n, o->bytes.data + from + 2, 4);
        if (__builtin_bswap16(t) == tag)
            return from;
        from += IPC_FIELD_HEAD + __builtin_bswap32(n);
    }
    return 0;
}

static void refuse_bytes_in_text(const struct ipc_message *m, const struct ipc_field *f)
{
    static const char bad[] = { '\0', '\r', '\n' };
    struct make how = { .special = f, .size = 3 };
    size_t at;

    if (f->kind != IPC_TEXT)
        return;
    make_frame(m, &how, &out);
    at = find_field(&out, f->tag, IPC_HEADER_SIZE, out.bytes.len);
    if (!at)
        return; /* stands in a group */
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < COUNT(bad); k++) {
            memset(out.bytes.data + at + IPC_FIELD_HEAD, 'x', 3);
            out.bytes.data[at + IPC_FIELD_HEAD + i] = bad[k];
            if (decodes(NULL))
                fail_msg("%s: %s holds byte %d", m->name, ipc_tag_name(f->tag), bad[k]);
        }
    }
    memcpy(out.bytes.data + at + IPC_FIELD_HEAD, "\xff\x01\t", 3);
    assert_true(decodes(NULL));
}

static void each_violation_is_refused(void **state)
{
    (void)state;
    each_field(refuse_omission);
    each_field(refuse_repetition);
    each_field(refuse_size);
    each_field(refuse_bytes_in_text);
}

static void foreign_fields_and_descriptors_are_refused(void **state)
{
    struct make how = { .repeat = 1 };

    (void)state;
    for (const struct ipc_message *m = ipc_messages; m->type; m++) {
        struct ipc_in in;

        make_frame(m, &how, &out);
        ipc_put_u64(&out, TAG__END, 1);
        assert_false(decodes(NULL));
        make_frame(m, &how, &out);
        ipc_put_u64(&out, TAG_NONE, 1);
        assert_false(decodes(NULL));
        make_frame(m, &how, &out);
        assert_true(ipc_finish(&out, NULL));
        for (unsigned n = 0; n <= IPC_FDS_MAX + 1; n++) {
            bool want = m->fds == IPC_FDS_ANY ? n <= IPC_FDS_MAX : n == m->fds;

            if (ipc_decode(buf_view(&out.bytes), n, &in, NULL) != want)
                fail_msg("%s with %u descriptors", m->name, n);
        }
    }
}

static void header_rules(void **state)
{
    static const struct {
        const char *name;
        size_t at;
        char value;
    } cases[] = {
        {"version", 0, 2   },
        { "flags",  1, 1   },
        { "type",   2, 0x7f},
        { "length", 4, 1   },
        { "length", 7, 1   },
    };
    struct make how = { .repeat = 0 };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ipc_in in;

        make_frame(ipc_message_find(IPC_TX_ABORT), &how, &out);
        assert_true(ipc_finish(&out, NULL));
        out.bytes.data[cases[i].at] = cases[i].value;
        if (ipc_decode(buf_view(&out.bytes), 0, &in, NULL))
            fail_msg("%s", cases[i].name);
    }
}

static void number_of_a_wrong_length_is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < 20; n++) {
        ipc_begin(&out, IPC_CREDIT, 1);
        ipc_put_bytes(&out, TAG_CREDIT, strv_make("\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0", n));
        assert_int_equal(ipc_finish(&out, NULL), n == 8);
    }
}

static void encoder_refuses_what_the_decoder_would(void **state)
{
    static char big[IPC_FRAME_MAX];
    struct err err = { 0 };

    (void)state;
    ipc_begin(&out, IPC_TX_RCPT, 1);
    assert_false(ipc_finish(&out, &err));
    assert_int_equal(err.cls, ERR_BUG);
    ipc_begin(&out, IPC_Q_SUBMIT, 1);
    ipc_put_bytes(&out, TAG_DATA, strv_make(big, sizeof big));
    assert_false(ipc_finish(&out, &err));
    ipc_begin(&out, IPC_TX_BODY, 1);
    ipc_put_bytes(&out, TAG_DATA, strv_make(big, IPC_CHUNK_MAX));
    assert_true(ipc_finish(&out, &err));
    assert_int_equal(out.bulk, IPC_CHUNK_MAX);
    ipc_begin(&out, IPC_MAP_QUERY, 1);
    ipc_group_begin(&out, TAG_ITEM);
    assert_false(ipc_finish(&out, &err));
    ipc_begin(&out, IPC_SETUP, 1);
    for (int i = 0; i < 6; i++)
        ipc_put_fd(&out, -1);
    assert_false(ipc_finish(&out, &err));
}

static void groups_and_repetition_are_read_in_order(void **state)
{
    struct ipc_in in, job;
    size_t at = 0, inner;
    uint64_t v;

    (void)state;
    ipc_begin(&out, IPC_J_INVENTORY, 3);
    for (uint64_t id = 10; id < 13; id++) {
        ipc_group_begin(&out, TAG_RUNNING);
        ipc_put_u64(&out, TAG_ID, id);
        for (uint64_t r = 0; r < id - 8; r++)
            ipc_put_u64(&out, TAG_RCPT_INDEX, r);
        ipc_group_end(&out);
    }
    assert_true(ipc_finish(&out, NULL));
    assert_true(ipc_decode(buf_view(&out.bytes), 0, &in, NULL));
    for (uint64_t id = 10; id < 13; id++) {
        assert_true(ipc_next_group(&in, TAG_RUNNING, &at, &job));
        assert_int_equal(ipc_get_u64(&job, TAG_ID), id);
        inner = 0;
        for (uint64_t r = 0; r < id - 8; r++) {
            assert_true(ipc_next_u64(&job, TAG_RCPT_INDEX, &inner, &v));
            assert_int_equal(v, r);
        }
        assert_false(ipc_next_u64(&job, TAG_RCPT_INDEX, &inner, &v));
    }
    assert_false(ipc_next_group(&in, TAG_RUNNING, &at, &job));
    assert_null(ipc_get(&in, TAG_TEXT).p);
    assert_int_equal(ipc_take_fd(&in, 0), -1);
}

static void foreign_words_are_cleaned_and_cut(void **state)
{
    struct ipc_in in, g;
    static char big[5000];
    size_t at = 0;

    (void)state;
    memset(big, 'y', sizeof big);
    ipc_begin(&out, IPC_TX_DONE, 1);
    ipc_put_u64(&out, TAG_VERDICT, VERDICT_REFUSE);
    ipc_put_clean(&out, TAG_TEXT, strv_make("a\r\n250 ok\0b", 11));
    ipc_put_clean(&out, TAG_RULE, strv_make(big, sizeof big));
    assert_true(ipc_finish(&out, NULL));
    assert_true(ipc_decode(buf_view(&out.bytes), 0, &in, NULL));
    expect_text("text", ipc_get(&in, TAG_TEXT), "a??250 ok?b");
    assert_int_equal(ipc_get(&in, TAG_RULE).n, IPC_TEXT_MAX);
    /* inside a group the group's maximum counts */
    ipc_begin(&out, IPC_J_RESULT, 1);
    ipc_put_u64(&out, TAG_ID, 1);
    ipc_group_begin(&out, TAG_RCPT);
    ipc_put_u64(&out, TAG_RCPT_INDEX, 1);
    ipc_put_u64(&out, TAG_OUTCOME, OUTCOME_FAILED);
    ipc_put_clean(&out, TAG_STEP, strv_make(big, sizeof big));
    ipc_group_end(&out);
    ipc_put_u64(&out, TAG_LAST, 1);
    assert_true(ipc_finish(&out, NULL));
    assert_true(ipc_decode(buf_view(&out.bytes), 0, &in, NULL));
    assert_true(ipc_next_group(&in, TAG_RCPT, &at, &g));
    assert_int_equal(ipc_get(&g, TAG_STEP).n, 32);
}

static void trace_is_one_readable_line(void **state)
{
    struct ipc_in in;
    struct buf text;

    (void)state;
    buf_init(&text, 10000);
    ipc_begin(&out, IPC_TX_RCPT, 7);
    ipc_put_u64(&out, TAG_RCPT_INDEX, 0);
    ipc_put_text(&out, TAG_RCPT, SV("a b\x1b@x"));
    ipc_put_u64(&out, TAG_LOCAL, 1);
    assert_true(ipc_finish(&out, NULL) && ipc_decode(buf_view(&out.bytes), 0, &in, NULL));
    ipc_trace(&in, &text);
    expect_text("plain", buf_view(&text), "TX_RCPT txn=7 rcpt-index=0 rcpt=\"a b\\x1b@x\" local=1");
    buf_reset(&text);
    ipc_begin(&out, IPC_MAP_QUERY, 8);
    for (int i = 0; i < 2; i++) {
        ipc_group_begin(&out, TAG_ITEM);
        ipc_put_text(&out, TAG_MAP, SV("virtual"));
        ipc_put_text(&out, TAG_KEY, SV(""));
        ipc_group_end(&out);
    }
    assert_true(ipc_finish(&out, NULL) && ipc_decode(buf_view(&out.bytes), 0, &in, NULL));
    ipc_trace(&in, &text);
    expect_text("group", buf_view(&text),
                "MAP_QUERY txn=8 item={ map=virtual key=\"\" } item={ map=virtual key=\"\" }");
    buf_reset(&text);
    ipc_begin(&out, IPC_TX_BODY, 9);
    ipc_put_bytes(&out, TAG_DATA, SV("secret"));
    assert_true(ipc_finish(&out, NULL) && ipc_decode(buf_view(&out.bytes), 0, &in, NULL));
    ipc_trace(&in, &text);
    expect_text("bytes", buf_view(&text), "TX_BODY txn=9 data=[6]");
    buf_clear(&text);
}

static void routes_name_both_ends(void **state)
{
    const struct ipc_message *m = ipc_message_find(IPC_TX_OPEN);

    (void)state;
    assert_true(ipc_permitted(m, ROLE_SMTPD, ROLE_CLEANUP));
    assert_false(ipc_permitted(m, ROLE_CLEANUP, ROLE_SMTPD));
    assert_false(ipc_permitted(m, ROLE_SMTPD, ROLE_QUEUED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(schema_holds_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_message_survives_a_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frame_cut_at_any_byte_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_violation_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(foreign_fields_and_descriptors_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(header_rules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(number_of_a_wrong_length_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(encoder_refuses_what_the_decoder_would, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups_and_repetition_are_read_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(foreign_words_are_cleaned_and_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trace_is_one_readable_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(routes_name_both_ends, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
