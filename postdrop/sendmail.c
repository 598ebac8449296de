/* sendmail.c - the command that programs know: a submission, or an answer about the queue; no rights of its
 * own */
#include "common/base/buf.h"
#include "common/os/fd.h"
#include "postdrop/beside.h"
#include "postdrop/extract.h"
#include "postdrop/message.h"
#include "postdrop/options.h"
#include "postdrop/person.h"
#include "postdrop/place.h"
#include "postdrop/smtp.h"
#include "postdrop/submit.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define STEP 32768u

static const char *program = "sendmail";

static int complain(int status, const char *text)
{
    fprintf(stderr, "%s: %s\n", program, text);
    return status;
}

/* ---- submission ---- */

struct submission {
    const struct options *o;
    const struct person *who;
    struct dots dots;
    struct head_reader head;
    struct buf early; /* read before the recipients were known */
    struct buf rcpts; /* a line each */
    struct submit submit;
    bool running;
    bool nobody; /* there are no recipients */
};

static bool start(struct submission *s, struct err *err)
{
    struct drop_head head = {
        .sender = s->o->has_sender ? s->o->sender : SV(s->who->login),
        .name = SV(s->o->name ? s->o->name : s->who->name),
        .login = SV(s->who->login),
        .envid = SV(s->o->envid),
        .notify = s->o->notify,
        .ret = s->o->ret,
        .verbose = s->o->verbose,
    };
    struct strv rest = buf_view(&s->rcpts), one;

    while (strv_cut(&rest, '\n', &one))
        if (one.n)
            drop_head_rcpt(&head, one);
    s->nobody = head.rcpt_n == 0;
    if (s->nobody)
        err_set(err, ERR_PERM,
                s->o->extract ? "no recipients were found in the message"
                              : "no recipients were named; -t takes them from the message");
    else
        s->running = submit_begin(&s->submit, s->o->conf, &head, err);
    drop_head_clear(&head);
    if (s->running)
        submit_data(&s->submit, buf_view(&s->early));
    return s->running;
}

/* With -t the submission starts when the header is complete. */
static bool take(struct submission *s, struct strv bytes, bool last, struct err *err)
{
    if (s->running) {
        submit_data(&s->submit, bytes);
        return true;
    }
    buf_addv(&s->early, bytes);
    if (s->o->extract) {
        head_reader_feed(&s->head, bytes);
        if (last)
            head_reader_end(&s->head);
        if (s->head.failed || !buf_ok(&s->early))
            return err_set(err, ERR_PERM, "the header of the message is too large");
        if (!s->head.done)
            return true;
        if (!extract_header(head_reader_block(&s->head), &s->rcpts, err))
            return false;
    }
    return start(s, err);
}

static bool copy_in(struct submission *s, struct err *err)
{
    char in[STEP];
    struct buf text;
    bool ended = false, ok = true;
    ssize_t n;

    buf_init(&text, 3 * STEP);
    while (ok && !ended) {
        n = read(0, in, sizeof in);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            ok = err_sys(err, "read the message");
            break;
        }
        buf_reset(&text);
        if (s->o->dots)
            buf_add(&text, in, (size_t)n);
        else
            ended = dots_feed(&s->dots, strv_make(in, (size_t)n), &text);
        ended |= n == 0;
        if (n == 0)
            dots_flush(&s->dots, &text);
        ok = take(s, buf_view(&text), ended, err);
    }
    buf_clear(&text);
    return ok;
}

static bool arguments(struct submission *s, struct err *err)
{
    for (int i = 0; i < s->o->rcpt_n; i++)
        /* A line break is a blank in a header and an attempt on the command line. */
        if (strpbrk(s->o->rcpts[i], "\r\n"))
            return err_set(err, ERR_PERM, "a recipient has a line break in it");
        else if (!extract_text(SV(s->o->rcpts[i]), &s->rcpts, err))
            return false;
    /* Known before the message is: what is wrong with them is said before anybody types it. */
    return s->o->extract || start(s, err);
}

static int submit_run(const struct options *o, const struct person *who)
{
    struct submission s = { .o = o, .who = who };
    struct err err = { .cls = ERR_OK };
    int status;
    bool ok;

    head_reader_init(&s.head);
    buf_init(&s.early, 2 * HEADER_SIZE_MAX + 4 * STEP);
    buf_init(&s.rcpts, DROP_HEAD_MAX);
    ok = arguments(&s, &err) && copy_in(&s, &err);
    if (ok)
        status = submit_end(&s.submit);
    else if (err.cls == ERR_TEMP)
        status = complain(EX_OSERR, err.text);
    else
        status = complain(s.nobody ? EX_USAGE : EX_DATAERR, err.text);
    if (!ok && s.running)
        submit_abort(&s.submit);
    head_reader_clear(&s.head);
    buf_clear(&s.early);
    buf_clear(&s.rcpts);
    return status;
}

/* ---- what others do ---- */

/* Runs mtactl with these words, which asks the daemons; its words and status are ours. */
static int ask(const struct options *o, const char *const *words, int n)
{
    const char **argv = calloc((size_t)n + 5, sizeof *argv);
    char path[PATH_MAX];
    int argc = 0;

    if (!argv || !beside_find("mtactl", MANSIO_SBINDIR, path, sizeof path))
        return complain(EX_TEMPFAIL, "mtactl, which answers this, is not installed");
    argv[argc++] = "mtactl";
    if (o->conf) {
        argv[argc++] = "-c";
        argv[argc++] = o->conf;
    }
    for (int i = 0; i < n; i++)
        argv[argc++] = words[i];
    execv(path, (char *const *)argv);
    free(argv);
    return complain(EX_TEMPFAIL, "mtactl, which answers this, cannot be run");
}

/* The same as a child, when its status is not to be ours as it is. quiet: its words are not wanted, its
   complaints are. */
static int ask_child(const struct options *o, const char *const *words, int n, bool quiet)
{
    int status, null;
    pid_t pid = fork();

    if (pid == 0) {
        null = quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
        if (null >= 0)
            dup2(null, 1);
        _exit(ask(o, words, n));
    }
    if (pid < 0)
        return complain(EX_OSERR, "cannot start another process");
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return EX_OSERR;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EX_TEMPFAIL;
}

static int queue_run(const struct options *o)
{
    return ask(o, (const char *const[]){ "mailq" }, 1);
}

static int aliases_run(const struct options *o)
{
    int status = ask_child(o, (const char *const[]){ "map", "reload" }, 2, false);

    if (status != EX_UNAVAILABLE)
        return status;
    /* Packages run newaliases whenever they like. */
    return complain(EX_OK, "tables are read when it starts");
}

static int verify_run(const struct options *o)
{
    const char *words[] = { "address", o->rcpt_n ? o->rcpts[0] : "" };

    if (o->rcpt_n != 1)
        return complain(EX_USAGE, "-bv takes one address");
    return ask(o, words, 2);
}

static int flush_run(const struct options *o)
{
    char selector[1024];
    const char *words[] = { "queue", "flush", selector };
    const char *kind = o->select == 'R' ? "--recipient=" : "--sender=";
    bool null = o->select == 'S' && strcmp(o->match, "<>") == 0;
    int n, status;

    /* As sendmail has it: a part of the address is enough. */
    if (!o->select || !*o->match)
        n = snprintf(selector, sizeof selector, "--all");
    else if (o->select == 'I' || null)
        n = snprintf(selector, sizeof selector, "%s%s", null ? kind : "", o->match);
    else
        n = snprintf(selector, sizeof selector, "%s*%s*", kind, o->match);
    if (n >= (int)sizeof selector)
        return complain(EX_USAGE, "the selector of -q is too long");
    status = ask_child(o, words, 3, true);
    return status == EX_UNAVAILABLE ? EX_TEMPFAIL : status;
}

static int daemon_run(const struct options *o)
{
    (void)o;
    return complain(EX_USAGE,
                    "the daemons are started by `systemctl start mansio` (or mtad) and run the queue by "
                    "themselves; `mtactl queue flush all` tries everything now");
}

static int version_run(const struct options *o)
{
    static struct place place;
    struct err err;
    bool known = place_find(o->conf ? o->conf : PLACE_CONF, &place, &err);

    printf("Mansio " MANSIO_VERSION "\n");
    printf("    Features: STARTTLS, AUTH (PLAIN, LOGIN, SCRAM-SHA-256), LMTP, Maildir, mbox, commands, "
           ".forward\n");
    printf("    Built with: " MANSIO_LIBRARIES ", C library %d.%d; runs with C library %s\n", __GLIBC__,
           __GLIBC_MINOR__, gnu_get_libc_version());
    printf("    Configuration: %s\n", o->conf ? o->conf : PLACE_CONF);
    printf("    Submission: into %s, up to %u bytes and %u recipients\n", known ? place.drop : err.text,
           DROP_MESSAGE_MAX, DROP_RCPTS_MAX);
    return EX_OK;
}

static int unknown_run(const struct options *o)
{
    fprintf(stderr, "%s: there is no mode -b%c\n", program,
            byte_is_print((unsigned char)o->mode_letter) ? o->mode_letter : '?');
    return EX_USAGE;
}

static int (*const runs[])(const struct options *o) = {
    [MODE_QUEUE] = queue_run,     [MODE_ALIASES] = aliases_run, [MODE_VERIFY] = verify_run,
    [MODE_FLUSH] = flush_run,     [MODE_DAEMON] = daemon_run,   [MODE_VERSION] = version_run,
    [MODE_UNKNOWN] = unknown_run,
};

/* Another configuration may be named by root, and by everybody where postdrop has no rights to lend. */
static bool conf_allowed(void)
{
    char path[PATH_MAX];
    struct stat st;

    return getuid() == 0 || (beside_find("postdrop", MANSIO_LIBEXEC, path, sizeof path) &&
                             stat(path, &st) == 0 && !(st.st_mode & (S_ISGID | S_ISUID)));
}

int main(int argc, char **argv)
{
    struct person who;
    struct options o;
    struct err err;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* ignored, as some servers leave it, postdrop's status would be lost */
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return EX_OSERR;
    if (!options_parse(argc, argv, &o, &err))
        return complain(EX_USAGE, err.text);
    if (o.conf && !conf_allowed()) {
        complain(0, "-C is for root; the configuration of the host is used");
        o.conf = NULL;
    }
    if (o.setting)
        complain(0, "-O is ignored: mansio.conf(5) is what sets this host up");
    if (o.mode != MODE_SUBMIT && o.mode != MODE_SMTP)
        return runs[o.mode](&o);
    person_find(&who);
    if (o.mode == MODE_SMTP)
        return smtp_run(o.conf, &who);
    return submit_run(&o, &who);
}
