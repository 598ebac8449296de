/* netaddr.c - IP addresses, ports and prefixes as values */
#include "common/base/netaddr.h"

#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static size_t ip_size(const struct netaddr *a)
{
    return a->family == AF_INET ? 4 : 16;
}

void netaddr_unmap(struct netaddr *a)
{
    if (a->family != AF_INET6 || memcmp(a->ip, mapped, sizeof mapped) != 0)
        return;
    a->family = AF_INET;
    memcpy(a->ip, a->ip + 12, 4);
    memset(a->ip + 4, 0, 12);
}

/* inet_pton of glibc takes neither octal nor short forms nor zone names. */
static bool parse_family(struct strv s, sa_family_t family, struct netaddr *out)
{
    char text[INET6_ADDRSTRLEN + 1];
    struct netaddr a = { .family = family };

    if (!strv_cstr(s, text, sizeof text) || inet_pton(family, text, a.ip) != 1)
        return false;
    *out = a;
    return true;
}

bool netaddr_parse_ip(struct strv s, struct netaddr *out)
{
    if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        return parse_family(strv_sub(s, 1, s.n - 2), AF_INET6, out);
    return parse_family(s, AF_INET, out) || parse_family(s, AF_INET6, out);
}

bool netaddr_parse(struct strv s, struct netaddr *out, bool zero_ok)
{
    struct netaddr a;
    struct strv host;
    uint64_t port;
    size_t at;

    if (!strv_rfind(s, ':', &at))
        return false;
    host = strv_sub(s, 0, at);
    if (!strv_u64(strv_from(s, at + 1), 65535, &port) || (port == 0 && !zero_ok))
        return false;
    /* A bare v6 address ends in a group, not in a port. */
    if (strv_has(host, ':') && host.p[0] != '[')
        return false;
    if (!netaddr_parse_ip(host, &a))
        return false;
    a.port = (uint16_t)port;
    *out = a;
    return true;
}

bool netaddr_parse_literal(struct strv s, struct netaddr *out)
{
    if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        s = strv_sub(s, 1, s.n - 2);
    if (!strv_istarts(s, SV_LIT("IPv6:")))
        return parse_family(s, AF_INET, out);
    if (!parse_family(strv_from(s, 5), AF_INET6, out))
        return false;
    netaddr_unmap(out);
    return true;
}

/* True when any bit behind the first bits ones is set. */
static bool has_host_bits(const struct netaddr *a, unsigned bits)
{
    for (unsigned i = bits; i < ip_size(a) * 8; i++) {
        if (a->ip[i / 8] & 0x80u >> i % 8)
            return true;
    }
    return false;
}

bool netprefix_parse(struct strv s, struct netprefix *out, const char **why)
{
    struct netprefix p = { 0 };
    struct strv host = s;
    uint64_t bits;
    size_t at;
    bool given = strv_find(s, '/', &at);

    if (given)
        host = strv_sub(s, 0, at);
    if (!netaddr_parse_ip(host, &p.addr)) {
        *why = "not an IP address";
        return false;
    }
    bits = ip_size(&p.addr) * 8;
    if (given && !strv_u64(strv_from(s, at + 1), bits, &bits)) {
        *why = p.addr.family == AF_INET ? "the prefix length is not a number up to 32"
                                        : "the prefix length is not a number up to 128";
        return false;
    }
    if (has_host_bits(&p.addr, (unsigned)bits)) {
        *why = "bits behind the prefix length are set";
        return false;
    }
    if (bits >= 96 && p.addr.family == AF_INET6) {
        netaddr_unmap(&p.addr);
        if (p.addr.family == AF_INET)
            bits -= 96;
    }
    p.bits = (uint8_t)bits;
    *out = p;
    return true;
}

/* snprintf's result as the number of bytes that are there. */
static size_t written(int n, size_t size)
{
    if (n < 0 || size == 0)
        return 0;
    return (size_t)n < size ? (size_t)n : size - 1;
}

size_t netaddr_ip_text(const struct netaddr *a, char *dst, size_t size)
{
    char text[INET6_ADDRSTRLEN];

    if (a->family == AF_UNSPEC || !inet_ntop(a->family, a->ip, text, sizeof text))
        return written(snprintf(dst, size, "-"), size);
    return written(snprintf(dst, size, "%s", text), size);
}

size_t netaddr_text(const struct netaddr *a, char *dst, size_t size)
{
    char text[INET6_ADDRSTRLEN];
    const char *fmt_open = a->family == AF_INET6 ? "[" : "", *fmt_close = a->family == AF_INET6 ? "]" : "";

    netaddr_ip_text(a, text, sizeof text);
    return written(snprintf(dst, size, "%s%s%s:%u", fmt_open, text, fmt_close, (unsigned)a->port), size);
}

size_t netaddr_literal_text(const struct netaddr *a, char *dst, size_t size)
{
    char text[INET6_ADDRSTRLEN];

    netaddr_ip_text(a, text, sizeof text);
    return written(snprintf(dst, size, "[%s%s]", a->family == AF_INET6 ? "IPv6:" : "", text), size);
}

size_t netprefix_text(const struct netprefix *p, char *dst, size_t size)
{
    char text[INET6_ADDRSTRLEN];

    netaddr_ip_text(&p->addr, text, sizeof text);
    return written(snprintf(dst, size, "%s/%u", text, (unsigned)p->bits), size);
}

size_t netaddr_ptr_name(const struct netaddr *a, char *dst, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    char text[80];
    size_t n = 0;

    if (a->family == AF_INET)
        return written(snprintf(dst, size, "%u.%u.%u.%u.in-addr.arpa", a->ip[3], a->ip[2], a->ip[1],
                                a->ip[0]), size);
    for (int i = 15; i >= 0; i--) {
        text[n++] = hex[a->ip[i] & 15];
        text[n++] = '.';
        text[n++] = hex[a->ip[i] >> 4];
        text[n++] = '.';
    }
    text[n] = '\0';
    return written(snprintf(dst, size, "%sip6.arpa", text), size);
}

bool netaddr_eq_ip(const struct netaddr *a, const struct netaddr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, ip_size(a)) == 0;
}

bool netprefix_contains(const struct netprefix *p, const struct netaddr *a)
{
    struct netaddr x = *a;
    unsigned whole = p->bits / 8u, rest = p->bits % 8u;
    uint8_t mask = (uint8_t)(0xff00u >> rest);

    netaddr_unmap(&x);
    if (x.family != p->addr.family || memcmp(x.ip, p->addr.ip, whole) != 0)
        return false;
    return rest == 0 || ((x.ip[whole] ^ p->addr.ip[whole]) & mask) == 0;
}

bool netaddr_is_loopback(const struct netaddr *a)
{
    static const uint8_t one[16] = { [15] = 1 };
    struct netaddr x = *a;

    netaddr_unmap(&x);
    if (x.family == AF_INET)
        return x.ip[0] == 127;
    return x.family == AF_INET6 && memcmp(x.ip, one, 16) == 0;
}

bool netaddr_is_wildcard(const struct netaddr *a)
{
    static const uint8_t zero[16];

    return memcmp(a->ip, zero, ip_size(a)) == 0;
}

bool netaddr_is_host(const struct netaddr *a)
{
    struct netaddr x = *a;

    netaddr_unmap(&x);
    if (x.family == AF_INET)
        return x.ip[0] != 0 && x.ip[0] < 224;
    return x.family == AF_INET6 && x.ip[0] != 0xff && !netaddr_is_wildcard(&x);
}

socklen_t netaddr_to_sockaddr(const struct netaddr *a, struct sockaddr_storage *ss)
{
    memset(ss, 0, sizeof *ss);
    if (a->family == AF_INET) {
        struct sockaddr_in *sin = (struct sockaddr_in *)ss;

        sin->sin_family = AF_INET;
        sin->sin_port = htons(a->port);
        memcpy(&sin->sin_addr, a->ip, 4);
        return sizeof *sin;
    }
    if (a->family == AF_INET6) {
        struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;

        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons(a->port);
        memcpy(&sin6->sin6_addr, a->ip, 16);
        return sizeof *sin6;
    }
    return 0;
}

bool netaddr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct netaddr *out)
{
    struct netaddr a = { .family = AF_UNSPEC };

    if (len >= sizeof(struct sockaddr_in) && sa->sa_family == AF_INET) {
        struct sockaddr_in sin;

        memcpy(&sin, sa, sizeof sin);
        a.family = AF_INET;
        a.port = ntohs(sin.sin_port);
        memcpy(a.ip, &sin.sin_addr, 4);
    } else if (len >= sizeof(struct sockaddr_in6) && sa->sa_family == AF_INET6) {
        struct sockaddr_in6 sin6;

        memcpy(&sin6, sa, sizeof sin6);
        a.family = AF_INET6;
        a.port = ntohs(sin6.sin6_port);
        memcpy(a.ip, &sin6.sin6_addr, 16);
        netaddr_unmap(&a);
    } else {
        return false;
    }
    *out = a;
    return true;
}
