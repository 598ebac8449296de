/* service.c - what all sessions of one listener share */
#include "smtpd/service.h"

#include "common/mail/reply.h"
#include "common/mail/sasl.h"
#include "conf/auth.h"
#include "conf/queue.h"

#include <stdio.h>

#define EHLO_LINES_MAX 9

/* "AUTH PLAIN LOGIN"; false: not offered. */
static bool mechanisms_text(const struct service *sv, struct buf *out)
{
    const struct conf_auth_section *auth = sv->conf->auth;

    if (sv->listen->auth == CONF_AUTH_NONE || !auth || auth->mechanisms.n == 0)
        return false;
    buf_adds(out, "AUTH");
    for (int m = 0; m < SASL__COUNT; m++)
        if (conf_strings_have(&auth->mechanisms, SV(sasl_name((enum sasl_mechanism)m))))
            buf_addf(out, " %s", sasl_name((enum sasl_mechanism)m));
    return true;
}

static void ehlo_text(struct service *sv, struct buf *out, bool under_tls)
{
    struct strv lines[EHLO_LINES_MAX];
    char size[32];
    struct buf auth;
    size_t n = 0;

    buf_init(&auth, 256);
    snprintf(size, sizeof size, "SIZE %lld", (long long)sv->listen->max_message_size);
    lines[n++] = SV(sv->conf->top->hostname);
    lines[n++] = SV_LIT("PIPELINING");
    lines[n++] = SV(size);
    lines[n++] = SV_LIT("8BITMIME");
    lines[n++] = SV_LIT("ENHANCEDSTATUSCODES");
    if (conf_notices_success(sv->conf->queue))
        lines[n++] = SV_LIT("DSN");
    lines[n++] = SV_LIT("MT-PRIORITY");
    if (sv->tls && !under_tls)
        lines[n++] = SV_LIT("STARTTLS");
    if (under_tls && mechanisms_text(sv, &auth))
        lines[n++] = buf_view(&auth);
    buf_reset(out);
    reply_write_lines(out, 250, NULL, lines, n);
    buf_clear(&auth);
}

void service_set_tls(struct service *sv, bool tls)
{
    const struct conf_listen *l = sv->listen;

    sv->tls = tls && l->tls != CONF_TLS_NONE;
    ehlo_text(sv, &sv->ehlo, false);
    ehlo_text(sv, &sv->ehlo_tls, true);
    /* Mail without the password or the encryption that the operator demands would be worse than no service.
     */
    sv->unavailable = !sv->tls && (l->auth == CONF_AUTH_REQUIRE || l->tls == CONF_TLS_REQUIRE ||
                                   l->tls == CONF_TLS_IMPLICIT);
}

void service_init(struct service *sv, const struct conf *conf, const struct conf_listen *listen)
{
    *sv = (struct service){ .conf = conf, .listen = listen, .strict_sync = true };
    buf_init(&sv->greeting, 2048);
    buf_init(&sv->ehlo, 4096);
    buf_init(&sv->ehlo_tls, 4096);
    buf_init(&sv->scratch, 64 * 1024);
    buf_addf(&sv->greeting, "%s ESMTP", conf->top->hostname);
    if (listen->banner && *listen->banner)
        buf_addf(&sv->greeting, " %s", listen->banner);
    service_set_tls(sv, false);
}

void service_clear(struct service *sv)
{
    buf_clear(&sv->greeting);
    buf_clear(&sv->ehlo);
    buf_clear(&sv->ehlo_tls);
    buf_clear(&sv->scratch);
}
