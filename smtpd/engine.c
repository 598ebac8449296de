/* engine.c - one SMTP session: input to verbs or data, answers back to what waited, the ends of a session */
#include "smtpd/engine.h"

#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/mail/command.h"
#include "common/mail/domain.h"
#include "conf/conf.h"
#include "smtpd/report.h"
#include "smtpd/verbs.h"

#include <stdio.h>
#include <stdlib.h>

/* Replies gathered before they must leave: a client that sends and never reads costs this much and no more.
 */
#define OUT_SOFT_MAX 16384u

/* Commands without use that a stranger may say between two messages while few sessions are left: with the
   default of crowded_timeout he is gone after the five minutes of RFC 5321 4.5.3.2.7. */
#define IDLE_MAX 10u

#define NOTHING strv_make("", 0)

void engine_init(struct engine *e, struct service *sv, const struct netaddr *client,
                 const struct engine_ops *ops, void *arg)
{
    memset(e, 0, sizeof *e);
    e->service = sv;
    e->ops = ops;
    e->arg = arg;
    e->client = *client;
    e->own = sv->conf->relay && conf_networks_contain(&sv->conf->relay->from, client);
    e->phase = PH_START;
    id_text(id_new(), e->sid);
    netaddr_ip_text(client, e->client_text, sizeof e->client_text);
    line_init(&e->lines, COMMAND_LINE_MAX);
    body_begin(&e->body);
}

void engine_clear(struct engine *e)
{
    if (e->envelope.tx == TX_OPENED || e->envelope.tx == TX_ENDED)
        e->ops->tx_abort(e->arg);
    e->envelope.tx = TX_NONE;
    path_clear(&e->envelope.sender);
    engine_rcpt_forget(e);
    MEM_FREE(e->envelope.envid);
    body_clear(&e->body);
    MEM_FREE(e->client_name);
    MEM_FREE(e->helo);
    MEM_FREE(e->cipher);
    MEM_FREE(e->login);
    engine_auth_end(e);
}

void engine_rcpt_forget(struct engine *e)
{
    path_clear(&e->envelope.rcpt);
    MEM_FREE(e->envelope.rcpt_orcpt);
    e->envelope.rcpt_notify = 0;
}

enum engine_step engine_reply(struct engine *e, enum reply_id id)
{
    reply_put(e->out, id, NOTHING);
    return STEP_NEXT;
}

enum engine_step engine_close(struct engine *e, enum engine_end how)
{
    if (e->phase != PH_ENDED) {
        e->last_phase = e->phase;
        e->end = how;
    }
    e->phase = PH_ENDED;
    e->wait = AWAIT_NOTHING;
    return STEP_CLOSE;
}

enum engine_step engine_count_error(struct engine *e, int code)
{
    e->refused_total++;
    /* 4xx is our trouble or a limit that a good client meets, too. */
    if (code < 500 || e->phase == PH_ENDED)
        return e->phase == PH_ENDED ? STEP_CLOSE : STEP_NEXT;
    if (++e->errors < e->service->listen->max_errors)
        return STEP_NEXT;
    engine_reply(e, RE_TOO_MANY_ERRORS);
    return engine_close(e, END_ERRORS);
}

enum engine_step engine_refuse(struct engine *e, enum reply_id id, struct strv detail)
{
    size_t from = e->out->len;

    reply_put(e->out, id, detail);
    report_refused(e, "command", strv_from(buf_view(e->out), from), reply_table[id].name);
    return engine_count_error(e, reply_table[id].code);
}

/* A refusal after which nothing of this client can be trusted to mean what it seems to. */
static enum engine_step refuse_and_close(struct engine *e, enum reply_id id)
{
    size_t from = e->out->len;

    reply_put(e->out, id, NOTHING);
    report_refused(e, "command", strv_from(buf_view(e->out), from), reply_table[id].name);
    e->refused_total++;
    return engine_close(e, END_PROTOCOL);
}

void engine_reset(struct engine *e)
{
    struct envelope *v = &e->envelope;

    if (v->tx == TX_OPENED || v->tx == TX_ENDED)
        e->ops->tx_abort(e->arg);
    path_clear(&v->sender);
    engine_rcpt_forget(e);
    free(v->envid);
    *v = (struct envelope){ .tx = TX_NONE };
    body_clear(&e->body);
    e->ending = false;
    e->wait = AWAIT_NOTHING;
    if (e->phase & (PH_MAIL | PH_RCPT | PH_BODY))
        e->phase = PH_READY;
}

enum engine_step engine_start(struct engine *e, bool early)
{
    if (e->service->unavailable) {
        engine_reply(e, RE_NOT_HERE);
        return engine_close(e, END_UNAVAILABLE);
    }
    /* INCIDENTS: what is sent before the greeting was not meant for this server (or is a bot's). */
    if (early && e->service->strict_sync)
        return refuse_and_close(e, RE_EARLY);
    reply_put(e->out, RE_GREETING, buf_view(&e->service->greeting));
    e->phase = PH_GREETED;
    return STEP_READ;
}

/* The verb and its first word. */
static struct strv without_secret(struct strv line, struct strv argument)
{
    size_t at;

    if (!strv_find(argument, ' ', &at))
        return line;
    return strv_sub(line, 0, (size_t)(argument.p - line.p) + at);
}

/* Each command gets its client the time of one command anew (deadline.c), so NOOP would hold a place that
   others need for as long as the session may last. Who sends mail begins anew with each message. */
static bool idles_in_crowd(struct engine *e, const struct verb *v)
{
    if (!(v->flags & V_IDLE) || ((v->run == verb_ehlo || v->run == verb_helo) && !e->helo))
        return false;
    return ++e->idle > IDLE_MAX && e->service->crowded && !e->own && !e->login;
}

static enum engine_step command_run(struct engine *e, bool more_behind)
{
    struct strv name = { NULL, 0 }, argument = NOTHING;
    const struct verb *v = NULL;

    bool secret = e->after_auth;

    e->after_auth = false;
    if (command_split(e->line, &name, &argument))
        v = verb_find(name);
    /* A client that did not read our answer to AUTH sends its login now, and its password behind it. */
    if (!v && secret) {
        e->line = SV_LIT("(behind AUTH)");
        e->after_auth = true;
    }
    if (!v)
        return engine_refuse(e, e->line.n > 0 && name.p ? RE_UNKNOWN : RE_SYNTAX, NOTHING);
    if (v->flags & V_SECRET) {
        e->line = without_secret(e->line, argument);
        e->after_auth = true; /* until the exchange begins, whatever refuses it */
    }
    if (e->draining && !(e->phase & (PH_MAIL | PH_RCPT)) && !(v->flags & V_DRAIN_OK))
        return engine_expire(e, RE_SHUTDOWN, END_SHUTDOWN);
    if (e->service->listen->tls == CONF_TLS_REQUIRE && !e->tls && !(v->flags & (V_CLEAR_OK | V_FATAL)))
        return engine_refuse(e, RE_NEED_TLS, NOTHING);
    if (idles_in_crowd(e, v)) {
        metric_add(METRIC_HURRIED, 0, 1);
        return engine_expire(e, RE_IDLE_COMMANDS, END_COMMANDS);
    }
    /* Before the order is judged: data behind a DATA that would be refused must never be read as commands. */
    if ((v->flags & V_LAST) && more_behind && e->service->strict_sync)
        return refuse_and_close(e, RE_SYNC);
    if (!(v->phases & e->phase))
        return engine_refuse(e, verb_order(v, e), NOTHING);
    if ((v->flags & V_NO_ARGUMENT) && argument.n > 0)
        return engine_refuse(e, RE_ARGUMENT, NOTHING);
    if (v->flags & V_FATAL)
        return refuse_and_close(e, v->reply);
    return v->run ? v->run(e, argument) : engine_refuse(e, v->reply, NOTHING);
}

static enum engine_step command_input(struct engine *e, struct strv in, size_t *used)
{
    enum line_result result = line_next(&e->lines, in, &e->line, used);

    if (result == LINE_NONE)
        return STEP_READ;
    e->commands_total++;
    if (++e->commands > e->service->listen->max_commands)
        return engine_expire(e, RE_TOO_MANY_COMMANDS, END_COMMANDS);
    switch (result) {
    case LINE_OK: return command_run(e, in.n > *used);
    case LINE_TOO_LONG: return engine_refuse(e, RE_LINE_LONG, NOTHING);
    case LINE_NUL: return engine_refuse(e, RE_LINE_NUL, NOTHING);
    case LINE_BARE_LF: return refuse_and_close(e, RE_BARE_LF);
    case LINE_BARE_CR: return refuse_and_close(e, RE_BARE_CR);
    case LINE_FLOOD: return refuse_and_close(e, RE_LINE_FLOOD);
    case LINE_NONE: break;
    }
    return STEP_READ;
}

enum engine_step engine_input(struct engine *e, struct strv in, size_t *used)
{
    enum engine_step step = STEP_NEXT;

    *used = 0;
    while (step == STEP_NEXT) {
        struct strv rest = strv_from(in, *used);
        enum engine_phase was = e->phase;
        size_t n = 0;

        if (e->phase == PH_ENDED)
            return STEP_CLOSE;
        if (e->phase == PH_START)
            return STEP_READ;
        if (e->wait != AWAIT_NOTHING)
            return STEP_WAIT;
        if (e->out->len > OUT_SOFT_MAX)
            return STEP_FLUSH;
        step = e->phase == PH_BODY   ? data_input(e, rest, &n)
               : e->phase == PH_AUTH ? auth_input(e, rest, &n)
                                     : command_input(e, rest, &n);
        if (e->followed && n > 0)
            e->ops->followed(e->arg, was, was == PH_BODY ? NOTHING : e->line);
        e->line = NOTHING;
        *used += n;
    }
    return step;
}

void engine_name(struct engine *e, struct strv name)
{
    if (!e->name_pending)
        return;
    e->name_pending = false;
    if (name.n > 0 && domain_ok(name, 0, NULL))
        e->client_name = strv_dup(name);
    if (e->wait == AWAIT_NAME) {
        e->wait = AWAIT_NOTHING;
        policy_resume(e, NULL);
    }
}

void engine_cleanup(struct engine *e, bool ready)
{
    struct refusal r = { .id = RE_TEMPORARY, .rule = "no-cleanup" };

    if (e->wait != AWAIT_CLEANUP)
        return;
    e->wait = AWAIT_NOTHING;
    policy_resume(e, ready ? NULL : &r);
}

/* Cleanup's words, or the usual ones when they do not fit its verdict. */
static struct refusal answer_refusal(const struct tx_answer *a)
{
    struct refusal r = { .id = RE_TEMPORARY, .enhanced = a->enhanced, .text = a->text };
    int class = a->verdict == TX_REFUSE ? 5 : 4;

    if (a->rule.n > 0)
        snprintf(r.rule, sizeof r.rule, "%.*s", (int)a->rule.n, a->rule.p);
    else
        snprintf(r.rule, sizeof r.rule, "cleanup");
    if (a->code / 100 == class)
        r.code = a->code;
    else if (a->verdict == TX_REFUSE)
        r.code = 550;
    else
        r.code = 451;
    if (r.enhanced.n == 0 || r.enhanced.p[0] != '0' + class)
        r.enhanced = class == 5 ? SV_LIT("5.0.0") : SV_LIT("4.3.0");
    if (r.text.n == 0)
        r.text = class == 5 ? SV_LIT("Not accepted") : SV(reply_table[RE_TEMPORARY].text);
    return r;
}

void engine_rcpt_answer(struct engine *e, const struct tx_answer *a)
{
    struct refusal r;

    if (e->wait != AWAIT_RCPT)
        return;
    e->wait = AWAIT_NOTHING;
    if (a->verdict == TX_ACCEPT) {
        policy_resume(e, NULL);
        return;
    }
    r = answer_refusal(a);
    policy_resume(e, &r);
}

static void message_refused(struct engine *e, const struct refusal *r)
{
    e->wait = AWAIT_NOTHING;
    e->ending = false;
    e->policy = POLICY_MESSAGE;
    policy_refuse(e, r);
}

void engine_done(struct engine *e, const struct tx_answer *a)
{
    char id[ID_TEXT_SIZE];
    struct refusal r;

    if (e->wait != AWAIT_DONE)
        return;
    e->envelope.tx = TX_NONE; /* whatever the verdict: cleanup has forgotten it */
    if (a->verdict != TX_ACCEPT) {
        r = answer_refusal(a);
        message_refused(e, &r);
        return;
    }
    id_text(e->envelope.id, id);
    reply_put(e->out, RE_QUEUED, SV(id));
    e->messages++;
    e->rcpts_total += e->envelope.accepted;
    e->message_bytes += body_size(&e->body);
    report_accepted(e);
    e->errors = e->idle = 0;
    e->commands = e->commands_mark;
    engine_reset(e);
}

void engine_tx_lost(struct engine *e)
{
    struct refusal r = { .id = RE_TEMPORARY, .rule = "cleanup-lost" };

    if (e->envelope.tx != TX_OPENED)
        return;
    e->envelope.tx = TX_LOST;
    if (e->ending) {
        message_refused(e, &r);
    } else if (e->wait == AWAIT_RCPT) {
        e->wait = AWAIT_NOTHING;
        policy_resume(e, &r);
    } else if (e->phase == PH_BODY) {
        body_discard(&e->body);
    }
}

enum engine_step engine_unsettled(struct engine *e)
{
    if (e->wait == AWAIT_DONE)
        report_unsettled(e);
    return engine_close(e, END_UNSETTLED);
}

void engine_drain(struct engine *e)
{
    e->draining = true;
}

bool engine_is_idle(const struct engine *e)
{
    return e->wait == AWAIT_NOTHING && (e->phase & (PH_START | PH_GREETED | PH_READY));
}

enum engine_step engine_expire(struct engine *e, enum reply_id id, enum engine_end how)
{
    if (e->phase != PH_ENDED)
        engine_reply(e, id);
    return engine_close(e, how);
}

void engine_finish(struct engine *e, enum engine_end how, uint64_t bytes_in, uint64_t bytes_out, int64_t ms)
{
    engine_close(e, how);
    report_session(e, bytes_in, bytes_out, ms);
    if (e->envelope.tx == TX_OPENED || e->envelope.tx == TX_ENDED)
        e->ops->tx_abort(e->arg);
    e->envelope.tx = TX_NONE;
}

const char *engine_where(const struct engine *e)
{
    switch (e->phase == PH_ENDED ? e->last_phase : e->phase) {
    case PH_START: return "greeting";
    case PH_GREETED: return "helo";
    case PH_READY: return "ready";
    case PH_MAIL: return "mail";
    case PH_RCPT: return "rcpt";
    case PH_BODY: return e->ending || e->envelope.tx == TX_ENDED ? "end-of-data" : "data";
    case PH_AUTH: return "auth";
    case PH_ENDED: break;
    }
    return "greeting";
}

const char *engine_end_name(enum engine_end end)
{
    static const char *const names[] = {
        [END_NOT] = "open",
        [END_QUIT] = "quit",
        [END_CLIENT_CLOSED] = "client-closed",
        [END_CLIENT_RESET] = "client-reset",
        [END_TIMEOUT] = "timeout",
        [END_TOO_SLOW] = "too-slow",
        [END_SESSION_TIME] = "session-timeout",
        [END_ERRORS] = "too-many-errors",
        [END_COMMANDS] = "too-many-commands",
        [END_PROTOCOL] = "protocol-violation",
        [END_OVERSIZE] = "endless-message",
        [END_SHUTDOWN] = "shutdown",
        [END_UNAVAILABLE] = "unavailable",
        [END_UNSETTLED] = "unsettled",
    };

    return names[end];
}
