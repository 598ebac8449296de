/* path.c - MAIL FROM:<...> and RCPT TO:<...> */
#include "common/mail/path.h"

#include "common/mail/domain.h"

static bool refuse(const char **why, const char *text)
{
    if (why)
        *why = text;
    return false;
}

/* Takes "FROM:" or "TO:" and the blanks behind it. */
static bool take_keyword(enum path_kind kind, struct strv *s)
{
    struct strv word = kind == PATH_REVERSE ? SV_LIT("FROM:") : SV_LIT("TO:");

    if (!strv_istarts(*s, word))
        return false;
    *s = strv_from(*s, word.n);
    while (s->n > 0 && byte_is_blank((unsigned char)s->p[0]))
        *s = strv_from(*s, 1);
    return true;
}

/* Where the bracket closes; a '>' in quotes does not. */
static bool find_close(struct strv s, size_t *at)
{
    bool quoted = false;

    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == '"') {
            quoted = !quoted;
        } else if (quoted && s.p[i] == '\\') {
            i++;
        } else if (!quoted && s.p[i] == '>') {
            *at = i;
            return true;
        }
    }
    return false;
}

/* A-d-l of RFC 5321 4.1.2: "@one,@two:"; checked and dropped. */
static bool take_route(struct strv *mailbox, bool *had_route, const char **why)
{
    struct strv route, hop;
    size_t colon;

    *had_route = false;
    if (mailbox->n == 0 || mailbox->p[0] != '@')
        return true;
    if (!strv_find(*mailbox, ':', &colon))
        return refuse(why, "source route without a colon");
    route = strv_sub(*mailbox, 0, colon);
    while (strv_cut(&route, ',', &hop)) {
        if (hop.n == 0 || hop.p[0] != '@' || !domain_ok(strv_from(hop, 1), 0, NULL))
            return refuse(why, "bad source route");
    }
    *mailbox = strv_from(*mailbox, colon + 1);
    if (mailbox->n == 0)
        return refuse(why, "source route without an address");
    *had_route = true;
    return true;
}

bool path_parse(enum path_kind kind, struct strv argument, unsigned flags, struct path *out,
                struct strv *rest, const char **why)
{
    struct strv s = argument, mailbox;
    size_t close;

    *out = (struct path){ .had_route = false };
    *rest = strv_make("", 0);
    if (!take_keyword(kind, &s))
        return refuse(why, kind == PATH_REVERSE ? "FROM:<address> expected" : "TO:<address> expected");
    if (s.n == 0 || s.p[0] != '<')
        return refuse(why, "address must stand in <brackets>");
    if (!find_close(s, &close))
        return refuse(why, "address is not closed by >");
    mailbox = strv_sub(s, 1, close - 1);
    *rest = strv_from(s, close + 1);
    if (rest->n > 0 && !byte_is_blank((unsigned char)rest->p[0]))
        return refuse(why, "blank expected behind >");
    if (mailbox.n == 0)
        return kind == PATH_REVERSE || refuse(why, "recipient is empty");
    if (!take_route(&mailbox, &out->had_route, why))
        return false;
    /* RFC 5321 4.1.1.3: the one name that needs no domain */
    if (kind == PATH_FORWARD && strv_iis(mailbox, "postmaster"))
        flags |= ADDRESS_LOCAL_OK;
    return address_parse(mailbox, flags, &out->address, why);
}

void path_clear(struct path *p)
{
    address_clear(&p->address);
    p->had_route = false;
}
