/* client_trace.c - what of a dialogue is shown to who watches it: no secret, no message */
#include "deliverd/client_reply.h"

#include <stdio.h>

/* The line that was just written, without its end. */
static struct strv last_line(const struct buf *out)
{
    struct strv text = buf_view(out);
    size_t from;

    if (strv_ends(text, SV_LIT("\r\n")))
        text.n -= 2;
    for (from = text.n; from > 0 && text.p[from - 1] != '\n'; from--)
        continue;
    return strv_from(text, from);
}

/* Only the mechanism: what follows, and every line after that, may hold a password. */
static struct strv without_secret(struct strv line, char dst[80])
{
    struct strv rest = line, verb, mechanism;

    if (!strv_word(&rest, &verb) || !strv_iis(verb, "AUTH") || !strv_word(&rest, &mechanism))
        return SV_LIT("********");
    snprintf(dst, 80, "AUTH %.*s%s", (int)(mechanism.n < 40 ? mechanism.n : 40), mechanism.p,
             strv_trim(rest).n ? " ********" : "");
    return SV(dst);
}

void client_trace_sent(const struct client *c, enum client_step step)
{
    struct strv line = last_line(c->out);
    char safe[80];

    /* Nothing was sent for it; of LMTP's replies to the end only the first has a line of ours before it. */
    if (step == CLIENT_GREETING || (step == CLIENT_END && !strv_ends(buf_view(c->out), SV_LIT(".\r\n"))))
        return;
    if (step == CLIENT_END)
        line = SV_LIT("."); /* before it went the message */
    c->trace(c->trace_arg, true, step == CLIENT_AUTH ? without_secret(line, safe) : line);
}

void client_trace_received(const struct client *c, struct strv line)
{
    bool challenge = client_step(c) == CLIENT_AUTH && strv_starts(line, SV_LIT("334"));

    c->trace(c->trace_arg, false, challenge ? SV_LIT("334 ********") : line);
}
