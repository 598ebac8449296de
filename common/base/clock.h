/* clock.h - the two clocks; tests replace them */
#pragma once

#include <stdint.h>
#include <stddef.h>

/* Milliseconds; the monotonic one never jumps and has no meaning outside this boot. */
int64_t clock_mono_ms(void);
int64_t clock_wall_ms(void);                    /* since 1970-01-01 UTC */

/* For tests: NULL restores the system's clocks. */
void clock_fake(int64_t (*mono)(void), int64_t (*wall)(void));

/* RFC 5322 date-time of a wall time, in local time with its offset: "Fri, 20 Nov 2026 23:27:30 +0000".
   size >= 40. */
void clock_rfc5322(int64_t wall_ms, char *dst, size_t size);
/* RFC 3339 in UTC with milliseconds: "2026-11-20T23:27:30.123Z". size >= 32. */
void clock_rfc3339(int64_t wall_ms, char *dst, size_t size);
