/* notice_body.h - a returned body that is too large for memory: read and passed on in pieces */
#pragma once

#include "common/mail/dsn.h"

struct txn;

struct notice_body {
    int fd; /* owned; -1: there is none, or it is over */
    uint64_t size, offset;
    char boundary[DSN_BOUNDARY]; /* of the notice */
};

/* Takes fd. The boundary is one that nobody can know. */
void notice_body_init(struct notice_body *b, int fd, uint64_t size);
void notice_body_clear(struct notice_body *b);
/* As much as queued's credit allows. True: all of it, with the notice's end, is in t; or t was refused. */
bool notice_body_pump(struct notice_body *b, struct txn *t);
