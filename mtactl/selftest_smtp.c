/* selftest_smtp.c - mtactl test: every listener answered as a client sees it; may strangers relay? */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/netaddr.h"
#include "common/mail/reply.h"
#include "common/os/fd.h"
#include "conf/conf.h"
#include "conf/listen.h"
#include "conf/relay.h"
#include "conf/top.h"
#include "inspect/socket.h"
#include "mtactl/ask.h"
#include "mtactl/selftest.h"

/* A documentation address (RFC 5737, RFC 3849): nobody's, so what it may do everybody may. */
#define STRANGER_V4 "192.0.2.1"
#define STRANGER_V6 "2001:db8::1"
#define LINE_MAX_   4096u

/* One conversation with a server of ours. */
struct talk {
    int fd;
    int64_t wait_ms;
    char in[LINE_MAX_];
    size_t n;
    struct reply reply;
    char error[200];
};

static bool talk_fail(struct talk *k, const char *what)
{
    snprintf(k->error, sizeof k->error, "%s", what);
    return false;
}

static bool talk_wait(struct talk *k, short events, int64_t until)
{
    struct pollfd p = { .fd = k->fd, .events = events };
    int64_t left;

    while ((left = until - clock_mono_ms()) > 0)
        if (poll(&p, 1, (int)left) > 0)
            return true;
    return talk_fail(k, "no answer in time");
}

static bool talk_open(struct talk *k, const struct netaddr *to, int64_t wait_ms)
{
    struct sockaddr_storage ss;
    socklen_t len = netaddr_to_sockaddr(to, &ss);
    int error = 0;
    socklen_t size = sizeof error;

    *k = (struct talk){ .wait_ms = wait_ms };
    reply_init(&k->reply);
    k->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (k->fd < 0)
        return talk_fail(k, strerror(errno));
    if (connect(k->fd, (struct sockaddr *)&ss, len) == 0)
        return true;
    if (errno != EINPROGRESS)
        return talk_fail(k, strerror(errno));
    if (!talk_wait(k, POLLOUT, clock_mono_ms() + wait_ms))
        return false;
    getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 || talk_fail(k, strerror(error));
}

static void talk_close(struct talk *k)
{
    fd_close(&k->fd);
    reply_clear(&k->reply);
}

/* The next whole line; the one before is forgotten. */
static bool talk_line(struct talk *k, struct strv *line, int64_t until)
{
    size_t at;

    for (;;) {
        ssize_t got;

        if (strv_find(strv_make(k->in, k->n), '\n', &at)) {
            *line = strv_make(k->in, at > 0 && k->in[at - 1] == '\r' ? at - 1 : at);
            return true;
        }
        if (k->n == sizeof k->in)
            return talk_fail(k, "an endless line");
        if (!talk_wait(k, POLLIN, until))
            return false;
        got = read(k->fd, k->in + k->n, sizeof k->in - k->n);
        if (got == 0)
            return talk_fail(k, "it closed the connection");
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return talk_fail(k, strerror(errno));
        if (got > 0)
            k->n += (size_t)got;
    }
}

static bool talk_reply(struct talk *k)
{
    int64_t until = clock_mono_ms() + k->wait_ms;
    enum reply_step step = REPLY_MORE;

    reply_reset(&k->reply);
    while (step == REPLY_MORE) {
        struct strv line;
        size_t used;

        if (!talk_line(k, &line, until))
            return false;
        step = reply_feed(&k->reply, line);
        strv_find(strv_make(k->in, k->n), '\n', &used);
        memmove(k->in, k->in + used + 1, k->n - used - 1);
        k->n -= used + 1;
    }
    return step == REPLY_DONE || talk_fail(k, "what it says is no SMTP");
}

/* Says a line (NULL: only listens) and wants that code. */
static bool talk_step(struct talk *k, const char *line, int code)
{
    struct buf text;
    bool ok = true;

    buf_init(&text, 2048);
    if (line)
        buf_addf(&text, "%s\r\n", line);
    if (line && !fd_write_full(k->fd, buf_cstr(&text), text.len))
        ok = talk_fail(k, strerror(errno));
    buf_clear(&text);
    if (!ok || !talk_reply(k))
        return false;
    if (k->reply.code == code)
        return true;
    snprintf(k->error, sizeof k->error, "%.60s: %d %.100s", line ? line : "greeting", k->reply.code,
             buf_cstr(&k->reply.text));
    return false;
}

/* ---- listeners ---- */

static bool offers_tls(const struct talk *k)
{
    struct strv rest = buf_view(&k->reply.text), line;

    while (rest.p && strv_cut(&rest, '\n', &line))
        if (strv_iis(strv_trim(line), "STARTTLS"))
            return true;
    return false;
}

/* What a client hears, up to a recipient that must exist; no message is sent. */
static void converse(struct selftest *s, struct talk *k, const struct conf_listen *l, const char *check)
{
    char where[300], fix[700], rcpt[400];
    bool tls = false, ok;

    selftest_where(&l->head, "listen", "address", where, sizeof where);
    ok = talk_step(k, NULL, 220) && talk_step(k, "EHLO selftest.invalid", 250);
    if (ok)
        tls = offers_tls(k);
    if (ok && l->tls != CONF_TLS_NONE && !tls) {
        selftest_where(&l->head, "listen", "tls", where, sizeof where);
        snprintf(fix, sizeof fix, "%s wants TLS: give a section tls { certificate key }, then: mtactl reload",
                 where);
        selftest_tell(s, check, SELFTEST_FAILED, fix, "it does not offer STARTTLS");
        return;
    }
    snprintf(rcpt, sizeof rcpt, "RCPT TO:<postmaster@%s>",
             s->conf->top->domains.n ? s->conf->top->domains.v[0] : s->conf->top->hostname);
    /* Who must say who he is, or speak TLS, hears 530 at MAIL: as it should be. */
    if (ok && l->auth != CONF_AUTH_REQUIRE && l->tls != CONF_TLS_REQUIRE)
        ok = talk_step(k, "MAIL FROM:<>", 250) && talk_step(k, rcpt, 250) && talk_step(k, "RSET", 250);
    ok = ok && talk_step(k, "QUIT", 221);
    if (ok) {
        selftest_tell(s, check, SELFTEST_OK, NULL, "it answers%s%s", tls ? ", offers STARTTLS" : "",
                      l->auth != CONF_AUTH_REQUIRE && l->tls != CONF_TLS_REQUIRE
                          ? ", takes mail for postmaster"
                          : "");
        return;
    }
    snprintf(fix, sizeof fix,
             "%s; mtactl policy --listener %s --client 127.0.0.1 --from '<>' --to postmaster "
             "shows which rule decides",
             where, l->head.name);
    selftest_tell(s, check, SELFTEST_FAILED, fix, "%s", k->error);
}

/* Where a client on this host reaches that listener. */
static struct netaddr reachable(const struct netaddr *a)
{
    struct netaddr to = *a;

    if (netaddr_is_wildcard(&to)) {
        netaddr_parse_ip(to.family == AF_INET ? SV_LIT("127.0.0.1") : SV_LIT("::1"), &to);
        to.port = a->port;
    }
    return to;
}

static bool is_running(const struct selftest *s, const char *address)
{
    for (size_t i = 0; i < s->status.n; i++)
        if (strcmp(s->status.list[i].kind, "listener") == 0 &&
            strv_is(row_text(&s->status.list[i], "address"), address))
            return true;
    return false;
}

static void test_listener(struct selftest *s, const struct conf_listen *l, const struct netaddr *a)
{
    char address[NETADDR_TEXT], check[200], where[300], fix[900], holder[200];
    struct netaddr to = reachable(a);
    bool listed;
    struct talk k;

    netaddr_text(a, address, sizeof address);
    snprintf(check, sizeof check, "listener %s %s", l->head.name, address);
    selftest_where(&l->head, "listen", "address", where, sizeof where);
    listed = is_running(s, address) || (!s->running && !s->down);
    if (!talk_open(&k, &to, s->t->wait_ms)) {
        snprintf(fix, sizeof fix, "%s %s", where,
                 listed       ? "names it and the host has it: look at packet filters (nft list ruleset)"
                 : s->running ? "names it, but the running host does not have it: mtactl reload"
                              : "names it: start the host");
        selftest_tell(s, check, SELFTEST_FAILED, fix, "connect: %s", k.error);
    } else if (!listed) {
        if (!socket_holder(a, holder, sizeof holder))
            snprintf(holder, sizeof holder, "another program");
        snprintf(fix, sizeof fix, "end %s, or change the address (%s); then: %s", holder, where,
                 s->running ? "mtactl reload" : "start the host");
        selftest_tell(s, check, SELFTEST_FAILED, fix, "the port is taken: %s answers there, not this host",
                      holder);
    } else if (l->tls == CONF_TLS_IMPLICIT) {
        selftest_tell(s, check, SELFTEST_OK, NULL,
                      "it takes connections (TLS from the first byte is not tried)");
    } else {
        converse(s, &k, l, check);
    }
    talk_close(&k);
}

void selftest_listeners(struct selftest *s)
{
    const struct conf *conf = s->conf;
    bool public_ = false;

    for (size_t i = 0; i < conf->listen_n; i++)
        for (size_t j = 0; j < conf->listens[i]->address.n; j++) {
            const struct netaddr *a = &conf->listens[i]->address.v[j];

            public_ |= a->port == 25 && !netaddr_is_loopback(a);
            test_listener(s, conf->listens[i], a);
        }
    if (!public_)
        selftest_tell(
            s, "inbound", SELFTEST_NOTE,
            "to receive mail from the world: listen smtp { address = [ \"0.0.0.0:25\" ] }, then: mtactl "
            "reload",
            "nothing listens on port 25 for others: only this host itself can hand in mail");
}

/* ---- strangers ---- */

static void ask_stranger(struct selftest *s, const struct conf_listen *l, const char *client)
{
    struct rows rows = { 0 };
    struct ask a = { .role = ROLE_SMTPD, .act = "policy", .row = ask_collect, .arg = &rows };
    char check[200], where[300], fix[700], rule[200] = "";
    struct strv reply = SV_LIT("");

    ask_text(&a, "listener", SV(l->head.name));
    ask_text(&a, "client", SV(client));
    ask_text(&a, "from", SV_LIT("stranger@relay-test.invalid"));
    ask_text(&a, "to", SV_LIT("elsewhere@relay-test.invalid"));
    ask_run(&a, s->t);
    if (rows.n > 0) {
        reply = strv_trim(row_text(&rows.list[rows.n - 1], "reply"));
        strv_cstr(strv_sub(row_text(&rows.list[rows.n - 1], "rule"), 0, 190), rule, sizeof rule);
    }
    snprintf(check, sizeof check, "relaying by listener %s", l->head.name);
    if (a.trouble != BLOCKING_OK || (a.code != 0 && a.code != 1)) {
        selftest_tell(s, check, SELFTEST_FAILED,
                      "see the log of smtpd; mtactl reload when the listener is new", "%s", a.text);
    } else if (a.code == 1) {
        selftest_tell(
            s, check, SELFTEST_OK, NULL,
            "a stranger is refused: %.*s (%s; asked as %s, a documentation address, without a connection)",
            (int)reply.n, reply.p, rule, client);
    } else {
        selftest_where(&s->conf->relay->head, "relay", "from", where, sizeof where);
        snprintf(fix, sizeof fix, "%s: name your own networks only in relay.from, then: mtactl reload",
                 where);
        selftest_tell(s, check, SELFTEST_FAILED, fix,
                      "an OPEN RELAY: %s, which is anybody, may send anywhere through this host", client);
    }
    rows_clear(&rows);
}

void selftest_relay(struct selftest *s)
{
    for (size_t i = 0; i < s->conf->listen_n; i++) {
        ask_stranger(s, s->conf->listens[i], STRANGER_V4);
        ask_stranger(s, s->conf->listens[i], STRANGER_V6);
    }
}
