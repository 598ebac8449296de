/* test_vectors_address.c - the shared vectors for addresses, paths and address lists */
#include "common/mail/address.h"
#include "common/mail/mailbox.h"
#include "common/mail/path.h"
#include "tests/support/vectors.h"

#define MAILBOX_FILE "smtp-syntax-dovecot/mailbox.json"
#define PATH_FILE "smtp-syntax-dovecot/path.json"
#define STRING_FILE "smtp-syntax-dovecot/string.json"
#define ISEMAIL_FILE "isemail/tests.json"
#define LIST_FILE "headers-stalwart/address.json"

static struct vector_exception exceptions[] = {
    { MAILBOX_FILE, "user@127.0.0.1",
      "a domain of digits is refused: resolvers read it as an address, which the relay policy never saw", 0 },
    { MAILBOX_FILE, "email.@example.com", "strict dots; the same file lists it as invalid too", 0 },
    { MAILBOX_FILE, "email..email@example.com", "strict dots; the same file lists it as invalid too", 0 },
    { STRING_FILE, "", "an empty local part is a key of tables for a whole domain", 0 },
    { ISEMAIL_FILE, "\"\"@iana.org", "an empty local part, as above", 0 },
    { ISEMAIL_FILE, "test@iana.123",
      "a top-level domain of digits cannot exist; the category warns of it", 0 },
    { ISEMAIL_FILE, "\"abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghj\"@iana.org",
      "65 bytes of local part: VERP and SRS need more than 64", 0 },
    { LIST_FILE, "<mailto:archive@host.com?subject=index%20list>\n", "a list of URLs, not of addresses", 0 },
    { LIST_FILE,
      "<http://www.host.com/list.cgi?cmd=sub&lst=list>,\n   "
      "<mailto:list-manager@host.com?body=subscribe%20list>\n",
      "URLs", 0 },
    { LIST_FILE, "<ftp://ftp.host.com/list.txt> (FTP),\n   <mailto:list@host.com?subject=help>\n",
      "URLs", 0 },
    { LIST_FILE, "<a@b.com> =?utf-8?q?Doe?=\n",
      "text behind the bracket is no syntax of RFC 5322: who would get the mail is a guess", 0 },
    { NULL, NULL, NULL, 0 },
};

static bool text_is(const json_t *object, const char *key, const char *want)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text && strcmp(text, want) == 0;
}

static void isemail(void **state)
{
    json_t *root = vectors_load(ISEMAIL_FILE), *v;
    size_t i;

    (void)state;
    if (!root)
        skip();
    json_array_foreach(root, i, v) {
        bool theirs = text_is(v, "category", "ISEMAIL_VALID_CATEGORY") ||
                      text_is(v, "category", "ISEMAIL_RFC5321") || text_is(v, "category", "ISEMAIL_DNSWARN");
        struct address a;
        struct buf in;
        bool ours;

        assert_true(vectors_text(v, "address", &in));
        ours = address_parse(buf_view(&in), 0, &a, NULL);
        vectors_judge(exceptions, ISEMAIL_FILE, buf_view(&in), ours, theirs);
        address_clear(&a);
        buf_clear(&in);
    }
    vectors_finish(exceptions, ISEMAIL_FILE);
    json_decref(root);
}

/* Checks local part and domain of an accepted vector. */
static void check_parts(const json_t *v, const struct address *a)
{
    struct buf local, domain;

    if (vectors_text(v, "localpart", &local))
        expect_text("local part", a->local, buf_cstr(&local));
    if (vectors_text(v, "domain", &domain))
        expect_text("domain", a->domain, buf_cstr(&domain));
    buf_clear(&local);
    buf_clear(&domain);
}

static unsigned flags_of(const json_t *v, bool valid)
{
    const char *flags = json_string_value(json_object_get(v, "flags"));
    struct buf in;
    bool eight = false;
    unsigned out = flags && strstr(flags, "ALLOW_LOCALPART") ? ADDRESS_LOCAL_OK : 0;

    vectors_text(v, "input", &in);
    for (size_t i = 0; i < in.len; i++)
        eight |= (unsigned char)in.data[i] >= 0x80;
    buf_clear(&in);
    return valid && eight ? out | ADDRESS_UTF8 : out;
}

static void dovecot_mailboxes(void **state)
{
    json_t *root = vectors_load(MAILBOX_FILE), *v;
    size_t i;

    (void)state;
    if (!root)
        skip();
    json_array_foreach(root, i, v) {
        bool theirs = json_is_true(json_object_get(v, "valid")), ours;
        struct address a;
        struct buf in;

        assert_true(vectors_text(v, "input", &in));
        ours = address_parse(buf_view(&in), flags_of(v, theirs), &a, NULL);
        vectors_judge(exceptions, MAILBOX_FILE, buf_view(&in), ours, theirs);
        if (ours)
            check_parts(v, &a);
        address_clear(&a);
        buf_clear(&in);
    }
    vectors_finish(exceptions, MAILBOX_FILE);
    json_decref(root);
}

static void dovecot_paths(void **state)
{
    json_t *root = vectors_load(PATH_FILE), *v;
    size_t i;

    (void)state;
    if (!root)
        skip();
    json_array_foreach(root, i, v) {
        bool theirs = json_is_true(json_object_get(v, "valid")), ours;
        const char *flags = json_string_value(json_object_get(v, "flags"));
        struct path p;
        struct buf in, argument;
        struct strv rest;

        /* Modes of Dovecot that take broken text as the null path: never ours. */
        if (flags && strstr(flags, "IGNORE_BROKEN") && text_is(v, "output", "<>"))
            theirs = false;
        assert_true(vectors_text(v, "input", &in));
        buf_init(&argument, 4096);
        buf_adds(&argument, "TO:");
        buf_addv(&argument, buf_view(&in));
        ours = path_parse(PATH_FORWARD, buf_view(&argument), flags_of(v, theirs), &p, &rest, NULL);
        vectors_judge(exceptions, PATH_FILE, buf_view(&in), ours, theirs);
        if (ours)
            check_parts(v, &p.address);
        path_clear(&p);
        buf_clear(&in);
        buf_clear(&argument);
    }
    vectors_finish(exceptions, PATH_FILE);
    json_decref(root);
}

static void dovecot_strings(void **state)
{
    json_t *root = vectors_load(STRING_FILE), *v;
    size_t i;

    (void)state;
    if (!root)
        skip();
    json_array_foreach(root, i, v) {
        bool theirs = json_is_true(json_object_get(v, "valid")), ours;
        struct address a;
        struct buf in, parsed;

        assert_true(vectors_text(v, "input", &in));
        ours = address_parse(buf_view(&in), ADDRESS_LOCAL_OK, &a, NULL);
        vectors_judge(exceptions, STRING_FILE, buf_view(&in), ours, theirs);
        if (ours && vectors_text(v, "parsed", &parsed)) {
            expect_text("parsed", a.local, buf_cstr(&parsed));
            buf_clear(&parsed);
        }
        address_clear(&a);
        buf_clear(&in);
    }
    vectors_finish(exceptions, STRING_FILE);
    json_decref(root);
}

/* The field's value: up to the first line break that no blank follows, with CRLF line ends. */
static void field_value(const json_t *v, struct buf *out)
{
    struct buf in;

    assert_true(vectors_text(v, "header", &in));
    buf_init(out, 1 << 16);
    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] != '\n') {
            buf_addc(out, in.data[i]);
        } else if (i + 1 < in.len && byte_is_blank((unsigned char)in.data[i + 1])) {
            buf_adds(out, "\r\n");
        } else {
            break;
        }
    }
    buf_clear(&in);
}

/* "@node.test:mary@example.net" and "jdoe@test . example" are given raw: without route and blanks they are
   ours. */
static bool same_address(struct strv want, const struct address *a)
{
    struct buf got, clean;
    bool same;
    size_t at;

    buf_init(&got, 1024);
    buf_init(&clean, 1024);
    address_format(a, &got);
    if (want.n > 0 && want.p[0] == '@' && strv_find(want, ':', &at))
        want = strv_from(want, at + 1);
    for (size_t i = 0; i < want.n; i++) {
        if (want.p[i] != ' ')
            buf_addc(&clean, want.p[i]);
    }
    same = strv_ieq(buf_view(&got), buf_view(&clean));
    buf_clear(&got);
    buf_clear(&clean);
    return same;
}

/* Plain display names only: comments and encoded words stay out of ours. */
static void check_name(const json_t *entry, const struct mailbox *m, struct strv value)
{
    struct buf want;

    if (strv_has(value, '(') || (value.n > 1 && memmem(value.p, value.n, "=?", 2)))
        return;
    if (vectors_text(entry, "name", &want))
        expect_text("name", buf_view(&m->name), buf_cstr(&want));
    else
        assert_int_equal(m->name.len, 0);
    buf_clear(&want);
}

/* Walks the expected entries beside the iterator; false at the first difference. */
static bool compare_list(const json_t *list, struct mailbox_iter *it, struct strv value)
{
    struct mailbox m = { .had_route = false };
    const json_t *entry;
    bool same = true;
    size_t i;

    json_array_foreach(list, i, entry) {
        const char *want = json_string_value(json_object_get(entry, "address"));

        if (!want)
            continue;       /* a comment taken for a mailbox without an address */
        same = same && mailbox_next(it, &m, NULL) == MAILBOX_OK && same_address(SV(want), &m.address);
        if (same)
            check_name(entry, &m, value);
    }
    mailbox_clear(&m);
    return same;
}

static void stalwart_address_lists(void **state)
{
    json_t *root = vectors_load(LIST_FILE), *v;
    size_t i;

    (void)state;
    if (!root)
        skip();
    json_array_foreach(root, i, v) {
        const json_t *expected = json_object_get(v, "expected"), *group;
        struct mailbox_iter it;
        struct mailbox m = { .had_route = false };
        struct buf value, header;
        bool same = true;
        size_t k;

        assert_true(vectors_text(v, "header", &header));
        field_value(v, &value);
        mailbox_iter_init(&it, buf_view(&value), 0);
        if (json_object_get(expected, "List"))
            same = compare_list(json_object_get(expected, "List"), &it, buf_view(&value));
        json_array_foreach(json_object_get(expected, "Group"), k, group)
            same = same && compare_list(json_object_get(group, "addresses"), &it, buf_view(&value));
        same = same && mailbox_next(&it, &m, NULL) == MAILBOX_END;
        vectors_judge(exceptions, LIST_FILE, buf_view(&header), same, true);
        mailbox_clear(&m);
        buf_clear(&value);
        buf_clear(&header);
    }
    vectors_finish(exceptions, LIST_FILE);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(isemail),         cmocka_unit_test(dovecot_mailboxes),
        cmocka_unit_test(dovecot_paths),   cmocka_unit_test(dovecot_strings),
        cmocka_unit_test(stalwart_address_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
