/* big.h - one large body in big/ID, written as it comes */
#pragma once

#include "common/base/err.h"
#include "common/base/strv.h"

struct big {
    int dir;     /* borrowed */
    int fd;      /* owned; -1: none */
    uint64_t id; /* 0: still tmp.N */
    uint64_t temporary;
    uint64_t size;
    uint32_t crc; /* crc32c of what was written */
};

/* ERR_LIMIT: disk full. The file has a name of its own (tmp.N) until big_name: the body comes before the
 * message's id.
 */
bool big_create(struct big *b, int dir, struct err *err) __attribute__((warn_unused_result));
bool big_write(struct big *b, struct strv bytes, struct err *err) __attribute__((warn_unused_result));
bool big_name(struct big *b, uint64_t id, struct err *err) __attribute__((warn_unused_result));
int big_take(struct big *b);   /* the descriptor, to be synced; b forgets the file */
void big_abort(struct big *b); /* removes the file; fine when there is none */
void big_unlink(int dir, uint64_t id);
