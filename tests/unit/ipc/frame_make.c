/* frame_make.c - frames made from the schema itself, so that every message is tested without being listed */
#include "tests/unit/ipc/frame_make.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>

static char letters[IPC_FRAME_MAX];

static void make_table(const struct ipc_field *table, const struct make *how, struct ipc_out *o);

static void make_field(const struct ipc_field *f, const struct make *how, struct ipc_out *o)
{
    bool special = f == how->special;
    size_t n = special ? how->size : 5;
    enum ipc_tag tag = (enum ipc_tag)f->tag;

    if (!special && f->max && f->kind != IPC_U64 && n > f->max)
        n = f->max;
    memset(letters, 'x', n);
    switch ((enum ipc_kind)f->kind) {
    case IPC_U64: ipc_put_u64(o, tag, special ? how->number : 1); break;
    case IPC_TEXT:
    case IPC_BYTES: ipc_put_bytes(o, tag, strv_make(letters, n)); break;
    case IPC_GROUP:
        ipc_group_begin(o, tag);
        make_table(f->group->fields, how, o);
        ipc_group_end(o);
        break;
    }
}

static void make_table(const struct ipc_field *table, const struct make *how, struct ipc_out *o)
{
    for (const struct ipc_field *f = table; f->tag; f++) {
        unsigned count = f->need == IPC_REPEATED                    ? how->repeat
                         : f->need == IPC_REQUIRED || how->optional ? 1
                                                                    : 0;

        if (f == how->special && count == 0)
            count = 1;
        if (f == how->omit)
            count = 0;
        if (f == how->twice)
            count = 2;
        for (unsigned i = 0; i < count; i++)
            make_field(f, how, o);
    }
}

unsigned make_fd_count(const struct ipc_message *m)
{
    return m->fds == IPC_FDS_ANY ? 2 : m->fds;
}

void make_frame(const struct ipc_message *m, const struct make *how, struct ipc_out *o)
{
    ipc_begin(o, (enum ipc_type)m->type, 0x1122334455667788);
    make_table(m->fields, how, o);
    for (unsigned i = 0; i < make_fd_count(m); i++)
        ipc_put_fd(o, open("/dev/null", O_RDONLY | O_CLOEXEC));
}

void make_header(struct ipc_out *o)
{
    uint16_t type = htobe16(o->schema->type);
    uint32_t n = htobe32((uint32_t)(o->bytes.len - IPC_HEADER_SIZE));

    o->bytes.data[0] = IPC_VERSION;
    memcpy(o->bytes.data + 2, &type, sizeof type);
    memcpy(o->bytes.data + 4, &n, sizeof n);
}
