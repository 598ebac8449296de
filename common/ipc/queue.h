/* queue.h - frames that wait to be sent, in two classes, and the system call that sends them (inner part of
 * channel) */
#pragma once

#include "common/ipc/frame.h"

struct credit;

struct queue_frame {
    struct queue_frame *next;
    struct buf bytes;     /* owned */
    int fds[IPC_FDS_MAX]; /* owned until sent */
    unsigned fd_count;
    bool chunk;
    uint64_t txn;
    size_t bulk;
    struct credit *credit; /* borrowed: counts this frame as queued; NULL in the urgent queue */
};

struct queue_list {
    struct queue_frame *head, **tail;
};

struct queue {
    struct queue_list urgent; /* goes first */
    struct queue_list bulk;   /* chunks, and whatever must stay behind the chunks of its transaction */
    size_t bytes;
};

enum queue_result { QUEUE_EMPTY, QUEUE_BLOCKED, QUEUE_PEER_GONE, QUEUE_BROKEN };

void queue_init(struct queue *q);
/* Takes the finished frame's bytes and descriptors out of o; o gets other memory for its next frame. */
struct queue_frame *queue_frame_take(struct ipc_out *o);
void queue_frame_free(struct queue_frame **f);
void queue_add(struct queue *q, struct queue_frame *f, bool urgent);
/* Takes out the first frame of the bulk queue that is a chunk of txn; NULL when there is none. */
struct queue_frame *queue_take_chunk(struct queue *q, uint64_t txn);
/* The first frame of txn, whatever it is. */
struct queue_frame *queue_take_of(struct queue *q, uint64_t txn);
/* Any frame; for clearing. */
struct queue_frame *queue_take(struct queue *q);
/* Sends as much as the socket takes. sent is called for each frame that left, before it is freed. */
enum queue_result queue_send(struct queue *q, int fd, void (*sent)(void *arg, struct queue_frame *f),
                             void *arg);
