/* fuzz_map_value.c - values of tables: target lists end and stay within the value, mailbox paths never
   climb, error: replies are replies */
#include "tests/support/fuzz.h"

#include "common/mail/status.h"
#include "conf/mailbox.h"
#include "maps/keys.h"
#include "maps/list.h"

static void within(struct strv inner, struct strv outer)
{
    must(inner.n == 0 || (inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n));
}

static void lists(struct strv value, unsigned flags)
{
    struct strv rest = value;
    struct list_item item;
    size_t n = 0;

    while (list_next(&rest, flags, &item)) {
        within(item.text, value);
        must(++n <= value.n);
        must(item.kind != LIST_FINAL || item.text.n > 0);
    }
}

static void place(const char *root, struct strv value)
{
    struct conf_mailbox m = { .root = (char *)root, .path = (char *)"~/Maildir", .owner = (char *)"vmail" };
    struct mailbox_place p;
    struct err err = { 0 };
    struct strv rest, part;

    if (!mailbox_place_read(&m, SV_LIT("bob"), value, &p, &err)) {
        must(err.cls == ERR_CONF);
        return;
    }
    must(p.path.n > 0 && p.path.p[0] != '/' && p.path.p[p.path.n - 1] != '/');
    rest = p.path;
    while (strv_cut(&rest, '/', &part))
        must(part.n > 0 && !strv_is(part, "..") && !strv_is(part, "."));
    must(p.user.n > 0);
    must(!p.system_user || (p.home.n && p.home.p[0] == '/' && p.uid < UINT32_MAX && p.gid < UINT32_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv value = strv_make((const char *)data, size);
    struct list_error e;
    struct status st;

    lists(value, 0);
    lists(value, LIST_BLANKS);
    place("/m", value);
    place("", value);
    if (list_error_read(value, &e)) {
        must(e.code >= 400 && e.code <= 599);
        must(status_parse(SV(e.enhanced), &st) && st.cls == e.code / 100);
        within(e.text, value);
    }
    return 0;
}
