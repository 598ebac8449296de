/* fuzz_ipc_frame.c - any bytes decode or are refused; what decodes can be written again and reads the same */
#include "common/ipc/frame.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_fields(const struct ipc_field *table, const struct ipc_in *in, struct ipc_out *o);

static void copy_value(const struct ipc_field *f, const struct ipc_in *in, size_t *at, struct strv v,
                       struct ipc_out *o)
{
    enum ipc_tag tag = (enum ipc_tag)f->tag;
    size_t before = *at - v.n - IPC_FIELD_HEAD;
    struct ipc_in group;
    uint64_t number;

    switch ((enum ipc_kind)f->kind) {
    case IPC_U64:
        if (!ipc_next_u64(in, tag, &before, &number) || before != *at)
            abort();
        ipc_put_u64(o, tag, number);
        break;
    case IPC_TEXT:
        ipc_put_clean(o, tag, v); /* a text that was let in needs no cleaning */
        break;
    case IPC_BYTES: ipc_put_bytes(o, tag, v); break;
    case IPC_GROUP:
        if (!ipc_next_group(in, tag, &before, &group) || before != *at)
            abort();
        ipc_group_begin(o, tag);
        copy_fields(f->group->fields, &group, o);
        ipc_group_end(o);
        break;
    }
}

static void copy_fields(const struct ipc_field *table, const struct ipc_in *in, struct ipc_out *o)
{
    for (const struct ipc_field *f = table; f->tag; f++) {
        size_t at = 0;
        struct strv v;

        while (ipc_next(in, (enum ipc_tag)f->tag, &at, &v))
            copy_value(f, in, &at, v, o);
    }
}

static void copy_frame(const struct ipc_in *in, unsigned fds, struct ipc_out *o)
{
    struct err err;

    ipc_begin(o, (enum ipc_type)in->type, in->txn);
    copy_fields(in->schema->fields, in, o);
    for (unsigned i = 0; i < fds; i++)
        ipc_put_fd(o, open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!ipc_finish(o, &err))
        abort();
}

static void check(struct strv frame, unsigned fds)
{
    struct ipc_out first, second;
    struct ipc_in in, again;
    struct buf trace;
    struct err err;

    if (!ipc_decode(frame, fds, &in, &err))
        return;
    ipc_out_init(&first);
    ipc_out_init(&second);
    buf_init(&trace, 1u << 20);
    ipc_trace(&in, &trace);
    if (memchr(buf_cstr(&trace), '\n', trace.len))
        abort();
    copy_frame(&in, fds, &first);
    if (first.bytes.len != frame.n || !ipc_decode(buf_view(&first.bytes), fds, &again, &err))
        abort();
    if (again.bulk != in.bulk || again.type != in.type || again.txn != in.txn)
        abort();
    copy_frame(&again, fds, &second);
    if (!strv_eq(buf_view(&first.bytes), buf_view(&second.bytes)))
        abort();
    buf_clear(&trace);
    ipc_out_clear(&first);
    ipc_out_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (unsigned fds = 0; fds < 3; fds++)
        check((struct strv){ (const char *)data, size }, fds);
    /* Most changes break the length first: mend it, so that the fields are reached. */
    if (size >= IPC_HEADER_SIZE && size <= IPC_FRAME_MAX) {
        char *mended = malloc(size);
        uint32_t n = __builtin_bswap32((uint32_t)(size - IPC_HEADER_SIZE));

        memcpy(mended, data, size);
        mended[0] = IPC_VERSION;
        mended[1] = 0;
        memcpy(mended + 4, &n, sizeof n);
        check((struct strv){ mended, size }, 0);
        free(mended);
    }
    return 0;
}
