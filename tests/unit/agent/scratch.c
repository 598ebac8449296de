/* scratch.c - a directory for one test */
#include "tests/unit/agent/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/os/fd.h"
#include "common/os/file.h"

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

void scratch_make(struct scratch *s)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(s->path, sizeof s->path, "%s/mansio-agent-XXXXXX", tmp && strlen(tmp) < 90 ? tmp : "/tmp");
    must(mkdtemp(s->path) != NULL, "mkdtemp");
    s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(s->fd >= 0, s->path);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void scratch_remove(struct scratch *s)
{
    fd_close(&s->fd);
    nftw(s->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static DIR *list(const struct scratch *s, const char *dir)
{
    int fd = openat(s->fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 ? fdopendir(fd) : NULL;
}

int scratch_count(const struct scratch *s, const char *dir)
{
    DIR *d = list(s, dir);
    struct dirent *e;
    int n = 0;

    if (!d)
        return -1;
    while ((e = readdir(d)))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

void scratch_only(const struct scratch *s, const char *dir, char name[256], struct buf *contents)
{
    DIR *d = list(s, dir);
    struct dirent *e;
    struct err err = { 0 };
    int fd, n = 0;

    must(d != NULL, dir);
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(name, 256, "%s", e->d_name);
        n++;
    }
    must(n == 1, "exactly one file");
    fd = openat(dirfd(d), name, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && file_read(fd, contents, &err), name);
    fd_close(&fd);
    closedir(d);
}

void scratch_write(const struct scratch *s, const char *name, struct strv contents)
{
    int fd = openat(s->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    must(fd >= 0 && fd_write_full(fd, contents.p, contents.n), name);
    fd_close(&fd);
}
