/* watch.h - sendmail -v: shows what queued tells of the file that was just submitted, and of no other
 *
 * A FIFO with the file's name, which nobody could guess, in a directory that only postdrop and queued can
 * enter. What comes out of it may hold words of foreign servers: it is made safe for a terminal.
 */
#pragma once

#include "postdrop/file.h"

struct watch {
    int fd;  /* owned, -1 */
    int dir; /* borrowed */
    char name[FILE_NAME_SIZE + 8];
};

/* Before the file is committed; without a FIFO nothing will be shown. */
void watch_begin(struct watch *w, const struct file *f);
/* After it: until the first attempt has ended, or for some minutes. Never fails: the message is submitted. */
void watch_show(struct watch *w, int out);
void watch_end(struct watch *w);
