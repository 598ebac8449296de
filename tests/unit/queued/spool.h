/* spool.h - a temporary spool directory and its files, to look at and to damage */
#pragma once

#include "common/base/buf.h"

#include <stdint.h>

struct spool {
    char path[128];
    int fd; /* of the directory */
};

void spool_make(struct spool *s);
void spool_remove(struct spool *s); /* with everything below */
/* Names of a subdirectory ending in suffix, sorted, at most max. */
size_t spool_list(const struct spool *s, const char *sub, const char *suffix, char names[][64], size_t max);
void spool_read(const struct spool *s, const char *sub, const char *name, struct buf *out);
void spool_write(const struct spool *s, const char *sub, const char *name, struct strv bytes);
void spool_unlink(const struct spool *s, const char *sub, const char *name);
bool spool_has(const struct spool *s, const char *sub, const char *name);
/* The same files elsewhere: what a power cut would leave is made from copies. */
void spool_copy(const struct spool *from, struct spool *to);
