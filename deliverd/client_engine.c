/* client_engine.c - the client's side of SMTP as a script of commands and a queue of expected replies
 *
 * A message is the script RSET? MAIL RCPT... DATA body. send_more sends as much of it as the window allows;
 * each reply changes what is known about the recipients and lets send_more go on. The states:
 *
 *   OPENING --220, EHLO (or HELO) accepted--> IDLE --client_begin--> BUSY --354--> SENDING --final dot-->
 * BUSY BUSY, every reply in --> IDLE;  any state --421, loss, nonsense--> DEAD
 *   OPENING --STARTTLS accepted--> SHAKING --client_secured--> OPENING, from EHLO on
 */
#include "deliverd/client_engine.h"

#include "common/base/mem.h"
#include "common/mail/params.h"
#include "common/mail/priority.h"
#include "deliverd/client_reply.h"

#include <stdlib.h>

/* One row per step: words for people, patience. */
static const struct {
    const char *name, *doing;
    int64_t timeout_ms;
} steps[] = {
    /* RFC 5321 4.5.3.2 asks for 5 minutes at most steps; whoever needs more than one to greet will not take
    mail   at a useful rate, and the next host waits. */
    [CLIENT_GREETING] = { "greeting", "waiting for the greeting", 60000 },
    [CLIENT_EHLO] = { "ehlo", "waiting for the reply to EHLO", 60000 },
    [CLIENT_HELO] = { "helo", "waiting for the reply to HELO", 60000 },
    [CLIENT_STARTTLS] = { "starttls", "waiting for the reply to STARTTLS", 60000 },
    [CLIENT_TLS] = { "tls", "waiting for the TLS handshake", 60000 },
    /* Some servers let who comes with a wrong password wait. */
    [CLIENT_AUTH] = { "auth", "waiting for the reply to AUTH", 120000 },
    [CLIENT_READY] = { "idle", "idle", 0 },
    [CLIENT_RSET] = { "rset", "waiting for the reply to RSET", 30000 },
    [CLIENT_MAIL] = { "mail", "waiting for the reply to MAIL FROM", 120000 },
    /* Sender callouts and greylisting daemons on the far side live within this. */
    [CLIENT_RCPT] = { "rcpt", "waiting for the reply to RCPT TO", 180000 },
    [CLIENT_DATA] = { "data", "waiting for the reply to DATA", 120000 },
    [CLIENT_BODY] = { "body", "sending the message", 180000 },
    [CLIENT_END] = { "end", "waiting for the reply to the end of the message", 600000 },
    [CLIENT_QUIT] = { "quit", "waiting for the reply to QUIT", 5000 },
    [CLIENT_OVER] = { "over", "closing", 0 },
};

const char *client_step_name(enum client_step step)
{
    return steps[step].name;
}

const char *client_step_doing(enum client_step step)
{
    return steps[step].doing;
}

int64_t client_timeout_ms(enum client_step step)
{
    return steps[step].timeout_ms;
}

enum client_step client_step(const struct client *c)
{
    switch (c->state) {
    case CLIENT_OPENING:
    case CLIENT_BUSY: return c->pending ? (enum client_step)c->expect[c->head].step : CLIENT_READY;
    case CLIENT_SHAKING: return CLIENT_TLS;
    case CLIENT_IDLE: return CLIENT_READY;
    case CLIENT_SENDING: return CLIENT_BODY;
    case CLIENT_DEAD: return CLIENT_OVER;
    }
    return CLIENT_OVER;
}

/* ---- commands ---- */

void client_expect(struct client *c, enum client_step step, size_t rcpt)
{
    c->expect[(c->head + c->pending++) % CLIENT_WINDOW] =
        (struct client_expect){ .step = (uint8_t)step, .rcpt = (uint32_t)rcpt };
    if (c->trace)
        client_trace_sent(c, step);
}

/* " NAME=value" when write can make a value of text; else nothing. */
static void parameter(struct client *c, const char *name, struct strv text,
                      bool (*write)(struct strv text, struct buf *out))
{
    size_t from = c->out->len;

    buf_adds(c->out, name);
    if (!write(text, c->out))
        buf_cut(c->out, from);
}

static void send_mail_dsn(struct client *c)
{
    if (c->message->ret)
        buf_adds(c->out, c->message->ret == 1 ? " RET=FULL" : " RET=HDRS");
    if (c->message->envid.n)
        parameter(c, " ENVID=", c->message->envid, param_envid_write);
}

static void send_rcpt_dsn(struct client *c, const struct client_dsn *dsn)
{
    if (dsn->notify) {
        buf_adds(c->out, " NOTIFY=");
        param_notify_write(dsn->notify, c->out);
    }
    if (dsn->orcpt.n)
        parameter(c, " ORCPT=", dsn->orcpt, param_orcpt_write);
}

static void send_mail(struct client *c)
{
    const struct client_message *m = c->message;
    int level;

    buf_adds(c->out, "MAIL FROM:<");
    buf_addv(c->out, m->sender);
    buf_adds(c->out, ">");
    if (c->size_max != UINT64_MAX)
        buf_addf(c->out, " SIZE=%llu", (unsigned long long)m->size);
    /* Without 8BITMIME an 8-bit message goes out as it is: every server of today passes it through, a
       conversion would break signatures, and the bounce that RFC 6152 3 allows instead would lose mail. */
    if (c->eight_bit && m->eight_bit)
        buf_adds(c->out, " BODY=8BITMIME");
    if (c->dsn && (m->ret || m->envid.n))
        send_mail_dsn(c);
    if (c->mt_priority && priority_level(m->priority, &level))
        buf_addf(c->out, " MT-PRIORITY=%d", level);
    buf_adds(c->out, "\r\n");
    client_expect(c, CLIENT_MAIL, 0);
}

static void send_rcpt(struct client *c)
{
    size_t i = c->rcpt_next++;

    buf_adds(c->out, "RCPT TO:<");
    buf_addv(c->out, c->message->rcpts[i]);
    buf_adds(c->out, ">");
    if (c->dsn && c->message->dsn)
        send_rcpt_dsn(c, &c->message->dsn[i]);
    buf_adds(c->out, "\r\n");
    c->rcpt_asked++;
    client_expect(c, CLIENT_RCPT, i);
}

/* One command of the script. */
static void send_one(struct client *c)
{
    switch (c->next) {
    case CLIENT_RSET:
        buf_adds(c->out, "RSET\r\n");
        client_expect(c, CLIENT_RSET, 0);
        c->next = CLIENT_MAIL;
        return;
    case CLIENT_MAIL:
        send_mail(c);
        c->next = CLIENT_RCPT;
        return;
    case CLIENT_RCPT:
        send_rcpt(c);
        if (c->rcpt_next == c->message->rcpt_n)
            c->next = CLIENT_DATA;
        return;
    case CLIENT_DATA:
        /* All refused, and we know: no DATA. With replies still missing it is sent on trust (RFC 2920 3.1).
         */
        if (c->accepted || c->rcpt_asked) {
            buf_adds(c->out, "DATA\r\n");
            client_expect(c, CLIENT_DATA, 0);
        }
        c->next = CLIENT_BODY;
        return;
    case CLIENT_GREETING:
    case CLIENT_EHLO:
    case CLIENT_HELO:
    case CLIENT_STARTTLS:
    case CLIENT_TLS:
    case CLIENT_AUTH:
    case CLIENT_READY:
    case CLIENT_BODY:
    case CLIENT_END:
    case CLIENT_QUIT:
    case CLIENT_OVER: return;
    }
}

void client_send_more(struct client *c)
{
    unsigned window = c->pipelining ? CLIENT_WINDOW - 2 : 1;

    while (c->state == CLIENT_BUSY && c->next != CLIENT_BODY && c->pending < window)
        send_one(c);
    if (c->state == CLIENT_BUSY && c->pending == 0) {
        /* Every command has its reply, and nothing was left to send: the message is over. */
        c->message = NULL;
        c->state = CLIENT_IDLE;
    }
}

/* ---- the body ---- */

void client_body_begin(struct client *c)
{
    dot_encode_init(&c->dot);
    c->state = CLIENT_SENDING;
    client_more_body(c);
}

static void body_end(struct client *c)
{
    if (!dot_encode_end(&c->dot, c->out)) {
        client_fail_message(c, "the message holds a bare CR or LF, which RFC 5321 2.3.8 forbids to send");
        return;
    }
    c->state = CLIENT_BUSY;
    c->end_next = 0;
    c->end_code = 0;
    client_expect(c, CLIENT_END, 0);
}

void client_more_body(struct client *c)
{
    struct strv piece;

    while (c->state == CLIENT_SENDING && c->out->len < CLIENT_BODY_AHEAD) {
        switch (c->ops->body(c->arg, CLIENT_BODY_AHEAD / 2, &piece)) {
        case CLIENT_BODY_PIECE:
            if (!dot_encode(&c->dot, piece, c->out))
                client_fail_message(
                    c, "the message holds a bare CR or LF, which RFC 5321 2.3.8 forbids to send");
            break;
        case CLIENT_BODY_WAIT: return;
        case CLIENT_BODY_END: body_end(c); return;
        case CLIENT_BODY_BROKEN: client_fail_read(c); return;
        }
    }
}

/* ---- in and out ---- */

void client_begin(struct client *c, const struct client_message *m)
{
    if (m->rcpt_n > c->rcpt_cap) {
        c->rcpt_state = mem_resize(c->rcpt_state, m->rcpt_n, 1);
        c->rcpt_cap = m->rcpt_n;
    }
    memset(c->rcpt_state, 0, m->rcpt_n);
    c->message = m;
    c->rcpt_next = c->rcpt_asked = c->accepted = 0;
    c->rcpt_open = m->rcpt_n;
    c->replies = 0;
    /* RFC 1870 6.1: it need not even be tried. */
    if (c->size_max != UINT64_MAX && c->size_max && m->size > c->size_max) {
        client_fail_size(c);
        c->message = NULL;
        return;
    }
    c->messages++;
    c->next = c->need_rset ? CLIENT_RSET : CLIENT_MAIL;
    c->need_rset = true;
    c->state = CLIENT_BUSY;
    client_send_more(c);
}

void client_quit(struct client *c)
{
    if (c->state == CLIENT_IDLE) {
        buf_adds(c->out, "QUIT\r\n");
        c->state = CLIENT_BUSY;
        c->next = CLIENT_BODY;
        client_expect(c, CLIENT_QUIT, 0);
    } else {
        c->state = CLIENT_DEAD;
    }
}

static const char *bad_line(enum line_result r)
{
    switch (r) {
    case LINE_TOO_LONG: return "a line is too long";
    case LINE_NUL: return "a line holds a NUL";
    case LINE_BARE_LF: return "a line ends in LF without CR";
    case LINE_BARE_CR: return "a line holds a CR without LF";
    case LINE_FLOOD: return "a line does not end";
    case LINE_NONE:
    case LINE_OK: break;
    }
    return "";
}

/* The code that the reply to the end of the message begins with: what follows may be beyond any parser. */
static void peek_end(struct client *c, struct strv in)
{
    bool begun = c->reply.lines && !c->reply.done;

    if (client_step(c) != CLIENT_END || begun || c->line.skipping || in.n < 4)
        return;
    for (size_t i = 0; i < 3; i++)
        if (!byte_is_digit((unsigned char)in.p[i]))
            return;
    if (!byte_is_digit((unsigned char)in.p[3]))
        c->end_code = (in.p[0] - '0') * 100 + (in.p[1] - '0') * 10 + (in.p[2] - '0');
}

/* INCIDENTS 6: what stands behind the reply to STARTTLS came in the clear from anybody, and must never be
   taken for the server's words under TLS. */
static bool is_injected(struct client *c, struct strv rest)
{
    if (c->state == CLIENT_SHAKING && rest.n)
        client_protocol_error(c, "it speaks in the clear where TLS begins");
    return c->state == CLIENT_SHAKING;
}

size_t client_input(struct client *c, struct strv in)
{
    size_t used = 0;

    while (c->state != CLIENT_DEAD && !is_injected(c, strv_from(in, used))) {
        struct strv line;
        size_t n = 0;
        enum line_result r;

        peek_end(c, strv_from(in, used));
        r = line_next(&c->line, strv_from(in, used), &line, &n);
        used += n;
        if (r == LINE_NONE)
            return used;
        if (r != LINE_OK) {
            client_protocol_error(c, bad_line(r));
            break;
        }
        if (c->trace)
            client_trace_received(c, line);
        switch (reply_feed(&c->reply, line)) {
        case REPLY_MORE: break;
        case REPLY_DONE: client_reply(c); break;
        case REPLY_BAD: client_protocol_error(c, reply_error(&c->reply)); break;
        }
    }
    return in.n;
}

void client_init(struct client *c, const struct client_ops *ops, void *arg, struct buf *out, struct strv helo,
                 bool lmtp)
{
    *c = (struct client){ .ops = ops, .arg = arg, .out = out, .helo = helo, .lmtp = lmtp };
    c->size_max = UINT64_MAX;
    c->next = CLIENT_BODY;
    line_init(&c->line, REPLY_LINE_READ_MAX);
    reply_init(&c->reply);
    buf_init(&c->text, CLIENT_TEXT_MAX);
    buf_init(&c->failure_text, CLIENT_TEXT_MAX);
    client_expect(c, CLIENT_GREETING, 0);
}

void client_set_terms(struct client *c, const struct client_terms *terms)
{
    c->terms = *terms;
    if (terms->tls == CLIENT_TLS_IMPLICIT)
        c->state = CLIENT_SHAKING;
}

void client_clear(struct client *c)
{
    sasl_client_clear(&c->sasl);
    reply_clear(&c->reply);
    buf_clear(&c->text);
    buf_clear(&c->failure_text);
    MEM_FREE(c->rcpt_state);
}
