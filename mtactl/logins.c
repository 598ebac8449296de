/* logins.c - the text of a credentials file: its entries, and the same text with one of them changed */
#include "mtactl/logins.h"

#define LOGIN_MAX 255u /* SASL_LOGIN_MAX: longer ones are never asked about */

void logins_init(struct logins *l, struct strv text)
{
    *l = (struct logins){ .rest = text };
}

/* `"a b" secret` or `a secret`. */
static void entry_split(struct strv line, struct login_line *out)
{
    size_t n = 0, end;

    if (line.n && line.p[0] == '"') {
        for (end = 1; end < line.n && line.p[end] != '"'; end++)
            if (line.p[end] == '\\')
                end++;
        if (end >= line.n)
            end = line.n;
        out->login = strv_sub(line, 1, end - 1);
        out->secret = strv_trim(strv_from(line, end < line.n ? end + 1 : end));
        return;
    }
    while (n < line.n && !byte_is_blank((unsigned char)line.p[n]))
        n++;
    out->login = strv_sub(line, 0, n);
    out->secret = strv_trim(strv_from(line, n));
}

bool logins_next(struct logins *l, struct login_line *out)
{
    struct strv line;
    size_t end;

    if (!l->rest.n)
        return false;
    if (!strv_find(l->rest, '\n', &end))
        end = l->rest.n - 1;
    *out = (struct login_line){ .raw = strv_sub(l->rest, 0, end + 1), .number = ++l->number };
    l->rest = strv_from(l->rest, end + 1);
    line = strv_trim(out->raw);
    if (!line.n || line.p[0] == '#')
        return true;
    out->more = byte_is_blank((unsigned char)out->raw.p[0]);
    out->entry = !out->more;
    if (out->entry)
        entry_split(line, out);
    return true;
}

static const char *login_fault(struct strv s)
{
    if (s.n == 0 || s.n > LOGIN_MAX)
        return s.n ? "a login has 255 bytes at most" : "an empty login";
    if (s.p[0] == '#')
        return "a line that begins with # is a comment";
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 32 || s.p[i] == 127 || s.p[i] == '"' || s.p[i] == '\\')
            return "blanks, quotes, backslashes and control bytes cannot stand in a login";
    if (s.p[0] == '@' || s.p[s.n - 1] == '@')
        return "a login is NAME or NAME@REALM";
    return NULL;
}

bool login_complete(struct strv given, struct strv realm, struct buf *out, const char **why)
{
    *why = login_fault(given);
    if (*why)
        return false;
    for (size_t i = 0; i < given.n; i++)
        buf_addc(out, byte_lower(given.p[i]));
    if (!strv_has(given, '@') && realm.n) {
        buf_addc(out, '@');
        for (size_t i = 0; i < realm.n; i++)
            buf_addc(out, byte_lower(realm.p[i]));
    }
    *why = login_fault(buf_view(out));
    return !*why;
}

bool login_is(struct strv entry, struct strv completed, struct strv realm)
{
    size_t at;

    if (strv_ieq(entry, completed))
        return true;
    return strv_rfind(completed, '@', &at) && strv_ieq(strv_from(completed, at + 1), realm) &&
           strv_ieq(entry, strv_sub(completed, 0, at));
}

static void entry_add(struct buf *out, struct strv login, struct strv secret)
{
    buf_addv(out, login);
    buf_addc(out, ' ');
    buf_addv(out, secret);
    buf_addc(out, '\n');
}

unsigned logins_change(struct strv text, struct strv completed, struct strv realm, struct strv secret,
                       struct buf *out)
{
    struct login_line line;
    struct logins l;
    bool ours = false;
    unsigned found = 0;

    logins_init(&l, text);
    while (logins_next(&l, &line)) {
        if (line.entry) {
            ours = login_is(line.login, completed, realm);
            if (ours && found++ == 0 && secret.p)
                entry_add(out, completed, secret);
        }
        if (!ours || (!line.entry && !line.more))
            buf_addv(out, line.raw);
    }
    if (out->len && out->data[out->len - 1] != '\n')
        buf_addc(out, '\n');
    if (!found && secret.p)
        entry_add(out, completed, secret);
    return found;
}

const char *login_kind(struct strv secret)
{
    static const struct {
        struct strv prefix;
        const char *kind;
    } kinds[] = {
        { SV_LIT("{SCRAM-SHA-256}"), "scram-sha-256" },
        { SV_LIT("$y$"), "yescrypt" },
        { SV_LIT("$gy$"), "gost-yescrypt" },
        { SV_LIT("$7$"), "scrypt" },
        { SV_LIT("$2"), "bcrypt" },
        { SV_LIT("$6$"), "sha512crypt" },
        { SV_LIT("$5$"), "sha256crypt" },
        { SV_LIT("$1$"), "md5crypt (weak)" },
        { SV_LIT("$"), "crypt" },
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strv_istarts(secret, kinds[i].prefix))
            return kinds[i].kind;
    return "locked"; /* what is no hash lets nobody in (maps/credential.c) */
}
