/* blocking.h - calls to a running host from a program without a loop: one socket, one deadline per wait */
#pragma once

#include "common/base/buf.h"
#include "common/ipc/frame.h"

struct blocking {
    int fd; /* owned; -1: not connected */
    enum role peer;
    uint64_t txn;
    int64_t wait_ms;     /* longest silence that is put up with */
    struct ipc_out call; /* being written */
    char *frame;         /* owned: IPC_FRAME_MAX bytes that the last answer lies in */
};

enum blocking_trouble {
    BLOCKING_OK,
    BLOCKING_DOWN,    /* nobody listens: the host is not running (or this part of it is not) */
    BLOCKING_REFUSED, /* the caller may not */
    BLOCKING_SILENT,  /* no answer in time */
    BLOCKING_BROKEN,  /* the connection ended, or the answer is nonsense */
};

/* Connects to RUNTIME/ctl/<name of peer>.sock; the path may be longer than a socket address. err tells what
   to do about it. */
enum blocking_trouble blocking_open(struct blocking *b, const char *runtime, enum role peer, int64_t wait_ms,
                                    struct err *err);
void blocking_close(struct blocking *b);

/* A call: begin, arguments, send. */
void blocking_call(struct blocking *b, const char *act, uint64_t cursor);
void blocking_text(struct blocking *b, const char *name, struct strv value);
void blocking_number(struct blocking *b, const char *name, uint64_t value);
enum blocking_trouble blocking_send(struct blocking *b, struct err *err);
/* The next frame of the answer (CTL_ROWS, CTL_DATA, CTL_DONE), valid until the next call of this. */
enum blocking_trouble blocking_next(struct blocking *b, struct ipc_in *in, struct err *err);
