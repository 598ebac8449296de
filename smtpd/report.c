/* report.c - the log lines of a session */
#include "smtpd/report.h"

#include "common/base/log.h"
#include "common/base/metric.h"

/* A client name, HELO or command is written in full up to this much; the rest is noise. */
#define LOG_CUT 200u

static struct strv cut(struct strv s)
{
    return strv_sub(s, 0, LOG_CUT);
}

/* Left out of the line when there is none. */
static struct strv absent(void)
{
    return (struct strv){ NULL, 0 };
}

static struct strv optional(const char *s)
{
    return s ? cut(SV(s)) : absent();
}

/* The written form of an address in a buffer of the caller; NULL view for none. */
static struct strv address_text(const struct address *a, struct buf *scratch)
{
    size_t from = scratch->len;

    if (a->kind == ADDRESS_NULL)
        return absent();
    address_format(a, scratch);
    return strv_from(buf_view(scratch), from);
}

static const char *id_or_null(uint64_t id, char text[ID_TEXT_SIZE])
{
    if (id == 0)
        return NULL;
    id_text(id, text);
    return text;
}

/* Each step's event has a name of its own, so that a filter on one needs no second key. */
static const char *refused_event(const char *step)
{
    static const struct {
        const char *step, *event;
    } events[] = {
        { "command", "smtp.command.refused" }, { "mail", "smtp.mail.refused" },
        { "rcpt", "smtp.rcpt.refused" },       { "data", "smtp.data.refused" },
        { "message", "smtp.message.refused" },
    };

    for (size_t i = 1; i < sizeof events / sizeof *events; i++)
        if (strcmp(step, events[i].step) == 0)
            return events[i].event;
    return events[0].event;
}

void report_refused(const struct engine *e, const char *step, struct strv reply, const char *rule)
{
    char id[ID_TEXT_SIZE];
    struct buf *scratch = &e->service->scratch;
    struct strv sender, rcpt;
    bool in_transaction;

    if (e->ops->told) {
        e->ops->told(e->arg, rule);
        return;
    }
    metric_add_word(METRIC_REFUSED, SV(rule), 1);
    in_transaction = e->envelope.id != 0 || strcmp(step, "mail") == 0;

    buf_reset(scratch);
    buf_reserve(scratch, 2048); /* so that the second address cannot move the first */
    sender = address_text(&e->envelope.sender.address, scratch);
    rcpt = address_text(&e->envelope.rcpt.address, scratch);
    if (in_transaction && !sender.p)
        sender = SV_LIT("<>");
    while (reply.n > 0 && (reply.p[reply.n - 1] == '\n' || reply.p[reply.n - 1] == '\r'))
        reply.n--;
    LOG(INFO, refused_event(step), KS("sid", e->sid), KS("id", id_or_null(e->envelope.id, id)),
        KS("listener", e->service->listen->head.name), KS("client", e->client_text),
        KV("client_name", optional(e->client_name)), KV("helo", optional(e->helo)), KV("sender", sender),
        KV("rcpt", rcpt), KV("command", e->line.n > 0 ? cut(e->line) : absent()), KV("reply", reply),
        KS("rule", rule));
}

void report_accepted(const struct engine *e)
{
    char id[ID_TEXT_SIZE];
    struct buf *scratch = &e->service->scratch;
    struct strv sender;

    buf_reset(scratch);
    sender = address_text(&e->envelope.sender.address, scratch);
    metric_add(METRIC_ACCEPTED, 0, 1);
    metric_add(METRIC_ACCEPTED_RCPTS, 0, e->envelope.accepted);
    metric_add(METRIC_ACCEPTED_BYTES, 0, body_size(&e->body));
    id_text(e->envelope.id, id);
    LOG(INFO, "smtp.message.accepted", KS("sid", e->sid), KS("id", id),
        KS("listener", e->service->listen->head.name), KS("client", e->client_text),
        KV("client_name", optional(e->client_name)), KV("helo", optional(e->helo)),
        KV("sender", sender.p ? sender : SV_LIT("<>")), KI("rcpts", e->envelope.accepted),
        KI("bytes", body_size(&e->body)), KS("tls", e->cipher), KV("login", optional(e->login)));
}

void report_unsettled(const struct engine *e)
{
    char id[ID_TEXT_SIZE];

    metric_add(METRIC_UNSETTLED, 0, 1);
    id_text(e->envelope.id, id);
    LOG(ERROR, "smtp.message.unsettled", KS("sid", e->sid), KS("id", id),
        KS("listener", e->service->listen->head.name), KS("client", e->client_text),
        KI("rcpts", e->envelope.accepted), KI("bytes", body_size(&e->body)));
}

void report_auth(const struct engine *e, bool good, const char *why)
{
    metric_add(METRIC_AUTH, good ? 0 : 1, 1);
    LOG(INFO, good ? "smtp.auth.ok" : "smtp.auth.failed", KS("sid", e->sid),
        KS("listener", e->service->listen->head.name), KS("client", e->client_text),
        KV("client_name", optional(e->client_name)), KS("mechanism", sasl_name(e->sasl->mechanism)),
        KV("login", optional(good ? e->login : e->account)), KS("why", why));
}

void report_tls_failed(const struct engine *e, const char *why)
{
    metric_add(METRIC_TLS_FAILED, 0, 1);
    LOG(INFO, "smtp.tls.failed", KS("sid", e->sid), KS("listener", e->service->listen->head.name),
        KS("client", e->client_text), KV("client_name", optional(e->client_name)), KS("why", why));
}

void report_session(const struct engine *e, uint64_t bytes_in, uint64_t bytes_out, int64_t ms)
{
    struct strv cipher = e->cipher ? SV(e->cipher) : SV_LIT(""), version;

    metric_add(METRIC_SESSIONS, 0, 1);
    if (strv_word(&cipher, &version))
        metric_add_word(METRIC_TLS, version, 1);
    LOG(INFO, "smtp.session.ended", KS("sid", e->sid), KS("listener", e->service->listen->head.name),
        KS("client", e->client_text), KI("port", e->client.port), KV("client_name", optional(e->client_name)),
        KV("helo", optional(e->helo)), KS("how", engine_end_name(e->end)), KS("step", engine_where(e)),
        KS("tls", e->cipher), KV("login", optional(e->login)), KI("messages", e->messages),
        KI("rcpts", e->rcpts_total), KI("commands", e->commands_total), KI("refused", e->refused_total),
        KI("bytes_in", bytes_in), KI("bytes_out", bytes_out), KMS("time", ms));
}
