/* feed.h - lines about messages on their way to the history (historyd), which is never in the mail's way
 *
 * Lines of the events in the table wait in a buffer of this process and leave in batches, one frame when it
 * is full or a moment after the first line came; never one system call per line. Nobody ever waits for
 * historyd: when it is slow or away the buffer keeps what it holds, and what comes beyond that is counted
 * and lost. What goes there is what the log has or would have, whatever its level.
 */
#pragma once

#include "common/base/log.h"

struct loop;

#define FEED_BUFFER  61440u /* bytes: one frame */
#define FEED_HEAD    11u    /* of a line in a frame: u16 length, u8 level, u64 wall ms; big-endian */
#define FEED_WAIT_MS 200

/* Names of the events, in order, NULL at the end. */
extern const char *const feed_events[];
bool feed_wants(enum log_level level, const char *event);

/* The channel to historyd is there, or was replaced. Takes fd. Lines are collected from the first call on. */
void feed_open(int fd);
/* From now on what waits leaves by a timer of this loop; for the thread that runs it. */
void feed_watch(struct loop *loop);
void feed_end(void); /* sends what waits, if it can be, and stops the timer */
