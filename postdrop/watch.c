/* watch.c - sendmail -v: shows what queued tells of the file that was just submitted */
#include "postdrop/watch.h"

#include "common/base/clock.h"
#include "common/base/strv.h"
#include "common/os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAKEN_MS 10000  /* a host that runs takes a file at once */
#define SHOW_MS  300000 /* a first attempt may take as long as servers like */

void watch_begin(struct watch *w, const struct file *f)
{
    w->fd = -1;
    w->dir = f->dir;
    snprintf(w->name, sizeof w->name, "%s.t", f->name);
    /* Written by queued, which is neither we nor of our group; the directory keeps everybody else out. */
    if (mkfifoat(f->dir, w->name, 0602) < 0)
        return;
    w->fd = openat(f->dir, w->name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (w->fd < 0)
        unlinkat(f->dir, w->name, 0);
}

struct line {
    char text[2400];
    size_t n;
};

/* The last line is a dot alone, and not shown. False: that came, or nobody looks any more. */
static bool show(struct line *l, int out, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool end = bytes[i] == '\n';

        if (end && l->n == 1 && l->text[0] == '.')
            return false;
        if (l->n < sizeof l->text - 1 && !end)
            l->text[l->n++] = byte_is_print((unsigned char)bytes[i]) ? bytes[i] : '?';
        if (!end)
            continue;
        l->text[l->n++] = '\n';
        if (!fd_write_full(out, l->text, l->n))
            return false;
        l->n = 0;
    }
    return true;
}

static void end_with(int out, const char *text)
{
    if (!fd_write_full(out, text, strlen(text)))
        return; /* nobody looks any more */
}

void watch_show(struct watch *w, int out)
{
    int64_t begun = clock_mono_ms();
    struct line line = { .n = 0 };
    char bytes[4096];
    bool taken = false;

    if (w->fd < 0)
        end_with(out, "the message is queued; its delivery cannot be shown\n");
    while (w->fd >= 0) {
        int64_t left = begun + (taken ? SHOW_MS : TAKEN_MS) - clock_mono_ms();
        struct pollfd p = { .fd = w->fd, .events = POLLIN };
        ssize_t n;

        if (left <= 0) {
            end_with(out, taken ? "the attempt goes on; the log tells how it ends\n"
                                : "the message is queued; the mail host is not running, or is very busy: it "
                                  "is sent when it can be\n");
            return;
        }
        if (poll(&p, 1, (int)left) <= 0)
            continue;
        n = read(w->fd, bytes, sizeof bytes);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0) {
            end_with(out, "the mail host went away; it has the message\n");
            return;
        }
        taken = true;
        if (!show(&line, out, bytes, (size_t)n))
            return;
    }
}

void watch_end(struct watch *w)
{
    if (w->fd >= 0)
        unlinkat(w->dir, w->name, 0);
    fd_close(&w->fd);
}
