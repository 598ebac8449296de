/* passwd.c - logins of the credentials file (section auth): set, remove, list; never a password in argv or a
 * log */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/b64.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/mail/sasl.h"
#include "conf/auth.h"
#include "conf/conf.h"
#include "conf/map.h"
#include "maps/credential.h"
#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/logins.h"
#include "mtactl/replace.h"

#define FILE_MAX         (64u << 20)
#define SCRAM_SALT       16u
#define USAGE            "usage: mtactl passwd [--scram|--crypt] [--stdin] LOGIN | --delete LOGIN | --list"

enum scheme { SCHEME_CONF, SCHEME_CRYPT, SCHEME_SCRAM };

struct passwd {
    struct tool *t;
    bool list, delete, from_stdin;
    enum scheme scheme;
    const char *given; /* the login as it was typed */
    struct conf *conf; /* owned */
    const struct conf_map *map;
    struct buf login; /* completed */
};

/* ---- the password ---- */

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

/* A line of fd without its end; -1: errno, or an end before any line. */
static int line_read(int fd, struct buf *out)
{
    char c = '\0';
    ssize_t n;

    while ((n = read(fd, &c, 1)) == 1 && c != '\n')
        buf_addc(out, c);
    if (n < 0 || (n == 0 && out->len == 0))
        return -1;
    if (out->len && out->data[out->len - 1] == '\r')
        buf_cut(out, out->len - 1);
    return 0;
}

/* Without echo; a signal ends it after the terminal was put right. */
static int prompt(const char *what, const char *login, struct buf *out)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
    struct sigaction act = { .sa_handler = on_signal }, old[sizeof signals / sizeof *signals];
    struct termios before, quiet;
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    sigset_t held, free_;
    int got = -1;

    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return -1;
    /* Held but while waiting: one that came before read(2) would not end it. */
    sigemptyset(&held);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&held, signals[i]);
    sigprocmask(SIG_BLOCK, &held, &free_);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i], &act, &old[i]);
        sigdelset(&free_, signals[i]);
    }
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet); /* before asking: it drops what was typed */
    fprintf(stderr, "%s for %s: ", what, login);
    if (ppoll(&input, 1, NULL, &free_) == 1)
        got = line_read(STDIN_FILENO, out);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &old[i], NULL);
    sigprocmask(SIG_SETMASK, &free_, NULL);
    if (caught)
        raise(caught);
    return got;
}

static const char *password_fault(const struct buf *b, enum scheme scheme)
{
    if (!buf_ok(b) || b->len == 0)
        return b->len ? "the password is too long: 500 bytes at most" : "an empty password";
    for (size_t i = 0; i < b->len; i++) {
        if ((unsigned char)b->data[i] < 32 || b->data[i] == 127)
            return "a control byte in the password";
        /* Clients normalise what is not ASCII (RFC 5802 2.2) before they compute; we do not. */
        if (scheme == SCHEME_SCRAM && (unsigned char)b->data[i] > 127)
            return "a password for SCRAM must be ASCII";
    }
    return NULL;
}

/* 0, or the exit status with its sentence said. */
static int password_take(struct passwd *p, struct buf *out)
{
    struct tool *t = p->t;
    struct buf again;
    const char *why;
    bool same;

    if (p->from_stdin) {
        if (line_read(STDIN_FILENO, out) < 0)
            return tool_end(t, EX_NOINPUT, "no password on standard input");
    } else {
        if (!isatty(STDIN_FILENO))
            return tool_end(t, EX_USAGE,
                            "standard input is no terminal; with --stdin the password is its "
                            "first line");
        buf_init_secret(&again, out->max);
        same = prompt("New password", buf_cstr(&p->login), out) == 0 &&
               prompt("The same again", buf_cstr(&p->login), &again) == 0 &&
               strv_eq(buf_view(out), buf_view(&again));
        buf_clear(&again);
        if (!same)
            return tool_end(t, EX_DATAERR, "the two are not the same; nothing was changed");
    }
    why = password_fault(out, p->scheme);
    return why ? tool_end(t, EX_DATAERR, "%s; nothing was changed", why) : 0;
}

static bool secret_make(enum scheme scheme, struct strv password, struct buf *out, struct err *err)
{
    unsigned char raw[SCRAM_SALT];
    struct buf salt;

    if (scheme == SCHEME_CRYPT)
        return credential_crypt_write(password, out, err);
    rand_bytes(raw, sizeof raw);
    buf_init(&salt, 64);
    b64_encode(strv_make((const char *)raw, sizeof raw), &salt);
    credential_scram_write(password, buf_view(&salt), CREDENTIAL_ITERATIONS, out);
    buf_clear(&salt);
    return true;
}

/* ---- the file ---- */

/* The map that holds the secrets, when it is a file that can be edited. 0, or the exit status. */
static int map_choose(struct passwd *p)
{
    const struct conf_auth_section *auth = p->conf->auth;
    char where[300];

    if (!auth->users[0])
        return tool_end(p->t, EX_CONFIG,
                        "no map of logins is configured; add to %s: map logins { type = text source = "
                        "/etc/mansio/logins } and auth { users = logins }",
                        p->t->conf_path);
    p->map = conf_map_find(p->conf, SV(auth->users));
    conf_where_text(conf_where(&p->map->head, "map", "type"), where, sizeof where);
    if ((p->map->type != CONF_MAP_TEXT && p->map->type != CONF_MAP_LMDB) ||
        (p->map->type == CONF_MAP_LMDB && p->map->syntax != CONF_SYNTAX_TEXT))
        return tool_end(p->t, EX_CONFIG,
                        "map %s (%s) has no file of lines \"login secret\" to edit: give it type = text or "
                        "lmdb with a source, or change its entries where they are",
                        p->map->head.name, where);
    return 0;
}

/* A source that more people may read than must gives them the hashes to guess at. */
static const char *mode_warning(const struct replace *r)
{
    return r->st.st_mode & 0007 ? "; others than its owner may read the file: chmod 0600" : "";
}

/* What the running host makes of it. The exit status with the last sentence. */
static int tables_renew(struct passwd *p, const char *done, const char *warning)
{
    struct ask a = { .role = ROLE_MAPD, .act = "reload" };

    if (p->t->wait_ms < 70000)
        p->t->wait_ms = 70000; /* as `map reload` */
    ask_text(&a, "map", SV(p->map->head.name));
    ask_run(&a, p->t);
    if (a.trouble == BLOCKING_DOWN)
        return tool_end(p->t, 0, "%s; the host is not running and reads it at its start%s", done, warning);
    if (a.trouble != BLOCKING_OK || a.code)
        return tool_end(p->t, a.code ? a.code : EX_TEMPFAIL,
                        "%s, but the running host has not read it: %s; mend that, then: mtactl map reload %s",
                        done, a.text, p->map->head.name);
    return tool_end(p->t, 0, "%s, and the running host knows%s", done, warning);
}

static int file_error(struct passwd *p, const struct err *err)
{
    return tool_end(p->t, err->sys == EACCES || err->sys == EPERM ? EX_NOPERM : EX_TEMPFAIL,
                    "%s; nothing was changed", err->text);
}

static int change(struct passwd *p, struct strv secret)
{
    struct err err = { 0 };
    struct replace r;
    struct buf before, after;
    unsigned found = 0;
    char done[900];
    int code = 0;

    buf_init_secret(&before, FILE_MAX);
    buf_init_secret(&after, FILE_MAX + 4096);
    if (!replace_begin(&r, p->map->source, secret.p != NULL, p->t->wait_ms, &before, &err)) {
        code = file_error(p, &err);
    } else {
        found =
            logins_change(buf_view(&before), buf_view(&p->login), SV(p->conf->auth->realm), secret, &after);
        if (!secret.p && !found)
            code = tool_end(p->t, EX_DATAERR, "%s has no login %s", r.path, buf_cstr(&p->login));
        else if (!replace_commit(&r, buf_view(&after), &err))
            code = file_error(p, &err);
        else
            snprintf(done, sizeof done, "%s %s in %.500s", buf_cstr(&p->login),
                     secret.p ? found ? "has a new secret" : "was added" : "was removed", r.path);
    }
    if (code == 0) {
        struct row row = { .kind = mem_str("login") };

        row_put(&row, "login", buf_view(&p->login));
        row_put(&row, "change", !secret.p ? SV_LIT("removed") : found ? SV_LIT("replaced") : SV_LIT("added"));
        row_put(&row, "secret", secret.p ? SV(login_kind(secret)) : SV_LIT(""));
        if (p->t->json)
            tool_row(p->t, &row);
        row_clear(&row);
    }
    replace_end(&r);
    buf_clear(&before);
    buf_clear(&after);
    return code ? code : tables_renew(p, done, mode_warning(&r));
}

static int set(struct passwd *p)
{
    struct buf password, secret;
    struct err err = { 0 };
    int code;

    buf_init_secret(&password, 500);
    buf_init_secret(&secret, 1024);
    code = password_take(p, &password);
    if (code == 0 && !secret_make(p->scheme, buf_view(&password), &secret, &err))
        code = tool_end(p->t, EX_UNAVAILABLE, "%s; nothing was changed", err.text);
    buf_clear(&password);
    if (code == 0)
        code = change(p, buf_view(&secret));
    buf_clear(&secret);
    return code;
}

static int list(struct passwd *p)
{
    struct err err = { 0 };
    struct rows rows = { 0 };
    struct login_line line;
    struct logins l;
    struct replace r;
    struct buf text;
    char origin[4200];
    bool ok;

    buf_init_secret(&text, FILE_MAX);
    ok = replace_begin(&r, p->map->source, false, p->t->wait_ms, &text, &err);
    replace_end(&r);
    logins_init(&l, buf_view(&text));
    while (ok && logins_next(&l, &line)) {
        struct row *row;

        if (!line.entry)
            continue;
        row = rows_add(&rows, "login");
        snprintf(origin, sizeof origin, "%s:%u", r.path, line.number);
        row_put(row, "login", line.login);
        row_put(row, "secret", SV(login_kind(line.secret)));
        row_put(row, "origin", SV(origin));
    }
    buf_clear(&text);
    tool_rows(p->t, &rows);
    rows_clear(&rows);
    return ok ? tool_end(p->t, 0, NULL) : file_error(p, &err);
}

/* ---- the command ---- */

static bool options_take(struct passwd *p, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0)
            p->list = true;
        else if (strcmp(argv[i], "--delete") == 0)
            p->delete = true;
        else if (strcmp(argv[i], "--stdin") == 0)
            p->from_stdin = true;
        else if (strcmp(argv[i], "--scram") == 0)
            p->scheme = SCHEME_SCRAM;
        else if (strcmp(argv[i], "--crypt") == 0)
            p->scheme = SCHEME_CRYPT;
        else if (argv[i][0] == '-' || p->given)
            return false;
        else
            p->given = argv[i];
    }
    if (p->list)
        return !p->given && !p->delete &&!p->from_stdin && p->scheme == SCHEME_CONF;
    return p->given && !(p->delete &&(p->from_stdin || p->scheme != SCHEME_CONF));
}

/* A crypt(3) hash serves PLAIN and LOGIN only, a SCRAM secret all: what the host offers decides. */
static enum scheme scheme_of(const struct conf *conf)
{
    for (size_t i = 0; i < conf->auth->mechanisms.n; i++)
        if (strv_iis(SV(conf->auth->mechanisms.v[i]), sasl_name(SASL_SCRAM_SHA_256)))
            return SCHEME_SCRAM;
    return SCHEME_CRYPT;
}

static int run(struct passwd *p)
{
    const char *why;
    int code = map_choose(p);

    if (code)
        return code;
    if (p->list)
        return list(p);
    if (!login_complete(SV(p->given), SV(p->conf->auth->realm), &p->login, &why))
        return tool_end(p->t, EX_DATAERR, "%s", why);
    if (p->scheme == SCHEME_CONF)
        p->scheme = scheme_of(p->conf);
    return p->delete ? change(p, strv_make(NULL, 0)) : set(p);
}

/* The first login makes the file, so it need not be there. */
static bool conf_read(struct tool *t, struct conf **out)
{
    const struct conf_options options = { .skip_files = true };
    struct conf_errors errs;
    bool ok;

    conf_errors_init(&errs);
    ok = conf_load_with(t->conf_path, &options, out, &errs);
    conf_errors_clear(&errs);
    return ok || tool_conf(t, NULL, out);
}

int command_passwd(struct tool *t, int argc, char **argv)
{
    struct passwd p = { .t = t };
    int code;

    if (!options_take(&p, argc, argv))
        return tool_end(t, EX_USAGE, "%s", USAGE);
    if (!conf_read(t, &p.conf))
        return tool_end(t, EX_CONFIG, "%s is not in order; nothing was changed", t->conf_path);
    buf_init(&p.login, 1024);
    code = run(&p);
    buf_clear(&p.login);
    conf_free(&p.conf);
    return code;
}
