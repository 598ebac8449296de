/* command.c - one message into one program: argv, environment, time, and what its end means */
#include "deliverd/agent/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/os/fd.h"

#define GRACE_MS   2000         /* between SIGTERM and SIGKILL */
#define VALUE_MAX  1100u        /* an address has at most 1024 bytes */
#define ENV_MAX    16u

/* ---- values ---- */

static bool is_argument(struct strv s)
{
    return s.n < VALUE_MAX && !strv_has(s, '\0') && (s.n == 0 || s.p[0] != '-');
}

bool command_values_ok(const struct command_values *v)
{
    return is_argument(v->user) && is_argument(v->domain) && is_argument(v->extension) &&
           is_argument(v->sender) && is_argument(v->rcpt);
}

struct strv command_argument(const char *configured, const struct command_values *v)
{
    if (configured[0] == '%' && configured[1] != '\0' && configured[2] == '\0') {
        switch (configured[1]) {
        case 'u': return v->user;
        case 'd': return v->domain;
        case 'x': return v->extension;
        case 's': return v->sender;
        case 'r': return v->rcpt;
        default: break;
        }
    }
    return SV(configured);
}

/* ---- the meaning of the end ---- */

/* sysexits(3). What the operator or time can mend is tried again, so that no mail is lost meanwhile; the rest
   is the program's own verdict. */
static const struct {
    int code;
    enum ipc_outcome outcome;
    const char *enhanced, *words;
} exits[] = {
    { EX_OK, OUTCOME_DELIVERED, "2.0.0", "delivered" },
    { EX_USAGE, OUTCOME_DEFERRED, "4.3.5", "wrong usage" },
    { EX_DATAERR, OUTCOME_FAILED, "5.6.0", "the message is not acceptable" },
    { EX_NOINPUT, OUTCOME_FAILED, "5.3.0", "cannot open its input" },
    { EX_NOUSER, OUTCOME_FAILED, "5.1.1", "no such user" },
    { EX_NOHOST, OUTCOME_FAILED, "5.1.2", "no such host" },
    { EX_UNAVAILABLE, OUTCOME_FAILED, "5.3.0", "service unavailable" },
    { EX_SOFTWARE, OUTCOME_DEFERRED, "4.3.0", "internal error" },
    { EX_OSERR, OUTCOME_DEFERRED, "4.3.0", "system error" },
    { EX_OSFILE, OUTCOME_DEFERRED, "4.3.0", "a system file is missing" },
    { EX_CANTCREAT, OUTCOME_FAILED, "5.2.0", "cannot create its output" },
    { EX_IOERR, OUTCOME_DEFERRED, "4.3.0", "input/output error" },
    { EX_TEMPFAIL, OUTCOME_DEFERRED, "4.3.0", "temporary failure" },
    { EX_PROTOCOL, OUTCOME_FAILED, "5.5.0", "remote error in protocol" },
    { EX_NOPERM, OUTCOME_FAILED, "5.7.0", "permission denied" },
    { EX_CONFIG, OUTCOME_DEFERRED, "4.3.5", "configuration error" },
    { 126, OUTCOME_DEFERRED, "4.3.0", "its command cannot be executed" },
    { 127, OUTCOME_DEFERRED, "4.3.0", "its command was not found" },
};

static void result_set(struct command_result *out, enum ipc_outcome outcome, const char *enhanced)
{
    out->outcome = outcome;
    snprintf(out->enhanced, sizeof out->enhanced, "%s", enhanced);
}

static void failure(struct command_result *out, const char *enhanced, const char *program, const char *what,
                    int sys)
{
    result_set(out, OUTCOME_DEFERRED, enhanced);
    snprintf(out->text, sizeof out->text, "command %.200s: %s%s%s", program, what, sys ? ": " : "",
             sys ? strerror(sys) : "");
}

void command_status(const char *program, int status, struct strv detail, struct command_result *out)
{
    const char *words = "unknown status";
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    int n;

    if (code < 0) {
        failure(out, "4.3.0", program, WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "stopped", 0);
        return;
    }
    /* Programs that know no sysexits say 1; sendmail's rule is that this is their last word. */
    result_set(out, OUTCOME_FAILED, "5.3.0");
    for (size_t i = 0; i < sizeof exits / sizeof *exits; i++) {
        if (exits[i].code == code) {
            result_set(out, exits[i].outcome, exits[i].enhanced);
            words = exits[i].words;
        }
    }
    if (code == 0)
        n = snprintf(out->text, sizeof out->text, "delivered to command %.200s", program);
    else
        n = snprintf(out->text, sizeof out->text, "command %.160s: exit %d (%s)", program, code, words);
    if (detail.n > 0 && n > 0 && (size_t)n < sizeof out->text)
        snprintf(out->text + n, sizeof out->text - (size_t)n, ": %.*s", (int)detail.n, detail.p);
}

/* ---- the child ---- */

struct exec {
    char *argv[COMMAND_ARGS_MAX + 1]; /* owned strings */
    char *envp[ENV_MAX + 1];          /* the same */
    size_t env_n;
    int in, out, report;
};

static void env_add(struct exec *x, const char *name, struct strv value)
{
    struct buf b;

    buf_init(&b, 8192);
    buf_addf(&b, "%s=", name);
    buf_addv(&b, value);
    if (buf_ok(&b) && !strv_has(value, '\0') && x->env_n < ENV_MAX)
        x->envp[x->env_n++] = mem_str(buf_cstr(&b));
    buf_clear(&b);
}

/* Nothing of our own environment: programs that are set-id, or shells, see only what stands here. What
   strangers wrote is made harmless for scripts that forget their quotes. */
static void env_add_foreign(struct exec *x, const char *name, struct strv value)
{
    char text[VALUE_MAX];
    size_t n = value.n < sizeof text ? value.n : sizeof text - 1;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)value.p[i];

        text[i] = byte_is_alnum(c) || strchr("@._+-=/:,%!#^~", c) ? (char)c : '_';
    }
    env_add(x, name, strv_make(text, n));
}

static void exec_make(struct exec *x, const struct command *c, const struct command_values *v)
{
    const char *tz = getenv("TZ");

    *x = (struct exec){ .in = -1, .out = -1, .report = -1 };
    for (size_t i = 0; i < COMMAND_ARGS_MAX && c->argv[i]; i++)
        x->argv[i] = strv_dup(c->literal ? SV(c->argv[i]) : command_argument(c->argv[i], v));
    env_add(x, "PATH", SV("/usr/local/bin:/usr/bin:/bin"));
    env_add(x, "SHELL", SV("/bin/sh"));
    env_add(x, "HOME", SV(c->home));
    env_add(x, "USER", SV(c->user));
    env_add(x, "LOGNAME", SV(c->user));
    if (tz)
        env_add(x, "TZ", SV(tz));
    env_add_foreign(x, "SENDER", v->sender);
    env_add_foreign(x, "RECIPIENT", v->rcpt);
    env_add_foreign(x, "EXTENSION", v->extension);
    env_add_foreign(x, "DOMAIN", v->domain);
}

static void exec_clear(struct exec *x)
{
    for (size_t i = 0; x->argv[i]; i++)
        free(x->argv[i]);
    for (size_t i = 0; x->envp[i]; i++)
        free(x->envp[i]);
    fd_close(&x->in);
    fd_close(&x->out);
    fd_close(&x->report);
}

static void limits_set(void)
{
    struct rlimit l = { 0, 0 };

    setrlimit(RLIMIT_CORE, &l);
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur > 1024) {
        l.rlim_cur = 1024;      /* select() of old programs */
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

/* Only calls that are safe after fork. */
static _Noreturn void child_run(const struct exec *x)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int error;

    setsid();
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    umask(077);
    limits_set();
    if (null >= 0 && lseek(x->in, 0, SEEK_SET) == 0 && dup2(x->in, 0) == 0 && dup2(x->out, 1) == 1 &&
        dup2(x->out, 2) == 2 && syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) == 0)
        execve(x->argv[0], x->argv, x->envp);
    error = errno;
    if (write(x->report, &error, sizeof error) < 0)
        _exit(126);
    _exit(127);
}

/* ---- waiting ---- */

struct run {
    pid_t pid;
    int pidfd, output, report, channel;
    char text[COMMAND_OUTPUT_MAX];
    size_t n;
    const char *killed; /* why; NULL: it was not */
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* As one line of printable text; what does not fit is read and dropped, so that the program never waits. */
static void output_take(struct run *r)
{
    char piece[4096];
    ssize_t got;

    while ((got = read(r->output, piece, sizeof piece)) > 0) {
        for (ssize_t i = 0; i < got && r->n < sizeof r->text; i++) {
            bool blank = (unsigned char)piece[i] <= ' ' || (unsigned char)piece[i] == 127;

            if (blank && (r->n == 0 || r->text[r->n - 1] == ' '))
                continue;
            r->text[r->n++] = blank ? ' ' : (unsigned char)piece[i] > 127 ? '?' : piece[i];
        }
    }
    if (got == 0)
        fd_close(&r->output);
}

static void kill_group(struct run *r, int signo, const char *why)
{
    r->killed = why;
    kill(-r->pid, signo);
}

/* Until it has ended; its status. */
static int wait_for_end(struct run *r, int64_t deadline)
{
    int status = 0;

    for (;;) {
        struct pollfd p[] = { { .fd = r->pidfd, .events = POLLIN },
                              { .fd = r->output, .events = POLLIN },
                              { .fd = r->killed ? -1 : r->channel, .events = POLLRDHUP } };
        int64_t left = deadline - now_ms();
        int patience = r->pidfd < 0 ? 100 : 60000; /* without one it has to be asked */
        int n = poll(p, 3, left > 0 ? (int)(left < patience ? left : patience) : 0);

        if (n > 0 && p[1].revents)
            output_take(r);
        if ((r->pidfd < 0 || (n > 0 && p[0].revents)) && waitpid(r->pid, &status, WNOHANG) == r->pid)
            break;
        if (n > 0 && p[2].revents & (POLLHUP | POLLRDHUP | POLLERR)) {
            kill_group(r, SIGTERM, "deliverd went away");
            deadline = now_ms() + GRACE_MS;
        }
        if (now_ms() < deadline)
            continue;
        if (r->killed) {
            kill_group(r, SIGKILL, r->killed);
            deadline = INT64_MAX;
        } else {
            kill_group(r, SIGTERM, "took longer than its time limit and was killed");
            deadline = now_ms() + GRACE_MS;
        }
    }
    if (r->killed)
        kill(-r->pid, SIGKILL); /* what it left behind */
    if (r->output >= 0)
        output_take(r);
    return status;
}

/* 0, or why the program could not even begin. */
static int begin_error(int report)
{
    int error = 0;

    return read(report, &error, sizeof error) == (ssize_t)sizeof error ? error : 0;
}

static bool pipes_make(struct exec *x, struct run *r)
{
    int out[2], report[2];

    if (pipe2(out, O_CLOEXEC) < 0)
        return false;
    r->output = out[0];
    x->out = out[1];
    fcntl(r->output, F_SETFL, O_NONBLOCK);
    if (pipe2(report, O_CLOEXEC) < 0)
        return false;
    r->report = report[0];
    x->report = report[1];
    return true;
}

static const char *shown(const struct command *c)
{
    return c->shown ? c->shown : c->literal ? "of the alias" : c->argv[0];
}

static void started(const struct command *c, struct run *r, struct command_result *out)
{
    int error, status;

    error = begin_error(r->report); /* until exec closed the other end, which takes no program of anybody */
    r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
    status = wait_for_end(r, now_ms() + c->timeout_s * 1000);
    while (r->n > 0 && r->text[r->n - 1] == ' ')
        r->n--;
    if (error)
        failure(out, "4.3.5", shown(c), "cannot be started", error);
    else if (r->killed)
        failure(out, "4.3.0", shown(c), r->killed, 0);
    else
        command_status(shown(c), status, strv_make(r->text, r->n), out);
}

void command_run(const struct command *c, const struct command_values *v, int message_fd,
                 struct command_result *out)
{
    struct run r = { .pidfd = -1, .output = -1, .report = -1, .channel = c->channel_fd };
    struct exec x;

    if (!command_values_ok(v)) {
        result_set(out, OUTCOME_FAILED, "5.1.3");
        snprintf(out->text, sizeof out->text,
                 "an address part that begins with a hyphen is not passed to a command");
        return;
    }
    exec_make(&x, c, v);
    x.in = fcntl(message_fd, F_DUPFD_CLOEXEC, 3);
    if (x.in >= 0 && pipes_make(&x, &r))
        r.pid = fork();
    else
        r.pid = -1;
    if (r.pid == 0)
        child_run(&x);
    if (r.pid < 0)
        failure(out, "4.3.0", shown(c), "no process", errno);
    exec_clear(&x);
    if (r.pid > 0)
        started(c, &r, out);
    fd_close(&r.pidfd);
    fd_close(&r.output);
    fd_close(&r.report);
}
