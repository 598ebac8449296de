/* client_open.c - from the greeting to where a message may begin: EHLO, STARTTLS, AUTH */
#include "common/base/b64.h"
#include "deliverd/client_reply.h"

#define AUTH_LINE_MAX 500u /* RFC 4954 4: a longer first response waits to be asked for */

static void command(struct client *c, const char *verb, struct strv argument, enum client_step step)
{
    buf_adds(c->out, verb);
    buf_addv(c->out, argument);
    buf_adds(c->out, "\r\n");
    client_expect(c, step, 0);
}

static void say_hello(struct client *c)
{
    command(c, c->lmtp ? "LHLO " : "EHLO ", c->helo, CLIENT_EHLO);
}

/* Our own reason to leave this host. */
static void leave(struct client *c, enum client_step step, struct status s)
{
    client_die(c, client_own_words(c, step, OUTCOME_DEFERRED, CLIENT_OTHER_HOST, s), "given up");
}

static void leave_with(struct client *c, enum client_step step, struct status s, const char *why)
{
    buf_reset(&c->text);
    buf_adds(&c->text, why);
    leave(c, step, s);
}

/* Whatever a server says instead of yes, it speaks about itself or us, not about the message: next host. */
static void refused(struct client *c, enum client_step step)
{
    client_die(c, client_from_reply(c, step, OUTCOME_DEFERRED, CLIENT_OTHER_HOST), "ended by the server");
}

/* ---- AUTH ---- */

/* The best first: SCRAM shows nobody the password. */
static bool mechanism_choose(const struct client *c, enum sasl_mechanism *out)
{
    static const enum sasl_mechanism order[] = { SASL_SCRAM_SHA_256, SASL_PLAIN, SASL_LOGIN };

    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (c->mechanisms & (1u << order[i])) {
            *out = order[i];
            return true;
        }
    return false;
}

static void auth_begin(struct client *c)
{
    enum sasl_mechanism m;
    bool initial;

    if (!c->terms.secret) {
        c->state = CLIENT_IDLE;
        return;
    }
    if (!c->secure && !c->terms.clear_auth) {
        leave_with(c, CLIENT_AUTH, STATUS(4, 7, 4),
                   "the server does not speak TLS, and the password is not sent in the clear");
        return;
    }
    if (!mechanism_choose(c, &m)) {
        leave_with(c, CLIENT_AUTH, STATUS(4, 7, 4),
                   "the server offers no AUTH of PLAIN, LOGIN, SCRAM-SHA-256");
        return;
    }
    sasl_client_clear(&c->sasl);
    sasl_client_init(&c->sasl, m, c->terms.secret, c->terms.nonce);
    initial = sasl_client_initial(&c->sasl) && c->sasl.answer.len / 3 * 4 < AUTH_LINE_MAX - 30;
    if (!initial)
        c->sasl.round = 0;
    buf_addf(c->out, "AUTH %s%s", sasl_name(m), initial ? " " : "");
    if (initial)
        b64_encode(buf_view(&c->sasl.answer), c->out);
    command(c, "", SV_LIT(""), CLIENT_AUTH);
}

static void auth_failed(struct client *c)
{
    buf_reset(&c->text);
    buf_addf(&c->text, "AUTH %s: %s", sasl_name(c->sasl.mechanism), c->sasl.why);
    leave(c, CLIENT_AUTH, STATUS(4, 7, 8));
}

static void on_challenge(struct client *c)
{
    struct buf challenge;
    bool ok;

    buf_init(&challenge, REPLY_BYTES_MAX);
    ok = c->reply.lines == 1 && b64_decode(buf_view(&c->reply.text), &challenge);
    if (!ok)
        c->sasl.why = "its challenge makes no sense";
    ok = ok && sasl_client_answer(&c->sasl, buf_view(&challenge));
    buf_clear(&challenge);
    if (!ok) {
        auth_failed(c);
        return;
    }
    b64_encode(buf_view(&c->sasl.answer), c->out);
    command(c, "", SV_LIT(""), CLIENT_AUTH);
}

/* A server offers SCRAM for everybody and has its secrets for some; and what is offered need not work.
   Another mechanism gives the password to the same server, under the same TLS, that could have asked for it.
 */
static bool auth_other(struct client *c)
{
    enum sasl_mechanism m;

    if (c->sasl.mechanism != SASL_SCRAM_SHA_256 && c->reply.code != 504 && c->reply.code != 534)
        return false;
    c->mechanisms &= ~(1u << c->sasl.mechanism);
    if (!mechanism_choose(c, &m))
        return false;
    auth_begin(c);
    return true;
}

static void on_auth(struct client *c)
{
    struct client_result r;

    switch (reply_class(&c->reply)) {
    case 2:
        if (!sasl_client_is_done(&c->sasl)) {
            c->sasl.why = "it says yes before it has proved that it knows the password";
            auth_failed(c);
            return;
        }
        sasl_client_clear(&c->sasl);
        c->state = CLIENT_IDLE;
        return;
    case 3: on_challenge(c); return;
    case 5:
        if (auth_other(c))
            return;
        c->auth_refused = true;
        break;
    default: break;
    }
    /* Our configuration is wrong, not the message: it waits until that is mended. */
    r = client_from_reply(c, CLIENT_AUTH, OUTCOME_DEFERRED, CLIENT_OTHER_HOST);
    if (r.status.subject == 0)
        r.status = STATUS(4, 7, 8);
    client_die(c, r, "ended by the server");
}

/* ---- TLS ---- */

static void tls_begin(struct client *c)
{
    bool wanted = c->terms.tls == CLIENT_TLS_OFFERED || c->terms.tls == CLIENT_TLS_REQUIRED;

    if (c->secure || !wanted)
        auth_begin(c);
    else if (c->starttls)
        command(c, "STARTTLS", SV_LIT(""), CLIENT_STARTTLS);
    else if (c->terms.tls == CLIENT_TLS_OFFERED)
        auth_begin(c);
    else
        leave_with(c, CLIENT_EHLO, STATUS(4, 7, 4),
                   "the server does not offer STARTTLS, which the route requires");
}

static void on_starttls(struct client *c)
{
    if (c->reply.code == 220)
        c->state = CLIENT_SHAKING;
    else if (reply_class(&c->reply) == 2)
        leave_with(c, CLIENT_STARTTLS, STATUS(4, 5, 0), "the reply to STARTTLS is neither 220 nor a refusal");
    else if (c->terms.tls == CLIENT_TLS_REQUIRED)
        refused(c, CLIENT_STARTTLS);
    else
        auth_begin(c);
}

/* RFC 3207 4.2: what was learned in the clear is forgotten. */
void client_secured(struct client *c)
{
    if (c->state != CLIENT_SHAKING)
        return;
    c->secure = true;
    c->state = CLIENT_OPENING;
    c->pipelining = c->eight_bit = c->starttls = c->dsn = c->mt_priority = false;
    c->size_max = UINT64_MAX;
    c->mechanisms = 0;
    line_init(&c->line, REPLY_LINE_READ_MAX);
    reply_reset(&c->reply);
    if (c->terms.tls != CLIENT_TLS_IMPLICIT)
        say_hello(c);
}

void client_tls_failed(struct client *c, const char *why)
{
    struct client_result r;

    if (c->state != CLIENT_SHAKING)
        return;
    buf_reset(&c->text);
    buf_addf(&c->text, "TLS: %s", why);
    r = client_own_words(c, CLIENT_TLS, OUTCOME_DEFERRED, CLIENT_OTHER_HOST, STATUS(4, 7, 5));
    r.tls = true;
    client_die(c, r, "TLS failed");
}

/* ---- greeting, EHLO ---- */

static void on_greeting(struct client *c)
{
    if (c->reply.code == 220)
        say_hello(c);
    else
        refused(c, CLIENT_GREETING);
}

static void read_size(struct client *c, struct strv args)
{
    struct strv word;
    uint64_t n;

    c->size_max = 0; /* SIZE without a number, or 0: no fixed limit (RFC 1870 4) */
    if (strv_word(&args, &word) && strv_u64(word, UINT64_MAX - 1, &n))
        c->size_max = n;
}

static void read_mechanisms(struct client *c, struct strv args)
{
    struct strv word;
    enum sasl_mechanism m;

    while (strv_word(&args, &word))
        if (sasl_find(word, &m))
            c->mechanisms |= 1u << m;
}

static void read_capabilities(struct client *c)
{
    struct strv rest = buf_view(&c->reply.text), line, word;

    strv_cut(&rest, '\n', &line); /* the greeting */
    while (rest.p && strv_cut(&rest, '\n', &line)) {
        if (!strv_word(&line, &word))
            continue;
        if (strv_iis(word, "PIPELINING"))
            c->pipelining = true;
        else if (strv_iis(word, "8BITMIME"))
            c->eight_bit = true;
        else if (strv_iis(word, "DSN"))
            c->dsn = true;
        else if (strv_iis(word, "MT-PRIORITY"))
            c->mt_priority = true;
        else if (strv_iis(word, "SIZE"))
            read_size(c, line);
        else if (strv_iis(word, "STARTTLS"))
            c->starttls = true;
        else if (strv_iis(word, "AUTH"))
            read_mechanisms(c, line);
        else if (strv_istarts(word, SV_LIT("AUTH="))) /* as servers wrote it before RFC 2554 */
            read_mechanisms(c, strv_make(word.p + 5, (size_t)(line.p + line.n - word.p) - 5));
    }
}

static void on_ehlo(struct client *c)
{
    if (reply_class(&c->reply) == 2) {
        read_capabilities(c);
        tls_begin(c);
    } else if (reply_class(&c->reply) == 5 && !c->lmtp) {
        command(c, "HELO ", c->helo, CLIENT_HELO); /* RFC 5321 3.2: servers from before ESMTP */
    } else {
        refused(c, CLIENT_EHLO);
    }
}

static void on_helo(struct client *c)
{
    if (reply_class(&c->reply) == 2)
        tls_begin(c);
    else
        refused(c, CLIENT_HELO);
}

void client_open_reply(struct client *c, enum client_step step)
{
    switch (step) {
    case CLIENT_GREETING: on_greeting(c); return;
    case CLIENT_EHLO: on_ehlo(c); return;
    case CLIENT_HELO: on_helo(c); return;
    case CLIENT_STARTTLS: on_starttls(c); return;
    case CLIENT_AUTH: on_auth(c); return;
    case CLIENT_TLS:
    case CLIENT_READY:
    case CLIENT_RSET:
    case CLIENT_MAIL:
    case CLIENT_RCPT:
    case CLIENT_DATA:
    case CLIENT_BODY:
    case CLIENT_END:
    case CLIENT_QUIT:
    case CLIENT_OVER: return;
    }
}
