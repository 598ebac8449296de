/* frame.h - encode and decode one frame by the schema (pure) */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/ipc/schema.h"

/* ---- writing: ipc_begin, fields, then channel_send (or ipc_finish for tests) ---- */
struct ipc_out {
    struct buf bytes; /* owned; reused between frames of one ipc_out */
    const struct ipc_message *schema;
    uint64_t txn;
    int fds[IPC_FDS_MAX]; /* owned until sent */
    unsigned fd_count;
    size_t group_at[IPC_GROUP_DEPTH];
    unsigned depth;
    size_t bulk; /* set by ipc_finish, as in struct ipc_in */
};

void ipc_out_init(struct ipc_out *o);
void ipc_out_clear(struct ipc_out *o); /* closes descriptors that were not sent */
void ipc_begin(struct ipc_out *o, enum ipc_type type, uint64_t txn); /* discards what was there */
void ipc_put_u64(struct ipc_out *o, enum ipc_tag tag, uint64_t v);
/* A text with NUL, CR or LF, or past its maximum, is a bug of ours or unfiltered foreign text: ipc_finish
 * refuses. */
void ipc_put_text(struct ipc_out *o, enum ipc_tag tag, struct strv v);
/* As ipc_put_text, but bytes that TEXT refuses become '?' and the end is cut: for foreign words in logs and
 * replies. */
void ipc_put_clean(struct ipc_out *o, enum ipc_tag tag, struct strv v);
void ipc_put_bytes(struct ipc_out *o, enum ipc_tag tag, struct strv v);
void ipc_group_begin(struct ipc_out *o, enum ipc_tag tag);
void ipc_group_end(struct ipc_out *o);
void ipc_put_fd(struct ipc_out *o, int fd);   /* takes fd */
size_t ipc_out_size(const struct ipc_out *o); /* bytes so far: to split repeated groups over frames */
/* Completes the header and checks the frame against the schema; ERR_BUG when it would be refused. */
bool ipc_finish(struct ipc_out *o, struct err *err) __attribute__((warn_unused_result));

/* ---- reading ---- */
struct ipc_in {
    const struct ipc_message *schema;
    uint16_t type;
    uint64_t txn;
    struct strv fields;   /* borrowed: valid during the handler only */
    size_t bulk;          /* bytes of its BYTES fields outside groups: what a chunk costs in credit */
    int fds[IPC_FDS_MAX]; /* owned by the channel unless taken with ipc_take_fd */
    unsigned fd_count;
};

/* Checks everything: version, length, type, tags, kinds, needs, maxima, order-free, depth, descriptor count.
 */
bool ipc_decode(struct strv frame, unsigned fd_count, struct ipc_in *in, struct err *err)
    __attribute__((warn_unused_result));

bool ipc_has(const struct ipc_in *in, enum ipc_tag tag);
uint64_t ipc_get_u64(const struct ipc_in *in, enum ipc_tag tag); /* 0 when absent */
struct strv ipc_get(const struct ipc_in *in, enum ipc_tag tag);  /* TEXT or BYTES; {NULL,0} when absent */
int ipc_take_fd(struct ipc_in *in, unsigned i);                  /* the caller owns it now; -1 when absent */

/* Repeated fields: start with *at = 0; each call gives the next value, false at the end. A group's value is
   read with the same functions through the ipc_in made by ipc_next_group (it borrows from the frame). */
bool ipc_next(const struct ipc_in *in, enum ipc_tag tag, size_t *at, struct strv *value);
bool ipc_next_u64(const struct ipc_in *in, enum ipc_tag tag, size_t *at, uint64_t *value);
bool ipc_next_group(const struct ipc_in *in, enum ipc_tag tag, size_t *at, struct ipc_in *group);

/* "TX_RCPT txn=7 rcpt=a@b" for traces and tests; long BYTES as a length. */
void ipc_trace(const struct ipc_in *in, struct buf *out);
/* The whole of docs/IPC.md's generated part. */
void ipc_document(struct buf *out);
