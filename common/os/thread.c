/* thread.c - the few threads there are: named, and deaf to signals */
#include "common/os/thread.h"

#include <errno.h>
#include <signal.h>

/* Deep enough for the writers of the queue under sanitizers; small enough to be counted. */
#define STACK_SIZE (512u * 1024u)

bool thread_start(pthread_t *out, const char *name, void *(*fn)(void *arg), void *arg, struct err *err)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int rc;

    rc = pthread_attr_init(&attr);
    if (rc != 0) {
        errno = rc;
        return err_sys(err, "thread %s", name);
    }
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(out, &attr, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (rc != 0) {
        errno = rc;
        return err_sys(err, "start thread %s", name);
    }
    pthread_setname_np(*out, name);
    return true;
}
