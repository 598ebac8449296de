/* withhold.c - words of a notice that would tell a sender where an alias or a ~/.forward leads */
#include "cleanup/withhold.h"

#include "common/mail/status.h"

#include <string.h>

/* A record has a mark before a command or a file: whose it is, an alias' or a user's. */
static struct strv unmarked(struct strv what)
{
    if (what.n > 1 && memchr("@~=", what.p[0], 3) && (what.p[1] == '|' || what.p[1] == '/'))
        return strv_from(what, 1);
    return what;
}

bool withhold_applies(const struct withhold *w)
{
    struct strv what = unmarked(w->what);

    return !strv_ieq(w->given, w->target) || (what.n && (what.p[0] == '|' || what.p[0] == '/'));
}

static bool contains(struct strv text, struct strv part)
{
    for (size_t i = 0; part.n && i + part.n <= text.n; i++)
        if (strv_ieq(strv_sub(text, i, part.n), part))
            return true;
    return false;
}

static void split(struct strv address, struct strv *local, struct strv *domain)
{
    size_t at;

    *local = address;
    *domain = strv_make("", 0);
    if (strv_rfind(address, '@', &at)) {
        *local = strv_sub(address, 0, at);
        *domain = strv_from(address, at + 1);
    }
}

/* The program of "|/usr/bin/x -y", or the file. */
static struct strv program(struct strv what)
{
    struct strv word;

    what = unmarked(what);
    if (what.n && what.p[0] == '|')
        what = strv_from(what, 1);
    what = strv_trim(what);
    if (what.n && what.p[0] == '"')
        what = strv_from(what, 1);
    return strv_word(&what, &word) ? word : strv_make("", 0);
}

bool withhold_names(const struct withhold *w, struct strv words)
{
    struct strv local, domain, given_local, given_domain;

    if (!withhold_applies(w))
        return false;
    split(w->target, &local, &domain);
    split(w->given, &given_local, &given_domain);
    if (w->what.n && contains(words, program(w->what)))
        return true;
    return (!strv_ieq(local, given_local) && contains(words, local)) ||
           (!strv_ieq(domain, given_domain) && contains(words, domain));
}

void withhold_reply(struct strv reply, struct buf *out)
{
    struct strv word;
    struct status status;

    if (strv_word(&reply, &word) && word.n >= 3 && byte_is_digit((unsigned char)word.p[0]))
        buf_addv(out, strv_sub(word, 0, 3));
    else
        buf_adds(out, "550");
    if (strv_word(&reply, &word) && status_parse(word, &status)) {
        buf_addc(out, ' ');
        buf_addv(out, word);
    }
    buf_adds(out, " (the rest names an address that is not told)");
}
