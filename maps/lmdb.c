/* lmdb.c - large tables: compiled from their source into an immutable LMDB file in mapd's own directory
 *
 * The file is made beside the one in use and renamed over it, never changed in place: only so is reading
 * without locks right (MDB_NOLOCK readers have no protection against reuse of pages), and one read
 * transaction serves for its whole life. It is a cache of the source: its identity stands in it, and a file
 * of another source, version or length is compiled anew. Names are relative: mapd stands in its directory,
 * which it may be unable to reach by path.
 */
#include "maps/map.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/wire.h"
#include "common/os/lmdb.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FORMAT          1 /* of values: u8 FORMAT, u32 line, text */
#define VALUE_HEAD      5u
#define META_KEY        "\0source" /* no key of a source holds a control */
#define ENTRIES_PER_TXN 20000u     /* a commit syncs what it wrote: bounds each stop of the loop */
/* Address space, not disk: nodes and half-full pages take 3 to 4 times a source of short lines. */
#define MAP_FACTOR 16u
#define MAP_LEAST  (64u << 20)

struct lmdb {
    MDB_env *env; /* in use; NULL: none */
    MDB_txn *read;
    MDB_dbi dbi;
    MDB_env *next_env; /* being made */
    MDB_txn *next_txn;
    MDB_dbi next_dbi;
    size_t in_txn;
    char name[160], next_name[168];
};

static bool fail(struct err *err, int rc, const char *what)
{
    if (rc > 0) {
        errno = rc;
        return err_sys(err, "lmdb: %s", what);
    }
    return err_set(err, ERR_TEMP, "lmdb: %s: %s", what, mdb_strerror(rc));
}

static struct lmdb *lmdb_of(struct map *m)
{
    struct lmdb *l = m->state;

    if (!l) {
        l = m->state = mem_new(sizeof *l);
        snprintf(l->name, sizeof l->name, "%s.mdb", m->conf->head.name);
        snprintf(l->next_name, sizeof l->next_name, "%s.new", l->name);
    }
    return l;
}

static void close_current(struct lmdb *l)
{
    if (l->read)
        mdb_txn_abort(l->read);
    if (l->env)
        mdb_env_close(l->env);
    l->read = NULL;
    l->env = NULL;
}

static MDB_val val(const void *p, size_t n)
{
    return (MDB_val){ .mv_size = n, .mv_data = (void *)p };
}

/* ---- reading ---- */

struct reader {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
};

static void reader_close(struct reader *r)
{
    if (r->txn)
        mdb_txn_abort(r->txn);
    if (r->env)
        mdb_env_close(r->env);
}

static bool reader_open(const char *name, const char *identity, struct reader *r, struct err *err)
{
    MDB_val key = val(META_KEY, sizeof META_KEY - 1), value;
    int rc;

    *r = (struct reader){ 0 };
    rc = mdb_env_create(&r->env);
    if (!rc)
        rc = mdb_env_open(r->env, name, MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR, 0);
    if (!rc && !lmdb_is_whole(r->env))
        rc = MDB_CORRUPTED;
    if (!rc)
        rc = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &r->txn);
    if (!rc)
        rc = mdb_dbi_open(r->txn, NULL, 0, &r->dbi);
    if (!rc)
        rc = mdb_get(r->txn, r->dbi, &key, &value);
    if (!rc && !strv_is(strv_make(value.mv_data, value.mv_size), identity))
        rc = MDB_VERSION_MISMATCH;
    if (!rc)
        return true;
    reader_close(r);
    return fail(err, rc, name);
}

static bool use(struct map *m, struct err *err)
{
    struct lmdb *l = lmdb_of(m);
    struct reader r;

    if (!reader_open(l->name, m->identity, &r, err))
        return false;
    close_current(l);
    l->env = r.env;
    l->read = r.txn;
    l->dbi = r.dbi;
    return true;
}

static bool lmdb_again(struct map *m, struct strv identity)
{
    struct err err = { 0 };

    (void)identity; /* it is m->identity, which use() compares */
    return use(m, &err);
}

static bool value_read(MDB_val v, struct map_value *out)
{
    struct rd rd = rd_make(v.mv_data, v.mv_size);
    uint8_t format = 0;
    uint32_t line = 0;

    if (!rd_u8(&rd, &format) || !rd_u32(&rd, &line) || format != FORMAT)
        return false;
    *out = (struct map_value){ .text = { (const char *)rd.p, rd.left }, .line = line };
    return true;
}

static enum ipc_answer lmdb_get(struct map *m, struct strv key, struct map_value *out, struct err *err)
{
    struct lmdb *l = m->state;
    MDB_val k = val(key.p, key.n), v;
    int rc;

    /* Such a key cannot be in the table: source.c refuses it. */
    if (!key.n || key.n > (size_t)mdb_env_get_maxkeysize(l->env))
        return ANSWER_ABSENT;
    rc = mdb_get(l->read, l->dbi, &k, &v);
    if (rc == MDB_NOTFOUND)
        return ANSWER_ABSENT;
    if (rc) {
        fail(err, rc, "read");
        return ANSWER_FAILED;
    }
    if (value_read(v, out))
        return ANSWER_FOUND;
    err_set(err, ERR_TEMP, "lmdb: a value of another format");
    return ANSWER_FAILED;
}

static bool lmdb_walk(struct map *m, size_t from, size_t max, map_walk_fn *fn, void *arg)
{
    struct lmdb *l = m->state;
    MDB_cursor *cursor;
    MDB_val k, v;
    size_t at = 0;
    int rc;

    if (!l || !l->read || mdb_cursor_open(l->read, l->dbi, &cursor))
        return false;
    for (rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); !rc; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        struct map_value value;

        if (k.mv_size > 0 && *(const char *)k.mv_data == '\0')
            continue; /* META_KEY */
        if (at++ < from)
            continue;
        if (at > from + max)
            break;
        if (value_read(v, &value))
            fn(arg, strv_make(k.mv_data, k.mv_size), &value);
    }
    mdb_cursor_close(cursor);
    return !rc;
}

/* ---- compiling ---- */

static void lmdb_drop(struct map *m)
{
    struct lmdb *l = lmdb_of(m);

    if (l->next_txn)
        mdb_txn_abort(l->next_txn);
    if (l->next_env)
        mdb_env_close(l->next_env);
    l->next_txn = NULL;
    l->next_env = NULL;
    unlink(l->next_name);
}

static bool txn_open(struct lmdb *l, struct err *err)
{
    int rc = mdb_txn_begin(l->next_env, NULL, 0, &l->next_txn);

    l->in_txn = 0;
    if (!rc)
        rc = mdb_dbi_open(l->next_txn, NULL, 0, &l->next_dbi);
    return rc ? fail(err, rc, "begin") : true;
}

static bool txn_close(struct lmdb *l, struct err *err)
{
    int rc = mdb_txn_commit(l->next_txn);

    l->next_txn = NULL;
    return rc ? fail(err, rc, "commit") : true;
}

static bool lmdb_begin(struct map *m, size_t source_bytes, struct err *err)
{
    struct lmdb *l = lmdb_of(m);
    int rc;

    if (strchr(m->conf->head.name, '/') || m->conf->head.name[0] == '.')
        return err_set(err, ERR_CONF, "map %s: this name cannot be a file", m->conf->head.name);
    unlink(l->next_name);
    rc = mdb_env_create(&l->next_env);
    if (!rc)
        rc = mdb_env_set_mapsize(l->next_env, MAP_LEAST + source_bytes * MAP_FACTOR);
    if (!rc)
        rc = mdb_env_open(l->next_env, l->next_name, MDB_NOLOCK | MDB_NOSUBDIR, 0600);
    if (rc) {
        fail(err, rc, l->next_name);
        lmdb_drop(m);
        return false;
    }
    if (txn_open(l, err))
        return true;
    lmdb_drop(m);
    return false;
}

static bool lmdb_entry(struct map *m, struct strv key, struct strv value, unsigned line, struct err *err)
{
    struct lmdb *l = lmdb_of(m);
    MDB_val k = val(key.p, key.n), v = val(NULL, VALUE_HEAD + value.n);
    uint8_t *to;
    int rc;

    if (l->in_txn++ >= ENTRIES_PER_TXN && (!txn_close(l, err) || !txn_open(l, err)))
        return false;
    rc = mdb_put(l->next_txn, l->next_dbi, &k, &v, MDB_NOOVERWRITE | MDB_RESERVE);
    if (rc == MDB_KEYEXIST) {
        LOG(WARN, "mapd.map.duplicate", KS("map", m->conf->head.name), KS("file", m->conf->source),
            KI("line", line), KV("key", key));
        return true;
    }
    if (rc)
        return fail(err, rc, "write");
    to = v.mv_data;
    to[0] = FORMAT;
    for (unsigned i = 0; i < 4; i++)
        to[1 + i] = (uint8_t)(line >> (24 - 8 * i));
    memcpy(to + VALUE_HEAD, value.p, value.n);
    return true;
}

static bool lmdb_end(struct map *m, struct err *err)
{
    struct lmdb *l = lmdb_of(m);
    MDB_val k = val(META_KEY, sizeof META_KEY - 1), v = val(m->identity, strlen(m->identity));
    int rc = mdb_put(l->next_txn, l->next_dbi, &k, &v, 0);

    if (rc) {
        fail(err, rc, "write");
        lmdb_drop(m);
        return false;
    }
    if (!txn_close(l, err)) {
        lmdb_drop(m);
        return false;
    }
    mdb_env_close(l->next_env);
    l->next_env = NULL;
    if (rename(l->next_name, l->name) < 0) {
        err_sys(err, "rename %s", l->next_name);
        lmdb_drop(m);
        return false;
    }
    return use(m, err);
}

static void lmdb_close(struct map *m)
{
    struct lmdb *l = m->state;

    if (!l)
        return;
    lmdb_drop(m);
    close_current(l);
    MEM_FREE(m->state);
}

const struct map_ops map_lmdb = {
    .type = CONF_MAP_LMDB,
    .name = "lmdb",
    .load_begin = lmdb_begin,
    .load_entry = lmdb_entry,
    .load_end = lmdb_end,
    .load_drop = lmdb_drop,
    .load_again = lmdb_again,
    .get = lmdb_get,
    .walk = lmdb_walk,
    .close = lmdb_close,
};
