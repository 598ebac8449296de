/* follow.c - an operator follows one peer or domain for a while: whose dialogue is logged line by line */
#include "common/proc/follow.h"

#include "common/base/clock.h"
#include "common/ipc/frame.h"
#include "common/mail/domain.h"

struct follow {
    enum follow_kind kind;
    char text[FOLLOW_TEXT];
    struct netprefix network; /* of a peer that is one; bits of all ones for an address */
    bool is_network;
    int64_t until_ms;
};

static struct follow follows[FOLLOW_MAX];
static unsigned follow_n;

static bool network_read(struct strv text, struct netprefix *out)
{
    const char *why;

    return netprefix_parse(text, out, &why);
}

bool follow_is_valid(enum follow_kind kind, struct strv text)
{
    struct netprefix network;

    if (text.n == 0 || text.n >= FOLLOW_TEXT)
        return false;
    return (kind == FOLLOW_PEER && network_read(text, &network)) || domain_ok(text, 0, NULL);
}

static void expire(void)
{
    int64_t now = clock_mono_ms();

    for (unsigned i = 0; i < follow_n;) {
        if (follows[i].until_ms > now)
            i++;
        else
            follows[i] = follows[--follow_n];
    }
}

bool follow_add(enum follow_kind kind, struct strv text, int64_t ms)
{
    struct follow *f = NULL;

    expire();
    if (!follow_is_valid(kind, text))
        return false;
    for (unsigned i = 0; i < follow_n; i++)
        if (follows[i].kind == kind && strv_ieq(text, SV(follows[i].text)))
            f = &follows[i];
    if (!f && follow_n == FOLLOW_MAX)
        return false;
    if (!f)
        f = &follows[follow_n++];
    *f = (struct follow){ .kind = kind, .until_ms = clock_mono_ms() + ms };
    strv_cstr(text, f->text, sizeof f->text);
    f->is_network = kind == FOLLOW_PEER && network_read(text, &f->network);
    return true;
}

void follow_on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)arg;
    (void)ch;
    follow_add((enum follow_kind)ipc_get_u64(in, TAG_KIND), ipc_get(in, TAG_TEXT),
               (int64_t)ipc_get_u64(in, TAG_DEADLINE));
}

bool follow_any(void)
{
    return follow_n > 0;
}

static bool is_below(struct strv name, struct strv domain)
{
    if (strv_ieq(name, domain))
        return true;
    return name.n > domain.n && name.p[name.n - domain.n - 1] == '.' && strv_iends(name, domain);
}

bool follow_peer(const struct netaddr *addr, struct strv name)
{
    expire();
    for (unsigned i = 0; i < follow_n; i++) {
        const struct follow *f = &follows[i];

        if (f->is_network ? netprefix_contains(&f->network, addr)
                          : f->kind == FOLLOW_PEER && strv_ieq(name, SV(f->text)))
            return true;
    }
    return false;
}

bool follow_domain(struct strv domain)
{
    expire();
    for (unsigned i = 0; i < follow_n; i++)
        if (follows[i].kind == FOLLOW_DOMAIN && is_below(domain, SV(follows[i].text)))
            return true;
    return false;
}
