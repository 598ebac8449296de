/* headers.h - what happens to a header block: pure, for tests and for the stage in headers.c */
#pragma once

#include "common/base/buf.h"

struct mailbox;
struct received;

enum headers_verdict { HEADERS_OK, HEADERS_LOOP, HEADERS_TOO_BIG };

struct headers_in {
    struct strv block;               /* each line with its CRLF; may be empty */
    const struct received *received; /* the trace field of this hop */
    bool own;                        /* of an own client: missing fields are added, private ones removed */
    struct strv id, hostname;        /* of a Message-ID that is missing */
    int64_t wall_ms;                 /* of a Date that is missing */
    size_t max_hops;
    const struct mailbox *from;      /* of a From that is missing; NULL: it stays missing */
    struct strv warning;             /* for X-Authentication-Warning; empty: none */
    bool *bulk;                      /* set when a field says that it is bulk; NULL: not asked */
    struct strv domain;              /* completes bare names (`To: root`); empty: they stay bare */
};

enum headers_verdict headers_build(const struct headers_in *in, struct buf *out);
