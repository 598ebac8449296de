/* identity.h - what tells one state of a source from another, and whether somebody may be writing it now */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"

/* A file that was changed this lately may be half written: editors and scripts write in steps. */
#define IDENTITY_SETTLE_MS 2000

struct identity {
    char text[112];
    bool fresh; /* changed within IDENTITY_SETTLE_MS, or dated in the future */
};

/* Without reading it. ERR_CONF unless it is a regular file. */
bool identity_of(int fd, struct identity *out, struct err *err) __attribute__((warn_unused_result));

/* The whole contents, and the identity that the file had before and after. ERR_TEMP when it is being written:
   it changed each time that it was read. */
bool identity_read(int fd, struct buf *text, struct identity *out, struct err *err)
    __attribute__((warn_unused_result));
