/* test_store.c - the history on disk: found again, bounded by size and age, damaged files moved aside */
#include "common/base/mem.h"
#include "historyd/keys.h"
#include "historyd/store.h"
#include "tests/support/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB  (1u << 20)
#define HOUR 3600000

static const struct store_limits limits = { .keep_ms = 24 * HOUR, .size = 16 * MIB };
static char dir[] = "/tmp/mansio-history-XXXXXX";
static char *bytes;

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/mansio-history-XXXXXX");
    bytes = mem_new(BLOCK_SIZE);
    return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    static const char *const names[] = { "history.mdb", "history.damaged", "history.opening" };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        unlink(names[i]);
    free(bytes);
    return chdir("/") == 0 ? rmdir(dir) : -1;
}

static struct store *open_store(bool want_damaged)
{
    struct err err = { 0 };
    bool damaged;
    struct store *s = store_open(&limits, &damaged, &err);

    if (!s)
        fail_msg("%s", err.text);
    expect_bool(err.text, damaged, want_damaged);
    return s;
}

/* One block with the line of that id, at that time. */
static void put(struct store *s, const char *id, int64_t ms, bool open)
{
    struct err err = { 0 };
    struct block b;
    char text[128];
    struct line line = { .ms = ms };
    const char *one = bytes;

    snprintf(text, sizeof text, "event=x id=%s", id);
    line.text = SV(text);
    block_init(&b);
    assert_true(block_add(&b, &line));
    block_write(&b, bytes);
    block_clear(&b);
    if (!store_put(s, &one, 1, open, &err))
        fail_msg("%s", err.text);
}

static bool count_block(void *arg, uint64_t number, const struct block_view *v)
{
    (void)number;
    (void)v;
    ++*(unsigned *)arg;
    return true;
}

static unsigned find(struct store *s, const char *id, int64_t since_ms)
{
    char dst[KEY_TEXT];
    uint32_t key = key_hash(key_form(SV(id), dst));
    struct store_query q = { .keys = &key, .key_n = 1, .since_ms = since_ms, .from = UINT64_MAX, .max = 3 };
    uint64_t next = UINT64_MAX;
    struct err err = { 0 };
    unsigned n = 0;

    for (q.from = next; next; q.from = next) {
        if (!store_find(s, &q, count_block, &n, &next, &err))
            fail_msg("%s", err.text);
    }
    return n;
}

static void found_again(void **state)
{
    struct store *s = open_store(false);

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        char id[16];

        snprintf(id, sizeof id, "ID%u", i % 10);
        put(s, id, 1000 * i, false);
    }
    assert_int_equal(find(s, "id3", 0), 2);
    assert_int_equal(find(s, "id3", 5000), 1);
    assert_int_equal(find(s, "other", 0), 0);
    store_close(&s);
    s = open_store(false);
    assert_int_equal(find(s, "id3", 0), 2);
    store_close(&s);
}

static void an_open_block_is_replaced(void **state)
{
    struct store *s = open_store(false);
    uint64_t open;

    (void)state;
    put(s, "A", 1, true);
    put(s, "B", 2, true);
    assert_int_equal(find(s, "a", 0), 0);
    open = store_open_block(s);
    store_close(&s);
    s = open_store(false);
    store_resume(s, open);
    put(s, "C", 3, false);
    put(s, "D", 4, true);
    assert_int_equal(find(s, "b", 0) + find(s, "c", 0) * 10 + find(s, "d", 0) * 100, 110);
    store_close(&s);
}

static uint64_t file_size(void)
{
    struct stat st;

    assert_int_equal(stat("history.mdb", &st), 0);
    return (uint64_t)st.st_size;
}

static void bounded_by_size(void **state)
{
    struct store *s = open_store(false);
    struct store_state look;
    struct err err = { 0 };
    bool more = true;

    (void)state;
    for (unsigned i = 0; i < 1500; i++) {
        char id[16];

        snprintf(id, sizeof id, "ID%u", i);
        put(s, id, 1000000 + i, false);
        assert_true(store_trim(s, 1000000 + i, 0, &more, &err));
    }
    assert_true(store_look(s, &look, &err));
    assert_true(look.blocks <= store_blocks_max(limits.size) &&
                look.blocks > store_blocks_max(limits.size) / 2);
    if (file_size() > limits.size)
        fail_msg("the file has %llu bytes", (unsigned long long)file_size());
    assert_int_equal(find(s, "id1499", 0), 1);
    assert_int_equal(find(s, "id0", 0), 0);
    assert_int_equal(look.oldest_ms, 1000000 + 1500 - (int64_t)look.blocks);
    store_close(&s);
}

static void bounded_by_age(void **state)
{
    struct store *s = open_store(false);
    struct store_state look;
    struct err err = { 0 };
    bool more = true;
    unsigned steps = 0;

    (void)state;
    for (int i = 0; i < 48; i++)
        put(s, "A", (int64_t)i * HOUR, false);
    while (more) {
        assert_true(store_trim(s, (int64_t)48 * HOUR, 0, &more, &err));
        steps++;
    }
    assert_int_equal(steps, 2); /* 24 blocks, 16 at a time */
    assert_true(store_look(s, &look, &err));
    assert_int_equal(look.blocks, 24);
    assert_true(look.oldest_ms == (int64_t)24 * HOUR);
    assert_true(store_trim(s, (int64_t)48 * HOUR, 5, &more, &err));
    assert_true(store_look(s, &look, &err));
    assert_int_equal(look.blocks, 19);
    store_close(&s);
}

static uint64_t trimmed(struct store *s, int64_t now_ms)
{
    struct store_state look;
    struct err err = { 0 };
    bool more = true;

    while (more)
        assert_true(store_trim(s, now_ms, 0, &more, &err));
    assert_true(store_look(s, &look, &err));
    return look.blocks;
}

/* Ten blocks of a clock that was a year ahead for ten hours stand before those of later hours. */
static void a_clock_that_was_ahead(void **state)
{
    struct store *s = open_store(false);
    const int64_t year = (int64_t)365 * 24 * HOUR;

    (void)state;
    for (int i = 0; i < 48; i++)
        put(s, i == 30 ? "LATE" : "A", (int64_t)i * HOUR + (i < 10 ? year : 0), false);
    assert_int_equal(trimmed(s, 0), 48); /* back for a while: nothing is lost of that */
    assert_int_equal(trimmed(s, (int64_t)30 * HOUR), 48);
    assert_int_equal(trimmed(s, (int64_t)48 * HOUR), 24);
    assert_int_equal(find(s, "late", 0), 1);
    store_close(&s);
}

/* One block of a host that started without a clock hides nothing that is older. */
static void a_clock_that_was_back(void **state)
{
    struct store *s = open_store(false);

    (void)state;
    for (int i = 0; i < 20; i++)
        put(s, i == 5 ? "EARLY" : "A", i == 15 ? 0 : (int64_t)i * HOUR, false);
    assert_int_equal(find(s, "early", (int64_t)4 * HOUR), 1);
    assert_int_equal(find(s, "early", (int64_t)6 * HOUR), 0);
    assert_int_equal(find(s, "a", (int64_t)14 * HOUR), 5);
    store_close(&s);
}

static void damage(size_t at, const char *what, size_t n, long cut)
{
    int fd = open("history.mdb", O_RDWR);

    assert_true(fd >= 0);
    if (n)
        assert_int_equal(pwrite(fd, what, n, (off_t)at), n);
    if (cut >= 0)
        assert_int_equal(ftruncate(fd, cut), 0);
    close(fd);
}

static void a_damaged_file_is_moved_aside(void **state)
{
    static char junk[16384];
    struct store *s = open_store(false);

    (void)state;
    memset(junk, 0x5a, sizeof junk);
    for (unsigned i = 0; i < 10; i++)
        put(s, "A", i, false);
    store_close(&s);
    damage(0, junk, 8192, -1); /* both meta pages */
    s = open_store(true);
    assert_int_equal(access("history.damaged", F_OK), 0);
    assert_int_equal(find(s, "a", 0), 0);
    for (unsigned i = 0; i < 10; i++)
        put(s, "B", i, false);
    store_close(&s);
    damage(0, NULL, 0, 100000); /* cut: its end is beyond the file's */
    s = open_store(true);
    put(s, "C", 1, false);
    assert_int_equal(find(s, "c", 0), 1);
    store_close(&s);
}

static void a_damaged_block_is_left_out(void **state)
{
    struct store *s = open_store(false);
    struct store_state look;
    struct err err = { 0 };
    char *file = mem_new(4 * MIB), *at = NULL;
    ssize_t n;
    int fd;

    (void)state;
    put(s, "A", 1, false);
    put(s, "B", 2, false);
    store_close(&s);
    fd = open("history.mdb", O_RDWR);
    n = read(fd, file, 4 * MIB);
    assert_true(n > 0);
    at = memmem(file, (size_t)n, "event=x id=A", 12);
    assert_non_null(at);
    assert_int_equal(pwrite(fd, "x", 1, at - file), 1);
    close(fd);
    s = open_store(false);
    assert_int_equal(find(s, "a", 0), 0);
    assert_int_equal(find(s, "b", 0), 1);
    assert_true(store_look(s, &look, &err));
    assert_int_equal(look.damaged, 1);
    store_close(&s);
    free(file);
}

/* A look that ends the process leaves its mark; the second time the file is given up. */
static void two_ends_while_opening(void **state)
{
    struct store *s = open_store(false);
    int fd;

    (void)state;
    put(s, "A", 1, false);
    store_close(&s);
    fd = open("history.opening", O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "+", 1), 1);
    close(fd);
    s = open_store(false);
    assert_int_equal(find(s, "a", 0), 1);
    store_close(&s);
    assert_int_not_equal(access("history.opening", F_OK), 0);
    fd = open("history.opening", O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "++", 2), 2);
    close(fd);
    s = open_store(true);
    assert_int_equal(find(s, "a", 0), 0);
    store_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(found_again, setup, teardown),
        cmocka_unit_test_setup_teardown(an_open_block_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(bounded_by_size, setup, teardown),
        cmocka_unit_test_setup_teardown(bounded_by_age, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_was_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_was_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_moved_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_block_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(two_ends_while_opening, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
