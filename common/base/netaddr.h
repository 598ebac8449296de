/* netaddr.h - IP addresses, ports and prefixes as values (pure: no sockets, no lookups) */
#pragma once

#include "common/base/strv.h"

#include <sys/socket.h>
#include <netinet/in.h>

struct netaddr {
    sa_family_t family;         /* AF_INET or AF_INET6; AF_UNSPEC when unset */
    uint16_t port;              /* host order; 0 when none */
    uint8_t ip[16];             /* network order; 4 or 16 bytes in use */
};

struct netprefix {
    struct netaddr addr;        /* host bits are zero */
    uint8_t bits;
};

#define NETADDR_TEXT 64         /* enough for "[v6]:port" and a NUL */

/* "192.0.2.1", "2001:db8::1" or "[2001:db8::1]"; strict dotted quad (no octal, no short forms). */
bool netaddr_parse_ip(struct strv s, struct netaddr *out);
/* "192.0.2.1:25", "[2001:db8::1]:25". A port is required; 0 is refused unless zero_ok. */
bool netaddr_parse(struct strv s, struct netaddr *out, bool zero_ok);
/* RFC 5321 4.1.3 address literal without or with brackets: "[192.0.2.1]", "[IPv6:2001:db8::1]". Unmapped. */
bool netaddr_parse_literal(struct strv s, struct netaddr *out);
/* "10.0.0.0/8", "::1", "2001:db8::/32". Host bits set are refused (a typing mistake); *why tells, static
   text. */
bool netprefix_parse(struct strv s, struct netprefix *out, const char **why);

size_t netaddr_ip_text(const struct netaddr *a, char *dst, size_t size);      /* "192.0.2.1", "2001:db8::1" */
size_t netaddr_text(const struct netaddr *a, char *dst, size_t size);         /* with port; v6 in brackets */
size_t netaddr_literal_text(const struct netaddr *a, char *dst, size_t size); /* "[192.0.2.1]", "[IPv6:..]" */
size_t netprefix_text(const struct netprefix *p, char *dst, size_t size);
/* Name for a PTR question: "1.2.0.192.in-addr.arpa". size >= 80. */
size_t netaddr_ptr_name(const struct netaddr *a, char *dst, size_t size);

/* "::ffff:192.0.2.1" becomes 192.0.2.1, which is where a connection to it goes. */
void netaddr_unmap(struct netaddr *a);
bool netaddr_eq_ip(const struct netaddr *a, const struct netaddr *b);
bool netprefix_contains(const struct netprefix *p, const struct netaddr *a);  /* v4-mapped v6 counts as v4 */
bool netaddr_is_loopback(const struct netaddr *a);
bool netaddr_is_wildcard(const struct netaddr *a); /* 0.0.0.0, :: */
/* One host may have it: not 0/8, ::, multicast, reserved or broadcast. */
bool netaddr_is_host(const struct netaddr *a);

socklen_t netaddr_to_sockaddr(const struct netaddr *a, struct sockaddr_storage *ss);
/* Unmaps v4-mapped addresses. */
bool netaddr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct netaddr *out);
