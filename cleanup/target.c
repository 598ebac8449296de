/* target.c - targets of `virtual` and `aliases` as addresses */
#include "cleanup/target.h"

#include "common/base/buf.h"
#include "common/mail/address.h"

#define LOCAL_MAX 1024u /* far beyond any local part; address_make has the limit */

/* "%1-%2" with the parts of from's local part. What it cannot have (%4) stays. */
static void fill_local(struct strv text, const struct address *from, struct strv separators, struct buf *out)
{
    struct strv user = from->local, detail = SV("");

    if (separators.n)
        address_split_extension(from->local, separators, &user, &detail);
    for (size_t i = 0; i < text.n; i++) {
        char which = text.p[i] == '%' && i + 1 < text.n ? text.p[i + 1] : '\0';

        if (which < '1' || which > '3') {
            buf_addc(out, text.p[i]);
            continue;
        }
        i++;
        if (which == '1')
            buf_addv(out, user);
        else if (which == '2')
            buf_addv(out, detail);
        else
            buf_addv(out, strv_from(from->local, user.n));
    }
}

bool target_is_filled(struct strv text)
{
    for (size_t i = 0; i + 1 < text.n; i++)
        if (text.p[i] == '%' && text.p[i + 1] >= '1' && text.p[i + 1] <= '3')
            return true;
    return text.n > 1 && text.p[0] == '@';
}

static bool filled_address(struct strv text, const struct address *from, struct strv separators,
                           struct address *out)
{
    struct strv local = text, domain = from->domain;
    struct buf made;
    size_t at;
    bool ok;

    if (strv_rfind(text, '@', &at)) {
        local = strv_sub(text, 0, at);
        domain = strv_from(text, at + 1);
    }
    buf_init(&made, LOCAL_MAX);
    if (local.n)
        fill_local(local, from, separators, &made);
    else
        buf_addv(&made, from->local);
    ok = buf_ok(&made) && address_make(buf_view(&made), domain, 0, out, NULL);
    buf_clear(&made);
    return ok;
}

bool target_address(struct strv text, const struct address *from, struct strv separators, bool fill,
                    struct address *out)
{
    struct address bare;
    bool ok;

    if (fill && target_is_filled(text))
        return filled_address(text, from, separators, out);
    if (address_parse(text, 0, out, NULL))
        return true;
    if (!address_parse(text, ADDRESS_LOCAL_OK, &bare, NULL))
        return false;
    ok = address_make(bare.local, from->domain, 0, out, NULL);
    address_clear(&bare);
    return ok;
}
