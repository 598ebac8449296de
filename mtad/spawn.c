/* spawn.c - one new process: fork, the few descriptors it may hold, exec by descriptor */
#include "mtad/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/proc/setup.h"

#define ABOVE   16 /* room below for the child's own numbers */
#define ENV_MAX 16

/* What a child may know of mtad's environment. Test builds need their tools' settings. */
static const char *const env_names[] = {
    "TZ",
#ifdef MANSIO_CHECK
    "ASAN_OPTIONS", "UBSAN_OPTIONS", "GCOV_PREFIX", "GCOV_PREFIX_STRIP", "LLVM_PROFILE_FILE",
    "MANSIO_SEGMENT", /* bytes of a segment of the spool */
#endif
};

struct environment {
    char text[ENV_MAX][1024];
    char *list[ENV_MAX + 1];
};

static void environment_make(struct environment *e)
{
    size_t n = 0;

    snprintf(e->text[n], sizeof e->text[n], "PATH=/usr/bin:/bin");
    n++;
    for (size_t i = 0; i < sizeof env_names / sizeof *env_names; i++) {
        const char *value = getenv(env_names[i]);

        if (value && strlen(value) < 900) {
            snprintf(e->text[n], sizeof e->text[n], "%s=%s", env_names[i], value);
            n++;
        }
    }
    for (size_t i = 0; i < n; i++)
        e->list[i] = e->text[i];
    e->list[n] = NULL;
}

static _Noreturn void child_fail(const char *what)
{
    dprintf(STDERR_FILENO, "mtad: new process: %s: %s\n", what, strerror(errno));
    _exit(127);
}

static void signals_reset(void)
{
    struct sigaction sa = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int signo = 1; signo < NSIG; signo++)
        sigaction(signo, &sa, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child. Only calls that are safe after fork. */
static _Noreturn void child_run(const struct spawn *s, char *const argv[], char *const envp[])
{
    int binary = fcntl(s->binary, F_DUPFD_CLOEXEC, ABOVE);
    int devnull = fcntl(s->devnull, F_DUPFD_CLOEXEC, ABOVE);
    int control = fcntl(s->control, F_DUPFD_CLOEXEC, ABOVE);

    if (binary < 0 || devnull < 0 || control < 0)
        child_fail("descriptors");
    if (dup2(devnull, 0) < 0 || dup2(devnull, 1) < 0 || dup2(control, CONTROL_FD) < 0 ||
        dup2(binary, CONTROL_FD + 1) < 0 || fcntl(CONTROL_FD + 1, F_SETFD, FD_CLOEXEC) < 0)
        child_fail("descriptors");
    if (syscall(SYS_close_range, CONTROL_FD + 2, ~0u, 0) < 0)
        child_fail("close_range");
    signals_reset();
    setsid();
    fexecve(CONTROL_FD + 1, argv, envp);
    child_fail("exec");
}

pid_t spawn_process(const struct spawn *s, struct err *err)
{
    struct environment env;
    char name[32], detail[96];
    char *argv[] = { name, s->detail ? detail : NULL, NULL };
    sigset_t all, old;
    pid_t pid;

    environment_make(&env);
    snprintf(name, sizeof name, "%s", s->name);
    snprintf(detail, sizeof detail, "%s", s->detail ? s->detail : "");
    /* No handler of ours may run in the child: the loop's writes into a pipe that both hold. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    pid = fork();
    if (pid == 0)
        child_run(s, argv, env.list);
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (pid < 0)
        err_sys(err, "start %s", s->name);
    return pid;
}
