/* journal.c - the files of state/: results written at once, durable a moment later; snapshots, rotation */
#include "queued/journal.h"

#include "common/base/hash.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "queued/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPARE      "spare"
#define BUFFER_MAX (256u * 1024u * 1024u) /* a snapshot slice and a long disk stall; far from any plan */

void journal_init(struct journal *j, int dir, uint64_t step)
{
    memset(j, 0, sizeof *j);
    j->dir = dir;
    j->fd = -1;
    j->step = step;
    buf_init(&j->buf, BUFFER_MAX);
}

void journal_clear(struct journal *j)
{
    fd_close(&j->fd);
    buf_clear(&j->buf);
}

static bool fail(struct err *err, const char *what)
{
    return err_sys(err, "%s", what);
}

bool journal_spare(struct journal *j, struct err *err)
{
    int fd = file_openat(j->dir, SPARE, O_RDWR | O_CREAT | O_EXCL, 0600);

    if (fd < 0)
        return errno == EEXIST || fail(err, "create the spare journal file");
    if ((errno = FAULT_POINT("queued.journal.spare")) != 0 ||
        (fallocate(fd, 0, 0, (off_t)j->step) < 0 && errno != EOPNOTSUPP && errno != ENOSYS)) {
        fail(err, "allocate the spare journal file");
        fd_close(&fd);
        unlinkat(j->dir, SPARE, 0);
        return false;
    }
    fd_close(&fd);
    return true;
}

/* Of fixed length: the file may hold the header of an attempt that a crash cut off, and is then overwritten.
 */
size_t journal_header(char dst[JOURNAL_HEADER + 1], const char *nonce, uint32_t number, bool first)
{
    int n = snprintf(dst, JOURNAL_HEADER + 1, "MANSIO-JOURNAL1 %s %u %s ", nonce, number,
                     first ? "first" : "next");

    n += snprintf(dst + n, JOURNAL_HEADER + 1 - (size_t)n, "%08x", hash_crc32c(0, dst, (size_t)n));
    memset(dst + n, ' ', JOURNAL_HEADER - (size_t)n);
    dst[JOURNAL_HEADER - 1] = '\n';
    dst[JOURNAL_HEADER] = '\0';
    return JOURNAL_HEADER;
}

static bool allocated(int fd, uint64_t size)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return false;
    return (uint64_t)st.st_size >= size || fallocate(fd, 0, 0, (off_t)size) == 0 || errno == EOPNOTSUPP ||
           errno == ENOSYS;
}

/* The spare file, or a new one, with a durable header under its final name. */
static int journal_make(struct journal *j, uint32_t number, bool first, struct err *err)
{
    uint8_t raw[ENTRY_NONCE_LEN / 2];
    char line[JOURNAL_HEADER + 1], name[SEGMENT_NAME];
    int fd = file_openat(j->dir, SPARE, O_RDWR | O_CREAT, 0600);

    if (fd < 0) {
        fail(err, "open the spare journal file");
        return -1;
    }
    rand_bytes(raw, sizeof raw);
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(j->nonce + 2 * i, 3, "%02x", raw[i]);
    journal_header(line, j->nonce, number, first);
    segment_name(number, ".jnl", name);
    if (allocated(fd, j->step) && (errno = FAULT_POINT("queued.journal.create")) == 0 &&
        fd_pwrite_full(fd, line, JOURNAL_HEADER, 0) && os_fsync(fd) == 0 &&
        renameat(j->dir, SPARE, j->dir, name) == 0 && (errno = FAULT_POINT("queued.journal.created")) == 0 &&
        os_fsync(j->dir) == 0)
        return fd;
    fail(err, "begin a journal file");
    fd_close(&fd);
    return -1;
}

bool journal_begin(struct journal *j, bool first, struct err *err)
{
    /* Readers take every line of a file that is not the newest for durable. When the old file refuses, what
       it got since its last sync is durable only with the snapshot that follows. */
    bool lost = j->number > 0 && (j->fd < 0 || !journal_write(j, err) || os_fdatasync(j->fd) < 0);
    int fd = journal_make(j, j->number + 1, first, err);

    fd_close(&j->fd);
    j->fd = fd;
    if (fd < 0)
        return false;
    buf_reset(&j->buf);
    j->number++;
    if (!j->oldest)
        j->oldest = j->number;
    j->at = j->synced_at = JOURNAL_HEADER;
    j->allocated = j->step;
    j->written = j->appended;
    j->tell_synced = false;
    j->incomplete = lost;
    if (!lost)
        j->synced = j->written;
    return true;
}

void journal_append(struct journal *j, const struct entry *e)
{
    size_t before = j->buf.len;

    entry_print(e, j->nonce, &j->buf);
    if (!buf_ok(&j->buf))
        die("the journal could not be written for too long: %zu bytes wait", j->buf.len);
    j->appended += j->buf.len - before;
}

bool journal_write(struct journal *j, struct err *err)
{
    if (j->fd < 0)
        return err_set(err, ERR_TEMP, "no journal file is open");
    if (j->buf.len == 0)
        return true;
    if (j->tell_synced) {
        journal_append(j, &(struct entry){ .kind = ENTRY_SYNCED, .offset = j->synced_at });
        j->tell_synced = false;
    }
    if (j->at + j->buf.len > j->allocated &&
        fallocate(j->fd, 0, (off_t)j->allocated, (off_t)(j->step + j->buf.len)) == 0)
        j->allocated += j->step + j->buf.len;
    if ((errno = FAULT_POINT("queued.journal.write")) != 0 ||
        !fd_pwrite_full(j->fd, j->buf.data, j->buf.len, (off_t)j->at))
        return fail(err, "write to the journal");
    j->at += j->buf.len;
    j->written = j->appended;
    buf_reset(&j->buf);
    return true;
}

void journal_complete(struct journal *j)
{
    journal_append(j, &(struct entry){ .kind = ENTRY_END });
    j->incomplete = false;
    j->barrier = j->appended;
}

void journal_was_synced(struct journal *j, uint32_t number, uint64_t mark, uint64_t at)
{
    if (mark > j->synced && !j->incomplete && mark >= j->barrier)
        j->synced = mark;
    if (number == j->number && at > j->synced_at) {
        j->synced_at = at;
        j->tell_synced = true;
    }
}

void journal_forget(struct journal *j)
{
    for (; j->oldest < j->number; j->oldest++) {
        char name[SEGMENT_NAME];

        segment_name(j->oldest, ".jnl", name);
        if (FAULT_POINT("queued.journal.forget") != 0 || (unlinkat(j->dir, name, 0) < 0 && errno != ENOENT))
            return;
    }
}
