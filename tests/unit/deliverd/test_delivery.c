/* test_delivery.c - jobs from J_START to the last acknowledgement, with real sockets on loopback */
#include "common/base/mem.h"
#include "deliverd/job.h"
#include "tests/unit/deliverd/world.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

#define MESSAGE "Subject: t\r\n\r\n.hidden\r\nbody\r\n"
#define STUFFED "Subject: t\r\n\r\n..hidden\r\nbody\r\n"

static void expect_told(const struct told *t, const char *name, enum ipc_outcome outcome,
                        const char *enhanced, const char *step, const char *words)
{
    if (t->outcome != outcome || strcmp(t->enhanced, enhanced) != 0 || strcmp(t->step, step) != 0 ||
        !strstr(t->reply, words))
        fail_msg("%s: outcome %d %s at %s: %s", name, t->outcome, t->enhanced, t->step, t->reply);
}

static void one_message(void **state)
{
    struct world *w = *state;
    uint64_t txn = job_send(w, "x.test", "a@x.test", MESSAGE);
    const struct told *t;

    world_until_over(w);
    t = told_of(w, txn, 0);
    expect_told(t, "one", OUTCOME_DELIVERED, "2.0.0", "end", "250 2.0.0 taken");
    assert_true(t->remote && !t->maybe);
    assert_non_null(strstr(t->relay, "mx1.x.test[127.0.0.2]:"));
    assert_string_equal(buf_cstr(&w->servers[0].data), STUFFED);
    assert_non_null(strstr(buf_cstr(&w->servers[0].commands), "EHLO own.test|MAIL FROM:<s@own.test> SIZE="));
    assert_int_equal(w->lasts, 1);
}

static void connections_are_used_again(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 5; i++) {
        job_send(w, "x.test", "a@x.test", MESSAGE);
        world_until_over(w);
    }
    assert_int_equal(w->servers[0].messages, 5);
    assert_int_equal(w->servers[0].sessions_n, 1);
    assert_int_equal(w->dns_asked, 1);
    job_send(w, "noidle.test", "a@noidle.test", MESSAGE);
    world_until_over(w);
    job_send(w, "noidle.test", "a@noidle.test", MESSAGE);
    world_until_over(w);
    assert_int_equal(w->servers[0].sessions_n, 3);
}

static void connections_are_limited(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 6; i++)
        job_send(w, "one.test", "a@one.test", MESSAGE);
    world_until_over(w);
    assert_int_equal(w->servers[0].messages, 6);
    assert_int_equal(w->servers[0].sessions_n, 1);
}

static void messages_of_a_connection_are_limited(void **state)
{
    struct world *w = *state;
    uint64_t txn;

    for (int i = 0; i < 5; i++)
        job_send(w, "few.test", "a@few.test", MESSAGE);
    world_until_over(w);
    assert_int_equal(w->servers[0].messages, 5);
    assert_int_equal(w->servers[0].sessions_n, 3);
    /* Also when one message takes several transactions. */
    w->servers[0].rcpt_max = 1;
    txn = job_send(w, "few.test", "a@few.test b@few.test c@few.test d@few.test", MESSAGE);
    world_until_over(w);
    for (uint64_t i = 0; i < 4; i++)
        expect_told(told_of(w, txn, i), "few", OUTCOME_DELIVERED, "2.0.0", "end", "250");
    assert_int_equal(w->servers[0].messages, 9);
    assert_int_equal(w->servers[0].sessions_n, 5);
}

/* Domains with the same hosts are one destination, if their route is the same. */
static void domains_with_the_same_hosts_share(void **state)
{
    struct world *w = *state;
    char hosts[2000] = "";
    uint64_t txn;

    w->dns_hosts = "mx1.x.test 10 127.0.0.2; mx2.x.test 20 127.0.0.3";
    txn = job_send(w, "a.test", "a@a.test", MESSAGE);
    world_until_over(w);
    assert_string_equal(told_of(w, txn, 0)->group + strlen("default|mxs mx1.x.test | mx2.x.test:"),
                        strrchr(told_of(w, txn, 0)->relay, ':') + 1);
    txn = job_send(w, "b.test", "a@b.test", MESSAGE);
    world_until_over(w);
    assert_string_equal(told_of(w, txn, 0)->group, w->told[0].group);
    job_send(w, "b.test", "a@b.test", MESSAGE);
    world_until_over(w);
    assert_int_equal(w->servers[0].sessions_n, 1);
    assert_int_equal(w->dns_asked, 2);
    /* The same hosts, another order: another destination. */
    w->dns_hosts = "mx2.x.test 10 127.0.0.2; mx1.x.test 20 127.0.0.2";
    txn = job_send(w, "c.test", "a@c.test", MESSAGE);
    world_until_over(w);
    assert_string_not_equal(told_of(w, txn, 0)->group, w->told[0].group);
    assert_int_equal(w->servers[0].sessions_n, 2);
    /* The same hosts, another policy. */
    w->dns_hosts = "mx1.x.test 10 127.0.0.2; mx2.x.test 20 127.0.0.3";
    txn = job_send(w, "few.test", "a@few.test", MESSAGE);
    world_until_over(w);
    assert_true(strv_starts(SV(told_of(w, txn, 0)->group), SV_LIT("few.test|mxs mx1.x.test | mx2.x.test:")));
    assert_int_equal(w->servers[0].sessions_n, 3);
    /* Too long to tell: said to stand alone, for it may have stood with others. No hosts: in no group. */
    for (size_t i = 0; i < 5; i++)
        snprintf(hosts + strlen(hosts), 300, "%s%0240zu 10 127.0.0.2", i ? ";" : "", i);
    w->dns_hosts = hosts;
    txn = job_send(w, "e.test", "a@e.test", MESSAGE);
    world_until_over(w);
    assert_true(strv_starts(SV(told_of(w, txn, 0)->group), SV_LIT("default|mx e.test:")));
    w->dns_answer = DNS_TEMPFAIL;
    txn = job_send(w, "d.test", "a@d.test", MESSAGE);
    world_until_over(w);
    assert_string_equal(told_of(w, txn, 0)->group, "");
}

/* Two connections to the hosts, whatever the number of domains; whoever waits for one gets one. */
static void domains_with_the_same_hosts_share_the_limit(void **state)
{
    struct world *w = *state;
    char dest[32];

    for (int i = 0; i < 40; i++) {
        snprintf(dest, sizeof dest, "d%d.test", i % 8);
        job_send(w, dest, "a@x.test", MESSAGE);
    }
    world_until_over(w);
    assert_int_equal(w->servers[0].messages, 40);
    assert_int_equal(w->servers[0].sessions_n, 2);
    for (int i = 0; i < 40; i++)
        assert_int_equal(w->told[i].outcome, OUTCOME_DELIVERED);
}

/* A server that gave up an idle connection is asked again on a new one, within the attempt. */
static void stale_connection(void **state)
{
    struct world *w = *state;
    uint64_t txn;

    job_send(w, "x.test", "a@x.test", MESSAGE);
    world_until_over(w);
    w->servers[0].die_at = "MAIL";
    w->servers[0].die_times = 1;
    txn = job_send(w, "x.test", "a@x.test", MESSAGE);
    world_until_over(w);
    expect_told(told_of(w, txn, 0), "stale", OUTCOME_DELIVERED, "2.0.0", "end", "250");
    assert_int_equal(w->servers[0].sessions_n, 2);

    server_close_idle(&w->servers[0]);
    world_turn(w, 3);
    txn = job_send(w, "x.test", "a@x.test", MESSAGE);
    world_until_over(w);
    expect_told(told_of(w, txn, 0), "closed while idle", OUTCOME_DELIVERED, "2.0.0", "end", "250");
    assert_int_equal(w->servers[0].sessions_n, 3);
}

static void next_host_in_the_same_attempt(void **state)
{
    static const struct {
        const char *name, *greeting, *mail, *die_at;
        bool deaf;
    } cases[] = {
        { "refused", NULL, NULL, NULL, true },
        { "554 greeting", "554 5.7.1 no", NULL, NULL, false },
        { "421 greeting", "421 busy", NULL, NULL, false },
        { "4xx to MAIL", NULL, "452 4.3.1 full", NULL, false },
        { "lost at EHLO", NULL, NULL, "EHLO", false },
        { "lost at MAIL", NULL, NULL, "MAIL", false },
        { "421 to MAIL", NULL, "421 4.3.2 bye", NULL, false },
        { "lost at DATA", NULL, NULL, "DATA", false },
    };
    struct world *w = *state;

    world_listen(w, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dest[32], hosts[80];
        uint64_t txn;

        /* Hosts of their own: no connection of an earlier case is used. */
        snprintf(dest, sizeof dest, "d%zu.test", i);
        snprintf(hosts, sizeof hosts, "mx1.d%zu.test 10 127.0.0.2; mx2.x.test 20 127.0.0.3", i);
        w->dns_hosts = hosts;
        w->servers[0].greeting = cases[i].greeting;
        w->servers[0].mail = cases[i].mail;
        w->servers[0].die_at = cases[i].die_at;
        if (cases[i].deaf)
            world_deaf(w, 0);
        else
            world_listen(w, 0);
        txn = job_send(w, dest, "a@x.test b@x.test", MESSAGE);
        world_until_over(w);
        for (uint64_t k = 0; k < 2; k++) {
            expect_told(told_of(w, txn, k), cases[i].name, OUTCOME_DELIVERED, "2.0.0", "end", "250");
            if (!strstr(told_of(w, txn, k)->relay, "mx2.x.test[127.0.0.3]"))
                fail_msg("%s: relay %s", cases[i].name, told_of(w, txn, k)->relay);
        }
    }
    /* At the most the empty message that ends a pipelined DATA. */
    assert_int_equal(w->servers[0].data.len, 0);
}

static void no_host_left(void **state)
{
    static const struct {
        const char *name, *greeting, *mail, *die_at, *enhanced, *step, *words;
        bool deaf, maybe;
    } cases[] = {
        { "refused", NULL, NULL, NULL, "4.4.1", "connect", "Connection refused", true, false },
        { "554 greeting", "554 5.7.1 go away", NULL, NULL, "4.7.1", "greeting", "554 5.7.1 go away", false,
          false },
        { "MAIL later", NULL, "451 4.7.1 greylisted", NULL, "4.7.1", "mail", "451 4.7.1 greylisted", false,
          false },
        { "lost at RCPT", NULL, NULL, "RCPT", "4.4.2", "rcpt", "while waiting for the reply to RCPT TO",
          false, false },
        { "lost after the dot", NULL, NULL, ".", "4.4.2", "end", "may have been delivered", false, true },
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dest[32];
        uint64_t txn;

        snprintf(dest, sizeof dest, "d%zu.test", i);
        w->servers[0].greeting = cases[i].greeting;
        w->servers[0].mail = cases[i].mail;
        w->servers[0].die_at = cases[i].die_at;
        if (cases[i].deaf)
            world_deaf(w, 0);
        else
            world_listen(w, 0);
        txn = job_send(w, dest, "a@x.test", MESSAGE);
        world_until_over(w);
        expect_told(told_of(w, txn, 0), cases[i].name, OUTCOME_DEFERRED, cases[i].enhanced, cases[i].step,
                    cases[i].words);
        assert_int_equal(told_of(w, txn, 0)->maybe, cases[i].maybe);
    }
}

static void what_the_dns_says(void **state)
{
    static const struct {
        const char *name;
        enum ipc_dns answer;
        const char *hosts;
        enum ipc_outcome outcome;
        const char *enhanced, *words;
    } cases[] = {
        { "nxdomain", DNS_NXDOMAIN, "", OUTCOME_FAILED, "5.1.2", "does not exist" },
        { "nodata", DNS_NODATA, "", OUTCOME_FAILED, "5.1.2", "neither MX nor address" },
        { "null", DNS_NULLMX, "", OUTCOME_FAILED, "5.1.10", "null MX" },
        { "temp", DNS_TEMPFAIL, "", OUTCOME_DEFERRED, "4.4.3", "look-up" },
        { "loop", DNS_OK, "own.test 10 127.0.0.2; mx2.x.test 20 127.0.0.3", OUTCOME_FAILED, "5.4.6",
          "loops back" },
        { "noaddr", DNS_OK, "mx1.x.test 10 ", OUTCOME_FAILED, "5.4.4", "has an address" },
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dest[32];
        uint64_t txn;

        snprintf(dest, sizeof dest, "%s.test", cases[i].name);
        w->dns_answer = cases[i].answer;
        w->dns_hosts = cases[i].hosts;
        txn = job_send(w, dest, "a@x.test", MESSAGE);
        world_until_over(w);
        expect_told(told_of(w, txn, 0), cases[i].name, cases[i].outcome, cases[i].enhanced, "dns",
                    cases[i].words);
        assert_false(told_of(w, txn, 0)->remote);
    }
    assert_int_equal(w->servers[0].sessions_n, 0);
}

static void each_recipient_its_result(void **state)
{
    struct world *w = *state;
    uint64_t txn;

    w->servers[0].rcpt_bad = "550 5.1.1 no such user";
    txn = job_send(w, "x.test", "a@x.test bad@x.test c@x.test", MESSAGE);
    world_until_over(w);
    expect_told(told_of(w, txn, 0), "first", OUTCOME_DELIVERED, "2.0.0", "end", "250");
    expect_told(told_of(w, txn, 1), "bad", OUTCOME_FAILED, "5.1.1", "rcpt", "550 5.1.1 no such user");
    expect_told(told_of(w, txn, 2), "third", OUTCOME_DELIVERED, "2.0.0", "end", "250");
}

static void too_many_recipients_are_several_transactions(void **state)
{
    struct world *w = *state;
    uint64_t txn;

    w->servers[0].rcpt_max = 2;
    txn = job_send(w, "x.test", "a@x b@x c@x d@x e@x", MESSAGE);
    world_until_over(w);
    for (uint64_t i = 0; i < 5; i++)
        expect_told(told_of(w, txn, i), "many", OUTCOME_DELIVERED, "2.0.0", "end", "250");
    assert_int_equal(w->servers[0].messages, 3);
    assert_int_equal(w->servers[0].sessions_n, 1);
}

static void bodies_in_parts(void **state)
{
    struct world *w = *state;

    job_send_parts(w, "x.test", "a@x", "Subject: t\r\n\r\n", ".hidden\r\nbody\r\n", NULL);
    world_until_over(w);
    assert_string_equal(buf_cstr(&w->servers[0].data), STUFFED);
    job_send_parts(w, "x.test", "a@x", "Subject: t\r\n\r\n", NULL, ".hidden\r\nbody\r\n");
    world_until_over(w);
    assert_string_equal(buf_cstr(&w->servers[0].data), STUFFED);
    job_send_parts(w, "x.test", "a@x", "Subject:", " t\r\n\r\n", ".hidden\r\nbody\r\n");
    world_until_over(w);
    assert_string_equal(buf_cstr(&w->servers[0].data), STUFFED);
    assert_int_equal(w->servers[0].messages, 3);
}

static void large_body_by_descriptor(void **state)
{
    struct world *w = *state;
    struct buf body, want;

    buf_init(&body, 1 << 22);
    buf_init(&want, 1 << 22);
    buf_adds(&want, "Subject: t\r\n\r\n");
    for (int i = 0; i < 90; i++)
        for (int k = 0; k < 10; k++) {
            buf_addf(&body, "%s line %d %d of a body that is larger than any buffer on the way%080d\r\n",
                     k ? "" : ".", i, k, k);
            buf_addf(&want, "%s line %d %d of a body that is larger than any buffer on the way%080d\r\n",
                     k ? "" : "..", i, k, k);
        }
    job_send_parts(w, "x.test", "a@x", "Subject: t\r\n\r\n", NULL, buf_cstr(&body));
    world_until_over(w);
    assert_true(w->servers[0].messages == 0); /* 100000 is announced: not even tried */
    expect_told(&w->told[0], "size", OUTCOME_FAILED, "5.3.4", "mail", "takes no more than 100000");
    buf_cut(&body, 90000);
    while (body.len && body.data[body.len - 1] != '\n')
        buf_cut(&body, body.len - 1);
    job_send_parts(w, "x.test", "a@x", "Subject: t\r\n\r\n", NULL, buf_cstr(&body));
    world_until_over(w);
    assert_int_equal(w->servers[0].messages, 1);
    assert_memory_equal(buf_cstr(&w->servers[0].data), buf_cstr(&want), w->servers[0].data.len);
    buf_clear(&body);
    buf_clear(&want);
}

/* ---- queued goes and comes ---- */

static void results_survive_queued(void **state)
{
    struct world *w = *state;
    uint64_t txn = job_send(w, "x.test", "a@x b@x", MESSAGE), id;

    w->no_ack = true;
    world_until_told(w, 2);
    id = w->told[0].id;
    assert_int_equal(jobs_count(w->d.jobs), 1);
    world_lose_queued(w);
    w->told_n = w->lasts = 0;
    w->no_ack = false;
    world_join_queued(w);
    world_until_over(w);
    assert_int_equal(w->inventory_ends, 2);
    assert_int_equal(w->told_n, 2);
    assert_int_equal(w->lasts, 1);
    assert_true(w->told[0].txn != txn && w->told[0].id == id && w->told[0].outcome == OUTCOME_DELIVERED);
    assert_int_equal(w->servers[0].messages, 1);
}

static void running_jobs_survive_queued(void **state)
{
    struct world *w = *state;

    w->servers[0].hang_at = "greeting";
    job_send(w, "x.test", "a@x b@x", MESSAGE);
    for (int i = 0; i < 200 && w->servers[0].sessions_n == 0; i++)
        loop_once(w->loop, 10);
    world_lose_queued(w);
    w->running_n = 0;
    world_join_queued(w);
    world_turn(w, 5);
    assert_int_equal(w->inventory_ends, 2);
    assert_int_equal(w->running_n, 2);
    assert_int_equal(w->running[0] + w->running[1], 1);
    /* A number that the new queued gives out meets no old one. */
    w->txn = 0;
    w->servers[0].hang_at = NULL;
    job_send(w, "y.test", "c@y", MESSAGE);
    world_until_over(w);
    assert_int_equal(w->told_n, 3);
    assert_int_equal(w->servers[0].messages, 1);
}

static void half_a_job_is_forgotten(void **state)
{
    struct world *w = *state;
    struct ipc_out *o = &w->out;

    ipc_begin(o, IPC_J_START, 77);
    ipc_put_u64(o, TAG_ID, 1);
    ipc_put_text(o, TAG_DEST, SV("x.test"));
    ipc_put_u64(o, TAG_LOCAL, 0);
    ipc_put_text(o, TAG_SENDER, SV(""));
    ipc_group_begin(o, TAG_RCPT);
    ipc_put_u64(o, TAG_RCPT_INDEX, 0);
    ipc_put_text(o, TAG_RCPT, SV("a@x"));
    ipc_group_end(o);
    ipc_put_u64(o, TAG_SIZE, 100);
    ipc_put_bytes(o, TAG_DATA, SV("abc"));
    ipc_put_u64(o, TAG_ARRIVAL, 1);
    channel_send(w->queued, o);
    world_turn(w, 5);
    assert_int_equal(jobs_count(w->d.jobs), 1);
    world_lose_queued(w);
    assert_int_equal(jobs_count(w->d.jobs), 0);
    world_join_queued(w);
    world_turn(w, 5);
    assert_int_equal(w->running_n, 0);
}

static void cancel(void **state)
{
    struct world *w = *state;
    uint64_t txn;

    w->dns_silent = true;
    txn = job_send(w, "x.test", "a@x", MESSAGE); /* begun: stays */
    world_turn(w, 5);
    ipc_begin(&w->out, IPC_J_CANCEL, txn);
    channel_send(w->queued, &w->out);
    world_turn(w, 5);
    assert_int_equal(jobs_count(w->d.jobs), 1);

    txn = job_send_parts(w, "x.test", "a@x", "abc", NULL, NULL);
    (void)txn;
    assert_int_equal(w->lasts, 0);
}

static void without_dnsd(void **state)
{
    struct world *w = *state;
    uint64_t txn;

    channel_free(&w->dnsd);
    world_turn(w, 3);
    txn = job_send(w, "x.test", "a@x", MESSAGE);
    world_until_over(w);
    expect_told(told_of(w, txn, 0), "no dnsd", OUTCOME_DEFERRED, "4.3.0", "service", "DNS service");
    txn = job_send(w, "[127.0.0.2]", "a@[127.0.0.2]", MESSAGE);
    world_until_over(w);
    expect_told(told_of(w, txn, 0), "literal", OUTCOME_DELIVERED, "2.0.0", "end", "250");
}

/* A restart of dnsd or mapd costs a moment, not the attempt. */
static void services_come_back(void **state)
{
    struct world *w = *state;
    uint64_t remote, local;

    w->dns_silent = true;
    remote = job_send(w, "x.test", "a@x", MESSAGE);
    w->local = true;
    local = job_send(w, "own.test", "nobody@own.test", MESSAGE);
    world_turn(w, 5);
    channel_free(&w->dnsd);
    for (int i = 0; i < 5; i++)
        loop_once(w->loop, 50);
    assert_int_equal(w->told_n, 0);
    w->dns_silent = false;
    world_join_dnsd(w);
    world_join_mapd(w);
    world_until_over(w);
    expect_told(told_of(w, remote, 0), "dnsd is back", OUTCOME_DELIVERED, "2.0.0", "end", "250");
    expect_told(told_of(w, local, 0), "mapd is back", OUTCOME_FAILED, "5.1.1", "lookup", "no such mailbox");
    /* Nor when it stays away. */
    channel_free(&w->mapd);
    world_turn(w, 3);
    local = job_send(w, "own.test", "nobody@own.test", MESSAGE);
    world_until_over(w);
    expect_told(told_of(w, local, 0), "no mapd", OUTCOME_DEFERRED, "4.3.0", "service", "map service");
}

/* Bytes that make no reply are no sign of life. */
static void drips_do_not_hold_us(void **state)
{
    struct world *w = *state;
    uint64_t txn;

    w->servers[0].drip = true;
    txn = job_send(w, "x.test", "a@x", MESSAGE);
    world_until_over(w);
    expect_told(told_of(w, txn, 0), "drip", OUTCOME_DEFERRED, "4.4.2", "greeting",
                "timed out while waiting for the greeting");
    w->servers[0].drip = false;
    w->servers[0].hang_at = "DATA";
    txn = job_send(w, "y.test", "a@x", MESSAGE);
    world_until_over(w);
    expect_told(told_of(w, txn, 0), "silence", OUTCOME_DEFERRED, "4.4.2", "data", "timed out");
}

/* The handshake was done, the server hung up before we looked: that is no refused connection. */
static void reset_behind_the_handshake(void **state)
{
    struct world *w = *state;
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(w->port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, conn = -1;
    uint64_t txn;

    assert_true(inet_pton(AF_INET, "127.0.0.9", &sin.sin_addr) == 1);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_true(bind(fd, (struct sockaddr *)&sin, sizeof sin) == 0 && listen(fd, 5) == 0);
    w->dns_hosts = "mx1.x.test 10 127.0.0.9";
    txn = job_send(w, "x.test", "a@x", MESSAGE);
    for (int i = 0; conn < 0 && i < 1000; i++) {
        loop_once(w->loop, 5);
        conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
    assert_true(conn >= 0);
    setsockopt(conn, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    close(conn);
    close(fd);
    world_until_over(w);
    expect_told(told_of(w, txn, 0), "reset", OUTCOME_DEFERRED, "4.4.2", "greeting",
                "while waiting for the greeting");
}

static void own_address(void **state)
{
    struct world *w = *state;
    uint64_t txn;

    w->d.own.v = mem_new(sizeof *w->d.own.v);
    w->d.own.n = 1;
    assert_true(netaddr_parse_ip(SV("127.0.0.2"), &w->d.own.v[0]));
    w->d.own.v[0].port = w->port;
    txn = job_send(w, "[127.0.0.2]", "a@[127.0.0.2]", MESSAGE);
    world_until_over(w);
    expect_told(told_of(w, txn, 0), "own literal", OUTCOME_FAILED, "5.4.6", "route", "loop");
    txn = job_send(w, "x.test", "a@x.test", MESSAGE);
    world_until_over(w);
    expect_told(told_of(w, txn, 0), "own by MX", OUTCOME_FAILED, "5.4.6", "dns", "loops back");
    assert_int_equal(w->servers[0].sessions_n, 0);
    MEM_FREE(w->d.own.v);
}

/* queued answers the questions of an earlier process to who has its place, by their numbers alone. */
static void two_lives_ask_by_different_numbers(void **state)
{
    struct world *w = *state;
    struct jobs *one = jobs_new(&w->d), *next = jobs_new(&w->d);

    assert_int_not_equal(jobs_question(one), jobs_question(next));
    jobs_free(&one);
    jobs_free(&next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(one_message),
        WORLD(connections_are_used_again),
        WORLD(connections_are_limited),
        WORLD(messages_of_a_connection_are_limited),
        WORLD(domains_with_the_same_hosts_share),
        WORLD(domains_with_the_same_hosts_share_the_limit),
        WORLD(stale_connection),
        WORLD(next_host_in_the_same_attempt),
        WORLD(no_host_left),
        WORLD(what_the_dns_says),
        WORLD(each_recipient_its_result),
        WORLD(too_many_recipients_are_several_transactions),
        WORLD(bodies_in_parts),
        WORLD(large_body_by_descriptor),
        WORLD(results_survive_queued),
        WORLD(running_jobs_survive_queued),
        WORLD(half_a_job_is_forgotten),
        WORLD(cancel),
        WORLD(without_dnsd),
        WORLD(services_come_back),
        WORLD(drips_do_not_hold_us),
        WORLD(reset_behind_the_handshake),
        WORLD(own_address),
        WORLD(two_lives_ask_by_different_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
