/* chunk.h - what goes from sendmail to postdrop: u32 length (big-endian) and that many bytes, again and
   again; length 0 is the end. Without it the submission was broken off and nothing of it counts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CHUNK_MAX 65536u

/* n > 0 bytes in as many chunks as it takes; false with errno. */
bool chunk_write(int fd, const void *p, size_t n);
bool chunk_write_end(int fd);
/* The next one into dst (CHUNK_MAX bytes): its length, 0 at the end; -1 with errno, EPROTO when it is none.
 */
ssize_t chunk_read(int fd, void *dst);
