/* question_plain.c - DNS_QUERY: the records of one name and type as they are */
#include "dnsd/question.h"

#include "common/base/mem.h"
#include "common/base/metric.h"

#include <stdlib.h>

#define ANSWER_MAX 49152 /* record bytes that one frame takes; the rest of a larger set is left out */
#define RECORD_MAX 8192

struct plain {
    struct question q;
    struct lookup_ask ask;
    uint16_t type;
};

static void put_record(struct ipc_out *o, const struct dns_record *r, uint16_t type)
{
    char mx[2 + DNS_NAME_MAX];

    if (type != DNS_TYPE_MX) {
        ipc_put_bytes(o, TAG_RECORD, r->data);
        return;
    }
    mx[0] = (char)(r->preference >> 8);
    mx[1] = (char)(r->preference & 0xff);
    memcpy(mx + 2, r->data.p, r->data.n);
    ipc_put_bytes(o, TAG_RECORD, strv_make(mx, r->data.n + 2));
}

static void on_answer(void *arg, struct dns_answer *a)
{
    struct plain *p = arg;
    struct ipc_out *o = p->q.out;

    ipc_begin(o, IPC_DNS_ANSWER, p->q.txn);
    ipc_put_u64(o, TAG_ANSWER, a->status);
    metric_add(METRIC_DNS, a->status, 1);
    for (size_t i = 0; i < a->count && ipc_out_size(o) < ANSWER_MAX; i++)
        if (!a->records[i].odd && a->records[i].data.n <= RECORD_MAX)
            put_record(o, &a->records[i], p->type);
    ipc_put_u64(o, TAG_AD, a->authentic && p->q.trust_ad);
    ipc_put_u64(o, TAG_TTL, a->ttl);
    if (*a->why)
        ipc_put_text(o, TAG_TEXT, SV(a->why));
    p->q.ops->answer(p->q.arg, &p->q, o);
}

static void plain_free(struct question *q)
{
    struct plain *p = (struct plain *)(void *)q;

    lookup_cancel(&p->ask);
    free(p);
}

struct question *question_plain(const struct question *base, struct strv name, uint16_t type)
{
    struct plain *p = mem_new(sizeof *p);

    p->q = *base;
    p->q.free = plain_free;
    p->type = type;
    lookup_start(p->q.lookup, &p->ask, name, type, on_answer, p);
    return &p->q;
}
