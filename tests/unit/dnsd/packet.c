/* packet.c - composing DNS answers for tests */
#include "tests/unit/dnsd/packet.h"

#include "common/base/netaddr.h"
#include "common/base/wire.h"

static size_t data_at;

void packet_begin(struct packet *p, unsigned flags, const char *qname, unsigned qtype)
{
    buf_init(&p->b, 65535);
    wr_u16(&p->b, 0x1234);
    wr_u16(&p->b, (uint16_t)(0x8180 | flags));
    wr_u16(&p->b, 1);
    wr_u16(&p->b, 0);
    wr_u16(&p->b, 0);
    wr_u16(&p->b, 0);
    packet_name(p, qname);
    wr_u16(&p->b, (uint16_t)qtype);
    wr_u16(&p->b, 1);
}

void packet_end(struct packet *p)
{
    buf_clear(&p->b);
}

void packet_name(struct packet *p, const char *name)
{
    struct strv rest = SV(name), label;

    while (rest.n && strv_cut(&rest, '.', &label)) {
        wr_u8(&p->b, (uint8_t)label.n);
        buf_addv(&p->b, label);
        if (!rest.p)
            break;
    }
    wr_u8(&p->b, 0);
}

static void put_u16_at(struct packet *p, size_t at, size_t v)
{
    p->b.data[at] = (char)(v >> 8);
    p->b.data[at + 1] = (char)v;
}

void packet_record(struct packet *p, int section, const char *owner, unsigned type, uint32_t ttl)
{
    size_t at = 4 + 2 * (size_t)section;
    unsigned n = (unsigned)(unsigned char)p->b.data[at] << 8 | (unsigned char)p->b.data[at + 1];

    put_u16_at(p, at, n + 1);
    packet_name(p, owner);
    wr_u16(&p->b, (uint16_t)type);
    wr_u16(&p->b, 1);
    wr_u32(&p->b, ttl);
    wr_u16(&p->b, 0);
    data_at = p->b.len;
}

void packet_data_end(struct packet *p)
{
    put_u16_at(p, data_at - 2, p->b.len - data_at);
}

void packet_a(struct packet *p, const char *owner, const char *ip, uint32_t ttl)
{
    struct netaddr a;

    if (!netaddr_parse_ip(SV(ip), &a))
        return;
    packet_record(p, 1, owner, a.family == AF_INET ? 1 : 28, ttl);
    buf_add(&p->b, a.ip, a.family == AF_INET ? 4 : 16);
    packet_data_end(p);
}

void packet_mx(struct packet *p, const char *owner, unsigned preference, const char *host, uint32_t ttl)
{
    packet_record(p, 1, owner, 15, ttl);
    wr_u16(&p->b, (uint16_t)preference);
    packet_name(p, host);
    packet_data_end(p);
}

void packet_host(struct packet *p, const char *owner, unsigned type, const char *target, uint32_t ttl)
{
    packet_record(p, 1, owner, type, ttl);
    packet_name(p, target);
    packet_data_end(p);
}

void packet_soa(struct packet *p, const char *zone, uint32_t ttl, uint32_t minimum)
{
    packet_record(p, 2, zone, 6, ttl);
    packet_name(p, "ns.test");
    packet_name(p, "root.test");
    for (int i = 0; i < 4; i++)
        wr_u32(&p->b, 1);
    wr_u32(&p->b, minimum);
    packet_data_end(p);
}
