/* segment.c - one append-only file of records: creating, appending, sealing, reading back */
#include "queued/segment.h"

#include "common/base/hash.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HEADER_MAGIC "MANSIO-SEGMENT1 "

void segment_name(uint32_t number, const char *suffix, char dst[SEGMENT_NAME])
{
    snprintf(dst, SEGMENT_NAME, "%06u%s", number, suffix);
}

bool segment_name_parse(const char *name, const char *suffix, uint32_t *number)
{
    struct strv s = SV(name), end = SV(suffix);
    uint64_t v;

    if (!strv_ends(s, end) || !strv_u64(strv_sub(s, 0, s.n - end.n), UINT32_MAX - 1, &v) || s.n - end.n < 6)
        return false;
    *number = (uint32_t)v;
    return v > 0;
}

static size_t header_line(char *dst, size_t size, const char *nonce, uint32_t number)
{
    int n = snprintf(dst, size, HEADER_MAGIC "%s %u ", nonce, number);

    n += snprintf(dst + n, size - (size_t)n, "%08x\n", hash_crc32c(0, dst, (size_t)n));
    return (size_t)n;
}

static void header_fill(char *dst, const char *nonce, uint32_t number)
{
    memset(dst, ' ', SEGMENT_FIRST);
    for (size_t at = 0; at < SEGMENT_FIRST; at += SEGMENT_COPY) {
        char line[128];
        size_t n = header_line(line, sizeof line, nonce, number);

        memcpy(dst + at, line, n);
        dst[at + SEGMENT_COPY - 1] = '\n';
    }
}

bool segment_header(struct strv bytes, uint32_t number, char nonce[RECORD_NONCE_LEN + 1])
{
    const size_t magic = sizeof HEADER_MAGIC - 1;

    for (size_t at = 0; at < SEGMENT_FIRST; at += SEGMENT_COPY) {
        struct strv copy = strv_sub(bytes, at, SEGMENT_COPY);
        uint8_t raw[RECORD_NONCE_LEN / 2];
        char line[128];
        size_t n;

        if (copy.n < magic + RECORD_NONCE_LEN || !strv_starts(copy, SV_LIT(HEADER_MAGIC)) ||
            !strv_hex(strv_sub(copy, magic, RECORD_NONCE_LEN), raw, sizeof raw))
            continue;
        memcpy(nonce, copy.p + magic, RECORD_NONCE_LEN);
        nonce[RECORD_NONCE_LEN] = '\0';
        n = header_line(line, sizeof line, nonce, number);
        if (strv_starts(copy, strv_make(line, n)))
            return true;
    }
    return false;
}

static bool is_full(int sys)
{
    return sys == ENOSPC || sys == EDQUOT || sys == EFBIG;
}

/* Class by errno: a full disk is waited out, everything else costs the file. */
static bool fail(struct err *err, const char *what, uint32_t number)
{
    int sys = errno;

    err_sys(err, "%s segment %06u", what, number);
    if (err)
        err->cls = is_full(sys) ? ERR_LIMIT : ERR_TEMP;
    return false;
}

static bool segment_fill(int dirfd, struct segment *s, struct err *err)
{
    uint8_t raw[RECORD_NONCE_LEN / 2];
    char *header = malloc(SEGMENT_FIRST);
    bool ok;

    if (!header)
        die("out of memory");
    rand_bytes(raw, sizeof raw);
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(s->nonce + 2 * i, 3, "%02x", raw[i]);
    header_fill(header, s->nonce, s->number);
    /* Without allocation (EOPNOTSUPP) the file grows as it is written, and a full disk shows later. */
    ok = (errno = FAULT_POINT("queued.segment.create")) == 0 &&
         (fallocate(s->fd, 0, 0, (off_t)s->size) == 0 || errno == EOPNOTSUPP || errno == ENOSYS) &&
         fd_pwrite_full(s->fd, header, SEGMENT_FIRST, 0) && os_fsync(s->fd) == 0 &&
         (errno = FAULT_POINT("queued.segment.created")) == 0 && os_fsync(dirfd) == 0;
    if (!ok)
        fail(err, "create", s->number);
    free(header);
    return ok;
}

bool segment_create(int dirfd, uint32_t number, uint64_t size, struct segment *s, struct err *err)
{
    char name[SEGMENT_NAME];

    *s = (struct segment){ .fd = -1, .number = number, .size = size, .at = SEGMENT_FIRST };
    segment_name(number, ".seg", name);
    s->fd = file_openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (s->fd < 0)
        return fail(err, "create", number);
    if (segment_fill(dirfd, s, err))
        return true;
    fd_close(&s->fd);
    unlinkat(dirfd, name, 0);
    return false;
}

bool segment_append(struct segment *s, struct iovec *iov, int count, uint64_t total, struct err *err)
{
    size_t done = 0;

    if ((errno = FAULT_POINT("queued.segment.write")) != 0 ||
        !fd_pwritev_full(s->fd, iov, count, (off_t)s->at, &done) ||
        (errno = FAULT_POINT("queued.segment.written")) != 0) {
        bool full = is_full(errno);

        fail(err, "write to", s->number);
        /* What was written of a refused batch must not be found at the next start. */
        if (full && ftruncate(s->fd, (off_t)s->at) < 0) {
            fail(err, "cut the refused end of", s->number);
            if (err)
                err->cls = ERR_TEMP;
        }
        return false;
    }
    if ((errno = FAULT_POINT("queued.segment.sync")) != 0 || os_fdatasync(s->fd) < 0) {
        fail(err, "sync", s->number);
        /* Also for ENOSPC: what the kernel dropped once it reports once, a second sync would lie. */
        if (err)
            err->cls = ERR_TEMP;
        return false;
    }
    s->at += total;
    return true;
}

void segment_seal(struct segment *s)
{
    /* Nothing depends on it: the space is only given back earlier. */
    if (s->fd >= 0 && ftruncate(s->fd, (off_t)s->at) < 0)
        errno = 0;
    fd_close(&s->fd);
}

void segment_abandon(struct segment *s)
{
    segment_seal(s);
}
