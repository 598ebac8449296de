/* rate.c - the throughput floor of DATA */
#include "smtpd/rate.h"

void rate_begin(struct rate *r, int64_t floor, int64_t now_ms)
{
    *r = (struct rate){ .floor = floor, .patience = RATE_GRACE_MS, .at = now_ms };
}

void rate_bytes(struct rate *r, uint64_t n, int64_t now_ms)
{
    int64_t most = RATE_GRACE_MS, earned;

    if (r->floor <= 0)
        return;
    earned = n < (uint64_t)(most * r->floor / 1000) ? (int64_t)n * 1000 / r->floor : most;
    r->patience += earned - (now_ms - r->at);
    r->at = now_ms;
    if (r->patience > most)
        r->patience = most;
    if (r->patience < 0)
        r->patience = 0;
}

void rate_resume(struct rate *r, int64_t now_ms)
{
    r->at = now_ms;
}

int64_t rate_deadline(const struct rate *r)
{
    return r->floor > 0 ? r->at + r->patience : INT64_MAX;
}
