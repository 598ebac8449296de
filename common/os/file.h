/* file.h - files and directories by descriptor: no symlink at the end, one way to make things durable */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/err.h"

/* openat that follows no symlink in the last component, never becomes a terminal, never blocks on a FIFO and
   is closed at exec. -1 with errno. */
int file_openat(int dirfd, const char *name, int flags, mode_t mode);
/* The same for a directory, readable and usable for fsync. */
int file_opendirat(int dirfd, const char *name);
/* Makes the directory when it is missing, then opens it (durable only after file_sync of its parent). */
int file_mkdirat(int dirfd, const char *name, mode_t mode);

/* Whole contents of a regular file, at most out->max bytes; more is ERR_LIMIT. The offset of fd is not used.
 */
bool file_read(int fd, struct buf *out, struct err *err) __attribute__((warn_unused_result));

/* A memfd with this contents that nobody can change any more; -1 with err. */
int file_seal(const char *name, struct strv contents, struct err *err);
/* Contents of such a memfd; ERR_PROTO when it is not sealed (it could change while it is parsed). */
bool file_read_sealed(int fd, struct buf *out, struct err *err) __attribute__((warn_unused_result));
