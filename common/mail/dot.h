/* dot.h - streaming dot-stuffing (RFC 5321 4.5.2): the one decoder and the one encoder */
#pragma once

#include "common/base/buf.h"

/* --- decoder (server): wire bytes in, canonical lines out --- */

enum dot_step { DOT_MORE, DOT_END };

enum dot_state { DOT_AT_START, DOT_IN_LINE, DOT_AFTER_CR, DOT_AFTER_DOT, DOT_AFTER_DOT_CR, DOT_ENDED };

struct dot_decoder {
    enum dot_state state;
    uint64_t bare_cr, bare_lf;  /* seen outside CRLF; such bytes are kept and never end a line */
    uint64_t nul;
    uint64_t decoded;           /* bytes given out */
};

void dot_decode_init(struct dot_decoder *d);

/* Appends the decoded form of in to out; *consumed tells how much of in was used: all, or, with DOT_END, up
   to and including the LF of CRLF.CRLF, so the rest is the next command. Nothing but CRLF.CRLF ends (or
   ".CRLF" as the first line). out needs room for in.n + 2 bytes; the result does not depend on how the
   bytes were cut. The caller refuses a message with bare_cr, bare_lf or nul after its end: cutting the
   connection instead would make the peer send it again for days. */
enum dot_step dot_decode(struct dot_decoder *d, struct strv in, struct buf *out, size_t *consumed);

/* True when anything was seen that no message may carry. */
bool dot_decode_is_dirty(const struct dot_decoder *d);

/* --- encoder (client, LMTP): canonical lines in, wire bytes out --- */

struct dot_encoder {
    bool at_start;              /* the next byte begins a line */
    bool after_cr;
    bool bad;                   /* sticky */
};

void dot_encode_init(struct dot_encoder *e);

/* Appends the stuffed form of in. False when a bare CR or LF would leave (RFC 5321 2.3.8) or out is over
   its limit: nothing of this message may be sent any more and the connection must be closed, not the data
   ended. out needs up to in.n * 2 bytes. */
bool dot_encode(struct dot_encoder *e, struct strv in, struct buf *out) __attribute__((warn_unused_result));

/* Appends what ends the message: CRLF when its last line lacks one, then ".CRLF". False as above (also when
   the last byte was a CR). */
bool dot_encode_end(struct dot_encoder *e, struct buf *out) __attribute__((warn_unused_result));
