/* slow_sync.c - LD_PRELOAD for Postfix: syncs take five milliseconds more, as in Mansio's check build */
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void nap(void)
{
    struct timespec left = { .tv_nsec = 5000000 };

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

int fsync(int fd)
{
    nap();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    nap();
    return (int)syscall(SYS_fdatasync, fd);
}
