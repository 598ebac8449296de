/* sidecar.c - the index beside a sealed segment, so that a start need not read bodies */
#include "queued/sidecar.h"

#include "common/base/hash.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "queued/digits.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define SIDECAR_MAX (64u * 1024u * 1024u) /* no larger than the segment it saves us from reading */
#define ROWS_AHEAD  16u
#define END_LEN     34u                   /* "end ", 20 digits, blank, 8 hex digits, line feed */

void sidecar_init(struct sidecar *s)
{
    buf_init(&s->bytes, SIDECAR_MAX);
}

void sidecar_clear(struct sidecar *s)
{
    buf_clear(&s->bytes);
}

static size_t first_line(char *dst, size_t size, const char *nonce, uint32_t number)
{
    return (size_t)snprintf(dst, size, "MANSIO-INDEX1 %.32s %u\n", nonce, number);
}

/* The checksum covers everything before it, the length of the segment too. */
static void end_line(char dst[END_LEN + 1], struct strv before, uint64_t segment_bytes)
{
    int n = snprintf(dst, END_LEN + 1, "end %020llu ", (unsigned long long)segment_bytes);
    uint32_t crc = hash_crc32c(hash_crc32c(0, before.p, before.n), dst, (size_t)n);

    snprintf(dst + n, END_LEN + 1 - (size_t)n, "%08x\n", crc);
}

void sidecar_begin(struct sidecar *s, const char *nonce, uint32_t number)
{
    char line[128];

    buf_reset(&s->bytes);
    buf_add(&s->bytes, line, first_line(line, sizeof line, nonce, number));
}

void sidecar_add(struct sidecar *s, uint32_t offset, struct strv head)
{
    char digits[DIGITS_MAX];

    buf_add(&s->bytes, digits, digits_u64(digits, offset));
    buf_addc(&s->bytes, ' ');
    buf_addv(&s->bytes, head);
}

void sidecar_write(struct sidecar *s, int segment_dir, uint32_t number, uint64_t segment_bytes)
{
    char name[SEGMENT_NAME], end[END_LEN + 1];
    int fd;

    end_line(end, buf_view(&s->bytes), segment_bytes);
    buf_add(&s->bytes, end, END_LEN);
    if (!buf_ok(&s->bytes) || FAULT_POINT("queued.sidecar.write") != 0)
        return;
    segment_name(number, ".idx", name);
    fd = file_openat(segment_dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return;
    if (!fd_write_full(fd, s->bytes.data, s->bytes.len))
        unlinkat(segment_dir, name, 0);
    fd_close(&fd);
}

bool sidecar_valid(struct strv bytes, const char *nonce, uint32_t number, uint64_t segment_bytes)
{
    char line[128], end[END_LEN + 1];
    size_t n = first_line(line, sizeof line, nonce, number);

    if (bytes.n < n + END_LEN || memcmp(bytes.p, line, n) != 0)
        return false;
    end_line(end, strv_sub(bytes, 0, bytes.n - END_LEN), segment_bytes);
    return memcmp(bytes.p + bytes.n - END_LEN, end, END_LEN) == 0;
}

struct row {
    uint64_t offset, id;
    struct record_sizes sizes;
    struct strv envelope;
};

static bool row_take(struct strv *rest, const char *nonce, struct row *out)
{
    struct strv word;

    if (!strv_cut(rest, ' ', &word) || !strv_u64(word, UINT32_MAX, &out->offset) || !rest->p ||
        !record_line_parse(*rest, nonce, &out->id, &out->sizes) ||
        out->sizes.envelope > rest->n - RECORD_LINE_LEN)
        return false;
    out->envelope = strv_sub(*rest, RECORD_LINE_LEN, out->sizes.envelope);
    *rest = strv_from(*rest, RECORD_LINE_LEN + out->sizes.envelope);
    return true;
}

bool sidecar_each(struct strv bytes, const char *nonce,
                  bool (*fn)(void *arg, uint32_t offset, uint64_t id, const struct record_sizes *sizes,
                             struct strv envelope),
                  void (*ahead)(void *arg, uint64_t id), void *arg)
{
    struct strv rest = strv_sub(bytes, 0, bytes.n - END_LEN), word;
    struct row rows[ROWS_AHEAD];
    size_t taken = 0, told = 0;
    bool ok = strv_cut(&rest, '\n', &word);

    while (ok || told < taken) {
        /* What stands before a line that is not right is told all the same. */
        while (ok && rest.p && rest.n > 0 && taken - told < ROWS_AHEAD) {
            ok = row_take(&rest, nonce, &rows[taken % ROWS_AHEAD]);
            if (ok && ahead)
                ahead(arg, rows[taken % ROWS_AHEAD].id);
            taken += ok;
        }
        if (told == taken)
            break;
        struct row *r = &rows[told++ % ROWS_AHEAD];
        if (!fn(arg, (uint32_t)r->offset, r->id, &r->sizes, r->envelope))
            return false;
    }
    return ok;
}
