/* server.c - questions in, answers out */
#include "dnsd/server.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "dnsd/question.h"

#include <stdlib.h>

#define QUESTIONS_MAX                                                                                        \
    2000 /* of one peer on their way; it never has more sessions or jobs waiting than that */

struct asking {
    struct asking *next;
    struct server *s;
    struct channel *ch;         /* owned */
    struct question *questions; /* owned, a list */
    size_t count;
};

struct server {
    struct loop *loop;
    struct lookup *lookup;
    bool trust_ad;
    struct asking *peers;
    struct ipc_out out;
};

/* ---- answers ---- */

static void question_unlink(struct asking *p, struct question *q)
{
    *(q->prev ? &q->prev->next : &p->questions) = q->next;
    if (q->next)
        q->next->prev = q->prev;
    p->count--;
}

static void on_question_answer(void *arg, struct question *q, struct ipc_out *o)
{
    struct asking *p = arg;

    channel_send(p->ch, o);
    question_unlink(p, q);
    question_free(&q);
}

static const struct question_ops question_ops = { .answer = on_question_answer };

void question_free(struct question **q)
{
    if (*q)
        (*q)->free(*q);
    *q = NULL;
}

static void question_add(struct asking *p, struct question *q)
{
    q->prev = NULL;
    q->next = p->questions;
    if (q->next)
        q->next->prev = q;
    p->questions = q;
    p->count++;
}

static struct question base_of(struct asking *p, const struct ipc_in *in)
{
    return (struct question){
        .lookup = p->s->lookup,
        .ops = &question_ops,
        .arg = p,
        .txn = in->txn,
        .trust_ad = p->s->trust_ad,
        .out = &p->s->out,
    };
}

/* ---- questions ---- */

static bool crowded(struct asking *p, uint64_t txn, enum ipc_type type)
{
    struct ipc_out *o = &p->s->out;

    if (p->count < QUESTIONS_MAX)
        return false;
    ipc_begin(o, type, txn);
    ipc_put_u64(o, TAG_ANSWER, DNS_TEMPFAIL);
    if (type != IPC_DNS_CLIENT_ANSWER)
        ipc_put_text(o, TAG_TEXT, SV_LIT("too many questions on their way"));
    channel_send(p->ch, o);
    return true;
}

static void on_dns_client(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct asking *p = arg;
    struct question base = base_of(p, in);
    struct netaddr addr;

    (void)ch;
    if (crowded(p, in->txn, IPC_DNS_CLIENT_ANSWER))
        return;
    if (!netaddr_parse_ip(ipc_get(in, TAG_ADDR), &addr)) {
        ipc_begin(&p->s->out, IPC_DNS_CLIENT_ANSWER, in->txn);
        ipc_put_u64(&p->s->out, TAG_ANSWER, DNS_NXDOMAIN);
        channel_send(p->ch, &p->s->out);
        return;
    }
    question_add(p, question_client(&base, &addr));
}

static void on_dns_mx(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct asking *p = arg;
    struct question base = base_of(p, in);

    (void)ch;
    if (!crowded(p, in->txn, IPC_DNS_HOSTS))
        question_add(p, question_mx(&base, ipc_get(in, TAG_DOMAIN),
                                    (enum ipc_family)ipc_get_u64(in, TAG_FAMILY)));
}

static void on_dns_host(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct asking *p = arg;
    struct question base = base_of(p, in);

    (void)ch;
    if (!crowded(p, in->txn, IPC_DNS_HOSTS))
        question_add(p, question_host(&base, ipc_get(in, TAG_HOST),
                                      (enum ipc_family)ipc_get_u64(in, TAG_FAMILY)));
}

static void on_dns_query(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct asking *p = arg;
    struct question base = base_of(p, in);

    (void)ch;
    if (!crowded(p, in->txn, IPC_DNS_ANSWER))
        question_add(p, question_plain(&base, ipc_get(in, TAG_NAME), (uint16_t)ipc_get_u64(in, TAG_RRTYPE)));
}

static const struct channel_route routes[] = {
    {IPC_DNS_CLIENT, on_dns_client},
    { IPC_DNS_MX,    on_dns_mx    },
    { IPC_DNS_HOST,  on_dns_host  },
    { IPC_DNS_QUERY, on_dns_query },
    { 0,             NULL         },
};

/* ---- channels ---- */

static void asking_free(struct asking *p)
{
    struct asking **at = &p->s->peers;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    while (p->questions) {
        struct question *q = p->questions;

        question_unlink(p, q);
        question_free(&q);
    }
    channel_free(&p->ch);
    free(p);
}

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    channel_dispatch(routes, arg, ch, in);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    /* Whoever asked is gone, so nobody waits for an answer here; mtad says who ended, and why. */
    LOG(DEBUG, "dns.peer.lost", KS("peer", role_name(channel_peer(ch))), KI("index", channel_peer_index(ch)),
        KS("error", why));
    asking_free(arg);
}

static const struct channel_ops channel_ops = { .frame = on_frame, .lost = on_lost };

void server_edge(struct server *s, enum role peer, unsigned index, int fd)
{
    struct asking *p;

    for (struct asking *old = s->peers, *next; old; old = next) {
        next = old->next;
        if (channel_peer(old->ch) == peer && channel_peer_index(old->ch) == index)
            asking_free(old);
    }
    p = mem_new(sizeof *p);
    p->s = s;
    p->ch = channel_new(s->loop, fd, ROLE_DNSD, peer, index, &channel_ops, p);
    p->next = s->peers;
    s->peers = p;
}

struct server *server_new(struct loop *loop, struct lookup *lookup, bool trust_ad)
{
    struct server *s = mem_new(sizeof *s);

    s->loop = loop;
    s->lookup = lookup;
    s->trust_ad = trust_ad;
    ipc_out_init(&s->out);
    return s;
}

void server_free(struct server **s)
{
    if (!*s)
        return;
    while ((*s)->peers)
        asking_free((*s)->peers);
    ipc_out_clear(&(*s)->out);
    MEM_FREE(*s);
}
