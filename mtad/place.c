/* place.c - where an agent works, opened step by step */
#include "mtad/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "mtad/opener.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY)

struct asked {
    struct host *host;
    enum place_kind kind;
    struct place place;
    uid_t uid;
    place_fn *done;
    void *arg;
    char user[65], spool[PATH_MAX];
};

static void end(struct asked *a)
{
    a->done(a->arg, &a->place);
    fd_close(&a->place.dirfd);
    fd_close(&a->place.spoolfd);
    free(a);
}

/* No home is no obstacle to who does not need it; one that cannot be told is (a .forward may lie there). */
static void no_home(struct asked *a, const struct err *why, bool is_known)
{
    struct place *p = &a->place;

    if (!is_known || a->kind == PLACE_HOME) {
        p->err = *why;
    } else if (a->kind == PLACE_COMMAND) {
        if (!p->path[0])
            snprintf(p->path, sizeof p->path, "/");
        p->dirfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (p->dirfd < 0)
            err_sys(&p->err, "/");
    } else {
        LOG(DEBUG, "mtad.agent.homeless", KS("user", a->user), KS("error", why->text));
        snprintf(p->path, sizeof p->path, "%s", a->spool);
        p->dirfd = fcntl(p->spoolfd, F_DUPFD_CLOEXEC, 0);
        if (p->dirfd < 0)
            err_sys(&p->err, "spool directory %s", a->spool);
    }
    end(a);
}

/* The file system said so; everything else is a server that could not tell. */
static bool is_answer(int sys)
{
    return sys == ENOENT || sys == ENOTDIR || sys == ELOOP || sys == EACCES || sys == EPERM;
}

static void home_take(struct asked *a, struct opened *o)
{
    if (o->fd < 0) {
        err_wrap(&o->err, "home directory of %s", a->user);
        no_home(a, &o->err, is_answer(o->err.sys));
        return;
    }
    if (o->st.st_uid != a->uid || (o->st.st_mode & S_IWOTH)) {
        err_set(&o->err, ERR_TEMP, "home directory %s does not belong to %s, or everybody may write it",
                a->place.path, a->user);
        no_home(a, &o->err, true);
        return;
    }
    a->place.dirfd = o->fd;
    o->fd = -1;
    end(a);
}

static void on_home_path(void *arg, struct opened *o)
{
    home_take(arg, o);
}

static void on_home(void *arg, struct opened *o)
{
    struct asked *a = arg;

    /* A network home that even root may not read: the agent can, as its user. */
    if (o->fd < 0 && (o->err.sys == EACCES || o->err.sys == EPERM))
        opener_ask(a->host, -1, a->place.path, O_PATH | O_DIRECTORY, on_home_path, a);
    else
        home_take(a, o);
}

static void home_ask(struct asked *a)
{
    struct err err = { 0 };

    if (a->place.path[0] == '/') {
        opener_ask(a->host, -1, a->place.path, DIR_FLAGS, on_home, a);
        return;
    }
    a->place.path[0] = '\0';
    err_set(&err, ERR_TEMP, "user %s has no usable home directory", a->user);
    no_home(a, &err, true);
}

static void on_spool(void *arg, struct opened *o)
{
    struct asked *a = arg;

    if (o->fd < 0) {
        a->place.err = o->err;
        err_wrap(&a->place.err, "spool directory");
        end(a);
        return;
    }
    a->place.spoolfd = o->fd;
    o->fd = -1;
    home_ask(a);
}

static void on_root(void *arg, struct opened *o)
{
    struct asked *a = arg;

    a->place.dirfd = o->fd;
    o->fd = -1;
    if (a->place.dirfd < 0) {
        a->place.err = o->err;
        err_wrap(&a->place.err, "mailbox root");
    }
    end(a);
}

void place_ask(struct host *h, const struct place_wish *w, place_fn *done, void *arg)
{
    struct asked *a = mem_new(sizeof *a);

    *a = (struct asked){ .host = h, .kind = w->kind, .uid = w->uid, .done = done, .arg = arg };
    a->place.dirfd = a->place.spoolfd = -1;
    snprintf(a->user, sizeof a->user, "%s", w->user);
    if (w->kind == PLACE_ROOT) {
        snprintf(a->place.path, sizeof a->place.path, "%s", w->root);
        opener_ask(h, w->rootfd, w->root, DIR_FLAGS, on_root, a);
        return;
    }
    if (!strv_cstr(w->home, a->place.path, sizeof a->place.path))
        a->place.path[0] = '\0';
    if (w->kind != PLACE_SPOOL) {
        home_ask(a);
        return;
    }
    snprintf(a->spool, sizeof a->spool, "%s", w->spool);
    opener_ask(h, -1, w->spool, DIR_FLAGS, on_spool, a);
}
