/* frame.c - decoding of one frame: everything is checked once against the schema, then fields are read in
   place

   A peer may be taken over, so nothing here trusts a length and nothing allocates (incident: malformed imsg
   kills the daemon, CVE-2025-62875). */
#include "common/ipc/frame.h"

#include <endian.h>
#include <string.h>

#define TABLE_MAX 64u /* fields of one table: bits of the mask of those seen */

static uint16_t be16_at(const char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return be16toh(v);
}

static uint32_t be32_at(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static uint64_t be64_at(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

/* ---- checking ---- */

struct check {
    const struct ipc_message *message;
    struct err *err;
    size_t bulk;
};

static bool refuse(struct check *c, const char *what, const struct ipc_field *f)
{
    return err_set(c->err, ERR_PROTO, "%s: field %s: %s", c->message->name, ipc_tag_name(f->tag), what);
}

static bool text_is_clean(struct strv v)
{
    return !memchr(v.p, '\0', v.n) && !memchr(v.p, '\n', v.n) && !memchr(v.p, '\r', v.n);
}

static bool check_fields(struct check *c, const struct ipc_field *table, struct strv fields, unsigned depth);

static bool check_value(struct check *c, const struct ipc_field *f, struct strv v, unsigned depth)
{
    switch ((enum ipc_kind)f->kind) {
    case IPC_U64:
        if (v.n != sizeof(uint64_t))
            return refuse(c, "a number has eight bytes", f);
        if (f->max && be64_at(v.p) > f->max)
            return refuse(c, "number out of range", f);
        return true;
    case IPC_TEXT:
        if (v.n > (f->max ? f->max : IPC_TEXT_MAX))
            return refuse(c, "text is too long", f);
        if (v.n && !text_is_clean(v))
            return refuse(c, "NUL, CR or LF in a text", f);
        return true;
    case IPC_BYTES:
        if (f->max && v.n > f->max)
            return refuse(c, "too many bytes", f);
        if (depth == 0)
            c->bulk += v.n;
        return true;
    case IPC_GROUP:
        if (depth == IPC_GROUP_DEPTH)
            return refuse(c, "groups are too deep", f);
        return check_fields(c, f->group->fields, v, depth + 1);
    }
    return refuse(c, "unknown kind", f);
}

/* The entry for tag, looking first behind the last one found: senders write in the order of the table. */
static const struct ipc_field *field_find(const struct ipc_field *table, const struct ipc_field *last,
                                          uint16_t tag)
{
    const struct ipc_field *f;

    for (f = last; f->tag; f++)
        if (f->tag == tag)
            return f;
    for (f = table; f < last; f++)
        if (f->tag == tag)
            return f;
    return NULL;
}

static bool check_needs(struct check *c, const struct ipc_field *table, uint64_t seen)
{
    for (const struct ipc_field *f = table; f->tag; f++)
        if (f->need == IPC_REQUIRED && !(seen & (UINT64_C(1) << (f - table))))
            return refuse(c, "missing", f);
    return true;
}

static bool check_fields(struct check *c, const struct ipc_field *table, struct strv fields, unsigned depth)
{
    const struct ipc_field *f = table;
    uint64_t seen = 0;

    while (fields.n > 0) {
        uint16_t tag;
        uint32_t n;
        uint64_t bit;

        if (fields.n < IPC_FIELD_HEAD)
            return err_set(c->err, ERR_PROTO, "%s: cut field", c->message->name);
        tag = be16_at(fields.p);
        n = be32_at(fields.p + 2);
        fields = (struct strv){ fields.p + IPC_FIELD_HEAD, fields.n - IPC_FIELD_HEAD };
        if (n > fields.n)
            return err_set(c->err, ERR_PROTO, "%s: field %u is longer than the frame", c->message->name, tag);
        f = field_find(table, f, tag);
        if (!f)
            return err_set(c->err, ERR_PROTO, "%s: field %u does not belong here", c->message->name, tag);
        bit = UINT64_C(1) << (f - table);
        if ((seen & bit) && f->need != IPC_REPEATED)
            return refuse(c, "given twice", f);
        seen |= bit;
        if (!check_value(c, f, (struct strv){ fields.p, n }, depth))
            return false;
        fields = (struct strv){ fields.p + n, fields.n - n };
    }
    return check_needs(c, table, seen);
}

bool ipc_decode(struct strv frame, unsigned fd_count, struct ipc_in *in, struct err *err)
{
    struct check c = { .err = err };
    uint16_t type;

    *in = (struct ipc_in){ .type = IPC_NONE };
    if (frame.n < IPC_HEADER_SIZE || frame.n > IPC_FRAME_MAX)
        return err_set(err, ERR_PROTO, "frame of %zu bytes", frame.n);
    if (frame.p[0] != IPC_VERSION)
        return err_set(err, ERR_PROTO, "frame of version %u", (unsigned char)frame.p[0]);
    if (frame.p[1] != 0)
        return err_set(err, ERR_PROTO, "frame with flags %u", (unsigned char)frame.p[1]);
    type = be16_at(frame.p + 2);
    c.message = ipc_message_find(type);
    if (!c.message)
        return err_set(err, ERR_PROTO, "frame of unknown type %u", type);
    if (be32_at(frame.p + 4) != frame.n - IPC_HEADER_SIZE)
        return err_set(err, ERR_PROTO, "%s: length says %u, frame has %zu", c.message->name,
                       be32_at(frame.p + 4), frame.n - IPC_HEADER_SIZE);
    if (c.message->fds == IPC_FDS_ANY ? fd_count > IPC_FDS_MAX : fd_count != c.message->fds)
        return err_set(err, ERR_PROTO, "%s: %u descriptors", c.message->name, fd_count);
    in->fields = (struct strv){ frame.p + IPC_HEADER_SIZE, frame.n - IPC_HEADER_SIZE };
    if (!check_fields(&c, c.message->fields, in->fields, 0))
        return false;
    in->schema = c.message;
    in->type = type;
    in->txn = be64_at(frame.p + 8);
    in->bulk = c.bulk;
    return true;
}

/* ---- reading: ipc_decode proved that every field lies inside ---- */

/* The next field at *at, whatever it is. */
static bool field_next(const struct ipc_in *in, size_t *at, uint16_t *tag, struct strv *value)
{
    const char *p = in->fields.p + *at;
    uint32_t n;

    if (*at >= in->fields.n)
        return false;
    n = be32_at(p + 2);
    *tag = be16_at(p);
    *value = (struct strv){ p + IPC_FIELD_HEAD, n };
    *at += IPC_FIELD_HEAD + n;
    return true;
}

bool ipc_next(const struct ipc_in *in, enum ipc_tag tag, size_t *at, struct strv *value)
{
    uint16_t found;
    struct strv v;

    while (field_next(in, at, &found, &v)) {
        if (found == (uint16_t)tag) {
            *value = v;
            return true;
        }
    }
    return false;
}

bool ipc_has(const struct ipc_in *in, enum ipc_tag tag)
{
    size_t at = 0;
    struct strv v;

    return ipc_next(in, tag, &at, &v);
}

struct strv ipc_get(const struct ipc_in *in, enum ipc_tag tag)
{
    size_t at = 0;
    struct strv v = { NULL, 0 };

    ipc_next(in, tag, &at, &v);
    return v;
}

bool ipc_next_u64(const struct ipc_in *in, enum ipc_tag tag, size_t *at, uint64_t *value)
{
    struct strv v;

    if (!ipc_next(in, tag, at, &v) || v.n != sizeof(uint64_t))
        return false;
    *value = be64_at(v.p);
    return true;
}

uint64_t ipc_get_u64(const struct ipc_in *in, enum ipc_tag tag)
{
    size_t at = 0;
    uint64_t v = 0;

    ipc_next_u64(in, tag, &at, &v);
    return v;
}

bool ipc_next_group(const struct ipc_in *in, enum ipc_tag tag, size_t *at, struct ipc_in *group)
{
    struct strv v;

    if (!ipc_next(in, tag, at, &v))
        return false;
    *group = (struct ipc_in){ .schema = in->schema, .type = in->type, .txn = in->txn, .fields = v };
    return true;
}

int ipc_take_fd(struct ipc_in *in, unsigned i)
{
    int fd;

    if (i >= in->fd_count)
        return -1;
    fd = in->fds[i];
    in->fds[i] = -1;
    return fd;
}
