/* drop.c - the directory drop/: found, counted, handed over, finished by commits
 *
 *     NAME     submitted            (postdrop renames it to this when it is complete and durable)
 *     NAME.n   handed over n times  (renamed before the hand-over: what crashes cleanup is counted)
 *     bad/     not to be sent       (three attempts, or no file that postdrop could have written)
 *     .NAME    being written        (removed when nothing was written to it for a day)
 *
 * Users take turns, and of each only some thousand files are known at a time (drop_user.h).
 * Up to FLYING_MAX files are with cleanup. One that was with a cleanup that died goes again alone, so that
 * the one that kills it takes no others along to bad/. An answer, whatever it says, sets the count back: only
 * crashes count. A file is finished by the commit of a record with its origin, also when queued dies before
 * it unlinks it: recovery finds the record, and segments are kept until the unlinking is durable
 * (drops_sync).
 */
#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/frame.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "queued/drop_private.h"
#include "queued/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void file_free(struct drops *d, struct drop_file *f)
{
    dict_pop(d->known, SV(f->name));
    drop_user_leave(&d->users, f);
    free(f);
}

/* ---- ends ---- */

void drop_move_bad(struct mailq *q, const char *path, const char *why, int64_t uid)
{
    struct drops *d = q->drops;
    char kept[PATH_SIZE + 8];
    struct stat st;
    bool moved = renameat(d->dir, path, d->bad, path) == 0;

    /* A sandbox of Landlock's first ABI knows no rename between directories: it stays, under a name that is
       no file's of postdrop. */
    if (!moved && errno == EXDEV && strlen(path) < sizeof kept - 5) {
        snprintf(kept, sizeof kept, ".bad.%s", path);
        moved = renameat(d->dir, path, d->dir, kept) == 0;
        d->bad_hidden += moved;
    }
    /* Nor may a sandbox move what it may not make: links, pipes, devices. There is no mail in those. */
    if (!moved && fstatat(d->dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
        unlinkat(d->dir, path, 0);
    d->bad_n += moved;
    LOG(ERROR, "queue.drop.bad", KS("file", path), KS("reason", why), KI("uid", uid),
        KI("moved", moved || errno == ENOENT));
}

static void file_bad(struct mailq *q, struct drop_file *f, const char *why, int64_t uid)
{
    char path[PATH_SIZE];

    drop_path(f, f->attempts, path);
    trace_refused(q, f->name, why);
    drop_move_bad(q, path, why, uid);
    file_free(q->drops, f);
}

static void due_set(struct mailq *q, int64_t due)
{
    struct drops *d = q->drops;
    int64_t ms = due - loop_now(q->loop);

    if (d->started && (!loop_timer_is_set(&d->due_timer) || d->due_timer.due > due))
        loop_timer_set(&d->due_timer, ms > 0 ? ms : 0);
}

static void file_defer(struct mailq *q, struct drop_file *f, const char *why)
{
    struct drops *d = q->drops;

    f->delay = f->delay ? f->delay * 2 : RETRY_MS;
    if (f->delay > RETRY_MAX)
        f->delay = RETRY_MAX;
    f->due = loop_now(q->loop) + f->delay;
    trace_refused(q, f->name, why);
    LOG(WARN, "queue.drop.deferred", KS("file", f->name), KS("reason", why), KMS("retry", f->delay));
    drop_list_push(&d->later, f, FILE_LATER);
    due_set(q, f->due);
}

/* It is in the queue, or nobody wants it. */
void drop_finish(struct mailq *q, struct drop_file *f)
{
    struct drops *d = q->drops;
    char path[PATH_SIZE];

    drop_path(f, f->attempts, path);
    if ((errno = FAULT_POINT("queued.drop.unlink")) != 0 ||
        (unlinkat(d->dir, path, 0) < 0 && errno != ENOENT)) {
        /* It must not go again: as long as we live we know it, and the next start sees its record. */
        if (f->state != FILE_STUCK)
            LOG(ERROR, "queue.drop.stuck", KS("file", path), KS("reason", strerror(errno)));
        f->state = FILE_STUCK;
        return;
    }
    d->dirty = true;
    file_free(d, f);
}

static void land(struct drops *d, struct drop_file *f)
{
    if (!f->orphan) /* its number may be in use again */
        dict_pop_u64(d->flying, f->txn);
    d->flying_n--;
    d->alone = false;
    f->orphan = false;
}

/* ---- hand-over ---- */

/* Only what makes sense of a file that postdrop wrote. False: f is gone, or waits. */
static bool file_look(struct mailq *q, struct drop_file *f, int fd, struct stat *st)
{
    const char *why = NULL;

    if (fstat(fd, st) < 0)
        why = "it cannot be looked at";
    else if (!S_ISREG(st->st_mode))
        why = "it is no regular file";
    else if (st->st_nlink != 1)
        why = "it has other names";
    else if (st->st_size > (off_t)FILE_MAX)
        why = "it is too large";
    if (why)
        file_bad(q, f, why, (int64_t)st->st_uid);
    return !why;
}

static int file_open(struct mailq *q, struct drop_file *f, const char *path)
{
    int fd =
        (errno = FAULT_POINT("queued.drop.open")) != 0 ? -1 : file_openat(q->drops->dir, path, O_RDONLY, 0);

    if (fd >= 0)
        return fd;
    if (errno == ENOENT)
        file_free(q->drops, f);
    else if (errno == ELOOP || errno == EACCES || errno == EPERM || errno == ENXIO || errno == ENODEV)
        file_bad(q, f, strerror(errno), -1);
    else
        file_defer(q, f, strerror(errno));
    return -1;
}

static void hand_over(struct mailq *q, struct drop_file *f, int fd, const struct stat *st)
{
    struct drops *d = q->drops;
    char origin[NAME_MAX_ + 8];

    f->ch = q->cleanup;
    f->txn = channel_txn_new(q->cleanup);
    f->state = FILE_FLYING;
    dict_set_u64(d->flying, f->txn, f);
    d->flying_n++;
    snprintf(origin, sizeof origin, DIR_NAME "/%s", f->name);
    ipc_begin(&q->out, IPC_DROP_OPEN, f->txn);
    ipc_put_text(&q->out, TAG_ORIGIN, SV(origin));
    ipc_put_u64(&q->out, TAG_UID, st->st_uid);
    ipc_put_u64(&q->out, TAG_SIZE, (uint64_t)st->st_size);
    ipc_put_u64(&q->out, TAG_ARRIVAL,
                (uint64_t)st->st_mtim.tv_sec * 1000 + (uint64_t)st->st_mtim.tv_nsec / 1000000);
    ipc_put_fd(&q->out, fd);
    channel_send(q->cleanup, &q->out);
}

/* True when it is with cleanup now. */
static bool launch(struct mailq *q, struct drop_file *f)
{
    char from[PATH_SIZE], to[PATH_SIZE];
    struct stat st = { .st_uid = 0 };
    int fd;

    if (f->attempts >= ATTEMPTS) {
        file_bad(q, f, "cleanup was lost three times while it had it", -1);
        return false;
    }
    drop_path(f, f->attempts, from);
    drop_path(f, f->attempts + 1, to);
    fd = file_open(q, f, from);
    if (fd < 0)
        return false;
    if (!file_look(q, f, fd, &st)) {
        fd_close(&fd);
        return false;
    }
    if (renameat(q->drops->dir, from, q->drops->dir, to) < 0) {
        file_defer(q, f, strerror(errno));
        fd_close(&fd);
        return false;
    }
    f->attempts++;
    trace_open(q, q->drops->dir, f->name);
    hand_over(q, f, fd, &st);
    return true;
}

void drops_pump(struct mailq *q)
{
    struct drops *d = q->drops;

    if (!d || !d->started)
        return;
    while (q->cleanup && !q->draining && !d->alone) {
        if (d->suspects.first && (d->suspects_turn || !d->users.first)) {
            if (d->flying_n > 0)
                return;
            d->alone = launch(q, drop_list_pop(&d->suspects));
            d->suspects_turn = false;
            continue;
        }
        if (!d->users.first || d->flying_n >= FLYING_MAX)
            break;
        d->suspects_turn |= launch(q, drop_fresh_pop(&d->users));
    }
    if (d->users.rescan && !loop_timer_is_set(&d->step_timer))
        loop_timer_set(&d->step_timer, drop_look_in(&d->users, loop_now(q->loop)));
}

/* ---- how it went ---- */

/* An answer came: cleanup survived it. */
static void count_back(struct mailq *q, struct drop_file *f)
{
    char from[PATH_SIZE];

    drop_path(f, f->attempts, from);
    if (renameat(q->drops->dir, from, q->drops->dir, f->name) == 0)
        f->attempts = 0;
}

void drops_on_done(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct mailq *q = arg;
    struct drops *d = q->drops;
    struct drop_file *f = d ? dict_get_u64(d->flying, in->txn) : NULL;
    char why[256];

    (void)ch;
    if (!f)
        return; /* its commit was faster */
    land(d, f);
    strv_cstr(strv_sub(ipc_get(in, TAG_TEXT), 0, sizeof why - 1), why, sizeof why);
    switch ((enum ipc_verdict)ipc_get_u64(in, TAG_VERDICT)) {
    case VERDICT_ACCEPT: drop_finish(q, f); break;
    case VERDICT_REFUSE: file_bad(q, f, why, -1); break;
    case VERDICT_TEMPFAIL:
        count_back(q, f);
        file_defer(q, f, why);
        break;
    }
    drops_pump(q);
}

void drops_committed(struct mailq *q, struct strv origin, bool ok)
{
    struct drop_file *f = q->drops ? drop_find(q->drops, origin) : NULL;

    if (!f || f->state != FILE_FLYING)
        return;
    if (ok) {
        (void)FAULT_POINT("queued.drop.committed");
        land(q->drops, f);
        drop_finish(q, f);
    } else if (f->orphan) {
        land(q->drops, f);
        file_defer(q, f, "it could not be stored");
    }
    drops_pump(q);
}

struct loss {
    struct mailq *q;
    const struct channel *ch;
};

static void lose_one(void *arg, struct strv key, void *value)
{
    const struct loss *loss = arg;
    struct mailq *q = loss->q;
    struct drop_file *f = value;
    char origin[NAME_MAX_ + 8];

    (void)key;
    if (f->ch != loss->ch)
        return; /* another cleanup has it */
    snprintf(origin, sizeof origin, DIR_NAME "/%s", f->name);
    if (dict_get(q->origins, SV(origin))) {
        f->orphan = true; /* its commit ends it */
        dict_pop_u64(q->drops->flying, f->txn);
        return;
    }
    land(q->drops, f);
    drop_list_push(&q->drops->suspects, f, FILE_SUSPECT);
}

void drops_lost(struct mailq *q, const struct channel *ch)
{
    struct loss loss = { q, ch };

    if (q->drops)
        dict_each(q->drops->flying, lose_one, &loss);
}

/* ---- life ---- */

static void on_due(void *arg)
{
    struct mailq *q = arg;
    struct drops *d = q->drops;
    struct file_list rest = d->later;
    int64_t now = loop_now(q->loop);
    struct drop_file *f;

    if (rest.first)
        drop_list_init(&d->later);
    else
        return;
    while ((f = rest.first)) {
        rest.first = f->next;
        if (f->due > now) {
            drop_list_push(&d->later, f, FILE_LATER);
            due_set(q, f->due);
        } else if (f->attempts) {
            drop_list_push(&d->suspects, f, FILE_SUSPECT);
        } else {
            drop_fresh_push(&d->users, f);
        }
    }
    drops_pump(q);
}

static void on_scan(void *arg)
{
    struct mailq *q = arg;

    drops_look(q);
}

bool drops_open(struct mailq *q, int spool, struct err *err)
{
    struct drops *d = mem_new(sizeof *d);

    d->watch = d->bad = -1;
    d->known = dict_new();
    d->flying = dict_new();
    drop_users_init(&d->users);
    drop_list_init(&d->suspects);
    drop_list_init(&d->later);
    q->drops = d;
    d->dir = file_mkdirat(spool, DIR_NAME, 0700);
    if (d->dir < 0 || (d->bad = file_mkdirat(d->dir, BAD_NAME, 0700)) < 0)
        return err_sys(err, "directory " DIR_NAME);
    d->watch = drop_watch_open(spool);
    if (d->watch < 0)
        LOG(WARN, "queue.drop.unwatched", KS("reason", strerror(errno)));
    return true;
}

/* What recovery found in the spool is finished; the rest waits in its list. */
static void take_recovered(struct mailq *q)
{
    struct drops *d = q->drops;
    struct file_list fresh, suspects = d->suspects;
    struct drop_file *f;

    drop_list_init(&fresh);
    while ((f = drop_fresh_pop(&d->users)))
        drop_list_push(&fresh, f, f->due < 0 ? FILE_FLYING : FILE_FRESH);
    drop_list_init(&d->suspects);
    while ((f = drop_list_pop(&fresh))) {
        if (f->due < 0)
            drop_finish(q, f);
        else
            drop_fresh_push(&d->users, f);
    }
    while (suspects.first) {
        f = suspects.first;
        suspects.first = f->next;
        if (f->due < 0)
            drop_finish(q, f);
        else
            drop_list_push(&d->suspects, f, FILE_SUSPECT);
    }
}

void drops_start(struct mailq *q)
{
    struct drops *d = q->drops;

    if (!d)
        return;
    take_recovered(q);
    d->started = true;
    loop_timer_init(&d->scan_timer, q->loop, on_scan, q);
    loop_timer_init(&d->due_timer, q->loop, on_due, q);
    loop_timer_init(&d->step_timer, q->loop, drop_on_step, q);
    loop_timer_set(&d->scan_timer, d->watch < 0 ? UNWATCHED_MS : SCAN_MS);
    if (d->watch >= 0) {
        loop_io_init(&d->io, q->loop, d->watch, drop_on_watch, q);
        loop_io_set(&d->io, LOOP_READ);
    }
    if (dict_count(d->known))
        LOG(INFO, "queue.drop.found", KI("files", dict_count(d->known)));
    drops_pump(q);
}

bool drops_sync(struct mailq *q)
{
    struct drops *d = q->drops;

    if (!d)
        return true;
    if (!d->started)
        take_recovered(q);
    if (d->dirty && os_fsync(d->dir) < 0) {
        LOG(ERROR, "queue.drop.unsynced", KS("reason", strerror(errno)));
        return false;
    }
    d->dirty = false;
    return true;
}

const char *drops_trouble(const struct mailq *q)
{
    static char text[128];
    const struct drops *d = q->drops;

    if (!d)
        return "local submission has no directory";
    if (d->unreadable) {
        snprintf(text, sizeof text, "drop/ cannot be read: %s; what local users send waits there",
                 strerror(d->unreadable));
        return text;
    }
    return d->watch < 0 ? "drop/ cannot be watched (inotify): local mail waits for seconds" : NULL;
}

size_t drops_waiting(const struct mailq *q)
{
    return q->drops ? dict_count(q->drops->known) + q->drops->skipped : 0;
}

size_t drops_bad(const struct mailq *q)
{
    struct drops *d = q->drops;

    if (d && d->bad_n) /* somebody may have removed them */
        d->bad_n = drop_count_bad(d->bad) + d->bad_hidden;
    return d ? d->bad_n : 0;
}

static void free_one(void *value)
{
    free(value);
}

void drops_clear(struct mailq *q)
{
    struct drops *d = q->drops;

    if (!d)
        return;
    q->drops = NULL;
    if (d->started) {
        loop_timer_stop(&d->scan_timer);
        loop_timer_stop(&d->due_timer);
        loop_timer_stop(&d->step_timer);
        if (d->watch >= 0)
            loop_io_clear(&d->io);
    }
    if (d->scan)
        closedir(d->scan);
    fd_close(&d->dir);
    fd_close(&d->bad);
    fd_close(&d->watch);
    dict_free(&d->flying, NULL);
    dict_free(&d->known, free_one);
    drop_users_clear(&d->users);
    free(d);
}
