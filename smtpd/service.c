/* service.c - what all sessions of one listener share */
#include "smtpd/service.h"

#include "common/mail/reply.h"

#include <stdio.h>

static void ehlo_text(struct service *sv)
{
    char size[32];
    struct strv lines[] = {
        SV(sv->conf->top->hostname), SV_LIT("PIPELINING"),          SV(size),
        SV_LIT("8BITMIME"),          SV_LIT("ENHANCEDSTATUSCODES"),
    };

    snprintf(size, sizeof size, "SIZE %lld", (long long)sv->listen->max_message_size);
    lines[2] = SV(size);
    reply_write_lines(&sv->ehlo, 250, NULL, lines, sizeof lines / sizeof *lines);
}

void service_init(struct service *sv, const struct conf *conf, const struct conf_listen *listen)
{
    *sv = (struct service){ .conf = conf, .listen = listen, .strict_sync = true };
    buf_init(&sv->greeting, 2048);
    buf_init(&sv->ehlo, 4096);
    buf_init(&sv->scratch, 64 * 1024);
    buf_addf(&sv->greeting, "%s ESMTP", conf->top->hostname);
    if (listen->banner && *listen->banner)
        buf_addf(&sv->greeting, " %s", listen->banner);
    ehlo_text(sv);
    /* Mail without the password or the encryption that the operator demands would be worse than no service.
     */
    sv->unavailable = listen->auth == CONF_AUTH_REQUIRE || listen->tls == CONF_TLS_REQUIRE ||
                      listen->tls == CONF_TLS_IMPLICIT;
}

void service_clear(struct service *sv)
{
    buf_clear(&sv->greeting);
    buf_clear(&sv->ehlo);
    buf_clear(&sv->scratch);
}
