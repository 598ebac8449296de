/* program.c - the daemons' programs, opened once: a package upgrade never mixes versions */
#include "mtad/program.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/os/fd.h"

/* The directory of mtad's own program. */
static bool own_directory(char dst[PATH_MAX], struct err *err)
{
    ssize_t n = readlink("/proc/self/exe", dst, PATH_MAX - 1);
    char *slash;

    if (n < 0)
        return err_sys(err, "read /proc/self/exe");
    dst[n] = '\0';
    slash = strrchr(dst, '/');
    if (!slash)
        return err_set(err, ERR_TEMP, "/proc/self/exe says %s", dst);
    *slash = '\0';
    return true;
}

static bool program_open(int dirfd, const char *dir, const char *name, int *fd, struct err *err)
{
    struct stat st;

    *fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*fd < 0)
        return err_sys(err, "program %s/%s", dir, name);
    if (fstat(*fd, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 0111))
        return err_set(err, ERR_CONF, "program %s/%s cannot be executed", dir, name);
    return true;
}

bool program_open_all(struct host *h, struct err *err)
{
    char dir[PATH_MAX];
    int dirfd;
    bool ok;

    if (h->options.programs)
        snprintf(dir, sizeof dir, "%s", h->options.programs);
    else if (!own_directory(dir, err))
        return false;
    dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return err_sys(err, "directory %s", dir);
    ok = program_open(dirfd, dir, "mansio-agent", &h->binaries[ROLE_AGENT], err);
    for (const struct graph_role *r = graph_roles; ok && r->role != ROLE_COUNT; r++)
        ok = program_open(dirfd, dir, r->program, &h->binaries[r->role], err);
    fd_close(&dirfd);
    return ok;
}
