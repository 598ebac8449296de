/* status.h - what the end of a child means, in words for the log (pure) */
#pragma once

#include <stddef.h>

/* "signal 11 (SEGV): it crashed ...", "exit 0: ..."; status as of waitpid. */
void status_end_text(int status, char *dst, size_t size);
/* Milliseconds to wait before the next start: 0.1 s doubling to 10 s; a child that lived a minute begins
 * anew. */
long status_backoff(long last_ms, long lived_ms);
