/* follow.c - the lines of a session that an operator follows, without secrets and data */
#include "smtpd/follow.h"

#include "common/base/log.h"
#include "common/net/stream.h"
#include "common/proc/follow.h"
#include "smtpd/session.h"

#define LINE_CUT 1000u

static void line_log(const struct engine *e, const char *from, struct strv line)
{
    const struct kv keys[] = {
        KS("sid", e->sid), KS("listener", e->service->listen->head.name), KS("client", e->client_text),
        KS("from", from),  KV("line", strv_sub(line, 0, LINE_CUT)),       { .key = NULL }
    };

    log_emit_always(LOG_LV_DEBUG, "smtp.dialogue.line", keys);
}

/* Replies that were written behind what is known already. */
static void replies_log(struct session *s)
{
    size_t unsent = stream_unsent(s->stream);
    struct strv rest = buf_view(stream_out(s->stream)), line;

    if (s->followed_out > unsent)
        s->followed_out = unsent;
    rest = strv_from(rest, rest.n - unsent + s->followed_out);
    s->followed_out = unsent;
    while (rest.n && strv_cut(&rest, '\n', &line)) {
        if (line.n == 0)
            continue;
        /* SCRAM's challenges hold salts and proofs. */
        line_log(&s->engine, "server",
                 strv_starts(line, SV_LIT("334")) ? SV_LIT("334 ********") : strv_trim(line));
    }
}

static bool is_followed(const struct engine *e)
{
    struct strv name = e->client_name ? SV(e->client_name) : SV_LIT("");
    struct strv helo = e->helo ? SV(e->helo) : SV_LIT("");

    return follow_peer(&e->client, name) || (name.n && follow_domain(name)) ||
           (helo.n && follow_domain(helo));
}

void session_follow(struct session *s)
{
    struct engine *e = &s->engine;

    if (!s->stream || (!follow_any() && !e->followed))
        return;
    e->followed = is_followed(e);
    if (e->followed)
        replies_log(s);
}

void session_follow_step(void *arg, enum engine_phase was, struct strv line)
{
    struct session *s = arg;

    if (was == PH_AUTH)
        line = SV_LIT("********");
    if (line.n)
        line_log(&s->engine, "client", line);
    replies_log(s);
}
