/* received.c - the trace field, RFC 5321 section 4.4 */
#include "common/mail/received.h"

#include "common/base/clock.h"
#include "common/mail/domain.h"
#include "common/mail/header.h"

/* A name from outside: nothing in it may end a comment, a field or a line. */
static void add_name(struct buf *out, struct strv s)
{
    s = strv_sub(s, 0, DOMAIN_MAX);
    for (size_t i = 0; i < s.n; i++) {
        bool ok = byte_is_alnum((unsigned char)s.p[i]) || byte_in_set(s.p[i], "-._:[]");

        buf_addc(out, ok ? s.p[i] : '?');
    }
}

static void add_comment_text(struct buf *out, struct strv s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool ok = byte_is_print((unsigned char)s.p[i]) && !byte_in_set(s.p[i], "()\\");

        buf_addc(out, ok ? s.p[i] : '?');
    }
}

const char *received_protocol(unsigned protocol)
{
    /* Index: LMTP or SMTP, UTF8, TLS, AUTH. RFC 3848 names no keyword for TLS or AUTH without EHLO. */
    static const char *const names[16] = {
        "ESMTP",      "ESMTPA",      "ESMTPS",      "ESMTPSA",      "UTF8SMTP", "UTF8SMTPA",
        "UTF8SMTPS",  "UTF8SMTPSA",  "LMTP",        "LMTPA",        "LMTPS",    "LMTPSA",
        "UTF8LMTP",   "UTF8LMTPA",   "UTF8LMTPS",   "UTF8LMTPSA",
    };
    unsigned i = (protocol & RECEIVED_AUTH ? 1u : 0) | (protocol & RECEIVED_TLS ? 2u : 0) |
                 (protocol & RECEIVED_UTF8 ? 4u : 0) | (protocol & RECEIVED_LMTP ? 8u : 0);

    return i == 0 && !(protocol & RECEIVED_ESMTP) ? "SMTP" : names[i];
}

static void add_from(const struct received *r, struct buf *out)
{
    char ip[NETADDR_TEXT];

    if (r->helo.n == 0)
        return;
    buf_adds(out, "from ");
    add_name(out, r->helo);
    if (r->client.family != AF_UNSPEC) {
        netaddr_literal_text(&r->client, ip, sizeof ip);
        buf_adds(out, " (");
        add_name(out, r->client_name);
        if (r->client_name.n > 0)
            buf_addc(out, ' ');
        buf_adds(out, ip);
        buf_addc(out, ')');
    }
    buf_adds(out, "\r\n\t");
    if (r->tls.n > 0) {
        buf_adds(out, "(using ");
        add_comment_text(out, r->tls);
        buf_adds(out, ")\r\n\t");
    }
}

void received_write(const struct received *r, struct buf *out)
{
    char date[64];

    clock_rfc5322(r->wall_ms, date, sizeof date);
    buf_adds(out, "Received: ");
    add_from(r, out);
    buf_adds(out, "by ");
    add_name(out, r->by);
    if (r->uid >= 0)
        buf_addf(out, " (from uid %lld)", (long long)r->uid);
    if (r->helo.n > 0)
        buf_addf(out, " with %s", received_protocol(r->protocol));
    buf_adds(out, " id ");
    add_name(out, r->id);
    if (r->rcpt) {
        buf_adds(out, "\r\n\tfor ");
        address_format_path(r->rcpt, out);
    }
    buf_addf(out, ";\r\n\t%s\r\n", date);
}

size_t received_count(struct strv block)
{
    return header_count(block, "Received");
}
