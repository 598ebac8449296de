/* cache.h - answers that are still true, bounded in number and in age */
#pragma once

#include "dnsd/message.h"

#define CACHE_TTL_MIN_MS  5000    /* even TTL 0 may serve one batch of messages to one domain */
#define CACHE_TTL_MAX_MS  3600000 /* a repaired zone is seen within the hour, whatever its TTL said */
#define CACHE_DENIAL_MS   60000   /* NXDOMAIN and NODATA without a SOA */
#define CACHE_TEMPFAIL_MS 5000    /* "could not tell" keeps a burst from asking a dead resolver, no more */

struct cache;

struct cache *cache_new(size_t max);
void cache_free(struct cache **c);
/* A reference of its own for the caller, or NULL. now: monotonic ms. */
struct dns_answer *cache_get(struct cache *c, struct strv name, uint16_t type, int64_t now);
/* Keeps a reference of its own; replaces what was there. The least recently used entry goes when it is full.
 */
void cache_put(struct cache *c, struct strv name, uint16_t type, struct dns_answer *a, int64_t now);
size_t cache_count(const struct cache *c);
