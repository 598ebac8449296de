/* sandbox_prove.c - a wall that was not touched is a hope: try it once at every start */
#include "common/os/sandbox.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool fd_refused(int fd)
{
    if (fd < 0)
        return true;
    close(fd);
    return false;
}

bool sandbox_prove(enum role role, struct err *err)
{
    bool root = geteuid() == 0;

    if (root || setuid(0) == 0 || setgid(0) == 0)
        return err_set(err, ERR_BUG, "confinement failed: root is within reach");
    if (!sandbox_opens_files(role) && !fd_refused(open("/etc/passwd", O_RDONLY | O_CLOEXEC)))
        return err_set(err, ERR_BUG, "confinement failed: files can be opened");
    if (!sandbox_makes_sockets(role, AF_UNIX, SOCK_STREAM) &&
        !fd_refused(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)))
        return err_set(err, ERR_BUG, "confinement failed: sockets can be made");
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0)
        return err_set(err, ERR_BUG, "confinement failed: the process can be made readable");
    return true;
}
