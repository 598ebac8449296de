/* stream.h - one TCP (or Unix) connection: buffered, bounded, with deadlines; plain or TLS behind the same
   functions. FACTS.md 4's own connection layer, not bufferevents */
#pragma once

#include "common/base/buf.h"
#include "common/base/netaddr.h"

struct loop;
struct stream;
struct tls_context;
struct tls_info;

/* EOF: the peer closed its side. ERROR: sys is the errno. OVERFLOW: the peer does not take our output. */
enum stream_end { STREAM_EOF, STREAM_ERROR, STREAM_TIMEOUT, STREAM_OVERFLOW };

struct stream_ops {
    void (*input)(void *arg, struct stream *s);     /* new bytes; also called after resume with bytes left */
    void (*drained)(void *arg, struct stream *s);   /* output fell to zero after it was not; may be NULL */
    void (*connected)(void *arg, struct stream *s); /* stream_connect succeeded; may be NULL for accepted */
    void (*secured)(void *arg, struct stream *s);   /* stream_start_tls succeeded; may be NULL without it */
    void (*ended)(void *arg, struct stream *s, enum stream_end how, int sys); /* once; then stream_free */
};

/* Takes a connected (accepted) non-blocking fd. */
struct stream *stream_new(struct loop *l, int fd, const struct stream_ops *ops, void *arg);
/* Begins to connect; ended(STREAM_ERROR) or connected() follows from the loop, never before this returns.
   from may be NULL. NULL when no socket could be made (errno tells). */
struct stream *stream_connect(struct loop *l, const struct netaddr *to, const struct netaddr *from,
                              int64_t timeout_ms, const struct stream_ops *ops, void *arg);
/* What stream_connect would meet with that address as from: 0, or the errno of bind(2). */
int stream_from_error(const struct netaddr *from);
/* Safe in callbacks. Closes the descriptor; unsent output is lost. */
void stream_free(struct stream **s);
/* Stops reading, sends what is queued, shuts down, reads and forgets until the peer closes too (else a reset
   could overtake our last words), then frees itself; all of it bounded by ms. No more callbacks. */
void stream_close_after_output(struct stream **s, int64_t ms);

/* fn runs once, when the descriptor was closed, whoever did it and even behind stream_close_after_output:
   a connection costs its descriptor until then. It runs inside other functions and must not touch the
   stream. */
void stream_on_closed(struct stream *s, void (*fn)(void *arg), void *arg);

/* Input: a view of the bytes not consumed yet. No memory is held while it is empty. The bytes stay where they
   are, also behind stream_consume, until the callback in which they were seen returns (outside callbacks:
   until the iteration ends). The end of input is told once input() left bytes, the stream is not paused and
   all output was sent (or cannot be: deadlines still count): who waits for an answer with commands left in
   the buffer pauses, or a client that closes its half loses them. */
struct strv stream_input(const struct stream *s);
void stream_consume(struct stream *s, size_t n);
void stream_pause(struct stream *s);  /* stops reading the socket (backpressure) */
void stream_resume(struct stream *s); /* input follows from the loop when bytes are waiting */
void stream_set_input_max(struct stream *s, size_t max); /* how much is read ahead; default 64 KiB */

/* Output: appended, sent once per loop iteration (one system call for a pipelined group). */
void stream_write(struct stream *s, const void *p, size_t n);
struct buf *stream_out(struct stream *s); /* append here directly; call stream_flush afterwards */
void stream_flush(struct stream *s);      /* marks for sending at the end of the iteration */
size_t stream_unsent(const struct stream *s);

/* Absolute: ended(STREAM_TIMEOUT) ms from now unless set again; 0 = none. Cheap to set again at each command.
 */
void stream_deadline(struct stream *s, int64_t ms);
uint64_t stream_bytes_in(const struct stream *s);
uint64_t stream_bytes_out(const struct stream *s);
const struct netaddr *stream_peer(const struct stream *s); /* AF_UNSPEC: a Unix socket, or gone already */
bool stream_local(const struct stream *s, struct netaddr *out);
int stream_fd(const struct stream *s);

/* Turns to TLS: what was written before leaves in the clear, everything behind it is the handshake's. secured
   or ended follows from the loop, never before this returns; nothing may be written meanwhile. name: client:
   the host that is meant (SNI, verification); NULL for servers. False when that cannot be: input is there
   already (it came in the clear and must never be taken for the session's: INCIDENTS 6), TLS is on, or the
   library refuses; the connection then has to go. */
bool stream_start_tls(struct stream *s, struct tls_context *c, const char *name)
    __attribute__((warn_unused_result));
bool stream_is_secure(const struct stream *s);
/* False: plain. */
bool stream_tls_info(const struct stream *s, struct tls_info *out);
/* Why TLS failed, "" otherwise; good until stream_free. Foreign words: for the log. */
const char *stream_tls_why(const struct stream *s);
