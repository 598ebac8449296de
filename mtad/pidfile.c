/* pidfile.c - one mtad per runtime directory */
#include "mtad/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/os/fd.h"
#include "common/os/file.h"
#include "conf/conf.h"
#include "conf/processes.h"

bool pidfile_take(struct host *h, struct err *err)
{
    char path[PATH_MAX + 16], text[32];
    int n;

    snprintf(path, sizeof path, "%s/mtad.lock", h->conf->processes->runtime);
    h->lock_fd = file_openat(AT_FDCWD, path, O_RDWR | O_CREAT, 0644);
    if (h->lock_fd < 0)
        return err_sys(err, "lock file %s", path);
    if (flock(h->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        ssize_t got = errno == EWOULDBLOCK ? fd_pread_full(h->lock_fd, text, sizeof text - 1, 0) : 0;

        text[got > 0 ? got : 0] = '\0';
        return err_set(err, ERR_TEMP, "another mtad runs here (pid %.*s holds %s)", (int)strcspn(text, "\n"),
                       text, path);
    }
    n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(h->lock_fd, 0) < 0 || !fd_pwrite_full(h->lock_fd, text, (size_t)n, 0))
        return err_sys(err, "write %s", path);
    return true;
}
