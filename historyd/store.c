/* store.c - blocks on disk: an LMDB file of bounded size
 *
 * A process that ends while it looks at the file (a page that makes no sense ends it with a signal) leaves
 * the mark file behind; the second time the file is moved aside.
 */
#include "historyd/store.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/lmdb.h"

#define NAME      "history.mdb"
#define ASIDE     "history.damaged"
#define MARK      "history.opening"
#define TRIES     2 /* ends at the same place before the file is given up */
#define PAGES     16u
#define PAGE      4096u
#define SPARE     64u         /* blocks that wait to be used again, and the table itself */
#define MAP_SPARE (32u << 20) /* address space beyond the size; nothing of it is used */

struct store {
    MDB_env *env;
    MDB_dbi dbi;
    struct store_limits limits;
    uint64_t last, open; /* numbers of blocks; open 0: the last one is complete */
    uint64_t damaged;
};

static bool fail(struct err *err, int rc, const char *what)
{
    if (rc > 0) {
        errno = rc;
        err_sys(err, "%s", what);
    } else {
        err_set(err, ERR_TEMP, "%s: %s", what, mdb_strerror(rc));
    }
    if (rc == ENOSPC || rc == EDQUOT || rc == MDB_MAP_FULL)
        err->cls = ERR_LIMIT;
    return false;
}

uint64_t store_blocks_max(uint64_t size)
{
    uint64_t n = size / (PAGES * PAGE);

    return n > 2 * SPARE ? n - SPARE : SPARE;
}

static MDB_val key_val(const uint64_t *number)
{
    return (MDB_val){ .mv_size = sizeof *number, .mv_data = (void *)(uintptr_t)number };
}

static uint64_t key_read(MDB_val k)
{
    uint64_t number = 0;

    if (k.mv_size == sizeof number)
        memcpy(&number, k.mv_data, sizeof number);
    return number;
}

/* ---- opening ---- */

/* True: the last TRIES looks at the file did not come to an end. */
static bool mark_set(void)
{
    int fd = open(MARK, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct stat st = { 0 };

    if (fd < 0)
        return false; /* the disk is full, perhaps: no reason to give anything up */
    if (write(fd, "+", 1) != 1 || fstat(fd, &st) < 0)
        st.st_size = 0;
    fd_close(&fd);
    return st.st_size > TRIES;
}

static int env_open(struct store *s)
{
    uint64_t size = s->limits.size + MAP_SPARE;
    int rc = mdb_env_create(&s->env);
    struct stat st;

    if (stat(NAME, &st) == 0 && (uint64_t)st.st_size + MAP_SPARE > size)
        size = (uint64_t)st.st_size + MAP_SPARE;
    if (!rc)
        rc = mdb_env_set_mapsize(s->env, size);
    if (!rc)
        rc = mdb_env_open(s->env, NAME, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOMETASYNC | MDB_NORDAHEAD, 0600);
    if (!rc && !lmdb_is_whole(s->env))
        rc = MDB_CORRUPTED;
    return rc;
}

/* Every page of the table but those of the blocks themselves, which have checksums. */
static int table_check(struct store *s)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &s->dbi);
    if (!rc)
        rc = mdb_cursor_open(txn, s->dbi, &cursor);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    while (!(rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))) {
        if (k.mv_size != sizeof(uint64_t) || v.mv_size != BLOCK_SIZE || key_read(k) <= s->last) {
            rc = MDB_CORRUPTED;
            break;
        }
        s->last = key_read(k);
    }
    mdb_cursor_close(cursor);
    if (rc != MDB_NOTFOUND) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

static bool is_damage(int rc)
{
    static const int damages[] = { MDB_CORRUPTED, MDB_INVALID,     MDB_VERSION_MISMATCH, MDB_PAGE_NOTFOUND,
                                   MDB_PANIC,     MDB_BAD_TXN,     MDB_BAD_VALSIZE,      MDB_INCOMPATIBLE,
                                   MDB_PAGE_FULL, MDB_CURSOR_FULL, MDB_TXN_FULL };

    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        if (rc == damages[i])
            return true;
    }
    return false;
}

static int open_once(struct store *s)
{
    int rc;

    s->last = 0;
    rc = env_open(s);
    if (!rc)
        rc = table_check(s);
    if (rc && s->env) {
        mdb_env_close(s->env);
        s->env = NULL;
    }
    return rc;
}

struct store *store_open(const struct store_limits *limits, bool *damaged, struct err *err)
{
    struct store *s = mem_new(sizeof *s);
    bool hopeless = mark_set();
    int rc = MDB_CORRUPTED;

    s->limits = *limits;
    *damaged = false;
    if (!hopeless)
        rc = open_once(s);
    if (hopeless || is_damage(rc)) {
        fail(err, rc, NAME);
        *damaged = rename(NAME, ASIDE) == 0;
        rc = open_once(s);
    }
    unlink(MARK);
    if (!rc)
        return s;
    fail(err, rc, NAME);
    free(s);
    return NULL;
}

void store_close(struct store **sp)
{
    struct store *s = *sp;

    *sp = NULL;
    if (!s)
        return;
    mdb_env_close(s->env);
    free(s);
}

void store_limit(struct store *s, const struct store_limits *limits)
{
    MDB_envinfo info;

    s->limits = *limits;
    if (mdb_env_info(s->env, &info) == 0 && info.me_mapsize < limits->size + MAP_SPARE)
        mdb_env_set_mapsize(s->env, limits->size + MAP_SPARE);
}

/* ---- writing ---- */

bool store_put(struct store *s, const char *const *blocks, size_t n, bool open, struct err *err)
{
    uint64_t number = s->open ? s->open : s->last + 1;
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

    if (rc)
        return fail(err, rc, "begin");
    for (size_t i = 0; i < n && !rc; i++) {
        uint64_t at = number + i;
        MDB_val k = key_val(&at), v = { .mv_size = BLOCK_SIZE };

        rc = mdb_put(txn, s->dbi, &k, &v, MDB_RESERVE);
        if (!rc)
            memcpy(v.mv_data, blocks[i], BLOCK_SIZE);
    }
    if (rc) {
        mdb_txn_abort(txn);
        return fail(err, rc, "write");
    }
    rc = mdb_txn_commit(txn);
    if (rc)
        return fail(err, rc, "commit");
    s->last = number + n - 1;
    s->open = open ? s->last : 0;
    return true;
}

uint64_t store_open_block(const struct store *s)
{
    return s->open;
}

void store_resume(struct store *s, uint64_t open)
{
    s->open = open == s->last ? open : 0;
}

static int count_of(MDB_txn *txn, MDB_dbi dbi, uint64_t *n)
{
    MDB_stat stat;
    int rc = mdb_stat(txn, dbi, &stat);

    *n = rc ? 0 : stat.ms_entries;
    return rc;
}

/* The first block is from a clock that was ahead: it is too old when one that was written later is. Looked at
   are those 1, 2, 4, 8... behind it, for there may be many such blocks and this is asked often. */
static bool later_is_due(const struct store *s, MDB_cursor *cursor, uint64_t first, int64_t before_ms)
{
    for (uint64_t step = 1; step <= s->last - first; step *= 2) {
        uint64_t number = first + step;
        struct block_view view;
        MDB_val k = key_val(&number), v;

        if (mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE))
            return false;
        if (block_view(strv_make(v.mv_data, v.mv_size), &view) && view.last_ms < before_ms)
            return true;
    }
    return false;
}

/* Of the first block, on which the cursor is; it may be elsewhere then. */
static bool is_due(const struct store *s, MDB_cursor *cursor, MDB_val k, MDB_val v, uint64_t count,
                   int64_t now_ms)
{
    struct block_view view;
    int64_t before_ms = now_ms - s->limits.keep_ms;

    if (count > store_blocks_max(s->limits.size) || !block_view(strv_make(v.mv_data, v.mv_size), &view))
        return true;
    if (view.last_ms < before_ms)
        return true;
    return view.last_ms > now_ms && later_is_due(s, cursor, key_read(k), before_ms);
}

static int trim(struct store *s, MDB_txn *txn, int64_t now_ms, size_t least, size_t *removed)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    uint64_t count;
    int rc = count_of(txn, s->dbi, &count);

    if (!rc)
        rc = mdb_cursor_open(txn, s->dbi, &cursor);
    if (rc)
        return rc;
    while (*removed < STORE_BATCH && !(rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST))) {
        if (key_read(k) == s->open ||
            (*removed >= least && !is_due(s, cursor, k, v, count - *removed, now_ms)))
            break;
        rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
        if (!rc)
            rc = mdb_cursor_del(cursor, 0);
        if (rc)
            break;
        ++*removed;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

bool store_trim(struct store *s, int64_t now_ms, size_t least, bool *more, struct err *err)
{
    size_t removed = 0;
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

    *more = false;
    if (rc)
        return fail(err, rc, "begin");
    rc = trim(s, txn, now_ms, least, &removed);
    if (rc || removed == 0) {
        mdb_txn_abort(txn);
        return rc ? fail(err, rc, "remove") : true;
    }
    rc = mdb_txn_commit(txn);
    *more = !rc && removed == STORE_BATCH;
    return rc ? fail(err, rc, "commit") : true;
}

/* ---- reading ---- */

static bool has_any(const struct block_view *v, const struct store_query *q)
{
    for (size_t i = 0; i < q->key_n; i++) {
        if (block_has(v, q->keys[i]))
            return true;
    }
    return false;
}

/* False: enough. */
static bool look_at(struct store *s, const struct store_query *q, uint64_t number, MDB_val v,
                    bool (*fn)(void *arg, uint64_t number, const struct block_view *v), void *arg)
{
    struct strv bytes = strv_make(v.mv_data, v.mv_size);
    struct block_view view;

    if (!block_view(bytes, &view)) {
        s->damaged++;
        return true;
    }
    /* No end: behind blocks of a clock that was back for a while there are newer ones. */
    if (view.last_ms < q->since_ms || !has_any(&view, q))
        return true;
    if (!block_sound(bytes)) {
        s->damaged++;
        return true;
    }
    return fn(arg, number, &view);
}

/* Puts the cursor on the newest block that is not newer than `from`. */
static int cursor_seek(MDB_cursor *cursor, uint64_t from, MDB_val *k, MDB_val *v)
{
    int rc;

    if (from == UINT64_MAX)
        return mdb_cursor_get(cursor, k, v, MDB_LAST);
    *k = key_val(&from);
    rc = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND)
        return mdb_cursor_get(cursor, k, v, MDB_LAST);
    return !rc && key_read(*k) > from ? mdb_cursor_get(cursor, k, v, MDB_PREV) : rc;
}

bool store_find(struct store *s, const struct store_query *q,
                bool (*fn)(void *arg, uint64_t number, const struct block_view *v), void *arg, uint64_t *next,
                struct err *err)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

    *next = 0;
    if (rc)
        return fail(err, rc, "begin");
    rc = mdb_cursor_open(txn, s->dbi, &cursor);
    if (rc) {
        mdb_txn_abort(txn);
        return fail(err, rc, "read");
    }
    rc = cursor_seek(cursor, q->from, &k, &v);
    for (size_t i = 0; !rc; i++, rc = mdb_cursor_get(cursor, &k, &v, MDB_PREV)) {
        if (i == q->max) {
            *next = key_read(k);
            break;
        }
        if (!look_at(s, q, key_read(k), v, fn, arg))
            break;
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return rc && rc != MDB_NOTFOUND ? fail(err, rc, "read") : true;
}

bool store_look(struct store *s, struct store_state *out, struct err *err)
{
    struct block_view view;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

    *out = (struct store_state){ .damaged = s->damaged };
    if (rc)
        return fail(err, rc, "begin");
    rc = count_of(txn, s->dbi, &out->blocks);
    if (!rc)
        rc = mdb_cursor_open(txn, s->dbi, &cursor);
    if (!rc) {
        if (!mdb_cursor_get(cursor, &k, &v, MDB_FIRST) && block_view(strv_make(v.mv_data, v.mv_size), &view))
            out->oldest_ms = view.first_ms;
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    out->bytes = out->blocks * PAGES * PAGE;
    return rc ? fail(err, rc, "read") : true;
}
