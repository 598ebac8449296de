/* test_document.c - the list of messages in docs/IPC.md is what the schema says; UPDATE=1 rewrites it */
#include "tests/support/unit.h"

#include "common/ipc/frame.h"

#include <stdlib.h>
#include <string.h>

#define PATH  "docs/IPC.md"
#define BEGIN "<!-- generated from common/ipc/schema.c: begin -->\n"
#define END   "<!-- generated: end -->\n"

static void read_file(struct buf *text)
{
    FILE *f = fopen(PATH, "r");
    char part[4096];
    size_t n;

    if (!f)
        fail_msg("cannot read %s", PATH);
    while ((n = fread(part, 1, sizeof part, f)) > 0)
        buf_add(text, part, n);
    fclose(f);
}

static void write_file(const struct buf *text)
{
    FILE *f = fopen(PATH, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text->data, 1, text->len, f), text->len);
    assert_int_equal(fclose(f), 0);
}

static void document_is_current(void **state)
{
    struct buf have, want;
    const char *begin, *end;

    (void)state;
    buf_init(&have, 1u << 20);
    buf_init(&want, 1u << 20);
    read_file(&have);
    begin = strstr(buf_cstr(&have), BEGIN);
    end = strstr(buf_cstr(&have), END);
    assert_true(begin && end && begin < end);
    buf_add(&want, have.data, (size_t)(begin - have.data) + strlen(BEGIN));
    ipc_document(&want);
    buf_addc(&want, '\n');
    buf_adds(&want, end);
    assert_true(buf_ok(&want));
    if (getenv("UPDATE"))
        write_file(&want);
    else if (!strv_eq(buf_view(&have), buf_view(&want)))
        fail_msg("%s is out of date: run this test with UPDATE=1", PATH);
    buf_clear(&have);
    buf_clear(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_is_current),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
