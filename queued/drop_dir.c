/* drop_dir.c - finding the files of drop/: the watch, the look every minute, what recovery knows of them */
#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "queued/drop_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- names ---- */

/* NAME or NAME.n */
bool drop_name_split(struct strv text, struct strv *name, unsigned *attempts)
{
    *attempts = 0;
    if (text.n > 2 && text.p[text.n - 2] == '.' && text.p[text.n - 1] >= '1' && text.p[text.n - 1] <= '9') {
        *attempts = (unsigned)(text.p[text.n - 1] - '0');
        text.n -= 2;
    }
    if (text.n == 0 || text.n > NAME_MAX_)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!byte_is_alnum((unsigned char)text.p[i]))
            return false;
    *name = text;
    return true;
}

void drop_path(const struct drop_file *f, unsigned attempts, char path[PATH_SIZE])
{
    if (attempts)
        snprintf(path, PATH_SIZE, "%s.%u", f->name, attempts);
    else
        snprintf(path, PATH_SIZE, "%s", f->name);
}

struct drop_file *drop_find(struct drops *d, struct strv origin)
{
    struct strv name;
    unsigned attempts;

    if (!strv_starts(origin, SV_LIT(DIR_NAME "/")) ||
        !drop_name_split(strv_from(origin, sizeof DIR_NAME), &name, &attempts) || attempts)
        return NULL;
    return dict_get(d->known, name);
}

/* ---- finding ---- */

/* Those who were counted out of drop/; enough of them say enough. */
size_t drop_count_bad(int bad)
{
    const struct dirent *e;
    int fd = file_openat(bad, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    size_t n = 0;

    if (!dir)
        fd_close(&fd);
    while (dir && n < BAD_MAX && (e = readdir(dir)) != NULL)
        n += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n;
}

static void remove_stale(struct mailq *q, const char *path)
{
    struct stat st;

    if (strncmp(path, ".bad.", 5) == 0 || fstatat(q->drops->dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        st.st_mtim.tv_sec > (time_t)(mailq_now_ms(q) / 1000) - STALE_S)
        return;
    LOG(WARN, "queue.drop.stale", KS("file", path), KI("uid", st.st_uid));
    unlinkat(q->drops->dir, path, 0);
}

static void file_seen(struct mailq *q, const char *path)
{
    struct drops *d = q->drops;
    struct drop_file *f;
    struct stat st;
    struct strv name;
    unsigned attempts;

    if (path[0] == '.') {
        if (strcmp(path, ".") != 0 && strcmp(path, "..") != 0)
            remove_stale(q, path);
        return;
    }
    if (!drop_name_split(SV(path), &name, &attempts)) {
        drop_move_bad(q, path, "its name is none of postdrop's", -1);
        return;
    }
    f = dict_get(d->known, name);
    if (f) {
        if (f->state == FILE_STUCK)
            drop_finish(q, f);
        return;
    }
    if (fstatat(d->dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return; /* gone again */
    f = mem_new(sizeof *f);
    if (!drop_user_enter(&d->users, st.st_uid, f)) {
        *(d->scan ? &d->skipping : &d->skipped) += 1;
        free(f);
        return;
    }
    memcpy(f->name, name.p, name.n);
    f->attempts = attempts;
    dict_set(d->known, name, f);
    if (attempts)
        drop_list_push(&d->suspects, f, FILE_SUSPECT);
    else
        drop_fresh_push(&d->users, f);
}

static void unreadable(struct drops *d)
{
    if (d->unreadable != errno)
        LOG(ERROR, "queue.drop.unreadable", KS("reason", strerror(errno)));
    d->unreadable = errno;
}

/* An operator made drop/ anew, and postdrop writes there: ours is a directory that nobody finds any more.
   False: there is none. */
static bool directory_follow(struct drops *d)
{
    struct stat named, held;
    int dir, bad;

    if (fstatat(AT_FDCWD, DIR_NAME, &named, AT_SYMLINK_NOFOLLOW) < 0 || fstat(d->dir, &held) < 0)
        return false;
    if (named.st_ino == held.st_ino && named.st_dev == held.st_dev)
        return true;
    dir = file_opendirat(AT_FDCWD, DIR_NAME);
    bad = dir < 0 ? -1 : file_mkdirat(dir, BAD_NAME, 0700);
    if (bad < 0) {
        fd_close(&dir);
        return false;
    }
    if (d->started && d->watch >= 0)
        loop_io_clear(&d->io);
    fd_close(&d->watch); /* a new one is not to be had in the jail */
    fd_close(&d->dir);
    fd_close(&d->bad);
    d->dir = dir;
    d->bad = bad;
    LOG(WARN, "queue.drop.replaced", KI("inode", named.st_ino));
    return true;
}

static bool scan_begin(struct mailq *q)
{
    struct drops *d = q->drops;
    int fd;

    if (!directory_follow(d)) {
        unreadable(d);
        return false;
    }
    fd = file_openat(d->dir, ".", O_RDONLY | O_DIRECTORY, 0);
    d->scan = fd < 0 ? NULL : fdopendir(fd);
    if (!d->scan) {
        unreadable(d);
        fd_close(&fd);
        return false;
    }
    drop_look_begins(&d->users, loop_now(q->loop));
    d->unreadable = 0;
    d->skipping = 0;
    d->bad_hidden = 0;
    d->bad_n = drop_count_bad(d->bad);
    return true;
}

/* False: that was all. */
static bool scan_step(struct mailq *q, unsigned names)
{
    struct drops *d = q->drops;
    const struct dirent *e;

    while (names-- > 0) {
        e = readdir(d->scan);
        if (!e) {
            closedir(d->scan);
            d->scan = NULL;
            d->skipped = d->skipping;
            drop_look_ends(&d->users, loop_now(q->loop));
            return false;
        }
        if (strncmp(e->d_name, ".bad.", 5) == 0)
            d->bad_n++, d->bad_hidden++;
        else if (strcmp(e->d_name, BAD_NAME) != 0 && e->d_type != DT_DIR)
            file_seen(q, e->d_name);
    }
    return true;
}

void drops_scan(struct mailq *q)
{
    if (q->drops && scan_begin(q))
        scan_step(q, UINT_MAX);
}

void drop_on_step(void *arg)
{
    struct mailq *q = arg;
    struct drops *d = q->drops;

    if (!d->scan && !scan_begin(q))
        return;
    if (scan_step(q, SCAN_STEP) || d->scan_again) {
        d->scan_again = d->scan_again && d->scan;
        loop_timer_set(&d->step_timer, 1);
    }
    drops_pump(q);
}

void drops_look(struct mailq *q)
{
    struct drops *d = q->drops;

    if (d->scan)
        d->scan_again = true;
    else
        drop_on_step(q);
    loop_timer_set(&d->scan_timer, d->watch < 0 || d->unreadable ? UNWATCHED_MS : SCAN_MS);
}

void drops_recovered(struct mailq *q, struct strv origin)
{
    struct drops *d = q->drops;
    struct drop_file *f = d ? drop_find(d, origin) : NULL;
    struct drop_file unknown = { .attempts = 0 };
    struct strv name;
    unsigned none;

    if (f) {
        LOG(INFO, "queue.drop.recovered", KV("origin", origin));
        f->state = FILE_FLYING;
        f->due = -1; /* drops_start takes it from its list */
    } else if (d && d->skipped && drop_name_split(strv_from(origin, sizeof DIR_NAME), &name, &none) &&
               !none) {
        memcpy(unknown.name, name.p, name.n);
        for (unsigned i = 0; i <= ATTEMPTS; i++) {
            char path[PATH_SIZE];

            drop_path(&unknown, i, path);
            d->dirty |= unlinkat(d->dir, path, 0) == 0;
        }
    }
}

void drop_on_watch(void *arg, int events)
{
    struct mailq *q = arg;
    _Alignas(struct inotify_event) char space[16384];
    ssize_t n = read(q->drops->watch, space, sizeof space);
    bool over = false; /* names are lost, or the directory is another one */

    (void)events;
    for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
        const struct inotify_event *e = (const void *)(space + at);

        over |= (e->mask & IN_Q_OVERFLOW) != 0;
        /* Our own renames show up too; they are known. A directory is nobody's message. */
        if (e->mask & IN_CREATE)
            over |= e->len && strcmp(e->name, DIR_NAME) == 0;
        else if (e->len && !(e->mask & IN_ISDIR) && e->name[0] != '.')
            file_seen(q, e->name);
        at += (ssize_t)(sizeof *e + e->len);
    }
    if (over)
        drops_look(q);
    drops_pump(q);
}

int drop_watch_open(int spool)
{
    int fd;

    /* A watch wants a path, and there is no /proc in the jail. */
    if (fchdir(spool) < 0)
        return -1;
    fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    /* Of the spool: a drop/ that is made anew. */
    if (fd >= 0 && (inotify_add_watch(fd, DIR_NAME, IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW) < 0 ||
                    inotify_add_watch(fd, ".", IN_CREATE | IN_ONLYDIR) < 0))
        fd_close(&fd);
    return fd;
}
