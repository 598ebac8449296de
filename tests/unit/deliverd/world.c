/* world.c - fake neighbours of deliverd */
#include "tests/unit/deliverd/world.h"

#include "common/base/mem.h"
#include "common/mail/line.h"
#include "common/net/listener.h"
#include "common/net/stream.h"
#include "common/os/fd.h"
#include "conf/conf.h"
#include "deliverd/agents.h"
#include "deliverd/job.h"
#include "deliverd/pool.h"
#include "deliverd/section.h"
#include "deliverd/source.h"
#include "deliverd/trouble.h"
#include "dnsd/client.h"
#include "maps/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 10000

/* ---- servers ---- */

struct session {
    struct session *next;
    struct server *s;
    struct stream *stream;
    struct line_reader line;
    bool in_data;
    unsigned rcpts;
    struct loop_timer drip;
};

static void session_free(struct session *ss)
{
    struct session **at = &ss->s->sessions;

    while (*at != ss)
        at = &(*at)->next;
    *at = ss->next;
    loop_timer_stop(&ss->drip);
    stream_free(&ss->stream);
    free(ss);
}

static void say(struct session *ss, const char *scripted, const char *good)
{
    const char *text = scripted ? scripted : good;

    stream_write(ss->stream, text, strlen(text));
    stream_write(ss->stream, "\r\n", 2);
}

static bool verb_is(const char *wanted, struct strv line)
{
    return wanted && strv_istarts(line, SV(wanted));
}

/* False: the session is over, or silent for ever. */
static bool plays_along(struct session *ss, struct strv line)
{
    struct server *s = ss->s;

    if (verb_is(s->hang_at, line))
        return false;
    if (!verb_is(s->die_at, line))
        return true;
    if (s->die_times && --s->die_times == 0)
        s->die_at = NULL;
    stream_close_after_output(&ss->stream, 1000);
    session_free(ss);
    return false;
}

static bool on_data_line(struct session *ss, struct strv line)
{
    struct server *s = ss->s;

    if (!strv_is(line, ".")) {
        buf_addv(&s->data, line);
        buf_adds(&s->data, "\r\n");
        return true;
    }
    if (!plays_along(ss, line))
        return false;
    ss->in_data = false;
    s->messages++;
    say(ss, s->body, "250 2.0.0 taken");
    return true;
}

static void on_rcpt(struct session *ss, struct strv line)
{
    struct server *s = ss->s;

    if (s->rcpt_bad && strv_istarts(line, SV("RCPT TO:<bad")))
        say(ss, s->rcpt_bad, NULL);
    else if (s->rcpt_max && ss->rcpts >= s->rcpt_max)
        say(ss, "452 4.5.3 too many recipients", NULL);
    else {
        ss->rcpts++;
        say(ss, NULL, "250 2.1.5 ok");
    }
}

static bool on_line(struct session *ss, struct strv line)
{
    struct server *s = ss->s;

    if (ss->in_data)
        return on_data_line(ss, line);
    buf_addv(&s->commands, line);
    buf_adds(&s->commands, "|");
    if (!plays_along(ss, line))
        return false;
    if (verb_is("EHLO", line)) {
        say(ss, NULL, "250-server.test\r\n250-PIPELINING\r\n250-SIZE 100000\r\n250 8BITMIME");
    } else if (verb_is("MAIL", line)) {
        ss->rcpts = 0;
        say(ss, s->mail, "250 2.1.0 ok");
    } else if (verb_is("RCPT", line)) {
        on_rcpt(ss, line);
    } else if (verb_is("DATA", line)) {
        ss->in_data = ss->rcpts > 0;
        buf_reset(&s->data);
        say(ss, NULL, ss->in_data ? "354 go" : "503 5.5.1 nobody");
    } else {
        say(ss, NULL, "250 2.0.0 ok");
    }
    return true;
}

static void on_input(void *arg, struct stream *st)
{
    struct session *ss = arg;
    struct strv line;
    size_t used;

    for (;;) {
        enum line_result r = line_next(&ss->line, stream_input(st), &line, &used);
        char copy[4096];

        if (r != LINE_OK) {
            stream_consume(st, used);
            return;
        }
        assert_true(strv_cstr(line, copy, sizeof copy));
        stream_consume(st, used);
        if (!on_line(ss, SV(copy)))
            return;
    }
}

static void on_ended(void *arg, struct stream *st, enum stream_end how, int sys)
{
    (void)st;
    (void)how;
    (void)sys;
    session_free(arg);
}

static const struct stream_ops server_ops = { .input = on_input, .ended = on_ended };

static void on_drip(void *arg)
{
    struct session *ss = arg;

    stream_write(ss->stream, "2", 1);
    loop_timer_set(&ss->drip, 200);
}

static void on_accept(void *arg, int fd, const struct netaddr *peer)
{
    struct server *s = arg;
    struct session *ss = mem_new(sizeof *ss);

    netaddr_ip_text(peer, s->peer, sizeof s->peer);
    s->sessions_n++;
    ss->s = s;
    ss->stream = stream_new(s->w->loop, fd, &server_ops, ss);
    line_init(&ss->line, 4000);
    ss->next = s->sessions;
    s->sessions = ss;
    loop_timer_init(&ss->drip, s->w->loop, on_drip, ss);
    if (s->drip)
        on_drip(ss);
    else if (!s->hang_at || strcmp(s->hang_at, "greeting") != 0)
        say(ss, s->greeting, "220 server.test ESMTP");
}

void server_close_idle(struct server *s)
{
    while (s->sessions)
        session_free(s->sessions);
}

static int listen_on(unsigned number, uint16_t *port)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(*port) };
    socklen_t len = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sin.sin_addr.s_addr = htonl(0x7f000000u + number);
    if (bind(fd, (struct sockaddr *)&sin, sizeof sin) != 0 || listen(fd, 20) != 0)
        fail_msg("cannot listen on 127.0.0.%u:%u", number, *port);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    *port = ntohs(sin.sin_port);
    return fd;
}

void world_listen(struct world *w, unsigned server)
{
    struct server *s = &w->servers[server];

    if (!s->listener)
        s->listener = listener_new(w->loop, listen_on(s->number, &w->port), 10, on_accept, s);
}

void world_deaf(struct world *w, unsigned server)
{
    listener_free(&w->servers[server].listener);
}

/* ---- dnsd ---- */

static void put_dns_host(struct ipc_out *o, struct strv text)
{
    struct strv name, preference, ips, ip;
    uint64_t n;

    text = strv_trim(text);
    assert_true(strv_cut(&text, ' ', &name) && strv_cut(&text, ' ', &preference));
    assert_true(strv_u64(preference, 65535, &n));
    ips = text;
    ipc_group_begin(o, TAG_HOST);
    ipc_put_text(o, TAG_NAME, name);
    ipc_put_u64(o, TAG_PREFERENCE, n);
    while (ips.p && ips.n && strv_cut(&ips, ',', &ip))
        ipc_put_text(o, TAG_ADDR, ip);
    ipc_put_u64(o, TAG_ANSWER, text.n ? DNS_OK : DNS_NODATA);
    ipc_group_end(o);
}

static void on_dns_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct world *w = arg;
    struct strv rest = SV(w->dns_hosts), host;

    w->dns_asked++;
    if (w->dns_silent)
        return;
    if (w->dns_hold_ms > 0)
        nanosleep(&(struct timespec){ .tv_nsec = (long)w->dns_hold_ms * 1000000 }, NULL);
    ipc_begin(&w->out, IPC_DNS_HOSTS, in->txn);
    ipc_put_u64(&w->out, TAG_ANSWER, w->dns_answer);
    while (w->dns_answer == DNS_OK && rest.p && strv_cut(&rest, ';', &host))
        put_dns_host(&w->out, host);
    channel_send(ch, &w->out);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    (void)arg;
    fail_msg("channel to %s lost: %s", role_name(channel_peer(ch)), why);
}

static const struct channel_ops dnsd_ops = { .frame = on_dns_frame, .lost = on_lost };

void world_join_dnsd(struct world *w)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    w->dnsd = channel_new(w->loop, ends[0], ROLE_DNSD, ROLE_DELIVERD, 0, &dnsd_ops, w);
    dns_client_edge(w->d.dns, ends[1]);
}

/* ---- mapd ---- */

static void on_map_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct world *w = arg;

    ipc_begin(&w->out, IPC_MAP_ANSWER, in->txn);
    ipc_put_u64(&w->out, TAG_ANSWER, ANSWER_ABSENT);
    channel_send(ch, &w->out);
}

static const struct channel_ops mapd_ops = { .frame = on_map_frame, .lost = on_lost };

void world_join_mapd(struct world *w)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    w->mapd = channel_new(w->loop, ends[0], ROLE_MAPD, ROLE_DELIVERD, 0, &mapd_ops, w);
    maps_client_edge(w->d.maps, ends[1]);
}

/* ---- queued ---- */

static void copy_text(char *dst, size_t size, const struct ipc_in *in, enum ipc_tag tag)
{
    struct strv v = ipc_get(in, tag);

    snprintf(dst, size, "%.*s", (int)v.n, v.p);
}

static void on_result(struct world *w, struct ipc_in *in)
{
    struct ipc_in group;
    size_t at = 0;

    while (ipc_next_group(in, TAG_RCPT, &at, &group)) {
        struct told *t = &w->told[w->told_n];

        assert_true(w->told_n++ < RESULTS_MAX);
        *t = (struct told){ .txn = in->txn,
                            .id = ipc_get_u64(in, TAG_ID),
                            .index = ipc_get_u64(&group, TAG_RCPT_INDEX),
                            .outcome = (enum ipc_outcome)ipc_get_u64(&group, TAG_OUTCOME),
                            .remote = ipc_get_u64(&group, TAG_REMOTE),
                            .maybe = ipc_get_u64(&group, TAG_MAYBE),
                            .lookup = ipc_get_u64(in, TAG_MS_LOOKUP) };
        copy_text(t->enhanced, sizeof t->enhanced, &group, TAG_ENHANCED);
        copy_text(t->step, sizeof t->step, &group, TAG_STEP);
        copy_text(t->relay, sizeof t->relay, &group, TAG_RELAY);
        copy_text(t->reply, sizeof t->reply, &group, TAG_REPLY);
        copy_text(t->group, sizeof t->group, in, TAG_KEY);
    }
    w->lasts += ipc_get_u64(in, TAG_LAST) != 0;
    if (w->no_ack)
        return;
    ipc_begin(&w->out, IPC_J_RESULT_ACK, in->txn);
    channel_send(w->queued, &w->out);
}

static void on_inventory(struct world *w, const struct ipc_in *in)
{
    struct ipc_in group;
    size_t at = 0;
    uint64_t index;

    w->inventories++;
    while (ipc_next_group(in, TAG_RUNNING, &at, &group)) {
        size_t k = 0;

        while (ipc_next_u64(&group, TAG_RCPT_INDEX, &k, &index))
            w->running[w->running_n++] = index;
    }
}

static void on_queued_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct world *w = arg;

    (void)ch;
    if (in->type == IPC_J_RESULT)
        on_result(w, in);
    else if (in->type == IPC_J_INVENTORY)
        on_inventory(w, in);
    else if (in->type == IPC_J_INVENTORY_END)
        w->inventory_ends++;
}

static const struct channel_ops queued_ops = { .frame = on_queued_frame, .lost = on_lost };

void world_join_queued(struct world *w)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    w->queued = channel_new(w->loop, ends[0], ROLE_QUEUED, ROLE_DELIVERD, 0, &queued_ops, w);
    jobs_edge(w->d.jobs, ends[1]);
}

void world_lose_queued(struct world *w)
{
    channel_flush(w->queued);
    channel_free(&w->queued);
    world_turn(w, 3);
}

static void put_rcpts(struct ipc_out *o, const char *rcpts)
{
    struct strv rest = SV(rcpts), rcpt;
    uint64_t index = 0;

    while (strv_word(&rest, &rcpt)) {
        ipc_group_begin(o, TAG_RCPT);
        ipc_put_u64(o, TAG_RCPT_INDEX, index++);
        ipc_put_text(o, TAG_RCPT, rcpt);
        ipc_group_end(o);
    }
}

uint64_t job_send_parts(struct world *w, const char *dest, const char *rcpts, const char *first,
                        const char *chunk, const char *file)
{
    struct ipc_out *o = &w->out;
    uint64_t txn = ++w->txn;

    ipc_begin(o, IPC_J_START, txn);
    ipc_put_u64(o, TAG_ID, id_new());
    ipc_put_text(o, TAG_DEST, SV(dest));
    ipc_put_u64(o, TAG_LOCAL, w->local);
    ipc_put_text(o, TAG_SENDER, SV("s@own.test"));
    put_rcpts(o, rcpts);
    ipc_put_u64(o, TAG_SIZE, strlen(first) + (chunk ? strlen(chunk) : 0) + (file ? strlen(file) : 0));
    if (*first)
        ipc_put_bytes(o, TAG_DATA, SV(first));
    ipc_put_u64(o, TAG_ARRIVAL, 1);
    if (w->flags)
        ipc_put_u64(o, TAG_FLAGS, w->flags);
    if (file) {
        int fd = memfd_create("body", MFD_CLOEXEC);

        assert_true(fd >= 0 && fd_write_full(fd, file, strlen(file)));
        ipc_put_u64(o, TAG_BODY_SIZE, strlen(file));
        ipc_put_fd(o, fd);
    }
    channel_send(w->queued, o);
    if (chunk) {
        ipc_begin(o, IPC_J_BODY, txn);
        ipc_put_bytes(o, TAG_DATA, SV(chunk));
        ipc_put_u64(o, TAG_LAST, 1);
        channel_send(w->queued, o);
    }
    return txn;
}

uint64_t job_send(struct world *w, const char *dest, const char *rcpts, const char *message)
{
    return job_send_parts(w, dest, rcpts, message, NULL, NULL);
}

const struct told *told_of(const struct world *w, uint64_t txn, uint64_t index)
{
    for (unsigned i = 0; i < w->told_n; i++)
        if (w->told[i].txn == txn && w->told[i].index == index)
            return &w->told[i];
    fail_msg("job %llu has told nothing of recipient %llu", (unsigned long long)txn,
             (unsigned long long)index);
    return NULL;
}

/* ---- the loop ---- */

void world_turn(struct world *w, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++)
        loop_once(w->loop, 0);
}

void world_until_told(struct world *w, unsigned n)
{
    for (int64_t end = loop_now(w->loop) + WAIT_MS; w->told_n < n; loop_once(w->loop, 100))
        if (loop_now(w->loop) > end)
            fail_msg("only %u results came", w->told_n);
}

void world_until_over(struct world *w)
{
    world_turn(w, 4); /* what was sent is on its way */
    for (int64_t end = loop_now(w->loop) + WAIT_MS; jobs_count(w->d.jobs); loop_once(w->loop, 100))
        if (loop_now(w->loop) > end)
            fail_msg("%zu jobs are left", jobs_count(w->d.jobs));
}

static void load_conf(struct world *w)
{
    struct conf_errors errs;
    char text[900];

    snprintf(text, sizeof text,
             "hostname = own.test\n"
             "domains = [ \"own.test\" ]\n"
             "mailbox box { lookup = users root = \"/nonexistent\" owner = nobody }\n"
             "route default { port = %u connect_timeout = 2s timeout = 1s max_connections = 2 }\n"
             "route one.test { port = %u max_connections = 1 }\n"
             "route noidle.test { port = %u idle = 0 }\n"
             "route few.test { port = %u max_connections = 1 max_messages = 2 }\n"
             "route from.test { port = %u source = [ 127.0.0.77, \"2001:db8::77\" ] }\n"
             "route other.test { port = %u source = 127.0.0.78 }\n"
             "route gone.test { port = %u source = 192.0.2.77 connect_timeout = 2s }\n",
             w->port, w->port, w->port, w->port, w->port, w->port, w->port);
    conf_errors_init(&errs);
    if (!conf_parse_text(SV(text), "test", ROLE_DELIVERD, &w->conf, &errs))
        fail_msg("%s", errs.list[0].text);
    conf_errors_clear(&errs);
}

int world_setup(void **state)
{
    struct world *w = mem_new(sizeof *w);

    *state = w;
    w->loop = loop_new();
    ipc_out_init(&w->out);
    for (unsigned i = 0; i < SERVERS_MAX; i++) {
        w->servers[i].w = w;
        w->servers[i].number = 2 + i;
        buf_init(&w->servers[i].data, 1 << 22);
        buf_init(&w->servers[i].commands, 1 << 20);
    }
    world_listen(w, 0);
    load_conf(w);
    w->dns_hosts = "mx1.x.test 10 127.0.0.2";
    ipc_out_init(&w->d.out);
    w->d.loop = w->loop;
    w->d.conf = w->conf;
    w->d.patience_ms = 1000;
    w->d.trouble = trouble_new();
    w->d.sources = sources_new(&w->d);
    w->d.dns = dns_client_new(w->loop, ROLE_DELIVERD);
    w->d.maps = maps_client_new(w->loop, ROLE_DELIVERD);
    w->d.pool = pool_new(&w->d);
    w->d.agents = agents_new(&w->d);
    w->d.jobs = jobs_new(&w->d);
    world_join_dnsd(w);
    world_join_queued(w);
    return 0;
}

int world_teardown(void **state)
{
    struct world *w = *state;

    jobs_free(&w->d.jobs);
    agents_free(&w->d.agents);
    sections_free(&w->d.sections);
    pool_free(&w->d.pool);
    maps_client_free(&w->d.maps);
    dns_client_free(&w->d.dns);
    trouble_free(&w->d.trouble);
    sources_free(&w->d.sources);
    ipc_out_clear(&w->d.out);
    channel_free(&w->queued);
    channel_free(&w->dnsd);
    channel_free(&w->mapd);
    for (unsigned i = 0; i < SERVERS_MAX; i++) {
        server_close_idle(&w->servers[i]);
        listener_free(&w->servers[i].listener);
        buf_clear(&w->servers[i].data);
        buf_clear(&w->servers[i].commands);
    }
    world_turn(w, 3);
    ipc_out_clear(&w->out);
    conf_free(&w->conf);
    loop_free(&w->loop);
    free(w);
    return 0;
}
