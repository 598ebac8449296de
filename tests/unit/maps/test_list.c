/* test_list.c - targets of aliases and virtual entries, and error: values */
#include "tests/support/unit.h"

#include "maps/list.h"

static const char *const kinds[] = { "", "final:", "include:", "command:", "file:", "discard:", "bad:" };

static const struct {
    const char *name, *value;
    unsigned flags;
    const char *want;
} lists[] = {
    { "one", "bob", 0, "bob" },
    { "several", "a, b@x.org ,c", 0, "a|b@x.org|c" },
    { "blanks separate in virtual", "a@x b@x,c@x", LIST_BLANKS, "a@x|b@x|c@x" },
    { "empty elements", ", a,, b ,", 0, "a|b" },
    { "nothing", " , ", 0, "" },
    { "quoted local part", "\"a, b\"@x.org, c", 0, "\"a, b\"@x.org|c" },
    { "quoted local part with blanks", "\"a b\"@x.org c@x", LIST_BLANKS, "\"a b\"@x.org|c@x" },
    { "display name", "Bob B. <bob@x.org>, c", 0, "bob@x.org|c" },
    { "display name with comma", "\"B, Bob\" <bob@x.org>, c", 0, "bob@x.org|c" },
    { "final", "\\bob, a", 0, "final:bob|a" },
    { "command", "|/usr/bin/prog -x", 0, "command:/usr/bin/prog -x" },
    { "command in quotes", "\"|/usr/bin/prog a, b\", c", 0, "command:/usr/bin/prog a, b|c" },
    { "command with quote behind the bar", "|\"/usr/bin/prog a, b\"", 0, "command:\"/usr/bin/prog a, b\"" },
    { "file", "/var/mail/archive", 0, "file:/var/mail/archive" },
    { "file in quotes", "\"/var/mail/a b\"", 0, "file:/var/mail/a b" },
    { "discard", "/dev/null", 0, "discard:/dev/null" },
    { "include", ":include:/etc/mail/list, a", 0, "include:/etc/mail/list|a" },
    { "include in quotes", "\":include:/etc/mail/my list\"", 0, "include:/etc/mail/my list" },
    { "include in capitals", ":INCLUDE: /etc/mail/list", 0, "include:/etc/mail/list" },
    { "address with slashes", "/o=x/@gw.org", 0, "/o=x/@gw.org" },
    { "unclosed quote", "a, \"b c", 0, "a|bad:\"b c" },
    { "unclosed bracket", "Bob <bob@x.org", 0, "bad:Bob <bob@x.org" },
    { "escaped quote", "\"a\\\"b\"@x, c", 0, "\"a\\\"b\"@x|c" },
};

static void list_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(lists); i++) {
        struct strv rest = SV(lists[i].value);
        struct list_item item;
        struct buf got;

        buf_init(&got, 1024);
        while (list_next(&rest, lists[i].flags, &item))
            buf_addf(&got, "%s%s%.*s", got.len ? "|" : "", kinds[item.kind], (int)item.text.n, item.text.p);
        expect_text(lists[i].name, buf_view(&got), lists[i].want);
        buf_clear(&got);
    }
}

static const struct {
    const char *name, *value;
    bool is;
    int code;
    const char *enhanced, *text;
} errors[] = {
    { "no error", "bob@x.org", false, 0, "", "" },
    { "text alone", "error:No such user", true, 550, "5.1.1", "No such user" },
    { "nothing", "error:", true, 550, "5.1.1", "" },
    { "code", "error:553 Moved away", true, 553, "5.1.1", "Moved away" },
    { "code and status", "error:550 5.2.1 Mailbox disabled", true, 550, "5.2.1", "Mailbox disabled" },
    { "temporary", "error:450 4.2.1 Later", true, 450, "4.2.1", "Later" },
    { "temporary code alone", "error:451 Later", true, 451, "4.1.1", "Later" },
    { "class of the status follows the code", "error:550 4.2.1 Odd", true, 550, "5.2.1", "Odd" },
    { "sendmail nouser", "error:nouser 550 User unknown", true, 550, "5.1.1", "User unknown" },
    { "sendmail nouser alone", "error:nouser User unknown", true, 550, "5.1.1", "User unknown" },
    { "sendmail status", "error:5.7.0:550 No", true, 550, "5.7.0", "No" },
    { "sendmail status alone", "error:5.1.1:User unknown", true, 550, "5.1.1", "User unknown" },
    { "sendmail temporary status", "error:4.2.1:Later", true, 451, "4.2.1", "Later" },
    { "sendmail quotes", "error:\"550 5.7.1 Not you\"", true, 550, "5.7.1", "Not you" },
    { "sendmail status and quotes", "ERROR:5.7.1:\"554 Not you\"", true, 554, "5.7.1", "Not you" },
    { "a quote in the words", "error:550 Not \"you\"", true, 550, "5.1.1", "Not \"you\"" },
    { "one quote", "error:\"", true, 550, "5.1.1", "\"" },
    { "code alone", "error:553", true, 553, "5.1.1", "" },
    { "sendmail nohost", "error:nohost No such host", true, 550, "5.1.2", "No such host" },
    { "sendmail temporary", "error:tempfail 451 Later", true, 451, "4.3.0", "Later" },
    { "a success code is no refusal code", "error:250 fine", true, 550, "5.1.1", "250 fine" },
    { "in capitals", "ERROR:550 no", true, 550, "5.1.1", "no" },
};

static void error_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++) {
        struct list_error e;
        bool is = list_error_read(SV(errors[i].value), &e);

        expect_bool(errors[i].name, is, errors[i].is);
        if (!is)
            continue;
        if (e.code != errors[i].code)
            fail_msg("%s: code %d", errors[i].name, e.code);
        expect_text(errors[i].name, SV(e.enhanced), errors[i].enhanced);
        expect_text(errors[i].name, e.text, errors[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(list_cases), cmocka_unit_test(error_cases) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
