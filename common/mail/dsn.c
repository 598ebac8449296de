/* dsn.c - composer of delivery status notifications, RFC 3464 */
#include "common/mail/dsn.h"

#include "common/base/clock.h"
#include "common/mail/header.h"
#include "common/mail/qp.h"

#include <stdio.h>

#define SUBJECT_MAX 4096u
#define TEXT_MAX    (1u << 20) /* many recipients with long words */

static const char *const names[] = {
    [DSN_FAILED] = "failed",   [DSN_DELAYED] = "delayed",   [DSN_DELIVERED] = "delivered",
    [DSN_RELAYED] = "relayed", [DSN_EXPANDED] = "expanded",
};

const char *dsn_action_name(enum dsn_action action)
{
    return names[action];
}

enum dsn_action dsn_action(const struct dsn *d)
{
    enum dsn_action best = d->rcpts[0].action;

    for (size_t i = 1; i < d->rcpt_count; i++) {
        if (d->rcpts[i].action < best)
            best = d->rcpts[i].action;
    }
    return best;
}

/* A field whose value is "type; text". */
static void add_typed(struct buf *out, const char *name, const char *type, struct strv text)
{
    struct buf value;

    buf_init(&value, 64 + text.n);
    buf_addf(&value, "%s; ", type);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char u = (unsigned char)text.p[i];

        buf_addc(&value, u == '\n' ? ' ' : byte_is_print(u) ? text.p[i] : '?');
    }
    header_add(out, name, buf_view(&value));
    buf_clear(&value);
}

static void add_time(struct buf *out, const char *name, int64_t wall_ms)
{
    char text[64];

    if (wall_ms == 0)
        return;
    clock_rfc5322(wall_ms, text, sizeof text);
    buf_addf(out, "%s: %s\r\n", name, text);
}

static struct status rcpt_status(const struct dsn_rcpt *r)
{
    static const uint8_t classes[] = {
        [DSN_FAILED] = 5, [DSN_DELAYED] = 4, [DSN_DELIVERED] = 2, [DSN_RELAYED] = 2, [DSN_EXPANDED] = 2,
    };

    return status_is_set(r->status) ? r->status : STATUS(classes[r->action], 0, 0);
}

static void add_subject(const struct dsn *d, struct buf *out)
{
    struct buf text, value;

    buf_init(&text, SUBJECT_MAX);
    buf_init(&value, 3 * SUBJECT_MAX);
    dsn_subject(d, &text);
    header_encode(buf_view(&text), &value);
    header_add(out, "Subject", buf_view(&value));
    buf_clear(&text);
    buf_clear(&value);
}

static void add_header(const struct dsn *d, const char *boundary, bool eight, struct buf *out)
{
    struct buf value;

    buf_init(&value, 2048);
    header_encode(dsn_from_name(d), &value);
    buf_addf(&value, " <MAILER-DAEMON@%.*s>", (int)d->hostname.n, d->hostname.p);
    header_add(out, "From", buf_view(&value));
    buf_reset(&value);
    buf_addf(&value, "<%.*s>", (int)d->to.n, d->to.p);
    header_add(out, "To", buf_view(&value));
    add_subject(d, out);
    header_add_date(out, d->now_ms);
    header_add_message_id(out, d->notice_id, d->hostname);
    /* RFC 3834 5: so that no vacation program answers */
    header_add(out, "Auto-Submitted", SV_LIT("auto-replied"));
    header_add(out, "MIME-Version", SV_LIT("1.0"));
    buf_reset(&value);
    buf_addf(&value, "multipart/report; report-type=delivery-status; boundary=\"%s\"", boundary);
    header_add(out, "Content-Type", buf_view(&value));
    if (eight)
        header_add(out, "Content-Transfer-Encoding", SV_LIT("8bit"));
    buf_adds(out, "\r\n");
    buf_clear(&value);
}

static void add_status(const struct dsn *d, struct buf *out)
{
    if (d->envid.n > 0)
        header_add(out, "Original-Envelope-Id", d->envid);
    /* RFC 3461 6.3 (b): the configuration takes only a name that is fully qualified. */
    add_typed(out, "Reporting-MTA", "dns", d->hostname);
    add_time(out, "Arrival-Date", d->arrival_ms);
    for (size_t i = 0; i < d->rcpt_count; i++) {
        const struct dsn_rcpt *r = &d->rcpts[i];
        char status[STATUS_TEXT];

        status_text(rcpt_status(r), status);
        buf_adds(out, "\r\n");
        if (r->orcpt.n > 0)
            header_add(out, "Original-Recipient", r->orcpt);
        add_typed(out, "Final-Recipient", "rfc822", r->rcpt);
        buf_addf(out, "Action: %s\r\nStatus: %s\r\n", names[r->action], status);
        if (r->remote_mta.n > 0)
            add_typed(out, "Remote-MTA", "dns", r->remote_mta);
        if (r->diagnostic.n > 0)
            add_typed(out, "Diagnostic-Code", "smtp", r->diagnostic);
        else if (r->reason.n > 0)
            add_typed(out, "Diagnostic-Code", "x-mansio", r->reason);
        add_time(out, "Last-Attempt-Date", r->last_attempt_ms);
        if (r->action == DSN_DELAYED)
            add_time(out, "Will-Retry-Until", r->retry_until_ms);
    }
}

static void add_content(struct strv s, struct buf *out)
{
    struct strv part;

    if (!strv_has(s, '\0')) {
        buf_addv(out, s);
        return;
    }
    for (bool first = true; strv_cut(&s, '\0', &part); first = false) {
        if (!first)
            buf_addc(out, '?');
        buf_addv(out, part);
    }
}

static bool has_eight_bit(struct strv s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= 0x80)
            return true;
    }
    return false;
}

static bool occurs(struct strv in, const char *text)
{
    return in.n > 0 && memmem(in.p, in.n, text, strlen(text)) != NULL;
}

/* The content cannot know it in advance and, checked here, cannot hold it by chance. */
static void choose_boundary(const struct dsn *d, char *dst, size_t size)
{
    unsigned n = 0;
    char id[32];
    size_t len = 0;

    for (size_t i = 0; i < d->notice_id.n && len + 1 < sizeof id; i++) {
        if (byte_is_alnum((unsigned char)d->notice_id.p[i]))
            id[len++] = d->notice_id.p[i];
    }
    id[len] = '\0';
    do {
        snprintf(dst, size, "=_%s.%u", id, n++);
    } while (occurs(d->header, dst) || (d->body.p && occurs(d->body, dst)));
}

static void begin_part(struct buf *out, const char *boundary, const char *type, const char *encoding)
{
    buf_addf(out, "--%s\r\nContent-Type: %s\r\n", boundary, type);
    if (encoding)
        buf_addf(out, "Content-Transfer-Encoding: %s\r\n", encoding);
    buf_adds(out, "\r\n");
}

static bool add_text(const struct dsn *d, const char *boundary, struct buf *out)
{
    struct buf text;
    bool ok;

    buf_init(&text, TEXT_MAX);
    dsn_text(d, &text);
    ok = buf_ok(&text);
    if (has_eight_bit(buf_view(&text))) {
        begin_part(out, boundary, "text/plain; charset=utf-8", "quoted-printable");
        qp_encode(buf_view(&text), out);
    } else {
        begin_part(out, boundary, "text/plain; charset=us-ascii", NULL);
        buf_addv(out, buf_view(&text));
    }
    buf_adds(out, "\r\n");
    buf_clear(&text);
    return ok;
}

/* Up to the returned header, and with an empty line behind it when the body follows. */
static bool begin(const struct dsn *d, const char *boundary, bool eight, struct buf *out)
{
    bool full = d->body.p != NULL, ok;

    add_header(d, boundary, eight, out);
    ok = add_text(d, boundary, out);
    begin_part(out, boundary, "message/delivery-status", NULL);
    add_status(d, out);
    buf_adds(out, "\r\n");
    begin_part(out, boundary, full ? "message/rfc822" : "text/rfc822-headers", eight ? "8bit" : NULL);
    add_content(d->header, out);
    if (full)
        buf_adds(out, "\r\n");
    return ok && buf_ok(out);
}

void dsn_end(const char *boundary, struct buf *out)
{
    buf_addf(out, "\r\n--%s--\r\n", boundary);
}

/* Up to where the body goes, or with body and end. */
static bool compose(const struct dsn *d, const char *boundary, bool eight, bool whole, struct buf *out)
{
    bool ok = begin(d, boundary, eight, out);

    if (whole && d->body.p)
        add_content(d->body, out);
    if (whole)
        dsn_end(boundary, out);
    return ok && buf_ok(out);
}

/* The templates of a file may say the same words of a hundred hosts several times and so outgrow every limit;
   a sender who hears in other words is better off than one who never does. */
static bool compose_some(const struct dsn *d, const char *boundary, bool eight, bool whole, struct buf *out)
{
    struct dsn plain = *d;
    struct dsn_texts *texts;
    struct buf message;
    bool ok;

    buf_init(&message, out->max - out->len);
    ok = compose(d, boundary, eight, whole, &message);
    if (!ok) {
        plain.texts = texts = dsn_texts_new();
        buf_reset(&message);
        ok = compose(&plain, boundary, eight, whole, &message);
        dsn_texts_free(&texts);
    }
    if (ok)
        buf_addv(out, buf_view(&message));
    buf_clear(&message);
    return ok && buf_ok(out);
}

bool dsn_begin(const struct dsn *d, const char *boundary, struct buf *out)
{
    return compose_some(d, boundary, true, false, out);
}

bool dsn_compose(const struct dsn *d, struct buf *out, bool *has_8bit)
{
    char boundary[DSN_BOUNDARY];

    *has_8bit = has_eight_bit(d->header) || (d->body.p && has_eight_bit(d->body));
    choose_boundary(d, boundary, sizeof boundary);
    return compose_some(d, boundary, *has_8bit, true, out);
}
