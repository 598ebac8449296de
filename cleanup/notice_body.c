/* notice_body.c - a returned body that is too large for memory: read and passed on in pieces */
#include "cleanup/notice_body.h"

#include "cleanup/commit.h"
#include "cleanup/service.h"
#include "common/base/hash.h"
#include "common/os/fd.h"

#include <stdio.h>

#define STEP     32768u        /* of the body, at once */
#define HELD_MAX (64u * 1024u) /* bytes that wait for queued's credit before reading stops */

void notice_body_init(struct notice_body *b, int fd, uint64_t size)
{
    uint64_t random[2];

    rand_bytes(random, sizeof random);
    *b = (struct notice_body){ .fd = fd, .size = size };
    snprintf(b->boundary, sizeof b->boundary, "=_%016llx%016llx", (unsigned long long)random[0],
             (unsigned long long)random[1]);
}

void notice_body_clear(struct notice_body *b)
{
    fd_close(&b->fd);
}

/* NUL is no content of mail, whatever let it in (RFC 5322 2.2). */
static void clean(char *bytes, size_t n)
{
    for (char *at = memchr(bytes, '\0', n); at; at = memchr(at, '\0', n - (size_t)(at - bytes)))
        *at = '?';
}

static bool step(struct notice_body *b, struct txn *t)
{
    static char piece[STEP];
    uint64_t left = b->size - b->offset;
    size_t want = left < STEP ? (size_t)left : STEP;

    if (fd_pread_full(b->fd, piece, want, (off_t)b->offset) != (ssize_t)want)
        return false;
    clean(piece, want);
    b->offset += want;
    txn_data(t, strv_make(piece, want));
    commit_stream(t);
    return true;
}

bool notice_body_pump(struct notice_body *b, struct txn *t)
{
    struct buf tail;

    while (!txn_is_refused(t) && b->offset < b->size && t->body.len < HELD_MAX)
        if (!step(b, t))
            txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0", "The returned message cannot be read now", "");
    if (!txn_is_refused(t) && b->offset < b->size)
        return false;
    fd_close(&b->fd);
    if (!txn_is_refused(t)) {
        buf_init(&tail, 256);
        dsn_end(b->boundary, &tail);
        txn_data(t, buf_view(&tail));
        txn_data_end(t);
        buf_clear(&tail);
    }
    return true;
}
