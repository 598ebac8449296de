/* spool.c - a temporary spool directory and its files, to look at and to damage */
#include "tests/unit/queued/spool.h"

#include "common/os/fd.h"
#include "common/os/file.h"
#include "tests/support/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void spool_make(struct spool *s)
{
    snprintf(s->path, sizeof s->path, "/tmp/mansio-spool-XXXXXX");
    assert_non_null(mkdtemp(s->path));
    s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(s->fd >= 0);
}

static void remove_below(int dir, int depth)
{
    DIR *d = fdopendir(dir);
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(d), e->d_name, 0) == 0)
            continue;
        if (depth > 0)
            remove_below(openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), depth - 1);
        unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
    }
    closedir(d);
}

void spool_remove(struct spool *s)
{
    remove_below(s->fd, 2);
    rmdir(s->path);
    s->fd = -1;
}

static int open_sub(const struct spool *s, const char *sub)
{
    return openat(s->fd, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

size_t spool_list(const struct spool *s, const char *sub, const char *suffix, char names[][64], size_t max)
{
    int fd = open_sub(s, sub);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    size_t n = 0;

    while (d && (e = readdir(d)) && n < max)
        if (e->d_name[0] != '.' && strv_ends(SV(e->d_name), SV(suffix)))
            snprintf(names[n++], 64, "%.63s", e->d_name);
    if (d)
        closedir(d);
    if (n)
        qsort(names, n, 64, compare);
    return n;
}

void spool_read(const struct spool *s, const char *sub, const char *name, struct buf *out)
{
    int dir = open_sub(s, sub), fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    struct err err;

    assert_true(fd >= 0);
    buf_reset(out);
    assert_true(file_read(fd, out, &err));
    fd_close(&fd);
    fd_close(&dir);
}

void spool_write(const struct spool *s, const char *sub, const char *name, struct strv bytes)
{
    int dir = open_sub(s, sub), fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_true(fd_write_full(fd, bytes.p, bytes.n));
    fd_close(&fd);
    fd_close(&dir);
}

void spool_unlink(const struct spool *s, const char *sub, const char *name)
{
    int dir = open_sub(s, sub);

    assert_int_equal(unlinkat(dir, name, 0), 0);
    fd_close(&dir);
}

bool spool_has(const struct spool *s, const char *sub, const char *name)
{
    int dir = open_sub(s, sub);
    bool has = faccessat(dir, name, F_OK, 0) == 0;

    fd_close(&dir);
    return has;
}

void spool_copy(const struct spool *from, struct spool *to)
{
    static const char *const subs[] = { "seg", "state", "big" };

    spool_make(to);
    for (size_t i = 0; i < COUNT(subs); i++) {
        char names[256][64];
        size_t n = spool_list(from, subs[i], "", names, COUNT(names));

        assert_int_equal(mkdirat(to->fd, subs[i], 0700), 0);
        for (size_t k = 0; k < n; k++) {
            struct buf bytes;

            buf_init(&bytes, (size_t)1 << 30);
            spool_read(from, subs[i], names[k], &bytes);
            spool_write(to, subs[i], names[k], buf_view(&bytes));
            buf_clear(&bytes);
        }
    }
}
