/* submit.c - one submission: postdrop as a child, fed through a pipe */
#include "postdrop/submit.h"

#include "common/os/fd.h"
#include "postdrop/beside.h"
#include "postdrop/chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static void run(int in, const char *conf)
{
    char path[PATH_MAX];
    const char *argv[] = { "postdrop", conf ? "-C" : NULL, conf, NULL };

    if (dup2(in, 0) < 0 || !beside_find("postdrop", MANSIO_LIBEXEC, path, sizeof path))
        _exit(EX_OSFILE);
    execv(path, (char *const *)argv);
    fprintf(stderr, "sendmail: cannot run %s: %m\n", path);
    _exit(EX_OSFILE);
}

bool submit_begin(struct submit *s, const char *conf, const struct drop_head *head, struct err *err)
{
    struct buf text;
    int ends[2];
    bool ok;

    *s = (struct submit){ .fd = -1 };
    buf_init(&text, DROP_HEAD_MAX + 4096);
    ok = drop_head_print(head, &text, err) && (pipe2(ends, O_CLOEXEC) == 0 || err_sys(err, "make a pipe"));
    if (ok) {
        s->pid = fork();
        if (s->pid == 0)
            run(ends[0], conf);
        fd_close(&ends[0]);
        s->fd = ends[1];
        ok = s->pid > 0 || err_sys(err, "start postdrop");
    }
    if (ok)
        submit_data(s, buf_view(&text));
    else
        fd_close(&s->fd);
    buf_clear(&text);
    return ok;
}

void submit_data(struct submit *s, struct strv bytes)
{
    if (!s->broken && !chunk_write(s->fd, bytes.p, bytes.n))
        s->broken = true;
}

static int status_of(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return EX_OSERR;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EX_TEMPFAIL;
}

int submit_end(struct submit *s)
{
    int status;

    if (!s->broken && !chunk_write_end(s->fd))
        s->broken = true;
    fd_close(&s->fd);
    status = status_of(s->pid);
    return status == 0 && s->broken ? EX_TEMPFAIL : status;
}

void submit_abort(struct submit *s)
{
    /* Without the end mark postdrop removes what it has. */
    fd_close(&s->fd);
    status_of(s->pid);
}
