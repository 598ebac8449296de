/* ctl.c - the answers that a client would get, for an operator: the engine itself, with nothing behind it */
#include "smtpd/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/ipc/ctl.h"
#include "conf/auth.h"
#include "smtpd/engine.h"

#define WORD_MAX 1024u

struct dry {
    struct engine engine;
    struct service service;
    struct buf out, line;
    struct ctl_call *call;
    char rule[400]; /* of the last refusal */
    bool refused;
    bool senders_wanted; /* auth.senders decides, and nobody has asked it yet */
};

static bool tx_ready(void *arg)
{
    (void)arg;
    return true;
}

static void tx_nothing(void *arg)
{
    (void)arg;
}

static void tx_rcpt(void *arg, unsigned index, struct strv rcpt, bool local)
{
    (void)arg;
    (void)index;
    (void)rcpt;
    (void)local;
}

static size_t tx_room(void *arg)
{
    (void)arg;
    return 0;
}

static void tx_body(void *arg, struct strv data)
{
    (void)arg;
    (void)data;
}

static void tx_end(void *arg, struct strv rest, uint64_t size, unsigned rcpts)
{
    (void)arg;
    (void)rest;
    (void)size;
    (void)rcpts;
}

static void told(void *arg, const char *rule)
{
    struct dry *d = arg;

    d->refused = true;
    snprintf(d->rule, sizeof d->rule, "%s", rule ? rule : "");
}

/* The caller asks mapd and calls again: the answer is argument `allowed`. */
static void tx_sender(void *arg, struct strv login)
{
    struct dry *d = arg;

    (void)login;
    d->senders_wanted = !ctl_text(d->call, "allowed").p;
}

static const struct engine_ops dry_ops = {
    .sender = tx_sender,
    .tx_ready = tx_ready,
    .tx_open = tx_nothing,
    .tx_rcpt = tx_rcpt,
    .tx_room = tx_room,
    .tx_body = tx_body,
    .tx_end = tx_end,
    .tx_abort = tx_nothing,
    .told = told,
};

/* One row: what the client says, what it hears, and why. */
static void reply_row(struct dry *d, struct strv command)
{
    ctl_row(d->call, "reply");
    ctl_put(d->call, "command", command);
    ctl_put(d->call, "reply", strv_trim(buf_view(&d->out)));
    ctl_put(d->call, "rule", SV(d->rule));
    ctl_row_end(d->call);
    buf_reset(&d->out);
    d->rule[0] = '\0';
}

/* Whether the recipient exists is cleanup's to say: mtactl has asked it. */
static struct tx_answer recipient_answer(const struct dry *d)
{
    struct tx_answer a = { .verdict = TX_ACCEPT, .enhanced = SV(""), .text = SV(""), .rule = SV("") };
    uint64_t code = 0;

    if (!ctl_number(d->call, "rcpt_code", &code) || code < 400 || code > 599)
        return a;
    a.code = (int)code;
    a.verdict = code < 500 ? TX_TEMPFAIL : TX_REFUSE;
    a.enhanced = ctl_text(d->call, "rcpt_enhanced");
    a.text = ctl_text(d->call, "rcpt_text");
    a.rule = ctl_text(d->call, "rcpt_rule");
    return a;
}

/* False when the client would not come further. */
static bool say(struct dry *d, const char *before, struct strv word, const char *after)
{
    const struct tx_answer exists = recipient_answer(d);
    size_t used = 0;

    buf_reset(&d->line);
    buf_adds(&d->line, before);
    buf_addv(&d->line, word);
    buf_adds(&d->line, after);
    buf_adds(&d->line, "\r\n");
    engine_input(&d->engine, buf_view(&d->line), &used);
    if (d->engine.wait == AWAIT_NAME)
        engine_name(&d->engine, SV(""));
    if (d->engine.wait == AWAIT_SENDER && !d->senders_wanted)
        engine_sender_answer(&d->engine, ctl_text(d->call, "allowed"));
    if (d->senders_wanted)
        return false;
    if (d->engine.wait == AWAIT_RCPT)
        engine_rcpt_answer(&d->engine, &exists);
    reply_row(d, strv_trim(buf_view(&d->line)));
    return !d->refused;
}

static bool word_is_clean(struct strv word)
{
    for (size_t i = 0; i < word.n; i++)
        if ((unsigned char)word.p[i] < 32 || word.p[i] == 127)
            return false;
    return word.n <= WORD_MAX;
}

static const struct conf_listen *listener_of(const struct conf *conf, struct strv name)
{
    if (name.p)
        return conf_listen_find(conf, name);
    return conf->listen_n > 0 ? conf->listens[0] : NULL;
}

/* The handshake is taken for granted. */
static bool start_tls(struct dry *d, struct strv helo)
{
    if (!say(d, "STARTTLS", SV_LIT(""), ""))
        return false;
    engine_secured(&d->engine, SV_LIT("TLS"));
    return say(d, "EHLO ", helo, "");
}

/* So is the password: whoever asks may read the file of secrets as well. */
static bool log_in(struct dry *d, struct strv login)
{
    struct engine *e = &d->engine;
    struct buf text;

    if (!e->tls || e->service->listen->auth == CONF_AUTH_NONE || !e->service->conf->auth)
        return say(d, "AUTH PLAIN", SV_LIT(""), ""); /* refused */
    buf_init(&text, 2 * WORD_MAX);
    for (size_t i = 0; i < login.n; i++)
        buf_addc(&text, byte_lower(login.p[i]));
    if (!strv_has(login, '@'))
        buf_addf(&text, "@%s", e->service->conf->auth->realm);
    free(e->login);
    e->login = strv_dup(buf_view(&text));
    e->own = true;
    buf_clear(&text);
    reply_put(&d->out, RE_AUTH_OK, SV_LIT(""));
    reply_row(d, SV_LIT("AUTH (the password is taken to be right)"));
    return true;
}

static void converse(struct dry *d, const struct netaddr *client)
{
    struct strv name = ctl_text(d->call, "name"), helo = ctl_text(d->call, "helo");
    struct strv login = ctl_text(d->call, "auth");
    bool implicit = d->service.listen->tls == CONF_TLS_IMPLICIT;

    if (!helo.p)
        helo = SV_LIT("client.invalid");
    engine_init(&d->engine, &d->service, client, &dry_ops, d);
    d->engine.out = &d->out;
    if (implicit)
        engine_secured(&d->engine, SV_LIT("TLS"));
    else
        engine_start(&d->engine, false);
    engine_name(&d->engine, name.p ? name : SV(""));
    reply_row(d, SV_LIT("(connect)"));
    if (say(d, "EHLO ", helo, "") && (implicit || !ctl_text(d->call, "tls").p || start_tls(d, helo)) &&
        (!login.p || log_in(d, login)) && say(d, "MAIL FROM:<", ctl_text(d->call, "from"), ">"))
        say(d, "RCPT TO:<", ctl_text(d->call, "to"), ">");
    if (d->senders_wanted) {
        ctl_row(d->call, "need");
        ctl_put(d->call, "map", SV(d->service.conf->auth->senders));
        ctl_put(d->call, "key", SV(d->engine.login));
        ctl_row_end(d->call);
    }
    engine_clear(&d->engine);
}

struct asked {
    const struct conf *conf;
    bool tls; /* there is a certificate */
};

static void on_policy(void *arg, struct ctl_call *call)
{
    const struct asked *asked = arg;
    const struct conf *conf = asked->conf;
    const struct conf_listen *listen = listener_of(conf, ctl_text(call, "listener"));
    struct dry d = { .call = call };
    struct netaddr client;

    if (!listen) {
        ctl_done(call, EX_DATAERR, "there is no such listener");
        return;
    }
    if (!netaddr_parse_ip(ctl_text(call, "client"), &client)) {
        ctl_done(call, EX_USAGE, "--client takes an IP address");
        return;
    }
    if (!word_is_clean(ctl_text(call, "helo")) || !word_is_clean(ctl_text(call, "from")) ||
        !word_is_clean(ctl_text(call, "to")) || !word_is_clean(ctl_text(call, "name")) ||
        !word_is_clean(ctl_text(call, "auth"))) {
        ctl_done(call, EX_USAGE, "control bytes, or too long");
        return;
    }
    service_init(&d.service, conf, listen);
    service_set_tls(&d.service, asked->tls);
    buf_init(&d.out, 65536);
    buf_init(&d.line, 8192);
    converse(&d, &client);
    buf_clear(&d.out);
    buf_clear(&d.line);
    service_clear(&d.service);
    if (d.refused)
        ctl_done(call, 1, "refused");
    else
        ctl_done(call, 0, NULL);
}

static const struct ctl_act acts[] = {
    { "policy", on_policy, false },
    { .name = NULL },
};

void smtpd_ctl_client(struct loop *loop, const struct conf *conf, bool tls, int fd)
{
    static struct ctl_server *server;
    static struct asked asked;

    asked = (struct asked){ conf, tls };
    if (!server)
        server = ctl_server_new(loop, ROLE_SMTPD, acts, &asked);
    ctl_server_client(server, fd);
}
