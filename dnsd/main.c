/* main.c - dnsd: all DNS of the suite, nothing else */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/proc/daemon.h"
#include "conf/conf.h"
#include "conf/dns.h"
#include "dnsd/lookup.h"
#include "dnsd/resolver.h"
#include "dnsd/server.h"

struct dnsd {
    struct resolver *resolver;
    struct lookup *lookup;
    struct server *server;
};

/* Still with the file system: c-ares looks at its files when a channel is made. */
static bool dnsd_open(struct daemon *d, struct err *err)
{
    const struct conf_dns *dns = daemon_conf(d)->dns;
    struct resolver_options o = {
        .servers = &dns->servers,
        .timeout_ms = dns->timeout * 1000,
        .attempts = (unsigned)dns->attempts,
    };
    struct dnsd *dnsd = mem_new(sizeof *dnsd);

    daemon_set_state(d, dnsd);
    dnsd->resolver = resolver_new(&o, err);
    return dnsd->resolver;
}

static void on_servers(void *arg, const char *text)
{
    daemon_trouble(arg, "resolver", text,
                   "look whether these servers run and can be reached, or name others: dns { servers = ... "
                   "}");
}

static struct dnsd *ready(struct daemon *d)
{
    struct dnsd *dnsd = daemon_state(d);

    /* Edges are announced before `start`. */
    if (!dnsd->server) {
        resolver_start(dnsd->resolver, daemon_loop(d));
        resolver_watch(dnsd->resolver, on_servers, d);
        dnsd->lookup = lookup_new(daemon_loop(d), dnsd->resolver);
        dnsd->server = server_new(daemon_loop(d), dnsd->lookup, daemon_conf(d)->dns->trust_ad);
    }
    return dnsd;
}

static bool dnsd_start(struct daemon *d, struct err *err)
{
    const struct conf_dns *dns = daemon_conf(d)->dns;

    (void)err;
    ready(d);
    LOG(INFO, "dns.started", KI("servers", dns->servers.n), KMS("timeout", dns->timeout * 1000),
        KI("attempts", dns->attempts), KS("trust_ad", dns->trust_ad ? "yes" : "no"));
    return true;
}

static void dnsd_edge(struct daemon *d, enum role peer, unsigned index, int fd, bool lived)
{
    (void)lived;
    server_edge(ready(d)->server, peer, index, fd);
}

/* Whoever still asks is ended before us and counts "could not tell" as temporary. */
static void dnsd_drain(struct daemon *d, int64_t deadline_ms)
{
    struct dnsd *dnsd = daemon_state(d);

    (void)deadline_ms;
    server_free(&dnsd->server);
    lookup_free(&dnsd->lookup);
    resolver_free(&dnsd->resolver);
    daemon_exit(d, 0);
}

static const struct daemon_spec spec = {
    .name = "dnsd",
    .role = ROLE_DNSD,
    .open = dnsd_open,
    .start = dnsd_start,
    .edge = dnsd_edge,
    .drain = dnsd_drain,
};

int main(int argc, char **argv)
{
    return daemon_main(&spec, argc, argv);
}
