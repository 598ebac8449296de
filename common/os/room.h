/* room.h - how much of a file system must be free for new mail to be taken: for all who take it or tell */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>

#define ROOM_SEGMENT (64u * 1024u * 1024u)
#define ROOM_INODES  16u /* a segment, a sidecar, a journal file, some bodies */

/* Bytes: as configured, or for 0 two segments or one percent of it all. */
static inline uint64_t room_needed(int64_t configured, uint64_t segment, const struct statvfs *v)
{
    uint64_t percent = (uint64_t)v->f_blocks * v->f_frsize / 100, two = 2 * segment;

    if (configured > 0)
        return (uint64_t)configured;
    return percent > two ? percent : two;
}

/* File systems without a table of them say 0 of 0. */
static inline bool room_lacks_inodes(const struct statvfs *v)
{
    return v->f_files > 0 && v->f_favail <= ROOM_INODES;
}
