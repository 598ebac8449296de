/* client.c - typed questions to dnsd over one channel */
#include "dnsd/client.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/ipc/question.h"
#include "common/net/loop.h"
#include "dnsd/names.h"

#include <stdlib.h>

struct dns_client {
    struct loop *loop;
    enum role self;
    struct channel *ch; /* owned; NULL when dnsd is away */
    struct asker *asker;
    struct names *names; /* owned */
    struct ipc_out out;
};

/* ---- answers ---- */

static void on_name(void *arg, struct ipc_in *in)
{
    struct dns_ask *q = arg;
    enum ipc_dns answer = in ? (enum ipc_dns)ipc_get_u64(in, TAG_ANSWER) : DNS_TEMPFAIL;
    struct strv name = in ? ipc_get(in, TAG_NAME) : SV("");

    q->handle = 0;
    if (answer == DNS_OK && name.n == 0)
        answer = DNS_TEMPFAIL; /* dnsd broke its own rule: no name is made of that */
    if (in)                    /* no answer at all says nothing of the next one */
        names_put(q->client->names, &q->addr, loop_now(q->client->loop), answer, name);
    q->name_done(q->arg, answer, answer == DNS_OK ? name : SV(""));
}

struct host_space {
    struct dns_host hosts[DNS_HOSTS_MAX];
    struct netaddr addrs[DNS_ADDRESSES_MAX];
    size_t host_n, addr_n;
};

static void read_host(struct host_space *sp, const struct ipc_in *group)
{
    struct dns_host *h = &sp->hosts[sp->host_n++];
    size_t at = 0;
    struct strv text;

    *h = (struct dns_host){
        .name = ipc_get(group, TAG_NAME),
        .preference = (uint16_t)ipc_get_u64(group, TAG_PREFERENCE),
        .answer = (enum ipc_dns)ipc_get_u64(group, TAG_ANSWER),
        .addrs = &sp->addrs[sp->addr_n],
    };
    while (sp->addr_n < DNS_ADDRESSES_MAX && ipc_next(group, TAG_ADDR, &at, &text))
        if (netaddr_parse_ip(text, &sp->addrs[sp->addr_n])) {
            sp->addr_n++;
            h->addr_n++;
        }
}

static void on_hosts(void *arg, struct ipc_in *in)
{
    struct dns_ask *q = arg;
    struct dns_hosts hosts = { .answer = DNS_TEMPFAIL, .text = SV_LIT("no answer from dnsd"), .lost = true };
    struct host_space sp;
    struct ipc_in group;
    size_t at = 0;

    sp.host_n = sp.addr_n = 0;
    q->handle = 0;
    if (in) {
        while (sp.host_n < DNS_HOSTS_MAX && ipc_next_group(in, TAG_HOST, &at, &group))
            read_host(&sp, &group);
        hosts = (struct dns_hosts){
            .answer = (enum ipc_dns)ipc_get_u64(in, TAG_ANSWER),
            .hosts = sp.hosts,
            .host_n = sp.host_n,
            .implicit = ipc_get_u64(in, TAG_COUNT),
            .authentic = ipc_get_u64(in, TAG_AD),
            .ttl = (uint32_t)ipc_get_u64(in, TAG_TTL),
            .text = ipc_get(in, TAG_TEXT),
        };
    }
    q->hosts_done(q->arg, &hosts);
}

/* ---- questions ---- */

void dns_client_name(struct dns_ask *q, struct dns_client *dc, const struct netaddr *addr,
                     int64_t deadline_ms, void (*done)(void *arg, enum ipc_dns answer, struct strv name),
                     void *arg)
{
    char text[NETADDR_TEXT];

    *q = (struct dns_ask){ .client = dc, .name_done = done, .arg = arg, .addr = *addr };
    netaddr_ip_text(addr, text, sizeof text);
    ipc_begin(&dc->out, IPC_DNS_CLIENT, asker_txn(dc->asker));
    ipc_put_text(&dc->out, TAG_ADDR, SV(text));
    q->handle = asker_ask(dc->asker, &dc->out, deadline_ms, on_name, q);
}

bool dns_client_known(const struct dns_client *dc, const struct netaddr *addr, enum ipc_dns *answer,
                      struct strv *name)
{
    return names_get(dc->names, addr, loop_now(dc->loop), answer, name);
}

static void ask_hosts(struct dns_ask *q, enum ipc_type type, enum ipc_tag tag, struct strv name,
                      enum ipc_family family, int64_t deadline_ms)
{
    struct dns_client *dc = q->client;

    ipc_begin(&dc->out, type, asker_txn(dc->asker));
    /* Longer than any name, or with bytes that a frame's text refuses: dnsd finds that no such name exists.
     */
    ipc_put_clean(&dc->out, tag, strv_sub(name, 0, 255));
    ipc_put_u64(&dc->out, TAG_FAMILY, family);
    q->handle = asker_ask(dc->asker, &dc->out, deadline_ms, on_hosts, q);
}

void dns_mx(struct dns_ask *q, struct dns_client *dc, struct strv domain, enum ipc_family family,
            int64_t deadline_ms, void (*done)(void *arg, const struct dns_hosts *hosts), void *arg)
{
    *q = (struct dns_ask){ .client = dc, .hosts_done = done, .arg = arg };
    ask_hosts(q, IPC_DNS_MX, TAG_DOMAIN, domain, family, deadline_ms);
}

void dns_host(struct dns_ask *q, struct dns_client *dc, struct strv host, enum ipc_family family,
              int64_t deadline_ms, void (*done)(void *arg, const struct dns_hosts *hosts), void *arg)
{
    *q = (struct dns_ask){ .client = dc, .hosts_done = done, .arg = arg };
    ask_hosts(q, IPC_DNS_HOST, TAG_HOST, host, family, deadline_ms);
}

void dns_ask_cancel(struct dns_ask *q)
{
    if (q->handle)
        asker_cancel(q->client->asker, q->handle);
    q->handle = 0;
}

/* ---- the channel ---- */

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct dns_client *dc = arg;

    (void)ch;
    asker_answer(dc->asker, in);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct dns_client *dc = arg;

    (void)ch;
    /* mtad says who died and why; here only what it cost. */
    if (asker_pending(dc->asker))
        LOG(WARN, "dns.channel.lost", KS("error", why), KI("pending", asker_pending(dc->asker)));
    asker_set_channel(dc->asker, NULL);
    channel_free(&dc->ch);
}

static const struct channel_ops channel_ops = { .frame = on_frame, .lost = on_lost };

void dns_client_edge(struct dns_client *dc, int fd)
{
    asker_set_channel(dc->asker, NULL);
    channel_free(&dc->ch);
    names_forget(dc->names);
    dc->ch = channel_new(dc->loop, fd, dc->self, ROLE_DNSD, 0, &channel_ops, dc);
    asker_set_channel(dc->asker, dc->ch);
}

bool dns_client_is_up(const struct dns_client *dc)
{
    return dc->ch;
}

struct dns_client *dns_client_new(struct loop *loop, enum role self)
{
    struct dns_client *dc = mem_new(sizeof *dc);

    dc->loop = loop;
    dc->self = self;
    dc->asker = asker_new(loop);
    dc->names = names_new();
    ipc_out_init(&dc->out);
    return dc;
}

void dns_client_free(struct dns_client **dc)
{
    if (!*dc)
        return;
    asker_free(&(*dc)->asker);
    names_free(&(*dc)->names);
    channel_free(&(*dc)->ch);
    ipc_out_clear(&(*dc)->out);
    MEM_FREE(*dc);
}
