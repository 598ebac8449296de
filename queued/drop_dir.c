/* drop_dir.c - finding the files of drop/: the watch, the look every minute, what recovery knows of them */
#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "queued/drop_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- names and lists ---- */

void drop_list_init(struct file_list *l)
{
    l->first = NULL;
    l->tail = &l->first;
}

void drop_list_push(struct file_list *l, struct drop_file *f, enum file_state state)
{
    f->state = state;
    f->next = NULL;
    *l->tail = f;
    l->tail = &f->next;
}

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
    if (dict_count(d->known) >= KNOWN_MAX) {
        d->more = true;
        return;
    }
    f = mem_new(sizeof *f);
    memcpy(f->name, name.p, name.n);
    f->attempts = attempts;
    dict_set(d->known, name, f);
    if (attempts)
        drop_list_push(&d->suspects, f, FILE_SUSPECT);
    else
        drop_list_push(&d->fresh, f, FILE_FRESH);
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

void drops_scan(struct mailq *q)
{
    struct drops *d = q->drops;
    const struct dirent *e;
    DIR *dir;
    int fd;

    if (!d)
        return;
    if (!directory_follow(d)) {
        unreadable(d);
        return;
    }
    fd = file_openat(d->dir, ".", O_RDONLY | O_DIRECTORY, 0);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        unreadable(d);
        fd_close(&fd);
        return;
    }
    d->more = false;
    d->unreadable = 0;
    while ((e = readdir(dir)) != NULL)
        if (strcmp(e->d_name, BAD_NAME) != 0 && e->d_type != DT_DIR)
            file_seen(q, e->d_name);
    closedir(dir);
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
    } else if (d && d->more && drop_name_split(strv_from(origin, sizeof DIR_NAME), &name, &none) && !none) {
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
