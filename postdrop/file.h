/* file.h - one file in drop/: unseen until it is complete and durable */
#pragma once

#include "common/base/err.h"
#include "common/base/strv.h"

#define FILE_NAME_SIZE 40

struct file {
    int dir, fd;               /* owned, -1 */
    char name[FILE_NAME_SIZE]; /* begins with the dot that hides it until it is complete */
};

/* Makes a file of its own in the directory. watched: its name ends in V (watch.h). False: err->sys tells why.
 */
bool file_begin(struct file *f, const char *directory, bool watched, struct err *err)
    __attribute__((warn_unused_result));
bool file_add(struct file *f, struct strv bytes, struct err *err) __attribute__((warn_unused_result));
/* From here on the mail system owns it, whatever becomes of us or the power. */
bool file_commit(struct file *f, struct err *err) __attribute__((warn_unused_result));
/* Removes it, unless it was committed. */
void file_end(struct file *f);
/* The status to exit with (sysexits) after err. */
int file_status(const struct err *err);
