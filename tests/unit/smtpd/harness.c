/* harness.c - the engine with a fake cleanup and without sockets */
#include "harness.h"

#include "common/base/log.h"
#include "conf/error.h"

#include <stdio.h>
#include <stdlib.h>

const char harness_conf_text[] = "hostname = mx.own.test\n"
                                 "domains = [ own.test, other.test ]\n"
                                 "listen smtp { address = [ \"127.0.0.1:25\" ] max_message_size = 65536\n"
                                 "  max_recipients = 100 max_errors = 30 max_commands = 300 }\n"
                                 "relay { from = [ 127.0.0.1 ] to = [ backup.test ] }\n";

#define FAIL(...)                                                                                            \
    do {                                                                                                     \
        fprintf(stderr, "harness: " __VA_ARGS__);                                                            \
        fprintf(stderr, "\n");                                                                               \
        abort();                                                                                             \
    } while (0)

unsigned harness_log_lines;
char harness_log_last[4096];

static void count_line(void *arg, enum log_level level, const char *line, size_t len)
{
    (void)arg;
    (void)level;
    harness_log_lines++;
    snprintf(harness_log_last, sizeof harness_log_last, "%.*s", (int)len, line);
}

void harness_quiet(void)
{
    log_set_sink(count_line, NULL);
}

struct conf *harness_conf(void)
{
    struct conf_errors errs;
    struct conf *conf = NULL;

    conf_errors_init(&errs);
    if (!conf_parse_text(SV(harness_conf_text), "harness.conf", ROLE_SMTPD, &conf, &errs))
        FAIL("%s", errs.list[0].text);
    conf_errors_clear(&errs);
    return conf;
}

/* --- the fake cleanup; it aborts when the engine breaks the order of a transaction --- */

static bool op_ready(void *arg)
{
    return ((struct harness *)arg)->up;
}

static void op_open(void *arg)
{
    struct harness *h = arg;
    struct buf sender;

    if (h->open)
        FAIL("TX_OPEN inside a transaction");
    if (!h->up)
        FAIL("TX_OPEN without cleanup");
    h->open = true;
    h->ended = false;
    h->opens++;
    h->tx.rcpts[0] = '\0';
    h->tx.rcpt_count = 0;
    buf_reset(&h->tx.data);
    buf_init(&sender, sizeof h->tx.sender - 1);
    address_format(&h->engine.envelope.sender.address, &sender);
    snprintf(h->tx.sender, sizeof h->tx.sender, "%s", buf_cstr(&sender));
    buf_clear(&sender);
}

static void op_rcpt(void *arg, unsigned index, struct strv rcpt, bool local)
{
    struct harness *h = arg;

    (void)index;
    if (!h->open || h->ended)
        FAIL("TX_RCPT outside a transaction");
    if (h->pending != ANSWER_NONE)
        FAIL("TX_RCPT while an answer is awaited");
    h->pending = ANSWER_RCPT;
    h->due = h->delay;
    h->pending_local = local;
    snprintf(h->pending_rcpt, sizeof h->pending_rcpt, "%.*s", (int)rcpt.n, rcpt.p);
}

static size_t op_room(void *arg)
{
    return ((struct harness *)arg)->room;
}

static void op_body(void *arg, struct strv data)
{
    struct harness *h = arg;

    if (!h->open || h->ended)
        FAIL("TX_BODY outside a transaction");
    if (h->tx.rcpt_count == 0)
        FAIL("TX_BODY without a recipient");
    if (data.n > BODY_CHUNK || data.n > h->room)
        FAIL("TX_BODY over its room");
    buf_addv(&h->tx.data, data);
}

static void op_end(void *arg, struct strv rest, uint64_t size, unsigned rcpts)
{
    struct harness *h = arg;

    if (rest.n > 0)
        op_body(arg, rest);
    if (!h->open || h->ended)
        FAIL("TX_END without TX_OPEN");
    if (rcpts != h->tx.rcpt_count || size != h->tx.data.len)
        FAIL("TX_END counts %u rcpts, %llu bytes; it was %u and %zu", rcpts, (unsigned long long)size,
             h->tx.rcpt_count, h->tx.data.len);
    h->ended = true;
    h->ends++;
    h->pending = ANSWER_DONE;
    h->due = h->delay;
}

static void op_abort(void *arg)
{
    struct harness *h = arg;

    if (!h->open)
        FAIL("TX_ABORT without TX_OPEN");
    h->open = h->ended = false;
    h->pending = ANSWER_NONE;
    h->aborts++;
    h->up = h->up && !h->flaps;
}

static const struct engine_ops ops = {
    .tx_ready = op_ready,
    .tx_open = op_open,
    .tx_rcpt = op_rcpt,
    .tx_room = op_room,
    .tx_body = op_body,
    .tx_end = op_end,
    .tx_abort = op_abort,
};

/* Who exists: tests/dialog/README lists the same for the real host. */
static struct tx_answer rcpt_verdict(const struct harness *h)
{
    static const char *const known[] = { "postmaster", "user@", "a@", "postmaster@", "user+", "\"a b\"@" };

    if (!h->pending_local)
        return (struct tx_answer){ .verdict = TX_ACCEPT };
    if (strncasecmp(h->pending_rcpt, "temp@", 5) == 0)
        return (struct tx_answer){ .verdict = TX_TEMPFAIL,
                                   .code = 451,
                                   .enhanced = SV_LIT("4.3.0"),
                                   .text = SV_LIT("Table cannot answer"),
                                   .rule = SV_LIT("users") };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncasecmp(h->pending_rcpt, known[i], strlen(known[i])) == 0)
            return (struct tx_answer){ .verdict = TX_ACCEPT };
    return (struct tx_answer){ .verdict = TX_REFUSE,
                               .code = 550,
                               .enhanced = SV_LIT("5.1.1"),
                               .text = SV_LIT("No such user here"),
                               .rule = SV_LIT("mailbox") };
}

static void answer_rcpt(struct harness *h)
{
    struct tx_answer a = rcpt_verdict(h);
    size_t at = strlen(h->tx.rcpts);

    if (a.verdict == TX_ACCEPT) {
        h->tx.rcpt_count++;
        snprintf(h->tx.rcpts + at, sizeof h->tx.rcpts - at, "%s%s ", h->pending_local ? "=" : "",
                 h->pending_rcpt);
    }
    engine_rcpt_answer(&h->engine, &a);
}

static void answer_done(struct harness *h)
{
    struct tx_answer a = { .verdict = TX_ACCEPT };
    struct strv data = buf_view(&h->tx.data);

    h->open = h->ended = false;
    h->up = h->up && !h->flaps;
    if (strv_istarts(data, SV_LIT("X-Fake: refuse"))) {
        a = (struct tx_answer){ .verdict = TX_REFUSE,
                                .code = 554,
                                .enhanced = SV_LIT("5.6.0"),
                                .text = SV_LIT("Refused by content") };
    } else if (strv_istarts(data, SV_LIT("X-Fake: temp"))) {
        a = (struct tx_answer){ .verdict = TX_TEMPFAIL };
    } else {
        h->accepted++;
        h->bytes += data.n;
        buf_reset(&h->last.data);
        buf_addv(&h->last.data, data);
        memcpy(h->last.sender, h->tx.sender, sizeof h->last.sender);
        memcpy(h->last.rcpts, h->tx.rcpts, sizeof h->last.rcpts);
        h->last.rcpt_count = h->tx.rcpt_count;
    }
    engine_done(&h->engine, &a);
}

static bool answer_if_due(struct harness *h)
{
    enum harness_answer what = h->pending;

    if (what == ANSWER_NONE || h->due > 0)
        return false;
    h->pending = ANSWER_NONE;
    if (what == ANSWER_RCPT)
        answer_rcpt(h);
    else
        answer_done(h);
    return true;
}

/* --- driving --- */

static void collect(struct harness *h)
{
    buf_addv(&h->transcript, buf_view(&h->out));
    buf_reset(&h->out);
}

/* The engine's input is copied to memory of exactly its size, so that reading past it is seen. */
static void run_engine(struct harness *h)
{
    do {
        size_t used = 0, n = h->in.len;
        char *exact = malloc(n ? n : 1);

        if (!exact)
            FAIL("no memory");
        memcpy(exact, h->in.data ? h->in.data : "", n);
        h->step = engine_input(&h->engine, strv_make(exact, n), &used);
        free(exact);
        if (used > n)
            FAIL("used more than there was");
        buf_drop(&h->in, used);
        collect(h);
        if (h->step == STEP_NEXT)
            FAIL("STEP_NEXT left the engine");
    } while (h->step == STEP_FLUSH || answer_if_due(h));
    if (h->step == STEP_CLOSE && h->engine.phase != PH_ENDED)
        FAIL("STEP_CLOSE before the end");
}

void harness_cleanup(struct harness *h, bool came)
{
    h->up = came;
    engine_cleanup(&h->engine, came);
    collect(h);
    run_engine(h);
}

static bool cleanup_is_due(const struct harness *h)
{
    return h->flaps && h->engine.wait == AWAIT_CLEANUP;
}

void harness_feed(struct harness *h, struct strv bytes)
{
    if (harness_closed(h))
        return;
    if (cleanup_is_due(h))
        harness_cleanup(h, true);
    buf_addv(&h->in, bytes);
    if (h->pending != ANSWER_NONE && h->due > 0) {
        h->due--;
        answer_if_due(h);
        collect(h);
    }
    run_engine(h);
}

void harness_settle(struct harness *h)
{
    while (!harness_closed(h) && (h->pending != ANSWER_NONE || cleanup_is_due(h))) {
        h->due = 0;
        if (cleanup_is_due(h))
            harness_cleanup(h, true);
        answer_if_due(h);
        collect(h);
        run_engine(h);
    }
}

void harness_run(struct harness *h, struct strv bytes, size_t piece)
{
    if (piece == 0)
        piece = bytes.n ? bytes.n : 1;
    for (size_t at = 0; at < bytes.n; at += piece)
        harness_feed(h, strv_sub(bytes, at, piece));
    harness_settle(h);
}

bool harness_closed(const struct harness *h)
{
    return h->step == STEP_CLOSE;
}

void harness_lose_cleanup(struct harness *h, bool up)
{
    h->up = up;
    if (!h->ended) {
        h->open = false;
        h->pending = ANSWER_NONE;
    }
    engine_tx_lost(&h->engine);
    collect(h);
    run_engine(h);
}

struct strv harness_transcript(struct harness *h)
{
    static struct buf out = { .max = 1u << 24 };
    struct strv rest = buf_view(&h->transcript), word = SV_LIT("queued as ");
    const char *at;

    buf_reset(&out);
    while ((at = memmem(rest.p, rest.n, word.p, word.n))) {
        size_t skip = (size_t)(at - rest.p) + word.n;

        buf_add(&out, rest.p, skip);
        buf_adds(&out, "ID");
        rest = strv_from(rest, skip + ID_TEXT_LEN);
    }
    buf_addv(&out, rest);
    return buf_view(&out);
}

void harness_cut(struct harness *h)
{
    buf_reset(&h->transcript);
}

static void session_open(struct harness *h, const char *client)
{
    struct netaddr addr = { .family = AF_UNSPEC };

    if (!netaddr_parse_ip(SV(client), &addr))
        FAIL("bad client %s", client);
    addr.port = 40000;
    engine_init(&h->engine, &h->service, &addr, &ops, h);
    h->engine.out = &h->out;
    h->step = engine_start(&h->engine, false);
    collect(h);
}

void harness_init(struct harness *h, const char *client)
{
    memset(h, 0, sizeof *h);
    h->conf = harness_conf();
    service_init(&h->service, h->conf, h->conf->listens[0]);
    buf_init(&h->in, 1u << 24);
    buf_init(&h->out, 1u << 24);
    buf_init(&h->transcript, 1u << 24);
    buf_init(&h->tx.data, 1u << 24);
    buf_init(&h->last.data, 1u << 24);
    h->up = true;
    h->room = 1u << 20;
    session_open(h, client);
}

static void session_shut(struct harness *h)
{
    engine_finish(&h->engine, END_CLIENT_CLOSED, 0, 0, 0);
    if (h->open)
        FAIL("a transaction stayed open behind its session");
    engine_clear(&h->engine);
}

void harness_again(struct harness *h, const char *client)
{
    session_shut(h);
    buf_reset(&h->in);
    buf_reset(&h->out);
    buf_reset(&h->transcript);
    h->pending = ANSWER_NONE;
    h->opens = h->ends = h->aborts = h->accepted = 0;
    h->bytes = 0;
    h->up = true;
    session_open(h, client);
}

void harness_clear(struct harness *h)
{
    session_shut(h);
    service_clear(&h->service);
    conf_free(&h->conf);
    buf_clear(&h->in);
    buf_clear(&h->out);
    buf_clear(&h->transcript);
    buf_clear(&h->tx.data);
    buf_clear(&h->last.data);
}
