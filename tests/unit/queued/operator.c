/* operator.c - the far end of the queue at an operator: calls of mtactl in the test's hands */
#include "tests/support/unit.h"
#include "tests/unit/queued/operator.h"

#include "common/os/fd.h"
#include "queued/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

void operator_open(struct rig *r, struct blocking *client)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    qctl_client(&r->q, ends[0]);
    *client = (struct blocking){ .fd = ends[1], .peer = ROLE_QUEUED, .wait_ms = 60000 };
    client->frame = malloc(IPC_FRAME_MAX);
    ipc_out_init(&client->call);
}

static void rows_read(struct rowread *reader, struct strv rest, operator_row *row)
{
    struct rowread_value value;

    while (rest.n > 0) {
        enum rowread_step step;
        const char *kind = rowread_begin(reader, &rest);

        assert_non_null(kind);
        row(kind, NULL);
        while ((step = rowread_next(reader, &rest, &value)) == ROWREAD_VALUE)
            row(kind, &value);
        assert_int_equal(step, ROWREAD_END);
    }
}

int operator_answer(struct rig *r, struct blocking *client, operator_row *row, uint64_t *cursor)
{
    struct err err = { 0 };
    struct rowread reader;
    struct ipc_in in;

    rowread_init(&reader);
    for (;;) {
        char peek;

        RIG_UNTIL(r, recv(client->fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN);
        assert_int_equal(blocking_next(client, &in, &err), BLOCKING_OK);
        if (in.type == IPC_CTL_DONE) {
            rowread_clear(&reader);
            *cursor = ipc_get_u64(&in, TAG_CURSOR);
            return (int)ipc_get_u64(&in, TAG_CODE);
        }
        if (in.type == IPC_CTL_ROWS)
            rows_read(&reader, ipc_get(&in, TAG_DATA), row);
    }
}
