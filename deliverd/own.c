/* own.c - addresses of this host on which we listen */
#include "deliverd/own.h"

#include "common/base/mem.h"
#include "conf/conf.h"
#include "conf/listen.h"
#include "deliverd/route.h"

#include <ifaddrs.h>

#define OWN_MAX 1000

static void add(struct own_addresses *own, struct netaddr a)
{
    if (own->n == OWN_MAX)
        return;
    for (size_t i = 0; i < own->n; i++)
        if (own->v[i].port == a.port && netaddr_eq_ip(&own->v[i], &a))
            return;
    own->v = mem_resize(own->v, own->n + 1, sizeof *own->v);
    own->v[own->n++] = a;
}

static void add_interfaces(struct own_addresses *own, const struct ifaddrs *list,
                           const struct netaddr *listen)
{
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        struct netaddr a;

        if (!i->ifa_addr || i->ifa_addr->sa_family != listen->family ||
            !netaddr_from_sockaddr(i->ifa_addr,
                                   listen->family == AF_INET ? sizeof(struct sockaddr_in)
                                                             : sizeof(struct sockaddr_in6),
                                   &a))
            continue;
        a.port = listen->port;
        add(own, a);
    }
}

void own_addresses_find(const struct conf *conf, struct own_addresses *out)
{
    struct ifaddrs *list = NULL;

    *out = (struct own_addresses){ .n = 0 };
    if (getifaddrs(&list) != 0)
        list = NULL;
    for (size_t i = 0; i < conf->listen_n; i++) {
        const struct conf_endpoints *e = &conf->listens[i]->address;

        for (size_t k = 0; k < e->n; k++) {
            if (netaddr_is_wildcard(&e->v[k]))
                add_interfaces(out, list, &e->v[k]);
            add(out, e->v[k]);
        }
    }
    if (list)
        freeifaddrs(list);
}
