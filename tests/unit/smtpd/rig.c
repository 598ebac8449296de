/* rig.c - the driver under test between real sockets */
#include "rig.h"

#include "../../support/unit.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 60000

/* The clock of the process goes a millisecond per round of the loop, and when the test says so: limits of
   seconds hold however long a machine takes for a step. */
static int64_t now_ms;

static int64_t real_mono(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t rig_mono(void)
{
    return now_ms;
}

static int64_t fixed_wall(void)
{
    return INT64_C(1790000000000);
}

void rig_spin(struct rig *r, unsigned rounds)
{
    while (rounds-- > 0) {
        loop_once(r->loop, 1);
        now_ms++;
    }
}

void rig_pass(struct rig *r, int64_t ms)
{
    rig_spin(r, 3);
    now_ms += ms;
    rig_spin(r, 3);
}

/* --- the fake cleanup --- */

static void note(struct rig *r, const char *word)
{
    size_t n = strlen(r->trace);

    snprintf(r->trace + n, sizeof r->trace - n, "%s ", word);
}

static void send_rcpt(struct rig *r, uint64_t txn, struct ipc_in *in)
{
    bool known = strv_istarts(ipc_get(in, TAG_RCPT), SV_LIT("user@")) || !ipc_get_u64(in, TAG_LOCAL);

    ipc_begin(&r->out, IPC_TX_RCPT_REPLY, txn);
    ipc_put_u64(&r->out, TAG_RCPT_INDEX, ipc_get_u64(in, TAG_RCPT_INDEX));
    ipc_put_u64(&r->out, TAG_VERDICT, known ? VERDICT_ACCEPT : VERDICT_REFUSE);
    if (!known) {
        ipc_put_u64(&r->out, TAG_CODE, 550);
        ipc_put_text(&r->out, TAG_ENHANCED, SV_LIT("5.1.1"));
        ipc_put_text(&r->out, TAG_TEXT, SV_LIT("No such user here"));
    }
    channel_send(r->cleanup, &r->out);
}

static void take_data(struct rig *r, struct ipc_in *in)
{
    buf_addv(&r->data, ipc_get(in, TAG_DATA));
    if (r->hold_credit)
        r->unconsumed += in->bulk;
    else
        channel_consumed(r->cleanup, in->txn, in->bulk);
}

static void on_cleanup_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct rig *r = arg;
    struct buf text;

    (void)ch;
    r->txn = in->txn;
    switch (in->type) {
    case IPC_TX_OPEN:
        note(r, "OPEN");
        buf_init(&text, sizeof r->open - 1);
        ipc_trace(in, &text);
        snprintf(r->open, sizeof r->open, "%s", buf_cstr(&text));
        buf_clear(&text);
        buf_reset(&r->data);
        break;
    case IPC_TX_RCPT:
        note(r, "RCPT");
        if (!r->mute_rcpt)
            send_rcpt(r, in->txn, in);
        break;
    case IPC_TX_BODY:
        note(r, "BODY");
        take_data(r, in);
        break;
    case IPC_TX_END:
        note(r, "END");
        take_data(r, in);
        if (r->mute_done)
            break;
        ipc_begin(&r->out, IPC_TX_DONE, in->txn);
        ipc_put_u64(&r->out, TAG_VERDICT, VERDICT_ACCEPT);
        channel_send(r->cleanup, &r->out);
        break;
    case IPC_TX_QUERY:
        note(r, "QUERY");
        if (r->mute_done)
            break;
        ipc_begin(&r->out, IPC_TX_DONE, in->txn);
        ipc_put_u64(&r->out, TAG_VERDICT, r->stored);
        channel_send(r->cleanup, &r->out);
        break;
    case IPC_TX_ABORT: note(r, "ABORT"); break;
    default: fail_msg("cleanup got frame %u", in->type);
    }
}

static void on_cleanup_lost(void *arg, struct channel *ch, const char *why)
{
    struct rig *r = arg;

    (void)ch;
    (void)why;
    channel_free(&r->cleanup);
    note(r, "LOST");
}

static const struct channel_ops cleanup_ops = { .frame = on_cleanup_frame, .lost = on_cleanup_lost };

static void cleanup_up(struct rig *r)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    server_cleanup(r->server, fds[0], 0);
    r->cleanup = channel_new(r->loop, fds[1], ROLE_CLEANUP, ROLE_SMTPD, 0, &cleanup_ops, r);
}

void rig_lose_cleanup(struct rig *r, bool up)
{
    channel_free(&r->cleanup);
    rig_spin(r, 3);
    if (up)
        cleanup_up(r);
}

int rig_stuck_cleanup(struct rig *r)
{
    int fds[2];

    rig_lose_cleanup(r, false);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    server_cleanup(r->server, fds[0], 0);
    return fds[1];
}

void rig_give_credit(struct rig *r)
{
    channel_consumed(r->cleanup, r->txn, r->unconsumed);
    r->unconsumed = 0;
    r->hold_credit = false;
}

/* --- the fake dnsd --- */

static void on_dns_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct rig *r = arg;

    r->names_asked += in->type == IPC_DNS_CLIENT;
    if (in->type != IPC_DNS_CLIENT || !r->name[0])
        return;
    ipc_begin(&r->out, IPC_DNS_CLIENT_ANSWER, in->txn);
    ipc_put_u64(&r->out, TAG_ANSWER, DNS_OK);
    ipc_put_text(&r->out, TAG_NAME, SV(r->name));
    channel_send(ch, &r->out);
}

static void on_dns_lost(void *arg, struct channel *ch, const char *why)
{
    struct rig *r = arg;

    (void)ch;
    (void)why;
    channel_free(&r->dns);
}

static const struct channel_ops dns_ops = { .frame = on_dns_frame, .lost = on_dns_lost };

static void dns_up(struct rig *r)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    server_dns(r->server, fds[0]);
    r->dns = channel_new(r->loop, fds[1], ROLE_DNSD, ROLE_SMTPD, 0, &dns_ops, r);
}

/* --- life --- */

static void on_over(void *arg)
{
    ((struct rig *)arg)->over = true;
}

static int listen_socket(struct netaddr *address)
{
    struct sockaddr_storage ss;
    struct netaddr any = { .family = AF_UNSPEC };
    socklen_t n;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(netaddr_parse(SV_LIT("127.0.0.1:0"), &any, true));
    n = netaddr_to_sockaddr(&any, &ss);
    assert_int_equal(bind(fd, (struct sockaddr *)&ss, n), 0);
    assert_int_equal(listen(fd, 64), 0);
    n = sizeof ss;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &n), 0);
    assert_true(netaddr_from_sockaddr((struct sockaddr *)&ss, n, address));
    return fd;
}

void rig_open(struct rig *r, const char *limits)
{
    char text[2048];
    struct conf_errors errs;

    memset(r, 0, sizeof *r);
    now_ms = 1000000;
    clock_fake(rig_mono, fixed_wall);
    snprintf(
        text, sizeof text,
        "hostname = mx.own.test\ndomains = [ own.test ]\nlisten smtp { address = [ \"127.0.0.1:25\" ] %s }\n"
        "relay { from = [ 127.0.0.1 ] }\n",
        limits);
    conf_errors_init(&errs);
    if (!conf_parse_text(SV(text), "rig.conf", ROLE_SMTPD, &r->conf, &errs))
        fail_msg("%s", errs.list[0].text);
    conf_errors_clear(&errs);
    buf_init(&r->data, 1u << 26);
    ipc_out_init(&r->out);
    r->loop = loop_new();
    r->server = server_new(r->loop, r->conf, 1000, on_over, r);
    assert_true(server_listen(r->server, "smtp", listen_socket(&r->address)));
    cleanup_up(r);
    snprintf(r->name, sizeof r->name, "client.name.test");
    dns_up(r);
}

void rig_close(struct rig *r)
{
    server_free(&r->server);
    channel_free(&r->cleanup);
    channel_free(&r->dns);
    rig_spin(r, 3);
    loop_free(&r->loop);
    ipc_out_clear(&r->out);
    buf_clear(&r->data);
    conf_free(&r->conf);
    clock_fake(NULL, NULL);
}

/* --- clients --- */

int rig_connect(struct rig *r, const char *from)
{
    struct sockaddr_storage ss;
    struct netaddr source = { .family = AF_UNSPEC };
    socklen_t n;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(netaddr_parse_ip(SV(from ? from : "127.0.0.1"), &source));
    n = netaddr_to_sockaddr(&source, &ss);
    assert_int_equal(bind(fd, (struct sockaddr *)&ss, n), 0);
    n = netaddr_to_sockaddr(&r->address, &ss);
    assert_int_equal(connect(fd, (struct sockaddr *)&ss, n), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

void rig_send(struct rig *r, int fd, const char *text)
{
    size_t n = strlen(text), at = 0;
    int64_t end = real_mono() + PATIENCE_MS;

    while (at < n) {
        ssize_t sent = send(fd, text + at, n - at, MSG_NOSIGNAL);

        if (sent > 0)
            at += (size_t)sent;
        else if (errno != EAGAIN || real_mono() > end)
            fail_msg("cannot send: %s", strerror(errno));
        rig_spin(r, 1);
    }
}

/* Appends what is there; false at the end of the stream. */
static bool receive(int fd, char *text, size_t size)
{
    size_t at = strlen(text);
    ssize_t n = recv(fd, text + at, size - at - 1, 0);

    if (n > 0)
        text[at + (size_t)n] = '\0';
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static void mask_ids(char *text)
{
    char *at = text;

    while ((at = strstr(at, "queued as ")) && strlen(at) >= 10 + 13) {
        at += 10;
        if (at[0] == 'I' && at[1] == 'D' && at[2] == '\r')
            continue;
        memcpy(at, "ID", 2);
        memmove(at + 2, at + 13, strlen(at + 13) + 1);
    }
}

void rig_expect(struct rig *r, int fd, const char *want)
{
    static char text[1u << 20];
    int64_t end = real_mono() + PATIENCE_MS;

    text[0] = '\0';
    while (strcmp(text, want) != 0) {
        rig_spin(r, 1);
        if (!receive(fd, text, sizeof text))
            fail_msg("closed after \"%s\", want \"%s\"", text, want);
        mask_ids(text);
        if (strlen(text) > strlen(want) || real_mono() > end)
            fail_msg("got \"%s\", want \"%s\"", text, want);
    }
}

void rig_expect_end(struct rig *r, int fd, const char *want)
{
    static char text[65536];
    int64_t end = real_mono() + PATIENCE_MS;

    text[0] = '\0';
    do {
        rig_spin(r, 1);
        if (real_mono() > end)
            fail_msg("still open after \"%s\"", text);
    } while (receive(fd, text, sizeof text));
    mask_ids(text);
    if (strcmp(text, want) != 0)
        fail_msg("got \"%s\", want \"%s\"", text, want);
    close(fd);
    rig_spin(r, 3);
}

void rig_wait_trace(struct rig *r, const char *text)
{
    int64_t end = real_mono() + PATIENCE_MS;

    while (strlen(r->trace) < strlen(text) || strcmp(r->trace + strlen(r->trace) - strlen(text), text) != 0) {
        rig_spin(r, 1);
        if (real_mono() > end)
            fail_msg("cleanup saw \"%s\", want \"%s\" at its end", r->trace, text);
    }
}
