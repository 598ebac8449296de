/* scratch.h - a directory for one test, and what a test wants to know about it */
#pragma once

#include "common/base/buf.h"

struct scratch {
    char path[128];
    int fd;
};

void scratch_make(struct scratch *s);
void scratch_remove(struct scratch *s);
/* Entries of a directory below it; -1 when it cannot be listed. */
int scratch_count(const struct scratch *s, const char *dir);
/* The name of its only file and its contents; aborts when there is not exactly one. */
void scratch_only(const struct scratch *s, const char *dir, char name[256], struct buf *contents);
void scratch_write(const struct scratch *s, const char *name, struct strv contents);
