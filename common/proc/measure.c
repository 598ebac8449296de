/* measure.c - what mtad asks of a daemon time and again: whether it lives, and what it counted */
#include "common/proc/measure.h"

#include "common/base/metric.h"
#include "common/ipc/schema.h"

#define CELL_SIZE 160u /* a number with its word in a frame, at most */

static void cell_put(void *arg, enum metric m, unsigned cell, struct strv word, uint64_t n)
{
    struct ipc_out *o = arg;

    if (ipc_out_size(o) + CELL_SIZE > IPC_FRAME_MAX)
        return;
    ipc_group_begin(o, TAG_ITEM);
    ipc_put_u64(o, TAG_INDEX, m);
    ipc_put_u64(o, TAG_KIND, cell);
    if (word.n)
        ipc_put_clean(o, TAG_NAME, word);
    ipc_put_u64(o, TAG_COUNT, n);
    ipc_group_end(o);
}

void measure_answer(struct channel *ch, const struct ipc_in *in)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_MEASURED, in->txn);
    metric_each(cell_put, &o);
    channel_send(ch, &o);
    ipc_out_clear(&o);
}

void ping_on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct ipc_out o;

    (void)arg;
    (void)in;
    ipc_out_init(&o);
    ipc_begin(&o, IPC_PONG, 0);
    channel_send(ch, &o);
    ipc_out_clear(&o);
}
