/* test_lmdb.c - LMDB files that were cut or overwritten are seen as such before they are read */
#include "tests/support/unit.h"

#include "common/os/fd.h"
#include "common/os/lmdb.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME    "test.mdb"
#define PAGE    4096
#define ENTRIES 300

static char dir[] = "/tmp/mansio-lmdb-XXXXXX";

static int setup(void **state)
{
    (void)state;
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    unlink(NAME);
    return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

/* As historyd opens its file (written by this process) or as mapd does (to read). */
static MDB_env *open_env(unsigned flags, int *rc)
{
    MDB_env *env;

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 64u << 20), 0);
    *rc = mdb_env_open(env, NAME, MDB_NOSUBDIR | MDB_NOLOCK | flags, 0600);
    return env;
}

/* Each value fills pages of its own; the last ones are at the end of the file. */
static void make_file(void)
{
    static char value[2 * PAGE];
    MDB_val k, v = { .mv_size = sizeof value, .mv_data = value };
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    int rc;

    unlink(NAME);
    env = open_env(0, &rc);
    assert_int_equal(rc, 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &dbi), 0);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        k = (MDB_val){ .mv_size = sizeof i, .mv_data = &i };
        assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    assert_true(lmdb_is_whole(env)); /* while it is written, too */
    mdb_env_close(env);
}

/* keep: bytes from the front; more than the file has: minus that from its end. junk: so many at the front. */
static void damage(long keep, long cut, size_t junk)
{
    static char bytes[2 * PAGE];
    struct stat st;
    int fd = open(NAME, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    memset(bytes, 'J', sizeof bytes);
    assert_int_equal(pwrite(fd, bytes, junk, 0), (ssize_t)junk);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_size > ENTRIES * 2 * PAGE);
    assert_int_equal(ftruncate(fd, keep ? keep : st.st_size - cut), 0);
    fd_close(&fd);
}

static void damaged_files(void **state)
{
    static const struct {
        const char *name;
        long keep, cut;
        size_t junk;
        bool opens, whole;
    } cases[] = {
        { "as it was made", 0, 0, 0, true, true },
        { "longer", 0, -5 * PAGE, 0, true, true },
        { "one page less", 0, PAGE, 0, true, false },
        { "half a page less", 0, PAGE / 2, 0, true, false },
        { "one byte less", 0, 1, 0, true, false },
        { "cut in the middle", 100000, 0, 0, true, false },
        { "the meta pages alone", 2 * PAGE, 0, 0, true, false },
        { "both meta pages are junk", 0, 0, 2 * PAGE, false, false },
        { "cut inside the first meta page", 100, 0, 0, false, false },
    };
    static const unsigned flags[] = { MDB_RDONLY, MDB_NOMETASYNC | MDB_NORDAHEAD };

    (void)state;
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        size_t c = i / 2;
        MDB_env *env;
        int rc;

        make_file();
        damage(cases[c].keep, cases[c].cut, cases[c].junk);
        env = open_env(flags[i % 2], &rc);
        expect_bool(cases[c].name, rc == 0, cases[c].opens);
        expect_bool(cases[c].name, rc == 0 && lmdb_is_whole(env), cases[c].whole);
        mdb_env_close(env);
    }
}

/* In both meta pages, where LMDB has it: behind the head of the page, and magic, version, address, size and
   two tables of the meta. */
static void the_largest_number_of_a_page(void **state)
{
    static const uint64_t last = UINT64_MAX;
    const off_t at = 16 + 4 + 4 + 8 + 8 + 2 * 48;
    MDB_envinfo info;
    MDB_env *env;
    int fd, rc;

    (void)state;
    make_file();
    fd = open(NAME, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, &last, sizeof last, at), sizeof last);
    assert_int_equal(pwrite(fd, &last, sizeof last, PAGE + at), sizeof last);
    fd_close(&fd);
    env = open_env(MDB_RDONLY, &rc);
    assert_int_equal(rc, 0);
    assert_int_equal(mdb_env_info(env, &info), 0);
    assert_true(info.me_last_pgno == last);
    assert_false(lmdb_is_whole(env));
    mdb_env_close(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(damaged_files, setup, teardown),
        cmocka_unit_test_setup_teardown(the_largest_number_of_a_page, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
