/* channel.h - frames over one SOCK_SEQPACKET socketpair: queueing, priorities, credit, loss */
#pragma once

#include "common/ipc/frame.h"

struct loop;
struct channel;

struct channel_ops {
    /* One decoded, permitted frame. The channel may be freed inside. Descriptors not taken are closed
     * afterwards. */
    void (*frame)(void *arg, struct channel *ch, struct ipc_in *in);
    /* The peer is gone or spoke nonsense (why: borrowed text). Called once, at the end of an iteration, never
       inside another function of the channel; what the peer sent before its end was delivered first. The
       owner calls channel_free. */
    void (*lost)(void *arg, struct channel *ch, const char *why);
    /* Credit came back for a transaction (or the channel's queue fell): go on sending chunks. May be NULL. */
    void (*ready)(void *arg, struct channel *ch, uint64_t txn);
};

/* Takes fd. self and peer decide which messages are permitted; peer is what mtad said. */
struct channel *channel_new(struct loop *loop, int fd, enum role self, enum role peer, unsigned peer_index,
                            const struct channel_ops *ops, void *arg);
void channel_free(struct channel **ch); /* safe inside its own callbacks */
enum role channel_peer(const struct channel *ch);
unsigned channel_peer_index(const struct channel *ch);
uint64_t channel_txn_new(struct channel *ch); /* a number unused on this channel and direction */

/* The peer sent what makes no sense (an unknown recipient index, more than its credit): logged, then lost
 * follows. */
void channel_break(struct channel *ch, const char *why);
/* Process-wide: runs when a channel was closed by this side although the peer lives (nonsense, a bug of ours,
   a broken socket, a peer that does not read), so that mtad can be asked for a new one. fn must not touch the
   channel but ask who it was. */
void channel_on_broken(void (*fn)(void *arg, struct channel *ch), void *arg);

/* Queues the frame (flushed once per loop iteration, several per system call). Takes descriptors of o.
   Chunks go behind everything else of other transactions, never past frames of their own transaction.
   A frame that breaks the schema is ERR_BUG: logged, dies in check builds, dropped with channel loss
   otherwise. */
void channel_send(struct channel *ch, struct ipc_out *o);
/* Drops queued chunks of txn that were not sent yet (before sending an abort). */
void channel_cancel_chunks(struct channel *ch, uint64_t txn);
/* Drops every queued frame of a transaction that this side began; how many they were. Who sent no more than
   that need not tell the peer of its end: the peer never heard of it. */
unsigned channel_unsend(struct channel *ch, uint64_t txn);
/* The peer is so far behind that nothing new should be begun. Chunks stop at half of it. */
bool channel_is_congested(const struct channel *ch);

/* Bytes of chunk data that may still be queued for txn now. 0 = stop reading that client until ready(txn). A
   chunk costs the bytes of its BYTES fields outside groups (in->bulk at the receiver). */
size_t channel_credit(struct channel *ch, uint64_t txn);
/* Receiver: n bytes (of in->bulk) of txn's chunks were consumed (written, forwarded): gives credit back
   (batched). A receiver that holds more than IPC_CREDIT_START + IPC_CHUNK_MAX unconsumed bytes of one
   transaction has a peer that breaks the rule: channel_break. */
void channel_consumed(struct channel *ch, uint64_t txn, size_t n);
/* Sender (of any chunk) and receiver (that called channel_consumed): the transaction is over; forgets its
   credit state. Without this call the state stays until the channel goes. */
void channel_txn_end(struct channel *ch, uint64_t txn);
size_t channel_txn_count(const struct channel *ch); /* transactions with credit state; for tests */
size_t channel_queued_bytes(const struct channel *ch);
void channel_flush(struct channel *ch); /* now instead of at the end of the iteration; for exits */

/* Dispatch table helper: one row per message a daemon handles; channel_route calls the row's function or
   treats an unlisted type as nonsense (channel lost). */
struct channel_route {
    uint16_t type;
    void (*handle)(void *arg, struct channel *ch, struct ipc_in *in);
};
bool channel_dispatch(const struct channel_route *routes, void *arg, struct channel *ch, struct ipc_in *in);

#define IPC_CREDIT_START (128u * 1024u)
