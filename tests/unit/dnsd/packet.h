/* packet.h - composes DNS answers for tests, well-formed ones and others */
#pragma once

#include "common/base/buf.h"

struct packet {
    struct buf b;
};

/* Header (one question) and question; flags beside QR|RD|RA, e.g. rcode, 0x20 for AD. */
void packet_begin(struct packet *p, unsigned flags, const char *qname, unsigned qtype);
void packet_end(struct packet *p);
/* Counts up the section: 1 answer, 2 authority. The RDATA that follows is written by the other functions and
   closed by packet_data_end. */
void packet_record(struct packet *p, int section, const char *owner, unsigned type, uint32_t ttl);
void packet_data_end(struct packet *p);
void packet_name(struct packet *p, const char *name); /* "" is the root */
/* Whole records. */
void packet_a(struct packet *p, const char *owner, const char *ip, uint32_t ttl); /* or AAAA */
void packet_mx(struct packet *p, const char *owner, unsigned preference, const char *host, uint32_t ttl);
void packet_host(struct packet *p, const char *owner, unsigned type, const char *target, uint32_t ttl);
void packet_soa(struct packet *p, const char *zone, uint32_t ttl, uint32_t minimum);
