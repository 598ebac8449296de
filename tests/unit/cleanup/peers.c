/* peers.c - the fake daemons around cleanup */
#include "tests/unit/cleanup/peers.h"

#include "common/base/log.h"
#include "common/os/fd.h"

#include <stdlib.h>

const char world_conf[] =
    "hostname = mx.own.test\n"
    "domains = [ own.test ]\n"
    "relay { to = [ relay.test ] }\n"
    "address { aliases = aliases  virtual = \"\"  extension = \"+\"  max_expansion = 5 }\n"
    "mailbox a { lookup = users  root = /m  owner = vmail }\n"
    "mailbox postmaster { lookup = pm  root = /p  path = \"post/\" }\n";

const char world_message[] = "Subject: hello\r\nDate: x\r\nMessage-ID: <1@2>\r\n\r\nline one\r\nline two\r\n";

static const char *const tables[][2] = {
    { "users:bob@own.test", "bob/" },
    { "users:alice@own.test", "alice/" },
    { "aliases:both", "bob, alice" },
    { "aliases:null", "/dev/null" },
};

/* ---- mapd ---- */

static void on_mapd_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct world *w = arg;
    struct ipc_in item;
    size_t at = 0;
    uint64_t index = 0;

    w->asked++;
    if (w->mapd_silent)
        return;
    ipc_begin(&w->out, IPC_MAP_ANSWER, in->txn);
    if (w->mapd_fails) {
        ipc_put_u64(&w->out, TAG_ANSWER, ANSWER_FAILED);
        ipc_put_text(&w->out, TAG_ERROR, SV("broken"));
        channel_send(ch, &w->out);
        return;
    }
    for (; ipc_next_group(in, TAG_ITEM, &at, &item); index++) {
        struct buf key;

        buf_init(&key, 4096);
        buf_addv(&key, ipc_get(&item, TAG_MAP));
        buf_addc(&key, ':');
        buf_addv(&key, ipc_get(&item, TAG_KEY));
        for (size_t i = 0; i < COUNT(tables); i++) {
            if (!strv_is(buf_view(&key), tables[i][0]))
                continue;
            ipc_put_u64(&w->out, TAG_ANSWER, ANSWER_FOUND);
            ipc_put_u64(&w->out, TAG_INDEX, index);
            ipc_put_bytes(&w->out, TAG_VALUE, SV(tables[i][1]));
            channel_send(ch, &w->out);
            buf_clear(&key);
            return;
        }
        buf_clear(&key);
    }
    ipc_put_u64(&w->out, TAG_ANSWER, ANSWER_ABSENT);
    channel_send(ch, &w->out);
}

/* ---- queued ---- */

struct stored *stored_find(struct world *w, uint64_t txn)
{
    struct stored *s;

    for (unsigned i = 0; i < w->stored_n; i++)
        if (w->stored[i].txn == txn)
            return &w->stored[i];
    assert_true(w->stored_n < STORED_MAX);
    s = &w->stored[w->stored_n++];
    s->txn = txn;
    buf_init(&s->sender, 4096);
    buf_init(&s->rcpts, 1u << 20);
    buf_init(&s->header, 1u << 20);
    buf_init(&s->body, 64u << 20);
    buf_init(&s->words, 65536);
    return s;
}

void queued_answer(struct world *w, unsigned i, enum ipc_verdict verdict)
{
    ipc_begin(&w->out, IPC_Q_SUBMITTED, w->stored[i].txn);
    ipc_put_u64(&w->out, TAG_VERDICT, verdict);
    if (verdict != VERDICT_ACCEPT && w->code) {
        ipc_put_u64(&w->out, TAG_CODE, (uint64_t)w->code);
        ipc_put_text(&w->out, TAG_ENHANCED, SV("4.3.1"));
        ipc_put_text(&w->out, TAG_TEXT, SV("Disk full"));
    }
    channel_send(w->queued, &w->out);
}

static void take_rcpts(struct stored *s, const struct ipc_in *in)
{
    struct ipc_in r;
    size_t at = 0, also;

    while (ipc_next_group(in, TAG_RCPT, &at, &r)) {
        struct strv original = ipc_get(&r, TAG_ORIGINAL);

        buf_addf(&s->rcpts, "%s%.*s%s", s->rcpts.len ? " " : "", (int)ipc_get(&r, TAG_RCPT).n,
                 ipc_get(&r, TAG_RCPT).p, ipc_get_u64(&r, TAG_LOCAL) ? "*" : "");
        if (original.n)
            buf_addf(&s->rcpts, "(%.*s)", (int)original.n, original.p);
        also = 0;
        while (ipc_next(&r, TAG_ALSO, &also, &original))
            buf_addf(&s->rcpts, "(+%.*s)", (int)original.n, original.p);
    }
}

static void take_submit(struct world *w, struct stored *s, const struct ipc_in *in)
{
    static const struct {
        enum ipc_tag tag;
        const char *name;
    } words[] = {
        { TAG_SID, "sid" },           { TAG_CLIENT, "client" }, { TAG_HELO, "helo" },
        { TAG_PROTOCOL, "protocol" }, { TAG_ORIGIN, "origin" },
    };

    s->id = ipc_get_u64(in, TAG_ID);
    s->body_size = ipc_get_u64(in, TAG_BODY_SIZE);
    buf_addv(&s->sender, ipc_get(in, TAG_SENDER));
    take_rcpts(s, in);
    buf_addv(&s->header, ipc_get(in, TAG_HEADER));
    buf_addv(&s->body, ipc_get(in, TAG_DATA));
    for (size_t i = 0; i < COUNT(words); i++)
        if (ipc_has(in, words[i].tag))
            buf_addf(&s->words, "%s=%.*s ", words[i].name, (int)ipc_get(in, words[i].tag).n,
                     ipc_get(in, words[i].tag).p);
    s->submitted = true;
    channel_txn_end(w->queued, s->txn);
    if (!w->hold)
        queued_answer(w, (unsigned)(s - w->stored), w->verdict);
}

static void on_queued_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct world *w = arg;
    struct stored *s;

    if (in->type == IPC_N_FAILED) {
        w->failed++;
        snprintf(w->failed_origin, sizeof w->failed_origin, "%.*s", (int)ipc_get(in, TAG_ORIGIN).n,
                 ipc_get(in, TAG_ORIGIN).p);
        return;
    }
    if (in->type == IPC_N_FORWARDED) {
        buf_addf(&w->forwarded, "%s%u %.*s %.*s", w->forwarded.len ? "|" : "",
                 (unsigned)ipc_get_u64(in, TAG_VERDICT), (int)ipc_get(in, TAG_ENHANCED).n,
                 ipc_get(in, TAG_ENHANCED).p, (int)ipc_get(in, TAG_TEXT).n, ipc_get(in, TAG_TEXT).p);
        return;
    }
    if (in->type == IPC_N_LEFT_OUT) {
        buf_addf(&w->left, "%s%u %.*s %.*s", w->left.len ? "|" : "", (unsigned)ipc_get_u64(in, TAG_KIND),
                 (int)ipc_get(in, TAG_RCPT).n, ipc_get(in, TAG_RCPT).p, (int)ipc_get(in, TAG_ORIGINAL).n,
                 ipc_get(in, TAG_ORIGINAL).p);
        return;
    }
    s = stored_find(w, in->txn);
    assert_false(s->submitted);
    assert_false(s->aborted);
    s->frames++;
    if (in->bulk && !w->no_credit && in->type != IPC_Q_SUBMIT)
        channel_consumed(ch, in->txn, in->bulk);
    switch (in->type) {
    case IPC_Q_BODY: buf_addv(&s->body, ipc_get(in, TAG_DATA)); break;
    case IPC_Q_HEADER: buf_addv(&s->header, ipc_get(in, TAG_DATA)); break;
    case IPC_Q_RCPTS: take_rcpts(s, in); break;
    case IPC_Q_SUBMIT: take_submit(w, s, in); break;
    case IPC_Q_ABORT: s->aborted = true; break;
    case IPC_Q_QUERY:
        s->query = true;
        s->id = ipc_get_u64(in, TAG_ID);
        if (!w->hold)
            queued_answer(w, (unsigned)(s - w->stored), w->knows ? VERDICT_ACCEPT : VERDICT_TEMPFAIL);
        break;
    default: fail_msg("queued got %s", in->schema->name);
    }
}

/* ---- smtpd ---- */

static void on_smtpd_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct world *w = arg;
    bool rcpt = in->type == IPC_TX_RCPT_REPLY;

    (void)ch;
    assert_true(rcpt || in->type == IPC_TX_DONE);
    w->reply_n++;
    buf_addf(&w->replies, "%s%s %u", w->replies.len ? "|" : "", rcpt ? "rcpt" : "done", (unsigned)in->txn);
    if (rcpt)
        buf_addf(&w->replies, "/%u", (unsigned)ipc_get_u64(in, TAG_RCPT_INDEX));
    if (ipc_get_u64(in, TAG_VERDICT) == VERDICT_ACCEPT) {
        buf_adds(&w->replies, " ok");
        return;
    }
    assert_true(ipc_get(in, TAG_TEXT).n > 0);
    buf_addf(&w->replies, " %u %.*s", (unsigned)ipc_get_u64(in, TAG_CODE), (int)ipc_get(in, TAG_ENHANCED).n,
             ipc_get(in, TAG_ENHANCED).p);
}

static void on_smtpd_ready(void *arg, struct channel *ch, uint64_t txn)
{
    struct world *w = arg;

    (void)ch;
    (void)txn;
    w->ready++;
}

/* ---- joining ---- */

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct world *w = arg;

    (void)why;
    if (ch == w->smtpd)
        channel_free(&w->smtpd);
    else if (ch == w->queued)
        channel_free(&w->queued);
    else if (ch == w->mapd)
        channel_free(&w->mapd);
}

static const struct channel_ops smtpd_fake = { .frame = on_smtpd_frame,
                                               .lost = on_lost,
                                               .ready = on_smtpd_ready };
static const struct channel_ops queued_fake = { .frame = on_queued_frame, .lost = on_lost };
static const struct channel_ops mapd_fake = { .frame = on_mapd_frame, .lost = on_lost };

void world_join_smtpd(struct world *w)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    channel_free(&w->smtpd);
    cleanup_edge_smtpd(&w->cl, 3, ends[0]);
    w->smtpd = channel_new(w->loop, ends[1], ROLE_SMTPD, ROLE_CLEANUP, 0, &smtpd_fake, w);
}

void world_join_queued(struct world *w)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    channel_free(&w->queued);
    cleanup_edge_queued(&w->cl, ends[0]);
    w->queued = channel_new(w->loop, ends[1], ROLE_QUEUED, ROLE_CLEANUP, 0, &queued_fake, w);
}

void world_join_mapd(struct world *w)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    channel_free(&w->mapd);
    cleanup_edge_mapd(&w->cl, ends[0]);
    w->mapd = channel_new(w->loop, ends[1], ROLE_MAPD, ROLE_CLEANUP, 0, &mapd_fake, w);
}

static void quiet(void *arg, enum log_level level, const char *line, size_t len)
{
    (void)arg;
    (void)level;
    (void)line;
    (void)len;
}

int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct conf_errors errs;

    log_set_sink(quiet, NULL);
    conf_errors_init(&errs);
    if (!conf_parse_text(SV(world_conf), "test.conf", ROLE_CLEANUP, &w->conf, &errs))
        return -1;
    conf_errors_clear(&errs);
    w->loop = loop_new();
    ipc_out_init(&w->out);
    buf_init(&w->replies, 1u << 20);
    buf_init(&w->forwarded, 1u << 20);
    buf_init(&w->left, 1u << 20);
    cleanup_init(&w->cl, w->conf, w->loop);
    world_join_smtpd(w);
    world_join_queued(w);
    world_join_mapd(w);
    *state = w;
    return 0;
}

int world_teardown(void **state)
{
    struct world *w = *state;

    cleanup_clear(&w->cl);
    channel_free(&w->smtpd);
    channel_free(&w->queued);
    channel_free(&w->mapd);
    for (unsigned i = 0; i < w->stored_n; i++) {
        buf_clear(&w->stored[i].sender);
        buf_clear(&w->stored[i].rcpts);
        buf_clear(&w->stored[i].header);
        buf_clear(&w->stored[i].body);
        buf_clear(&w->stored[i].words);
    }
    assert_int_equal(w->cl.live, 0);
    loop_once(w->loop, 0);
    loop_free(&w->loop);
    ipc_out_clear(&w->out);
    buf_clear(&w->replies);
    buf_clear(&w->forwarded);
    buf_clear(&w->left);
    conf_free(&w->conf);
    free(w);
    return 0;
}

void world_turn(struct world *w)
{
    for (int i = 0; i < 40; i++)
        loop_once(w->loop, 0);
}

/* ---- what smtpd says ---- */

void smtpd_open(struct world *w, uint64_t txn, bool own)
{
    ipc_begin(&w->out, IPC_TX_OPEN, txn);
    ipc_put_text(&w->out, TAG_SID, SV("SESSION"));
    ipc_put_u64(&w->out, TAG_ID, 1000 + txn);
    ipc_put_text(&w->out, TAG_CLIENT, SV("192.0.2.7"));
    ipc_put_u64(&w->out, TAG_PORT, 4711);
    ipc_put_text(&w->out, TAG_CLIENT_NAME, SV("client.far.test"));
    ipc_put_text(&w->out, TAG_HELO, SV("helo.far.test"));
    ipc_put_text(&w->out, TAG_PROTOCOL, SV("ESMTP"));
    ipc_put_text(&w->out, TAG_LISTENER, SV("smtp"));
    ipc_put_u64(&w->out, TAG_OWN, own);
    ipc_put_text(&w->out, TAG_SENDER, SV("sender@far.test"));
    ipc_put_u64(&w->out, TAG_ARRIVAL, 1700000000000);
    channel_send(w->smtpd, &w->out);
}

void smtpd_rcpt(struct world *w, uint64_t txn, uint64_t index, const char *rcpt, bool local)
{
    ipc_begin(&w->out, IPC_TX_RCPT, txn);
    ipc_put_u64(&w->out, TAG_RCPT_INDEX, index);
    ipc_put_text(&w->out, TAG_RCPT, SV(rcpt));
    ipc_put_u64(&w->out, TAG_LOCAL, local);
    channel_send(w->smtpd, &w->out);
}

void smtpd_body(struct world *w, uint64_t txn, struct strv data)
{
    ipc_begin(&w->out, IPC_TX_BODY, txn);
    ipc_put_bytes(&w->out, TAG_DATA, data);
    channel_send(w->smtpd, &w->out);
}

void smtpd_end(struct world *w, uint64_t txn, struct strv data, uint64_t size, uint64_t count)
{
    ipc_begin(&w->out, IPC_TX_END, txn);
    if (data.n)
        ipc_put_bytes(&w->out, TAG_DATA, data);
    ipc_put_u64(&w->out, TAG_SIZE, size);
    ipc_put_u64(&w->out, TAG_COUNT, count);
    channel_send(w->smtpd, &w->out);
    channel_txn_end(w->smtpd, txn);
}

void smtpd_abort(struct world *w, uint64_t txn)
{
    channel_cancel_chunks(w->smtpd, txn);
    ipc_begin(&w->out, IPC_TX_ABORT, txn);
    channel_send(w->smtpd, &w->out);
    channel_txn_end(w->smtpd, txn);
}

void smtpd_query(struct world *w, uint64_t txn, uint64_t id)
{
    ipc_begin(&w->out, IPC_TX_QUERY, txn);
    ipc_put_u64(&w->out, TAG_ID, id);
    channel_send(w->smtpd, &w->out);
}

void expect_replies(struct world *w, const char *name, const char *want)
{
    world_turn(w);
    expect_text(name, buf_view(&w->replies), want);
    buf_reset(&w->replies);
}

void smtpd_whole(struct world *w, uint64_t txn, const char *text)
{
    smtpd_end(w, txn, SV(text), strlen(text), 1);
}

size_t message_large(struct buf *b, size_t header_fields, size_t body)
{
    buf_init(b, 64u << 20);
    for (size_t i = 0; i < header_fields; i++)
        buf_addf(b, "X-Field-%zu: %0100zu\r\n", i, i);
    buf_adds(b, "Subject: large\r\n\r\n");
    for (size_t i = 0; b->len < body; i++)
        buf_addf(b, "line %zu of a body that is to be large\r\n", i);
    return b->len;
}

void smtpd_large(struct world *w, uint64_t txn, const struct buf *b)
{
    size_t at = 0;
    int idle = 0;

    while (at < b->len) {
        size_t n = channel_credit(w->smtpd, txn);

        if (!n) {
            loop_once(w->loop, 0);
            assert_true(++idle < 1000);
            continue;
        }
        idle = 0;
        n = n > 30000 ? 30000 : n;
        smtpd_body(w, txn, strv_sub(buf_view(b), at, n));
        at += n < b->len - at ? n : b->len - at;
        loop_once(w->loop, 0);
    }
}
