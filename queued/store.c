/* store.c - opening, committing and reading the spool */
#include "queued/store_private.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define LOCK_STEP_MS 20
#define ROOM_MS      1000 /* a second of full speed fits into the reserve many times */

const struct store_sizes store_sizes_default = {
    .segment = SEGMENT_SIZE,
    .journal_step = 16u * 1024u * 1024u,
    .snapshot = 64u * 1024u * 1024u,
    .sync_ms = 50,
    .lock_ms = 20000,
};

/* The holder is a predecessor that was told to go, or whose mtad died: it ends within its current system
 * call. */
static bool lock_take(int fd, int64_t wait_ms, struct err *err)
{
    const struct timespec step = { .tv_nsec = LOCK_STEP_MS * 1000000L };

    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return err_sys(err, "lock the spool");
        if (wait_ms <= 0)
            return err_set(err, ERR_TEMP, "the spool is in use by another process (it holds spool/lock)");
        nanosleep(&step, NULL);
        wait_ms -= LOCK_STEP_MS;
    }
    return true;
}

static int directory_make(int spool, const char *name, struct err *err)
{
    int fd = file_mkdirat(spool, name, 0700);

    if (fd < 0)
        err_sys(err, "open the directory %s of the spool", name);
    return fd;
}

static bool store_files(struct store *s, struct err *err)
{
    s->lock = file_openat(s->spool, "lock", O_RDWR | O_CREAT, 0600);
    if (s->lock < 0)
        return err_sys(err, "open the lock of the spool");
    if (!lock_take(s->lock, s->sizes.lock_ms, err) ||
        (s->segment_dir = directory_make(s->spool, "seg", err)) < 0 ||
        (s->state_dir = directory_make(s->spool, "state", err)) < 0 ||
        (s->big_dir = directory_make(s->spool, "big", err)) < 0)
        return false;
    return os_fsync(s->spool) == 0 || err_sys(err, "sync the spool");
}

static void store_free(struct store *s)
{
    store_read_clear(s);
    fd_close(&s->segment_dir);
    fd_close(&s->state_dir);
    fd_close(&s->big_dir);
    account_clear(&s->account);
    sidecar_clear(&s->sidecar);
    journal_clear(&s->journal);
    buf_clear(&s->scratch);
    free(s->doomed);
    free(s->voids);
    free(s->snapshot_seen);
    fd_close(&s->lock); /* last: from here on another one may recover */
    free(s);
}

struct store *store_open(int spool, const struct store_sizes *sizes, struct err *err)
{
    struct store *s = mem_new(sizeof *s);

    s->sizes = *sizes;
    s->spool = spool;
    s->lock = s->segment_dir = s->state_dir = s->big_dir = -1;
    for (size_t i = 0; i < STORE_READERS; i++)
        s->readers[i].fd = -1;
    sidecar_init(&s->sidecar);
    buf_init(&s->scratch, 1u << 20);
    journal_init(&s->journal, -1, sizes->journal_step);
    if (!store_files(s, err)) {
        store_free(s);
        return NULL;
    }
    s->journal.dir = s->state_dir;
    s->committer = committer_new(s->segment_dir, s->sizes.segment, 1);
    s->syncer = syncer_new(s->committer);
    return s;
}

bool store_threads(struct store *s, struct err *err)
{
    return committer_start(s->committer, err) && syncer_start(s->syncer, err);
}

/* ---- commits ---- */

static void sidecar_next(struct store *s, uint32_t number)
{
    struct account_row *row = account_find(&s->account, s->sidecar_number);

    if (s->sidecar_number && row)
        sidecar_write(&s->sidecar, s->segment_dir, s->sidecar_number, row->used);
    s->sidecar_number = number;
}

/* The first record of a segment tells that all before it are complete. */
static void segment_seen(struct store *s, const struct commit *c)
{
    char nonce[RECORD_NONCE_LEN + 1] = "";

    if (s->sidecar_number == c->place.segment)
        return;
    sidecar_next(s, c->place.segment);
    account_seal_before(&s->account, c->place.segment);
    memcpy(nonce, c->record + sizeof "MANSIO1 " - 1, RECORD_NONCE_LEN);
    sidecar_begin(&s->sidecar, nonce, c->place.segment);
    compact_soon(s);
}

static void commit_done(struct store *s, struct commit *c)
{
    s->pending -= c->length;
    if (c->ok) {
        segment_seen(s, c);
        sidecar_add(&s->sidecar, c->place.offset, strv_make(c->record, RECORD_LINE_LEN + c->envelope_n));
    } else if (c->maybe) {
        /* Refused, and yet it may be found at the next start: it must not become a message then. */
        store_void(s, c->place);
    }
    if (c->kind == COMMIT_COPY)
        compact_done(s, c);
    else
        s->ops->committed(s->arg, c);
}

static void on_commits(void *arg, int events)
{
    struct store *s = arg;
    struct commit *c = committer_take(s->committer), *next;

    (void)events;
    for (; c; c = next) {
        next = commit_next(c);
        commit_done(s, c);
    }
}

static void on_synced(void *arg, int events)
{
    struct store *s = arg;
    struct sync_job *job = syncer_take(s->syncer), *next;

    (void)events;
    for (; job; job = next) {
        next = sync_job_next(job);
        if (job->kind == SYNC_JOURNAL)
            store_journal_synced(s, job);
        else if (!job->ok)
            LOG(WARN, "queue.unlink.failed", KS("file", job->name), KS("reason", job->err.text));
        free(job);
    }
}

void store_commit(struct store *s, struct commit *c)
{
    s->pending += c->length;
    if (c->big_fd >= 0) {
        struct sync_job *job = mem_new(sizeof *job);

        job->kind = SYNC_BIG;
        job->dir = s->big_dir;
        job->commit = c;
        syncer_add(s->syncer, job);
        return;
    }
    committer_add(s->committer, c);
}

size_t store_commit_max(const struct store *s)
{
    return commit_max(s->sizes.segment);
}

size_t store_pending(const struct store *s)
{
    return s->pending;
}

uint32_t store_adopt(struct store *s, const struct commit *c, const struct envelope *e)
{
    account_live(&s->account, c->place);
    return ledger_add(s->ledger, c->id, e, c->place);
}

static void on_gone(void *arg, const struct message *m)
{
    struct store *s = arg;

    store_message_gone(s, m);
    s->ops->gone(s->arg, m);
}

bool store_recover(struct store *s, struct loop *loop, struct ledger *ledger, const struct store_ops *ops,
                   void *arg, struct recovery *r, struct err *err)
{
    r->segment_dir = s->segment_dir;
    r->big_dir = s->big_dir;
    r->ledger = s->ledger = ledger;
    r->account = &s->account;
    r->journal = &s->journal;
    s->ops = ops;
    s->arg = arg;
    s->loop = loop;
    compact_init(s);
    if (!recovery_run(r, err))
        return false;
    committer_first(s->committer, r->segment_max + 1);
    ledger->gone = on_gone;
    ledger->arg = s;
    if (!store_journal_start(s, r, err))
        return false;
    loop_io_init(&s->commit_io, loop, committer_wake_fd(s->committer), on_commits, s);
    loop_io_init(&s->sync_io, loop, syncer_wake_fd(s->syncer), on_synced, s);
    loop_io_set(&s->commit_io, LOOP_READ);
    loop_io_set(&s->sync_io, LOOP_READ);
    return true;
}

void store_close(struct store **sp)
{
    struct store *s = *sp;

    *sp = NULL;
    if (!s)
        return;
    s->closing = true;
    if (s->loop) {
        store_journal_close(s);
        loop_later_cancel(s->loop, &s->compact_task);
        loop_io_clear(&s->commit_io);
        loop_io_clear(&s->sync_io);
    }
    syncer_stop(&s->syncer);
    committer_stop(&s->committer);
    if (s->ledger)
        s->ledger->gone = NULL;
    sidecar_next(s, 0);
    store_free(s);
}

int store_big_dir(const struct store *s)
{
    return s->big_dir;
}

int store_big_open(struct store *s, uint64_t id, uint64_t size, struct err *err)
{
    char name[ID_TEXT_SIZE];
    struct stat st;
    int fd;

    id_text(id, name);
    fd = file_openat(s->big_dir, name, O_RDONLY, 0);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int sys = errno;

        err_sys(err, "open the body big/%s", name);
        if (sys == ENOENT)
            err->cls = ERR_PROTO;
    } else if ((uint64_t)st.st_size != size) {
        err_set(err, ERR_PROTO, "the body big/%s has %lld bytes, not %llu", name, (long long)st.st_size,
                (unsigned long long)size);
    } else {
        return fd;
    }
    fd_close(&fd);
    return -1;
}

/* ---- room ---- */

static void room_log(struct store *s, uint64_t avail, uint64_t need)
{
    if (s->room == !s->room_full)
        return;
    if (s->room)
        LOG(WARN, "queue.disk.ok", KI("available", avail), KI("reserve", need));
    else
        LOG(ERROR, "queue.disk.full", KI("available", avail), KI("reserve", need));
    s->room_full = !s->room;
}

bool store_has_room(struct store *s, int64_t reserve)
{
    struct statvfs v;
    uint64_t avail, need;
    int64_t now = loop_now(s->loop);

    if (s->room_checked && now - s->room_checked < ROOM_MS)
        return s->room;
    s->room_checked = now;
    if (fstatvfs(s->spool, &v) < 0) {
        s->room = true; /* a failing disk shows itself when it is written to */
        return true;
    }
    need = room_needed(reserve, s->sizes.segment, &v);
    avail = (uint64_t)v.f_bavail * v.f_frsize;
    s->room = FAULT_POINT("queued.room") == 0 && avail >= need && !room_lacks_inodes(&v);
    room_log(s, avail, need);
    return s->room;
}

uint64_t store_disk_free(const struct store *s)
{
    struct statvfs v;

    return fstatvfs(s->spool, &v) < 0 ? 0 : (uint64_t)v.f_bavail * v.f_frsize;
}

bool store_lacks_inodes(const struct store *s)
{
    struct statvfs v;

    return fstatvfs(s->spool, &v) == 0 && room_lacks_inodes(&v);
}

struct store_usage store_usage(const struct store *s)
{
    struct store_usage u = { .segments = s->account.n };

    for (size_t i = 0; i < s->account.n; i++) {
        u.written += s->account.rows[i].used;
        u.live += s->account.rows[i].live_bytes;
    }
    return u;
}

void store_run_on_thread(struct store *s, unsigned thread, void (*fn)(void *arg), void *arg)
{
    if (thread == 1)
        committer_run(s->committer, fn, arg);
    else
        syncer_run(s->syncer, fn, arg);
}

bool store_resume_asked(struct store *s)
{
    return unlinkat(s->state_dir, "resume", 0) == 0;
}
