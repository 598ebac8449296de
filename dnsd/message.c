/* message.c - reading DNS answers (RFC 1035 4): every length and pointer in them is somebody else's claim */
#include "dnsd/message.h"

#include "common/base/mem.h"
#include "common/base/wire.h"

#include <stdlib.h>

#define HEADER_SIZE 12u
#define LABELS_MAX  128u          /* 255 bytes of wire name hold no more */
#define DATA_MAX    (48u * 1024u) /* record data of one answer, expanded */

enum name_kind {
    NAME_OK,
    NAME_ODD, /* well-formed, but with bytes that would mean something else in text */
    NAME_BAD, /* malformed message */
};

struct raw_record {
    uint16_t type;
    uint32_t ttl;
    size_t owner;          /* offset of its name */
    size_t data, data_len; /* offset and length of RDATA, checked */
};

struct parse {
    struct strv msg;
    size_t at;
    unsigned count[4]; /* question, answer, authority, additional */
    unsigned rcode;
    bool ad, aa;
    struct raw_record rr[DNS_RECORDS_MAX];
    size_t rr_n;
    struct buf data; /* record data, copied into the answer at the end */
    struct {
        uint16_t preference;
        bool odd;
        size_t at, len;
    } found[DNS_RECORDS_MAX];
    size_t found_n;
    uint32_t ttl;
};

/* ---- names ---- */

/* What may stand in a label of a text name. A dot, blank, quote, backslash, control or 8-bit byte inside a
   label is legal DNS (RFC 2181 11) and an injection everywhere else (INCIDENTS: octal escapes, forged names
   in headers). */
static bool label_byte_ok(unsigned char c)
{
    return byte_is_print(c) && c != ' ' && c != '.' && c != '\\' && c != '"' && c != '(' && c != ')' &&
           c != ';' && c != '<' && c != '>' && c != '@';
}

/* Expands the name at *at into text and moves *at behind it. Pointers must lead backwards, each behind the
   one before, so there is no loop whatever the bytes are. */
static enum name_kind name_expand(struct strv msg, size_t *at, char dst[DNS_NAME_MAX + 1], size_t *len)
{
    size_t pos = *at, floor = *at, n = 0;
    bool jumped = false, odd = false;

    for (unsigned labels = 0; labels <= LABELS_MAX; labels++) {
        unsigned char l;

        if (pos >= msg.n)
            return NAME_BAD;
        l = (unsigned char)msg.p[pos++];
        if ((l & 0xc0) == 0xc0) {
            size_t target;

            if (pos >= msg.n)
                return NAME_BAD;
            target = ((size_t)(l & 0x3f) << 8) | (unsigned char)msg.p[pos++];
            if (!jumped)
                *at = pos;
            jumped = true;
            if (target < HEADER_SIZE || target >= floor)
                return NAME_BAD;
            pos = floor = target;
            continue;
        }
        if (l & 0xc0)
            return NAME_BAD;
        if (l == 0) {
            if (!jumped)
                *at = pos;
            dst[n] = '\0';
            *len = n;
            return odd ? NAME_ODD : NAME_OK;
        }
        if (l > msg.n - pos || n + l + (n ? 1u : 0u) > DNS_NAME_MAX - 2u)
            return NAME_BAD;
        if (n)
            dst[n++] = '.';
        for (unsigned i = 0; i < l; i++) {
            char c = msg.p[pos + i];

            odd = odd || !label_byte_ok((unsigned char)c);
            dst[n++] = byte_lower(c);
        }
        pos += l;
    }
    return NAME_BAD;
}

bool dns_name_normal(struct strv name, char *dst)
{
    size_t label = 0, n = 0;

    if (name.n && name.p[name.n - 1] == '.')
        name.n--;
    if (name.n == 0 || name.n > DNS_NAME_MAX - 2)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else if (!label_byte_ok((unsigned char)name.p[i]) || ++label > 63) {
            return false;
        }
        dst[n++] = byte_lower(name.p[i]);
    }
    dst[n] = '\0';
    return label > 0;
}

bool dns_name_is_host(struct strv name)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];

        if (!byte_is_alnum(c) && c != '-' && c != '_' && c != '.')
            return false;
    }
    return name.n > 0;
}

/* ---- answers ---- */

struct dns_answer *dns_answer_status(enum ipc_dns status, uint32_t ttl)
{
    struct dns_answer *a = mem_new(sizeof *a);

    a->refs = 1;
    a->status = status;
    a->ttl = ttl;
    a->why = "";
    return a;
}

struct dns_answer *dns_answer_temp(const char *why)
{
    struct dns_answer *a = dns_answer_status(DNS_TEMPFAIL, 0);

    a->why = why;
    return a;
}

struct dns_answer *dns_answer_ref(struct dns_answer *a)
{
    a->refs++;
    return a;
}

void dns_answer_unref(struct dns_answer **a)
{
    if (*a && --(*a)->refs == 0)
        free(*a);
    *a = NULL;
}

bool dns_record_addr(const struct dns_record *r, uint16_t type, struct netaddr *out)
{
    size_t want = type == DNS_TYPE_A ? 4 : 16;

    *out = (struct netaddr){ .family = type == DNS_TYPE_A ? AF_INET : AF_INET6 };
    if ((type != DNS_TYPE_A && type != DNS_TYPE_AAAA) || r->data.n != want)
        return false;
    memcpy(out->ip, r->data.p, want);
    netaddr_unmap(out); /* a socket of the other family, whatever the record is called */
    return true;
}

/* ---- the message ---- */

static bool u16_at(struct strv msg, size_t at, unsigned *out)
{
    struct rd r;
    uint16_t v;

    if (at > msg.n)
        return false;
    r = rd_make(msg.p + at, msg.n - at);
    if (!rd_u16(&r, &v))
        return false;
    *out = v;
    return true;
}

/* Header and question: NULL when they fit, else what is wrong. */
static const char *parse_head(struct parse *p, struct strv name, uint16_t type)
{
    char text[DNS_NAME_MAX + 1];
    unsigned flags, qtype, qclass;
    size_t len;

    if (p->msg.n < HEADER_SIZE || !u16_at(p->msg, 2, &flags))
        return "answer is too short";
    if (!(flags & 0x8000) || ((flags >> 11) & 15) != 0)
        return "answer is not a response to a query";
    p->rcode = flags & 15;
    p->ad = flags & 0x20;
    p->aa = flags & 0x400;
    for (unsigned i = 0; i < 4; i++)
        if (!u16_at(p->msg, 4 + 2 * i, &p->count[i]))
            return "answer is too short";
    if (flags & 0x200)
        return "answer is truncated";
    p->at = HEADER_SIZE;
    if (p->count[0] != 1)
        return "answer repeats no question";
    if (name_expand(p->msg, &p->at, text, &len) != NAME_OK || !u16_at(p->msg, p->at, &qtype) ||
        !u16_at(p->msg, p->at + 2, &qclass))
        return "question in the answer is malformed";
    p->at += 4;
    if (qtype != type || qclass != 1 || !strv_ieq(strv_make(text, len), name))
        return "answer is to another question";
    return NULL;
}

/* Reads one record's frame. False: malformed. */
static bool read_record(struct parse *p, struct raw_record *r, bool *in_class)
{
    char text[DNS_NAME_MAX + 1];
    unsigned type, class, ttl_hi, ttl_lo, rdlen;
    size_t len;

    r->owner = p->at;
    if (name_expand(p->msg, &p->at, text, &len) == NAME_BAD)
        return false;
    if (!u16_at(p->msg, p->at, &type) || !u16_at(p->msg, p->at + 2, &class) ||
        !u16_at(p->msg, p->at + 4, &ttl_hi) || !u16_at(p->msg, p->at + 6, &ttl_lo) ||
        !u16_at(p->msg, p->at + 8, &rdlen))
        return false;
    p->at += 10;
    if (rdlen > p->msg.n - p->at)
        return false;
    r->type = (uint16_t)type;
    r->ttl = (uint32_t)ttl_hi << 16 | ttl_lo;
    if (r->ttl > INT32_MAX)
        r->ttl = 0; /* RFC 2181 8 */
    r->data = p->at;
    r->data_len = rdlen;
    p->at += rdlen;
    *in_class = class == 1;
    return true;
}

static bool read_answers(struct parse *p)
{
    for (unsigned i = 0; i < p->count[1]; i++) {
        struct raw_record r;
        bool in_class;

        if (!read_record(p, &r, &in_class))
            return false;
        if (in_class && p->rr_n < DNS_RECORDS_MAX)
            p->rr[p->rr_n++] = r;
    }
    return true;
}

/* ---- data of one record ---- */

/* The name that makes up the rest of the RDATA from `skip` on. */
static enum name_kind data_name(struct parse *p, const struct raw_record *r, size_t skip, char *text,
                                size_t *len)
{
    size_t at = r->data + skip;
    enum name_kind kind;

    if (r->data_len < skip + 1)
        return NAME_BAD;
    kind = name_expand(strv_make(p->msg.p, r->data + r->data_len), &at, text, len);
    return at == r->data + r->data_len ? kind : NAME_BAD;
}

static bool add_text(struct parse *p, const struct raw_record *r)
{
    size_t at = r->data, end = r->data + r->data_len;

    while (at < end) {
        size_t n = (unsigned char)p->msg.p[at++];

        if (n > end - at)
            return false;
        buf_add(&p->data, p->msg.p + at, n);
        at += n;
    }
    return r->data_len > 0;
}

static bool add_name(struct parse *p, const struct raw_record *r, size_t skip, bool *odd)
{
    char text[DNS_NAME_MAX + 1];
    size_t len;
    enum name_kind kind = data_name(p, r, skip, text, &len);

    *odd = kind == NAME_ODD;
    if (kind == NAME_OK)
        buf_add(&p->data, text, len);
    return kind != NAME_BAD;
}

static bool add_data(struct parse *p, const struct raw_record *r, bool *odd)
{
    unsigned a = 0, b = 0, c = 0;

    switch (r->type) {
    case DNS_TYPE_A:
    case DNS_TYPE_AAAA:
        buf_add(&p->data, p->msg.p + r->data, r->data_len);
        return r->data_len == (r->type == DNS_TYPE_A ? 4u : 16u);
    case DNS_TYPE_MX: return add_name(p, r, 2, odd);
    case DNS_TYPE_PTR:
    case DNS_TYPE_CNAME:
    case DNS_TYPE_NS: return add_name(p, r, 0, odd);
    case DNS_TYPE_TXT: return add_text(p, r);
    case DNS_TYPE_SRV:
        if (r->data_len < 7 || !u16_at(p->msg, r->data, &a) || !u16_at(p->msg, r->data + 2, &b) ||
            !u16_at(p->msg, r->data + 4, &c))
            return false;
        buf_addf(&p->data, "%u %u %u ", a, b, c);
        return add_name(p, r, 6, odd);
    default: buf_add(&p->data, p->msg.p + r->data, r->data_len); return true;
    }
}

static bool add_record(struct parse *p, const struct raw_record *r)
{
    size_t at = p->data.len, i = p->found_n;
    unsigned preference = 0;
    bool odd = false;

    if (!add_data(p, r, &odd))
        return false;
    if (r->type == DNS_TYPE_MX && !u16_at(p->msg, r->data, &preference))
        return false;
    if (odd)
        buf_cut(&p->data, at);
    if (!buf_ok(&p->data))
        return true; /* a set beyond DATA_MAX is cut, like one beyond DNS_RECORDS_MAX */
    p->found[i].preference = (uint16_t)preference;
    p->found[i].odd = odd;
    p->found[i].at = at;
    p->found[i].len = p->data.len - at;
    p->found_n++;
    if (r->ttl < p->ttl)
        p->ttl = r->ttl;
    return true;
}

/* ---- the chain ---- */

static bool owner_is(struct parse *p, const struct raw_record *r, struct strv name)
{
    char text[DNS_NAME_MAX + 1];
    size_t at = r->owner, len;

    return name_expand(p->msg, &at, text, &len) == NAME_OK && strv_eq(strv_make(text, len), name);
}

enum hop { HOP_RECORDS, HOP_CNAME, HOP_END, HOP_BAD };

/* Looks for records of `type` at `name`, or for the CNAME that stands there instead (then name is replaced).
 */
static enum hop follow(struct parse *p, uint16_t type, char *name)
{
    struct strv owner = SV(name);
    const struct raw_record *cname = NULL;
    size_t len;

    for (size_t i = 0; i < p->rr_n; i++) {
        const struct raw_record *r = &p->rr[i];

        if ((r->type != type && r->type != DNS_TYPE_CNAME) || !owner_is(p, r, owner))
            continue;
        if (r->type == type && !add_record(p, r))
            return HOP_BAD;
        if (r->type != type && !cname)
            cname = r;
    }
    if (p->found_n)
        return HOP_RECORDS;
    if (!cname)
        return HOP_END;
    if (cname->ttl < p->ttl)
        p->ttl = cname->ttl;
    if (data_name(p, cname, 0, name, &len) != NAME_OK || len == 0)
        return HOP_BAD;
    return HOP_CNAME;
}

/* The SOA of a denial (RFC 2308 5) gives its TTL; NS records without it are a referral. */
static const char *read_authority(struct parse *p, bool *soa, uint32_t *ttl)
{
    bool referral = false;

    *soa = false;
    for (unsigned i = 0; i < p->count[2]; i++) {
        struct raw_record r;
        bool in_class;
        unsigned hi, lo;

        if (!read_record(p, &r, &in_class))
            return "authority section is malformed";
        if (!in_class)
            continue;
        referral = referral || r.type == DNS_TYPE_NS;
        if (r.type != DNS_TYPE_SOA || *soa)
            continue;
        /* RDATA: two names and five numbers, MINIMUM last. */
        if (r.data_len < 22 || !u16_at(p->msg, r.data + r.data_len - 4, &hi) ||
            !u16_at(p->msg, r.data + r.data_len - 2, &lo))
            return "SOA is malformed";
        *soa = true;
        *ttl = (uint32_t)hi << 16 | lo;
        if (r.ttl < *ttl)
            *ttl = r.ttl;
    }
    return referral && !*soa && !p->aa ? "server only refers to others" : NULL;
}

/* ---- result ---- */

static struct dns_answer *build(struct parse *p, enum ipc_dns status, const char *chain)
{
    size_t chain_len = strlen(chain);
    struct dns_answer *a = mem_new(sizeof *a + p->found_n * sizeof *a->records + p->data.len + chain_len + 1);
    char *text;

    a->refs = 1;
    a->status = status;
    a->authentic = p->ad;
    a->ttl = p->ttl;
    a->why = "";
    a->count = p->found_n;
    a->records = (struct dns_record *)(void *)(a + 1);
    text = (char *)(a->records + p->found_n);
    if (p->data.len)
        memcpy(text, p->data.data, p->data.len);
    for (size_t i = 0; i < p->found_n; i++) {
        a->records[i].preference = p->found[i].preference;
        a->records[i].odd = p->found[i].odd;
        a->records[i].data = strv_make(text + p->found[i].at, p->found[i].len);
    }
    memcpy(text + p->data.len, chain, chain_len);
    a->chain = strv_make(text + p->data.len, chain_len);
    return a;
}

static struct dns_answer *temp_other(const char *why)
{
    struct dns_answer *a = dns_answer_temp(why);

    a->other_server = true;
    return a;
}

static struct dns_answer *conclude(struct parse *p, struct strv name, uint16_t type)
{
    char current[DNS_NAME_MAX + 1];
    unsigned hops = 0;
    enum hop hop;
    bool soa;
    uint32_t negative = 60;
    const char *why;
    struct dns_answer *a;

    strv_cstr(name, current, sizeof current);
    p->ttl = INT32_MAX;
    while ((hop = follow(p, type, current)) == HOP_CNAME)
        if (++hops > DNS_CHAIN_MAX)
            return dns_answer_temp("too many CNAMEs, or a loop of them");
    if (hop == HOP_BAD)
        return dns_answer_temp("answer holds a malformed record");
    if (hop == HOP_RECORDS && p->rcode == 0) {
        a = build(p, DNS_OK, "");
        a->hops = hops;
        return a;
    }
    why = read_authority(p, &soa, &negative);
    if (why)
        return temp_other(why);
    p->found_n = 0;
    p->data.len = 0;
    if (negative < p->ttl)
        p->ttl = negative;
    /* An authoritative server ends a chain where its zone ends; only a SOA says that there is nothing behind.
     */
    a = build(p, p->rcode == 3 ? DNS_NXDOMAIN : DNS_NODATA, p->rcode == 0 && hops && !soa ? current : "");
    a->hops = hops;
    return a;
}

static struct dns_answer *parse_all(struct parse *p, struct strv name, uint16_t type)
{
    const char *why = parse_head(p, name, type);

    if (p->msg.n >= HEADER_SIZE && p->rcode != 0 && p->rcode != 3) {
        switch (p->rcode) {
        case 1: return temp_other("server says FORMERR");
        case 2: return temp_other("server says SERVFAIL");
        case 4: return temp_other("server says NOTIMP");
        case 5: return temp_other("server says REFUSED");
        default: return temp_other("server says that it failed");
        }
    }
    if (why)
        return temp_other(why);
    if (!read_answers(p))
        return temp_other("answer section is malformed");
    return conclude(p, name, type);
}

struct dns_answer *dns_message_parse(struct strv message, struct strv name, uint16_t type)
{
    struct parse *p = mem_new(sizeof *p);
    struct dns_answer *a;

    p->msg = message;
    buf_init(&p->data, DATA_MAX);
    a = parse_all(p, name, type);
    buf_clear(&p->data);
    free(p);
    return a;
}
