/* names.h - client names that dnsd told a moment ago: who connects again and again is not asked for each time
 *
 * dnsd holds every answer for at least CACHE_TTL_MIN_MS; this holds it for no longer than that again. "Could
 * not tell" is no answer and is not kept.
 */
#pragma once

#include "common/base/netaddr.h"
#include "common/ipc/schema.h"

#define NAMES_KEEP_MS 5000
#define NAMES_MAX     256u /* a power of two; an address has one place, the newest keeps it */

struct names;

struct names *names_new(void);
void names_free(struct names **n);
void names_forget(struct names *n); /* another dnsd may know better */
/* now: monotonic ms. *name is good until the next names_put. */
bool names_get(const struct names *n, const struct netaddr *addr, int64_t now, enum ipc_dns *answer,
               struct strv *name);
void names_put(struct names *n, const struct netaddr *addr, int64_t now, enum ipc_dns answer,
               struct strv name);
