/* selftest_mail.c - mtactl test: a message through the whole host; where mail leaves */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/os/fd.h"
#include "conf/conf.h"
#include "conf/route.h"
#include "conf/top.h"
#include "mtactl/ask.h"
#include "mtactl/selftest.h"

#define MESSAGE_MS 60000 /* a first attempt that takes longer is a finding */
#define PROBE_MS   60000
#define SAID_MAX   16384u

/* ---- a message ---- */

/* sendmail beside this program. */
static bool sendmail_path(char *path, size_t size)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (n <= 0)
        return false;
    self[n] = '\0';
    slash = strrchr(self, '/');
    *slash = '\0';
    return snprintf(path, size, "%s/sendmail", self) < (int)size && access(path, X_OK) == 0;
}

static void sendmail_exec(const struct selftest *s, const char *path, const char *to, int in, int out)
{
    const char *argv[16];
    size_t n = 0;

    argv[n++] = "sendmail";
    /* Another configuration is root's to choose. */
    if (geteuid() == 0) {
        argv[n++] = "-C";
        argv[n++] = s->t->conf_path;
        argv[n++] = "-f"; /* nobody is told of a test that fails, but its caller */
        argv[n++] = "<>";
    }
    argv[n++] = "-v";
    argv[n++] = "-i";
    argv[n++] = "--";
    argv[n++] = to;
    argv[n] = NULL;
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(71);
    execv(path, (char *const *)(uintptr_t)argv);
    _exit(71);
}

/* Sends it, and what is said of its first attempt. The exit status of sendmail, -1 when it did not end. */
static int message_send(const struct selftest *s, const char *to, struct buf *said)
{
    char path[PATH_MAX + 16], text[600];
    int in[2], out[2], status = 0;
    int64_t until = clock_mono_ms() + MESSAGE_MS;
    bool ended = false;
    pid_t pid;

    if (!sendmail_path(path, sizeof path)) {
        buf_adds(said, "sendmail is not beside mtactl");
        return 127;
    }
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || (pid = fork()) < 0)
        return -1;
    if (pid == 0)
        sendmail_exec(s, path, to, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    snprintf(text, sizeof text,
             "Subject: mtactl test of %s\nAuto-Submitted: auto-generated\n\nThis message was sent by `mtactl "
             "test`. "
             "It may be deleted.\n",
             s->conf->top->hostname);
    if (!fd_write_full(in[1], text, strlen(text)))
        buf_adds(said, "sendmail does not read\n");
    close(in[1]);
    while (!ended && clock_mono_ms() < until) {
        struct pollfd p = { .fd = out[0], .events = POLLIN };
        char bytes[2048];
        ssize_t n;

        if (poll(&p, 1, (int)(until - clock_mono_ms())) <= 0)
            continue;
        n = read(out[0], bytes, sizeof bytes);
        ended = n == 0 || (n < 0 && errno != EINTR);
        if (n > 0)
            buf_add(said, bytes, (size_t)n);
    }
    if (!ended)
        kill(pid, SIGTERM);
    close(out[0]);
    waitpid(pid, &status, 0);
    return ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The line that says how it ended: "... Sent via", "... Failed via", "... Deferred via". */
static struct strv line_with(struct strv text, const char *words)
{
    struct strv line;
    size_t n = strlen(words);

    while (text.p && strv_cut(&text, '\n', &line))
        for (size_t i = 0; i + n <= line.n; i++)
            if (memcmp(line.p + i, words, n) == 0)
                return line;
    return strv_make(NULL, 0);
}

static struct strv last_line(struct strv text)
{
    struct strv line, last = SV_LIT("nothing was said");

    while (text.p && strv_cut(&text, '\n', &line))
        if (line.n)
            last = line;
    return last;
}

static void message_test(struct selftest *s, const char *check, const char *to)
{
    struct buf said;
    struct strv line;
    char fix[900];
    int code;

    buf_init(&said, SAID_MAX);
    code = message_send(s, to, &said);
    line = line_with(buf_view(&said), "... Sent");
    if (code == 0 && line.p) {
        selftest_tell(s, check, SELFTEST_OK, NULL, "%.*s", (int)line.n, line.p);
        buf_clear(&said);
        return;
    }
    line = line_with(buf_view(&said), "... Failed");
    if (!line.p)
        line = line_with(buf_view(&said), "... Deferred");
    if (!line.p)
        line = last_line(buf_view(&said));
    if (code != 0 && code != -1)
        snprintf(fix, sizeof fix,
                 "mtactl check --install (as root) looks at drop/ and postdrop; sendmail ended with %d",
                 code);
    else
        snprintf(fix, sizeof fix,
                 "mtactl address %.300s shows the way and its file:line; mailq shows what waits, and why",
                 to);
    selftest_tell(s, check, SELFTEST_FAILED, fix, "%.*s", (int)line.n, line.p);
    buf_clear(&said);
}

/* A test message would lie in the queue. */
static bool is_paused(const struct selftest *s)
{
    for (size_t i = 0; i < s->status.n; i++) {
        struct strv advice = row_text(&s->status.list[i], "advice");

        for (size_t at = 0; strcmp(s->status.list[i].kind, "degraded") == 0 && at < advice.n; at++)
            if (strv_starts(strv_from(advice, at), SV_LIT("mtactl resume")))
                return true;
    }
    return false;
}

void selftest_local(struct selftest *s)
{
    char to[400];

    if (is_paused(s)) {
        selftest_tell(s, "local mail", SELFTEST_FAILED, "mtactl resume in; mtactl resume out",
                      "not tried: acceptance or delivery is paused");
        return;
    }

    snprintf(to, sizeof to, "postmaster@%s",
             s->conf->top->domains.n ? s->conf->top->domains.v[0] : s->conf->top->hostname);
    message_test(s, "local mail", to);
}

void selftest_send(struct selftest *s)
{
    if (s->send_to)
        message_test(s, "message", s->send_to);
}

/* ---- where mail leaves ---- */

/* The domain whose way out is looked at; NULL: there is none to look at. */
static const char *destination(const struct selftest *s, const struct conf_route *fallback)
{
    const char *to = s->to ? s->to : s->send_to;
    const char *at = to ? strrchr(to, '@') : NULL;

    if (to)
        return at ? at + 1 : to;
    /* With a smart host every foreign domain leaves there. */
    return (fallback->via.host && fallback->via.host[0]) || fallback->via.addr.family
               ? "outbound-test.invalid"
               : NULL;
}

void selftest_outbound(struct selftest *s)
{
    struct rows rows = { 0 };
    struct ask a = { .role = ROLE_DELIVERD, .act = "probe", .row = ask_collect, .arg = &rows };
    const struct conf_route *route = conf_route_for(s->conf, SV_LIT("outbound-test.invalid"));
    const char *domain = destination(s, route);
    char where[300], fix[700], check[400];
    int64_t patience = s->t->wait_ms;

    if (!domain) {
        selftest_tell(s, "outbound", SELFTEST_NOTE,
                      "mtactl test --to somebody@example.net looks at that domain's server",
                      "no smart host is configured, so there is no one way out to look at");
        return;
    }
    route = conf_route_for(s->conf, SV(domain));
    selftest_where(&route->head, "route", "via", where, sizeof where);
    ask_text(&a, "domain", SV(domain));
    s->t->wait_ms = PROBE_MS;
    ask_run(&a, s->t);
    s->t->wait_ms = patience;
    snprintf(check, sizeof check, "outbound by route %.100s", route->head.name);
    if (a.trouble == BLOCKING_OK && a.code == 0) {
        selftest_tell(s, check, SELFTEST_OK, NULL, "%s", a.text);
    } else {
        struct strv advice = rows.n ? row_text(&rows.list[rows.n - 1], "advice") : SV_LIT("");

        snprintf(fix, sizeof fix, "route %.100s (%s): %.*s", route->head.name,
                 strcmp(where, "default") == 0 ? "built in" : where, (int)strv_sub(advice, 0, 280).n,
                 advice.n ? advice.p : "");
        selftest_tell(s, check, SELFTEST_FAILED, fix, "%s", a.text);
    }
    rows_clear(&rows);
}
