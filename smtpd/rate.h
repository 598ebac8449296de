/* rate.h - the throughput floor of DATA: a bucket of patience that bytes fill and time drains (pure) */
#pragma once

#include <stdint.h>

/* Patience that nobody has to earn. Somebody typing a message into telnet sends one or two bytes a second
   with long pauses, so he lives from this alone; a client that drips to hold the session has it once and
   never again. The bucket never holds more, so that fast megabytes do not buy hours of silence. */
#define RATE_GRACE_MS (10 * 60 * 1000)

struct rate {
    int64_t floor;    /* bytes per second; 0 is off */
    int64_t patience; /* milliseconds left at `at` */
    int64_t at;
};

void rate_begin(struct rate *r, int64_t floor, int64_t now_ms);
/* n bytes came at now. */
void rate_bytes(struct rate *r, uint64_t n, int64_t now_ms);
/* Time that was ours and not the client's does not count: call when we began to wait for it again. */
void rate_resume(struct rate *r, int64_t now_ms);
/* When patience ends, absolute ms; INT64_MAX when off. */
int64_t rate_deadline(const struct rate *r);
