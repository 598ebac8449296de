/* encode.c - writing of one frame; what the decoder would refuse never leaves */
#include "common/ipc/frame.h"

#include <assert.h>
#include <endian.h>
#include <string.h>
#include <unistd.h>

void ipc_out_init(struct ipc_out *o)
{
    *o = (struct ipc_out){ .txn = 0 };
    buf_init(&o->bytes, IPC_FRAME_MAX);
}

static void close_fds(struct ipc_out *o)
{
    for (unsigned i = 0; i < o->fd_count; i++)
        if (o->fds[i] >= 0)
            close(o->fds[i]);
    o->fd_count = 0;
}

void ipc_out_clear(struct ipc_out *o)
{
    close_fds(o);
    buf_clear(&o->bytes);
    o->schema = NULL;
}

void ipc_begin(struct ipc_out *o, enum ipc_type type, uint64_t txn)
{
    char *p;

    close_fds(o);
    buf_reset(&o->bytes);
    o->schema = ipc_message_find((uint16_t)type);
    o->txn = txn;
    o->depth = 0;
    p = buf_reserve(&o->bytes, IPC_HEADER_SIZE);
    assert(p && o->schema);
    memset(p, 0, IPC_HEADER_SIZE);
    buf_commit(&o->bytes, IPC_HEADER_SIZE);
}

/* Room for a field with its head written, or NULL once the frame is too large (ipc_finish refuses it). */
static char *field_begin(struct ipc_out *o, enum ipc_tag tag, size_t n)
{
    uint16_t be_tag = htobe16((uint16_t)tag);
    uint32_t be_n = htobe32((uint32_t)n);
    char *p;

    if (n > IPC_FRAME_MAX) {
        o->bytes.over = true;
        return NULL;
    }
    p = buf_reserve(&o->bytes, IPC_FIELD_HEAD + n);
    if (!p)
        return NULL;
    memcpy(p, &be_tag, sizeof be_tag);
    memcpy(p + 2, &be_n, sizeof be_n);
    return p + IPC_FIELD_HEAD;
}

static void field_add(struct ipc_out *o, enum ipc_tag tag, const void *value, size_t n)
{
    char *p = field_begin(o, tag, n);

    if (!p)
        return;
    if (n)
        memcpy(p, value, n);
    buf_commit(&o->bytes, IPC_FIELD_HEAD + n);
}

void ipc_put_u64(struct ipc_out *o, enum ipc_tag tag, uint64_t v)
{
    uint64_t be = htobe64(v);

    field_add(o, tag, &be, sizeof be);
}

void ipc_put_text(struct ipc_out *o, enum ipc_tag tag, struct strv v)
{
    field_add(o, tag, v.p, v.n);
}

void ipc_put_bytes(struct ipc_out *o, enum ipc_tag tag, struct strv v)
{
    field_add(o, tag, v.p, v.n);
}

static const struct ipc_field *table_field(const struct ipc_field *table, uint16_t tag)
{
    for (const struct ipc_field *f = table; f && f->tag; f++)
        if (f->tag == tag)
            return f;
    return NULL;
}

static const struct ipc_field *schema_field(const struct ipc_out *o, enum ipc_tag tag)
{
    const struct ipc_field *table = o->schema->fields, *f;

    if (!buf_ok(&o->bytes))
        return NULL;
    for (unsigned i = 0; i < o->depth; i++) {
        uint16_t be_tag;

        memcpy(&be_tag, o->bytes.data + o->group_at[i], sizeof be_tag);
        f = table_field(table, be16toh(be_tag));
        table = f && f->group ? f->group->fields : NULL;
    }
    return table_field(table, (uint16_t)tag);
}

void ipc_put_clean(struct ipc_out *o, enum ipc_tag tag, struct strv v)
{
    const struct ipc_field *f = schema_field(o, tag);
    size_t max = f && f->max ? f->max : IPC_TEXT_MAX;
    size_t n = v.n < max ? v.n : max;
    char *p = field_begin(o, tag, n);

    if (!p)
        return;
    for (size_t i = 0; i < n; i++)
        p[i] = v.p[i] == '\0' || v.p[i] == '\r' || v.p[i] == '\n' ? '?' : v.p[i];
    buf_commit(&o->bytes, IPC_FIELD_HEAD + n);
}

void ipc_group_begin(struct ipc_out *o, enum ipc_tag tag)
{
    assert(o->depth < IPC_GROUP_DEPTH);
    o->group_at[o->depth++] = o->bytes.len;
    field_add(o, tag, NULL, 0);
}

void ipc_group_end(struct ipc_out *o)
{
    size_t at;
    uint32_t be_n;

    assert(o->depth > 0);
    at = o->group_at[--o->depth];
    if (!buf_ok(&o->bytes))
        return;
    be_n = htobe32((uint32_t)(o->bytes.len - at - IPC_FIELD_HEAD));
    memcpy(o->bytes.data + at + 2, &be_n, sizeof be_n);
}

void ipc_put_fd(struct ipc_out *o, int fd)
{
    if (o->fd_count == IPC_FDS_MAX || fd < 0) {
        if (fd >= 0)
            close(fd);
        o->bytes.over = true; /* sticky: the frame will be refused */
        return;
    }
    o->fds[o->fd_count++] = fd;
}

size_t ipc_out_size(const struct ipc_out *o)
{
    return o->bytes.len;
}

bool ipc_finish(struct ipc_out *o, struct err *err)
{
    struct ipc_in check;
    char *p = o->bytes.data;
    uint16_t be_type;
    uint32_t be_n;
    uint64_t be_txn = htobe64(o->txn);

    if (!o->schema || !p)
        return err_set(err, ERR_BUG, "frame was never begun");
    if (!buf_ok(&o->bytes))
        return err_set(err, ERR_BUG, "%s: frame is too large or has too many descriptors", o->schema->name);
    if (o->depth)
        return err_set(err, ERR_BUG, "%s: group was not ended", o->schema->name);
    be_type = htobe16(o->schema->type);
    be_n = htobe32((uint32_t)(o->bytes.len - IPC_HEADER_SIZE));
    p[0] = IPC_VERSION;
    p[1] = 0;
    memcpy(p + 2, &be_type, sizeof be_type);
    memcpy(p + 4, &be_n, sizeof be_n);
    memcpy(p + 8, &be_txn, sizeof be_txn);
    if (ipc_decode(buf_view(&o->bytes), o->fd_count, &check, err)) {
        o->bulk = check.bulk;
        return true;
    }
    if (err)
        err->cls = ERR_BUG;
    return false;
}
