/* owned.h - gives the files of a directory to one user */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct owned {
    size_t wrong, mended; /* files */
};

/* The regular files of path that are not uid's become his, when give. Links, and files with several names,
   are left alone; so is what takes the place of a file meanwhile. */
void owned_check(const char *path, uid_t uid, gid_t gid, bool give, struct owned *o);
