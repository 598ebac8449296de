/* store_read.c - records read back: one in full, or the envelopes of many that lie behind each other */
#include "common/base/mem.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "queued/segment.h"
#include "queued/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define WINDOW_SIZE  (256u * 1024u)
#define RECORD_LARGE 32768u /* of such ones only the beginning is read */
#define BEGINNING    8192u

static bool reader_open(struct store *s, struct reader *r, uint32_t number, struct err *err)
{
    char head[SEGMENT_FIRST], name[SEGMENT_NAME];
    ssize_t n;

    fd_close(&r->fd);
    r->number = 0;
    segment_name(number, ".seg", name);
    r->fd = file_openat(s->segment_dir, name, O_RDONLY, 0);
    if (r->fd < 0)
        return err_sys(err, "open segment %s", name);
    n = fd_pread_full(r->fd, head, sizeof head, 0);
    if (n < 0)
        return err_sys(err, "read segment %s", name);
    if (!segment_header(strv_make(head, (size_t)n), number, r->nonce))
        return err_set(err, ERR_PROTO, "segment %s has lost its header", name);
    r->number = number;
    return true;
}

static struct reader *reader_get(struct store *s, uint32_t number, struct err *err)
{
    struct reader *oldest = &s->readers[0];

    for (size_t i = 0; i < STORE_READERS; i++) {
        struct reader *r = &s->readers[i];

        if (r->number == number) {
            r->used = ++s->reader_clock;
            return r;
        }
        if (r->used < oldest->used)
            oldest = r;
    }
    oldest->used = ++s->reader_clock;
    return reader_open(s, oldest, number, err) ? oldest : NULL;
}

bool store_read(struct store *s, struct place place, struct buf *bytes, struct record *out, struct err *err)
{
    struct reader *r = reader_get(s, place.segment, err);
    char *to;
    ssize_t n;

    if (!r)
        return false;
    buf_reset(bytes);
    to = buf_reserve(bytes, place.length);
    if (!to)
        return err_set(err, ERR_LIMIT, "record of %u bytes", place.length);
    if ((errno = FAULT_POINT("queued.segment.read")) != 0)
        n = -1;
    else
        n = fd_pread_full(r->fd, to, place.length, (off_t)place.offset);
    if (n < 0)
        return err_sys(err, "read segment %06u", place.segment);
    buf_commit(bytes, (size_t)n);
    if (!record_parse(buf_view(bytes), r->nonce, place.segment, place.offset, out))
        return err_set(err, ERR_PROTO, "the record in segment %06u at %u is damaged", place.segment,
                       place.offset);
    return true;
}

/* ---- envelopes ---- */

void store_read_clear(struct store *s)
{
    for (size_t i = 0; i < STORE_READERS; i++)
        fd_close(&s->readers[i].fd);
    MEM_FREE(s->window.data);
}

/* True when the bytes from the place on are in the window, so many of them. */
static bool window_has(const struct window *w, struct place place, size_t n)
{
    return w->data && w->number == place.segment && place.offset >= w->at &&
           (uint64_t)place.offset + n <= (uint64_t)w->at + w->n;
}

/* Who goes through a segment gets what follows as well; who jumps does not pay for it. */
static size_t window_size(const struct window *w, struct place place, size_t least)
{
    bool follows = w->number == place.segment && place.offset >= w->at &&
                   place.offset - w->at <= 2 * (size_t)WINDOW_SIZE;

    return place.length <= RECORD_LARGE && follows ? WINDOW_SIZE : least;
}

static bool window_read(struct store *s, struct place place, size_t least, struct err *err)
{
    struct reader *r = reader_get(s, place.segment, err);
    struct window *w = &s->window;
    size_t size = window_size(w, place, least);
    ssize_t n;

    if (!r)
        return false;
    if (!w->data)
        w->data = mem_new(WINDOW_SIZE);
    if ((errno = FAULT_POINT("queued.segment.read")) != 0)
        n = -1;
    else
        n = fd_pread_full(r->fd, w->data, size, (off_t)place.offset);
    w->n = n < 0 ? 0 : (size_t)n;
    w->number = place.segment;
    w->at = place.offset;
    memcpy(w->nonce, r->nonce, sizeof w->nonce);
    return n >= 0 || err_sys(err, "read segment %06u", place.segment);
}

/* The envelope of what is in the window; a whole record is checked in full. */
static bool window_envelope(const struct window *w, struct place place, size_t n, struct record_sizes *sizes,
                            struct strv *envelope)
{
    struct strv bytes = strv_make(w->data + (place.offset - w->at), n);
    struct record record;
    uint64_t id;

    if (n == place.length) {
        if (!record_parse(bytes, w->nonce, place.segment, place.offset, &record))
            return false;
        *sizes = record.sizes;
        *envelope = record.envelope;
        return true;
    }
    if (!record_line_parse(bytes, w->nonce, &id, sizes) || record_size(sizes) != place.length ||
        sizes->envelope > n - RECORD_LINE_LEN)
        return false;
    *envelope = strv_make(bytes.p + RECORD_LINE_LEN, sizes->envelope);
    return true;
}

bool store_peek(struct store *s, struct place place, struct record_sizes *sizes, struct strv *envelope)
{
    size_t n = place.length <= RECORD_LARGE ? place.length : BEGINNING;
    struct err err = { 0 };

    if (window_has(&s->window, place, n) && window_envelope(&s->window, place, n, sizes, envelope))
        return true;
    /* What was in the window may be older than the record. */
    s->peeks++;
    return window_read(s, place, n, &err) && window_has(&s->window, place, n) &&
           window_envelope(&s->window, place, n, sizes, envelope);
}
