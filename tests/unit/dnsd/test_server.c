/* test_server.c - questions of smtpd and deliverd, answered by dnsd from fake resolvers on loopback */
#include "tests/support/unit.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/loop.h"
#include "common/os/fd.h"
#include "conf/types.h"
#include "dnsd/client.h"
#include "dnsd/lookup.h"
#include "dnsd/message.h"
#include "dnsd/resolver.h"
#include "dnsd/server.h"
#include "tests/unit/dnsd/packet.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 10000

/* What a fake resolver says; the first matching row of its table decides; no row at all is NXDOMAIN, another
   type only is NODATA. */
struct row {
    const char *name;
    uint16_t type;     /* 0: any */
    const char *value; /* record text, or SERVFAIL, REFUSED, SILENT, GARBAGE */
};

struct fake {
    int fd;
    struct netaddr addr;
    struct loop_io io;
    const struct row *rows;
    unsigned asked;
};

struct world {
    struct loop *loop;
    struct fake fakes[2];
    struct resolver *resolver;
    struct lookup *lookup;
    struct server *server;
    struct dns_client *client, *smtpd;
    struct dns_ask ask, ask2;
    unsigned done;
    enum ipc_dns answer;
    char text[2000]; /* "mx1 10 [192.0.2.1 2001:db8::1]; ..." or a name */
    bool implicit, authentic;
};

/* ---- fake resolvers ---- */

static void put_record(struct packet *p, const struct row *r)
{
    struct strv rest = SV(r->value), preference;
    uint64_t n = 0;

    switch (r->type) {
    case DNS_TYPE_A:
    case DNS_TYPE_AAAA: packet_a(p, r->name, r->value, 60); return;
    case DNS_TYPE_MX:
        assert_true(strv_cut(&rest, ' ', &preference) && strv_u64(preference, 65535, &n));
        packet_mx(p, r->name, (unsigned)n, rest.p, 60);
        return;
    default: packet_host(p, r->name, r->type, r->value, 60); return;
    }
}

static bool read_question(struct strv q, char name[256], uint16_t *type)
{
    size_t at = 12, n = 0;

    while (at < q.n && q.p[at]) {
        unsigned len = (unsigned char)q.p[at++];

        if (n)
            name[n++] = '.';
        memcpy(name + n, q.p + at, len);
        n += len;
        at += len;
    }
    name[n] = '\0';
    *type = (uint16_t)((unsigned char)q.p[at + 1] << 8 | (unsigned char)q.p[at + 2]);
    return at + 5 <= q.n;
}

/* The records of name and type, following one CNAME inside the table. False: say nothing. */
static bool compose(const struct fake *f, struct packet *p, const char *name, uint16_t type)
{
    bool exists = false;

    packet_begin(p, 0x20, name, type);
    for (const struct row *r = f->rows; r->name; r++) {
        if (strcmp(r->name, name) != 0)
            continue;
        exists = true;
        if (strcmp(r->value, "SILENT") == 0)
            return false;
        if (strcmp(r->value, "SERVFAIL") == 0 || strcmp(r->value, "REFUSED") == 0)
            p->b.data[3] = (char)(0x80 | (r->value[0] == 'S' ? 2 : 5));
        else if (strcmp(r->value, "GARBAGE") == 0)
            buf_cut(&p->b, 20);
        else if (r->type == type || r->type == DNS_TYPE_CNAME)
            put_record(p, r);
    }
    if (!exists)
        p->b.data[3] = (char)(p->b.data[3] | 3);
    return true;
}

static void on_fake(void *arg, int events)
{
    struct fake *f = arg;
    char query[1500], name[256];
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    struct packet p;
    uint16_t type;
    ssize_t n;

    (void)events;
    while ((n = recvfrom(f->fd, query, sizeof query, MSG_DONTWAIT, (struct sockaddr *)&from, &len)) > 0) {
        f->asked++;
        assert_true(read_question(strv_make(query, (size_t)n), name, &type));
        assert_true(query[3] & 0x20); /* AD is asked for */
        if (compose(f, &p, name, type)) {
            memcpy(p.b.data, query, 2);
            sendto(f->fd, p.b.data, p.b.len, 0, (struct sockaddr *)&from, len);
        }
        packet_end(&p);
    }
}

static void fake_start(struct world *w, unsigned i)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof sin;
    struct fake *f = &w->fakes[i];
    static const struct row none[] = { { NULL, 0, NULL } };

    f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(f->fd >= 0 && bind(f->fd, (struct sockaddr *)&sin, sizeof sin) == 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&sin, &len), 0);
    assert_true(netaddr_from_sockaddr((struct sockaddr *)&sin, len, &f->addr));
    f->rows = none;
    loop_io_init(&f->io, w->loop, f->fd, on_fake, f);
    loop_io_set(&f->io, LOOP_READ);
}

/* ---- the world ---- */

static int setup(void **state)
{
    struct world *w = mem_new(sizeof *w);
    struct netaddr addrs[2];
    struct conf_endpoints servers = { addrs, 2 };
    struct resolver_options o = { .servers = &servers, .timeout_ms = 300, .attempts = 1 };
    struct err err = { 0 };
    int ends[2];

    *state = w;
    w->loop = loop_new();
    fake_start(w, 0);
    fake_start(w, 1);
    addrs[0] = w->fakes[0].addr;
    addrs[1] = w->fakes[1].addr;
    w->resolver = resolver_new(&o, &err);
    if (!w->resolver)
        fail_msg("%s", err.text);
    resolver_start(w->resolver, w->loop);
    w->lookup = lookup_new(w->loop, w->resolver);
    w->server = server_new(w->loop, w->lookup, true);
    w->client = dns_client_new(w->loop, ROLE_DELIVERD);
    assert_true(fd_seqpacket_pair(ends));
    dns_client_edge(w->client, ends[0]);
    server_edge(w->server, ROLE_DELIVERD, 0, ends[1]);
    w->smtpd = dns_client_new(w->loop, ROLE_SMTPD);
    assert_true(fd_seqpacket_pair(ends));
    dns_client_edge(w->smtpd, ends[0]);
    server_edge(w->server, ROLE_SMTPD, 0, ends[1]);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    dns_client_free(&w->client);
    dns_client_free(&w->smtpd);
    server_free(&w->server);
    lookup_free(&w->lookup);
    resolver_free(&w->resolver);
    for (int i = 0; i < 2; i++) {
        loop_io_clear(&w->fakes[i].io);
        fd_close(&w->fakes[i].fd);
    }
    loop_once(w->loop, 0);
    loop_free(&w->loop);
    free(w);
    return 0;
}

static void on_hosts(void *arg, const struct dns_hosts *h)
{
    struct world *w = arg;
    struct buf b;

    buf_init(&b, sizeof w->text - 1);
    w->done++;
    w->answer = h->answer;
    w->implicit = h->implicit;
    w->authentic = h->authentic;
    for (size_t i = 0; i < h->host_n; i++) {
        buf_addf(&b, "%s%.*s %u", i ? "; " : "", (int)h->hosts[i].name.n, h->hosts[i].name.p,
                 h->hosts[i].preference);
        for (size_t k = 0; k < h->hosts[i].addr_n; k++) {
            char ip[NETADDR_TEXT];

            netaddr_ip_text(&h->hosts[i].addrs[k], ip, sizeof ip);
            buf_addf(&b, " %s", ip);
        }
    }
    memcpy(w->text, buf_cstr(&b), b.len + 1);
    buf_clear(&b);
}

static void on_name(void *arg, enum ipc_dns answer, struct strv name)
{
    struct world *w = arg;

    w->done++;
    w->answer = answer;
    assert_true(strv_cstr(name, w->text, sizeof w->text));
}

static void until(struct world *w, unsigned done)
{
    for (int64_t end = loop_now(w->loop) + WAIT_MS; w->done < done; loop_once(w->loop, 100))
        if (loop_now(w->loop) > end)
            fail_msg("no answer");
}

static void ask_mx(struct world *w, const char *domain, enum ipc_family family)
{
    unsigned before = w->done;

    w->text[0] = '\0';
    dns_mx(&w->ask, w->client, SV(domain), family, 5000, on_hosts, w);
    assert_int_equal(w->done, before);
    until(w, before + 1);
}

static void expect(struct world *w, const char *name, enum ipc_dns answer, const char *text)
{
    if (w->answer != answer || strcmp(w->text, text) != 0)
        fail_msg("%s: answer %d, `%s`", name, w->answer, w->text);
}

/* ---- tests ---- */

static const struct row zone[] = {
    { "far.test", DNS_TYPE_MX, "20 mx2.far.test" },
    { "far.test", DNS_TYPE_MX, "10 mx1.far.test" },
    { "mx1.far.test", DNS_TYPE_A, "192.0.2.1" },
    { "mx1.far.test", DNS_TYPE_AAAA, "2001:db8::1" },
    { "mx2.far.test", DNS_TYPE_A, "192.0.2.2" },
    { "plain.test", DNS_TYPE_A, "192.0.2.3" },
    { "empty.test", DNS_TYPE_TXT, "nothing" },
    { "null.test", DNS_TYPE_MX, "0 " },
    { "fail.test", 0, "SERVFAIL" },
    { "nohost.test", DNS_TYPE_MX, "10 gone.test" },
    { "hostfail.test", DNS_TYPE_MX, "10 fail.test" },
    { "odd.test", DNS_TYPE_MX, "10 a/b.test" },
    { "alias.test", DNS_TYPE_CNAME, "far.test" },
    { "round.test", DNS_TYPE_CNAME, "round2.test" },
    { "round2.test", DNS_TYPE_CNAME, "round.test" },
    { "aliased-mx.test", DNS_TYPE_MX, "10 cname.test" },
    { "cname.test", DNS_TYPE_CNAME, "plain.test" },
    { "9.2.0.192.in-addr.arpa", DNS_TYPE_PTR, "client.test" },
    { "client.test", DNS_TYPE_A, "192.0.2.9" },
    { "8.2.0.192.in-addr.arpa", DNS_TYPE_PTR, "client.test" },
    { "7.2.0.192.in-addr.arpa", DNS_TYPE_PTR, "a/b.test" },
    { "6.2.0.192.in-addr.arpa", DNS_TYPE_PTR, "fail.test" },
    { NULL, 0, NULL },
};

static void mail_domains(void **state)
{
    static const struct {
        const char *domain;
        enum ipc_family family;
        enum ipc_dns answer;
        const char *text;
        bool implicit;
    } cases[] = {
        { "far.test", FAMILY_ANY, DNS_OK, "mx1.far.test 10 2001:db8::1 192.0.2.1; mx2.far.test 20 192.0.2.2",
          false },
        { "FAR.test", FAMILY_IPV4, DNS_OK, "mx1.far.test 10 192.0.2.1; mx2.far.test 20 192.0.2.2", false },
        { "far.test", FAMILY_IPV6, DNS_OK, "mx1.far.test 10 2001:db8::1; mx2.far.test 20", false },
        { "plain.test", FAMILY_ANY, DNS_OK, "plain.test 0 192.0.2.3", true },
        { "empty.test", FAMILY_ANY, DNS_NODATA, "", true },
        { "null.test", FAMILY_ANY, DNS_NULLMX, "", false },
        { "none.test", FAMILY_ANY, DNS_NXDOMAIN, "", false },
        { "fail.test", FAMILY_ANY, DNS_TEMPFAIL, "", false },
        { "nohost.test", FAMILY_ANY, DNS_OK, "gone.test 10", false },
        { "hostfail.test", FAMILY_ANY, DNS_OK, "fail.test 10", false },
        { "odd.test", FAMILY_ANY, DNS_OK, "", false },
        { "alias.test", FAMILY_ANY, DNS_OK,
          "mx1.far.test 10 2001:db8::1 192.0.2.1; mx2.far.test 20 192.0.2.2", false },
        { "round.test", FAMILY_ANY, DNS_TEMPFAIL, "", false },
        { "aliased-mx.test", FAMILY_ANY, DNS_OK, "cname.test 10 192.0.2.3", false },
        { "a..b", FAMILY_ANY, DNS_NXDOMAIN, "", false },
        { "", FAMILY_ANY, DNS_NXDOMAIN, "", false },
    };
    struct world *w = *state;

    w->fakes[0].rows = zone;
    w->fakes[1].rows = zone;
    for (size_t i = 0; i < COUNT(cases); i++) {
        ask_mx(w, cases[i].domain, cases[i].family);
        expect(w, cases[i].domain, cases[i].answer, cases[i].text);
        expect_bool(cases[i].domain, w->implicit, cases[i].implicit);
    }
    ask_mx(w, "far.test", FAMILY_ANY);
    assert_true(w->authentic);
}

static void smart_hosts(void **state)
{
    struct world *w = *state;

    w->fakes[0].rows = zone;
    w->fakes[1].rows = zone;
    dns_host(&w->ask, w->client, SV("mx1.far.test"), FAMILY_IPV4, 5000, on_hosts, w);
    until(w, 1);
    expect(w, "host", DNS_OK, "mx1.far.test 0 192.0.2.1");
    dns_host(&w->ask, w->client, SV("far.test"), FAMILY_ANY, 5000, on_hosts, w);
    until(w, 2);
    expect(w, "no MX look-up for hosts", DNS_NODATA, "");
    dns_host(&w->ask, w->client, SV("none.test"), FAMILY_ANY, 5000, on_hosts, w);
    until(w, 3);
    expect(w, "missing", DNS_NXDOMAIN, "");
}

static void clients(void **state)
{
    static const struct {
        const char *name, *ip;
        enum ipc_dns answer;
        const char *text;
    } cases[] = {
        { "leads back", "192.0.2.9", DNS_OK, "client.test" },
        { "another's name", "192.0.2.8", DNS_NXDOMAIN, "" },
        { "no host name", "192.0.2.7", DNS_NXDOMAIN, "" },
        { "could not tell", "192.0.2.6", DNS_TEMPFAIL, "" },
        { "no PTR", "192.0.2.5", DNS_NXDOMAIN, "" },
        { "IPv6 without PTR", "2001:db8::5", DNS_NXDOMAIN, "" },
    };
    struct world *w = *state;
    struct netaddr addr;
    enum ipc_dns answer;
    struct strv name;
    int fds[2];

    w->fakes[0].rows = zone;
    w->fakes[1].rows = zone;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(netaddr_parse_ip(SV(cases[i].ip), &addr));
        dns_client_name(&w->ask, w->smtpd, &addr, 5000, on_name, w);
        until(w, (unsigned)i + 1);
        expect(w, cases[i].name, cases[i].answer, cases[i].text);
        assert_int_equal(dns_client_known(w->smtpd, &addr, &answer, &name),
                         cases[i].answer != DNS_TEMPFAIL);
        if (cases[i].answer == DNS_TEMPFAIL)
            continue;
        assert_int_equal(answer, cases[i].answer);
        assert_true(strv_eq(name, SV(cases[i].text)));
    }
    /* Another dnsd may know better, and that none is there is no answer. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    close(fds[1]);
    dns_client_edge(w->smtpd, fds[0]);
    dns_client_name(&w->ask, w->smtpd, &addr, 5000, on_name, w);
    until(w, (unsigned)COUNT(cases) + 1);
    expect(w, "dnsd is gone", DNS_TEMPFAIL, "");
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(netaddr_parse_ip(SV(cases[i].ip), &addr));
        assert_false(dns_client_known(w->smtpd, &addr, &answer, &name));
    }
}

static void another_server(void **state)
{
    static const struct {
        const char *name;
        struct row rows[2];
    } cases[] = {
        { "SERVFAIL", { { "plain.test", 0, "SERVFAIL" }, { NULL, 0, NULL } } },
        { "REFUSED", { { "plain.test", 0, "REFUSED" }, { NULL, 0, NULL } } },
        { "garbage", { { "plain.test", 0, "GARBAGE" }, { NULL, 0, NULL } } },
        { "silence", { { "plain.test", 0, "SILENT" }, { NULL, 0, NULL } } },
    };
    struct world *w = *state;

    w->fakes[1].rows = zone;
    for (size_t i = 0; i < COUNT(cases); i++) {
        teardown(state);
        setup(state);
        w = *state;
        w->fakes[0].rows = cases[i].rows;
        w->fakes[1].rows = zone;
        ask_mx(w, "plain.test", FAMILY_IPV4);
        expect(w, cases[i].name, DNS_OK, "plain.test 0 192.0.2.3");
        assert_true(w->fakes[0].asked > 0);
    }
    /* A silent server is asked last for a while. */
    w->fakes[0].asked = 0;
    ask_mx(w, "far.test", FAMILY_ANY);
    assert_int_equal(w->fakes[0].asked, 0);
}

static void nobody_answers(void **state)
{
    static const struct row silent[] = { { "x.test", 0, "SILENT" }, { NULL, 0, NULL } };
    static const struct row failing[] = { { "x.test", 0, "SERVFAIL" }, { NULL, 0, NULL } };
    struct world *w = *state;

    w->fakes[0].rows = failing;
    w->fakes[1].rows = silent;
    ask_mx(w, "x.test", FAMILY_ANY);
    expect(w, "no server", DNS_TEMPFAIL, "");
    assert_true(w->fakes[0].asked == 1 && w->fakes[1].asked == 1);
}

static void answers_are_kept_and_shared(void **state)
{
    struct world *w = *state;
    unsigned asked;

    w->fakes[0].rows = zone;
    dns_mx(&w->ask, w->client, SV("far.test"), FAMILY_ANY, 5000, on_hosts, w);
    dns_mx(&w->ask2, w->client, SV("far.test"), FAMILY_ANY, 5000, on_hosts, w);
    until(w, 2);
    asked = w->fakes[0].asked;
    assert_int_equal(asked, 5); /* MX, two hosts with two types each */
    ask_mx(w, "far.test", FAMILY_ANY);
    ask_mx(w, "FAR.TEST", FAMILY_ANY);
    assert_int_equal(w->fakes[0].asked, asked);
    assert_int_equal(w->fakes[1].asked, 0);
}

static unsigned warnings;

static void count_warnings(void *arg, enum log_level level, const char *line, size_t len)
{
    (void)arg;
    (void)line;
    (void)len;
    warnings += level <= LOG_LV_WARN;
}

/* At the stop of the host everybody leaves, dnsd last: who has nothing to lose is silent. */
static void ends_that_cost_nothing_are_silent(void **state)
{
    static const struct row silent[] = { { "x.test", 0, "SILENT" }, { NULL, 0, NULL } };
    struct world *w = *state;

    w->fakes[0].rows = silent;
    w->fakes[1].rows = silent;
    log_set_sink(count_warnings, NULL);
    warnings = 0;
    dns_client_free(&w->smtpd);
    for (int i = 0; i < 5; i++)
        loop_once(w->loop, 1);
    assert_int_equal(warnings, 0);
    dns_mx(&w->ask, w->client, SV("x.test"), FAMILY_ANY, 5000, on_hosts, w);
    for (int i = 0; i < 5; i++)
        loop_once(w->loop, 1);
    server_free(&w->server);
    until(w, 1);
    expect(w, "lost", DNS_TEMPFAIL, "");
    assert_int_equal(warnings, 1);
}

static void questions_end_with_their_askers(void **state)
{
    static const struct row silent[] = { { "x.test", 0, "SILENT" }, { NULL, 0, NULL } };
    struct world *w = *state;

    w->fakes[0].rows = silent;
    w->fakes[1].rows = silent;
    dns_mx(&w->ask, w->client, SV("x.test"), FAMILY_ANY, 5000, on_hosts, w);
    dns_mx(&w->ask2, w->client, SV("x.test"), FAMILY_ANY, 50, on_hosts, w);
    until(w, 1); /* the deadline of the second */
    expect(w, "deadline", DNS_TEMPFAIL, "");
    dns_ask_cancel(&w->ask);
    dns_client_free(&w->client); /* dnsd sees the channel go */
    for (int i = 0; i < 20; i++)
        loop_once(w->loop, 50);
    assert_int_equal(w->done, 1);
    w->client = dns_client_new(w->loop, ROLE_DELIVERD);
    dns_mx(&w->ask, w->client, SV("x.test"), FAMILY_ANY, 5000, on_hosts, w);
    until(w, 2);
    expect(w, "without a channel", DNS_TEMPFAIL, "");
}

#define WORLD(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(mail_domains),
        WORLD(smart_hosts),
        WORLD(clients),
        WORLD(another_server),
        WORLD(nobody_answers),
        WORLD(answers_are_kept_and_shared),
        WORLD(ends_that_cost_nothing_are_silent),
        WORLD(questions_end_with_their_askers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
