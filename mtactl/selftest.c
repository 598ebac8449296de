/* selftest.c - mtactl test: is every part of this host fit for mail, and what mends the one that is not? */
#include "mtactl/selftest.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/os/room.h"
#include "conf/conf.h"
#include "conf/queue.h"
#include "conf/top.h"
#include "inspect/inspect.h"
#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/install.h"
#include "mtactl/print.h"

#define NAME_MS 5000

/* ---- telling ---- */

static void text_tell(struct selftest *s, const char *check, enum selftest_result result, const char *text,
                      const char *fix)
{
    static const char *const words[] = { "ok    ", "FAILED", "note  " };
    static const char *const colors[] = { "\033[32m", "\033[31m", "\033[33m" };
    struct buf *out = &s->t->out;

    buf_addf(out, "%s%s%s %s: ", s->color ? colors[result] : "", words[result], s->color ? "\033[0m" : "",
             check);
    print_safe(out, SV(text));
    buf_addc(out, '\n');
    if (fix) {
        buf_adds(out, "       fix: ");
        print_safe(out, SV(fix));
        buf_addc(out, '\n');
    }
    tool_flush(s->t);
}

void selftest_tell(struct selftest *s, const char *check, enum selftest_result result, const char *fix,
                   const char *fmt, ...)
{
    static const char *const words[] = { "ok", "failed", "note" };
    char text[2400];
    struct row r = { 0 };
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->failed += result == SELFTEST_FAILED;
    if (!s->t->json) {
        text_tell(s, check, result, text, fix);
        return;
    }
    r.kind = mem_str("check");
    row_put(&r, "check", SV(check));
    row_put(&r, "result", SV(words[result]));
    row_put(&r, "text", SV(text));
    row_put(&r, "fix", SV(fix));
    tool_row(s->t, &r);
    row_clear(&r);
}

void selftest_where(const struct conf_head *head, const char *section, const char *field, char *dst,
                    size_t size)
{
    conf_where_text(conf_where(head, section, field), dst, size);
}

/* ---- the configuration and what it names ---- */

/* What `mtactl check` says, certificates and owners of directories too. */
static void test_configuration(struct selftest *s)
{
    const struct inspect_options options = { .privileged = geteuid() == 0, .mailboxes = true };
    struct findings f = { 0 };

    inspect_all(s->conf, &options, &f);
    for (size_t i = 0; i < f.n; i++) {
        const struct finding *x = &f.list[i];
        char fix[4800];

        snprintf(fix, sizeof fix, "%s%s%s", x->where ? x->where : "", x->where && *x->where ? ": " : "",
                 x->fix ? x->fix : "");
        selftest_tell(s, "configuration", x->level == FINDING_ADVICE ? SELFTEST_NOTE : SELFTEST_FAILED, fix,
                      "%s", x->problem);
    }
    if (f.count[FINDING_FAULT] + f.count[FINDING_ERROR] == 0)
        selftest_tell(s, "configuration", SELFTEST_OK, NULL, "%s, and what it names, is in order",
                      s->t->conf_path);
    findings_clear(&f);
}

static void test_install(struct selftest *s)
{
    struct rows rows = { 0 };

    install_look(s->t, s->conf, &rows);
    for (size_t i = 0; i < rows.n; i++) {
        struct strv what = row_text(&rows.list[i], "what"), fault = row_text(&rows.list[i], "fault");
        char fix[700];

        snprintf(fix, sizeof fix, "mtactl check --install (as root); %.*s",
                 (int)row_text(&rows.list[i], "outcome").n, row_text(&rows.list[i], "outcome").p);
        selftest_tell(s, "permissions", SELFTEST_FAILED, fix, "%.*s %.*s", (int)what.n, what.p, (int)fault.n,
                      fault.p);
    }
    if (rows.n == 0)
        selftest_tell(s, "permissions", SELFTEST_OK, NULL,
                      "users, directories and modes are as they should be");
    rows_clear(&rows);
}

static void test_disk(struct selftest *s)
{
    const struct conf_queue *q = s->conf->queue;
    struct buf text;
    struct statvfs st;
    uint64_t room, need;
    char where[300], fix[500];

    if (statvfs(q->directory, &st) < 0) {
        selftest_tell(s, "disk", SELFTEST_FAILED, "mtactl check --install (as root)", "%s: %s", q->directory,
                      strerror(errno));
        return;
    }
    room = (uint64_t)st.f_bavail * st.f_frsize;
    need = room_needed(q->reserve, ROOM_SEGMENT, &st);
    buf_init(&text, 200);
    print_size(&text, room);
    buf_adds(&text, " free, ");
    print_size(&text, need);
    buf_adds(&text, " must be");
    selftest_where(&q->head, "queue", "reserve", where, sizeof where);
    snprintf(fix, sizeof fix, "make room on the file system of the spool, or lower queue.reserve (%s)",
             where);
    if (room_lacks_inodes(&st))
        selftest_tell(s, "disk", SELFTEST_FAILED, "remove files from the file system of the spool (df -i)",
                      "%s: %llu inodes are free: mail is refused with 452", q->directory,
                      (unsigned long long)st.f_favail);
    else if (room < need)
        selftest_tell(s, "disk", SELFTEST_FAILED, fix, "%s: %s: mail is refused with 452", q->directory,
                      buf_cstr(&text));
    else
        selftest_tell(s, "disk", SELFTEST_OK, NULL, "%s: %s", q->directory, buf_cstr(&text));
    buf_clear(&text);
}

/* ---- the name of the host ---- */

/* In a child: a resolver that is dead holds getaddrinfo for as long as it likes. 0, or what getaddrinfo said;
   EAI_AGAIN when it did not end. */
static int name_lookup(const char *name, char *address, size_t size)
{
    int pipes[2], code = EAI_AGAIN;
    pid_t pid;
    struct pollfd p;
    ssize_t n = 0;

    if (pipe(pipes) < 0)
        return EAI_SYSTEM;
    pid = fork();
    if (pid == 0) {
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
        char text[NI_MAXHOST + sizeof(int)] = "";
        int got = getaddrinfo(name, NULL, &hints, &found);

        memcpy(text, &got, sizeof got);
        if (got == 0)
            getnameinfo(found->ai_addr, found->ai_addrlen, text + sizeof got, NI_MAXHOST, NULL, 0,
                        NI_NUMERICHOST);
        _exit(write(pipes[1], text, sizeof text) == (ssize_t)sizeof text ? 0 : 1);
    }
    close(pipes[1]);
    p = (struct pollfd){ .fd = pipes[0], .events = POLLIN };
    if (pid > 0 && poll(&p, 1, NAME_MS) > 0) {
        char text[NI_MAXHOST + sizeof(int)];

        n = read(pipes[0], text, sizeof text);
        if (n == (ssize_t)sizeof text) {
            memcpy(&code, text, sizeof code);
            snprintf(address, size, "%s", text + sizeof code);
        }
    }
    close(pipes[0]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return code;
}

static void test_name(struct selftest *s)
{
    const char *name = s->conf->top->hostname;
    char address[NI_MAXHOST] = "", where[300], fix[700];
    int code = name_lookup(name, address, sizeof address);

    if (code == 0) {
        selftest_tell(s, "name", SELFTEST_OK, NULL, "%s is %s", name, address);
        return;
    }
    selftest_where(&s->conf->top->head, "", "hostname", where, sizeof where);
    if (code == EAI_AGAIN)
        snprintf(fix, sizeof fix, "look at the name servers of /etc/resolv.conf; hostname is from %s", where);
    else
        snprintf(fix, sizeof fix, "give %s an address in the DNS (A or AAAA), or mend hostname (%s)", name,
                 where);
    selftest_tell(s, "name", SELFTEST_FAILED, fix, "%s: %s: others refuse mail from a host without a name",
                  name, gai_strerror(code));
}

/* ---- the host that runs ---- */

static void collect(struct selftest *s, enum role role, const char *act, struct ask *a)
{
    *a = (struct ask){ .role = role, .act = act, .row = ask_collect, .arg = &s->status };
    ask_run(a, s->t);
}

static void tell_degraded(struct selftest *s)
{
    for (size_t i = 0; i < s->status.n; i++) {
        const struct row *r = &s->status.list[i];
        char fix[1200];

        if (strcmp(r->kind, "degraded") != 0)
            continue;
        strv_cstr(strv_sub(row_text(r, "advice"), 0, sizeof fix - 1), fix, sizeof fix);
        selftest_tell(s, "host", SELFTEST_FAILED, fix, "%.*s: %.*s", (int)row_text(r, "what").n,
                      row_text(r, "what").p, (int)row_text(r, "problem").n, row_text(r, "problem").p);
    }
}

static void test_host(struct selftest *s)
{
    static const enum role others[] = { ROLE_QUEUED, ROLE_MAPD };
    struct ask a;
    unsigned daemons = 0, before;
    char fix[4400];

    collect(s, ROLE_MTAD, "status", &a);
    s->running = a.trouble == BLOCKING_OK && a.code == 0;
    s->down = a.trouble == BLOCKING_DOWN;
    if (!s->running) {
        snprintf(fix, sizeof fix,
                 "%s: mtad -n -c %s says whether the configuration is in order; then start it: "
                 "systemctl start mansio",
                 a.trouble == BLOCKING_DOWN ? "start it" : "look at the end of its log", s->t->conf_path);
        selftest_tell(s, "host", SELFTEST_FAILED, fix, "%s", a.text);
        return;
    }
    before = s->failed;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        collect(s, others[i], "status", &a);
        if (a.trouble != BLOCKING_OK || a.code)
            selftest_tell(
                s, "host", SELFTEST_FAILED,
                "see the log for this daemon's last lines; if it hangs, kill it: mtad starts another",
                "%s: %s", role_name(others[i]), a.text);
    }
    /* Last: asking the others made them look. */
    collect(s, ROLE_MTAD, "degraded", &a);
    tell_degraded(s);
    for (size_t i = 0; i < s->status.n; i++) {
        const struct row *r = &s->status.list[i];

        if (strcmp(r->kind, "daemon") != 0)
            continue;
        daemons++;
        if (!strv_is(row_text(r, "state"), "ready"))
            selftest_tell(s, "host", SELFTEST_FAILED, "see mtad.child.ended in the log for the reason",
                          "%.*s is %.*s", (int)row_text(r, "name").n, row_text(r, "name").p,
                          (int)row_text(r, "state").n, row_text(r, "state").p);
    }
    if (s->failed == before)
        selftest_tell(s, "host", SELFTEST_OK, NULL, "%u processes run and nothing is degraded", daemons);
}

/* Whether an address of ours leads somewhere, as cleanup itself resolves it. */
static void test_address(struct selftest *s, const char *local, const char *domain)
{
    struct rows rows = { 0 };
    struct ask a = { .role = ROLE_CLEANUP, .act = "address", .row = ask_collect, .arg = &rows };
    char address[500], fix[900], origin[300] = "";
    size_t finals = 0;

    snprintf(address, sizeof address, "%s%s%s", local, domain ? "@" : "", domain ? domain : "");
    ask_text(&a, "address", SV(address));
    ask_run(&a, s->t);
    for (size_t i = 0; i < rows.n; i++) {
        if (row_text(&rows.list[i], "origin").n)
            strv_cstr(strv_sub(row_text(&rows.list[i], "origin"), 0, 290), origin, sizeof origin);
        finals += strcmp(rows.list[i].kind, "final") == 0;
    }
    rows_clear(&rows);
    if (a.code == 0 && finals > 0) {
        selftest_tell(s, "addresses", SELFTEST_OK, NULL, "%s has a place", address);
        return;
    }
    snprintf(fix, sizeof fix, "%s%smtactl address %s shows each step", origin[0] ? origin : "",
             origin[0] ? " decides; " : "", address);
    selftest_tell(s, "addresses", SELFTEST_FAILED, fix, "%s: %s", address,
                  a.text[0] ? a.text : "leads nowhere");
}

static void test_addresses(struct selftest *s)
{
    const struct conf_strings *domains = &s->conf->top->domains;

    for (size_t i = 0; i < domains->n && i < 20; i++)
        test_address(s, "postmaster", domains->v[i]);
    test_address(s, "root", NULL);
}

/* ---- the command ---- */

static bool options_take(struct selftest *s, int argc, char **argv)
{
    for (int i = 0; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--to") == 0)
            s->to = argv[i + 1];
        else if (i + 1 < argc && strcmp(argv[i], "--send-to") == 0)
            s->send_to = argv[i + 1];
        else
            return false;
    }
    return true;
}

int command_test(struct tool *t, int argc, char **argv)
{
    const struct conf_options options = { .skip_files = true };
    struct selftest s = { .t = t, .color = isatty(STDOUT_FILENO) };
    struct conf_errors errs;

    if (!options_take(&s, argc, argv))
        return tool_end(t, EX_USAGE, "usage: mtactl test [--to ADDRESS] [--send-to ADDRESS]");
    conf_errors_init(&errs);
    if (!conf_load_with(t->conf_path, &options, &s.conf, &errs) && !tool_conf(t, NULL, &s.conf)) {
        conf_errors_clear(&errs);
        return tool_end(t, EX_CONFIG, "%s is not in order: mend that first", t->conf_path);
    }
    conf_errors_clear(&errs);
    test_configuration(&s);
    test_install(&s);
    test_disk(&s);
    test_name(&s);
    test_host(&s);
    selftest_listeners(&s);
    if (s.running) {
        selftest_relay(&s);
        test_addresses(&s);
        selftest_local(&s);
        selftest_outbound(&s);
        selftest_send(&s);
    }
    rows_clear(&s.status);
    conf_free(&s.conf);
    return s.failed ? tool_end(t, 1, "%u checks failed", s.failed) : tool_end(t, 0, "every check passed");
}
