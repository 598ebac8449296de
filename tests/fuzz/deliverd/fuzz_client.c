/* fuzz_client.c - any bytes from a server: no crash, one result per recipient, the same whole and trickled,
   and nothing but whole lines leaves us */
#include "common/base/hash.h"
#include "deliverd/client_engine.h"

#include <stdlib.h>

#define RCPTS    3u
#define MESSAGES 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct strv rcpts[RCPTS] = { SV_LIT("a@x.test"), SV_LIT("b@x.test"), SV_LIT("c@x.test") };
static const char body[] = "Subject: t\r\n\r\n.dot\r\n..\r\ntext";

struct run {
    struct client c;
    struct buf out, results;
    unsigned given[MESSAGES][RCPTS];
    size_t message, body_at;
    struct sasl_secret secret;
};

/* What the first byte chooses. */
struct shape {
    bool lmtp, auth, fails;
    enum client_tls tls;
};

static void on_result(void *arg, size_t i, const struct client_result *r)
{
    struct run *run = arg;
    char status[STATUS_TEXT];

    if (++run->given[run->message][i] > 1)
        abort();
    if (r->retry != CLIENT_FINAL && r->outcome != OUTCOME_DEFERRED)
        abort();
    if (r->maybe && r->retry != CLIENT_FINAL)
        abort();
    for (size_t k = 0; k < r->text.n; k++)
        if (!byte_is_print((unsigned char)r->text.p[k]))
            abort();
    status_text(r->status, status);
    buf_addf(&run->results, "%zu.%zu %d %s %s %.*s\n", run->message, i, r->outcome, status, r->step,
             (int)r->text.n, r->text.p);
}

static enum client_body on_body(void *arg, size_t max, struct strv *piece)
{
    struct run *run = arg;
    size_t left = sizeof body - 1 - run->body_at;

    if (left == 0)
        return CLIENT_BODY_END;
    *piece = strv_make(body + run->body_at, left < max ? left : max);
    run->body_at += piece->n;
    return CLIENT_BODY_PIECE;
}

static const struct client_ops ops = { .result = on_result, .body = on_body };

static void next_message(struct run *run, struct client_message *m)
{
    while (client_step(&run->c) == CLIENT_READY && run->message + 1 < MESSAGES) {
        run->message++;
        run->body_at = 0;
        client_begin(&run->c, m);
    }
}

static void check_out(struct strv out)
{
    for (size_t i = 0; i < out.n; i++)
        if ((out.p[i] == '\n') != (i > 0 && out.p[i - 1] == '\r'))
            abort();
}

static bool says(const struct run *run, const char *verb)
{
    struct strv out = buf_view(&run->out), line;

    while (out.p && strv_cut(&out, '\n', &line))
        if (strv_starts(line, SV(verb)))
            return true;
    return false;
}

/* The handshake. Until it is over nothing that must not be seen was said. */
static void shake(struct run *run, const struct shape *shape)
{
    if (shape->tls == CLIENT_TLS_REQUIRED && !run->c.secure && (says(run, "MAIL") || says(run, "AUTH")))
        abort();
    if (shape->auth && !run->c.secure && says(run, "AUTH"))
        abort();
    if (client_step(&run->c) != CLIENT_TLS)
        return;
    if (shape->fails)
        client_tls_failed(&run->c, "no");
    else
        client_secured(&run->c);
}

/* How much is shown at once: one byte more, all, or (line) up to the next LF. */
enum cut { CUT_BYTE, CUT_LINE, CUT_ALL };

static size_t show(struct strv in, size_t seen, enum cut cut)
{
    size_t lf;

    if (cut == CUT_ALL || seen >= in.n)
        return in.n;
    if (cut == CUT_LINE && strv_find(strv_from(in, seen), '\n', &lf))
        return seen + lf + 1;
    return cut == CUT_LINE ? in.n : seen + 1;
}

static void play(struct run *run, struct strv in, enum cut cut, const struct shape *shape)
{
    struct client_message m = {
        .sender = SV_LIT("s@own.test"), .rcpts = rcpts, .rcpt_n = RCPTS, .size = sizeof body - 1
    };
    struct client_terms terms = { .tls = shape->tls, .nonce = SV_LIT("abcdefgh") };
    size_t seen = 0;

    *run = (struct run){ .message = (size_t)-1 };
    buf_init(&run->out, 1 << 20);
    buf_init(&run->results, 1 << 20);
    sasl_secret_init(&run->secret, SV_LIT("user"), SV_LIT("pencil"));
    terms.secret = shape->auth ? &run->secret : NULL;
    client_init(&run->c, &ops, run, &run->out, SV_LIT("own.test"), shape->lmtp);
    client_set_terms(&run->c, &terms);
    shake(run, shape);
    while (in.n && client_step(&run->c) != CLIENT_OVER) {
        size_t used;

        if (seen == in.n)
            break;
        seen = show(in, seen, cut);
        used = client_input(&run->c, strv_sub(in, 0, seen));
        in = strv_from(in, used);
        seen -= used;
        shake(run, shape);
        next_message(run, &m);
    }
    client_lost(&run->c, "connection lost");
    for (size_t k = 0; run->message != (size_t)-1 && k <= run->message; k++)
        for (size_t i = 0; i < RCPTS; i++)
            if (run->given[k][i] != 1)
                abort();
    check_out(buf_view(&run->out));
}

static void end(struct run *run)
{
    client_clear(&run->c);
    sasl_secret_clear(&run->secret);
    buf_clear(&run->out);
    buf_clear(&run->results);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv in = { (const char *)data, size };
    struct run all, line, byte;
    struct shape shape = { .lmtp = size && data[0] == 'L' };

    in = strv_from(in, shape.lmtp);
    /* 0x80 to 0x9f begin no reply. */
    if (size && (data[0] & 0xe0) == 0x80) {
        shape.tls = (enum client_tls)(data[0] & 3);
        shape.auth = data[0] & 4;
        shape.fails = data[0] & 8;
        shape.lmtp = data[0] & 16;
        in = strv_from(in, 1);
    }
    play(&all, in, CUT_ALL, &shape);
    /* A message begins when the client is ready, so only cuts that show each line's end alone must agree. */
    play(&line, in, CUT_LINE, &shape);
    play(&byte, in, CUT_BYTE, &shape);
    if (!strv_eq(buf_view(&line.out), buf_view(&byte.out)) ||
        !strv_eq(buf_view(&line.results), buf_view(&byte.results)))
        abort();
    end(&all);
    end(&line);
    end(&byte);
    return 0;
}
