/* record.c - one stored message in a segment: its line, its place, how to find it (pure) */
#include "queued/record.h"

#include "common/base/hash.h"

#include "queued/digits.h"

#define MAGIC       "MANSIO1 "
#define MAGIC_LEN   8u
#define AT_ID       (MAGIC_LEN + RECORD_NONCE_LEN + 1)
#define AT_ENVELOPE (AT_ID + ID_TEXT_LEN + 1)
#define AT_HEADER   (AT_ENVELOPE + 9)
#define AT_BODY     (AT_HEADER + 9)
#define AT_CRC      (AT_BODY + 9)
#define CRC_LEN     8u
#define BEHIND      3u /* the CRLF between header and body, the line feed at the end */

_Static_assert(AT_CRC + CRC_LEN + 1 == RECORD_LINE_LEN, "the parts of the line add up");

size_t record_size(const struct record_sizes *sizes)
{
    if (sizes->envelope > RECORD_PART_MAX || sizes->header > RECORD_PART_MAX || sizes->body > RECORD_PART_MAX)
        return 0;
    return RECORD_LINE_LEN + sizes->envelope + sizes->header + sizes->body + BEHIND;
}

static void digits_write(char *dst, size_t value)
{
    for (int i = 7; i >= 0; i--) {
        dst[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

static bool digits_read(const char *p, size_t *out)
{
    uint64_t v;

    if (!strv_u64(strv_make(p, 8), RECORD_PART_MAX, &v))
        return false;
    *out = (size_t)v;
    return true;
}

/* Bounds come from sizes already compared with the bytes that are there. */
static uint32_t record_crc(const char *record, size_t len, uint32_t segment, uint64_t offset)
{
    char place[2 * DIGITS_MAX + 1];
    size_t n = digits_u64(place, segment);
    uint32_t crc = hash_crc32c(0, record, AT_CRC);

    place[n++] = ' ';
    n += digits_u64(place + n, offset);
    crc = hash_crc32c(crc, record + RECORD_LINE_LEN, len - RECORD_LINE_LEN);
    return hash_crc32c(crc, place, n);
}

void record_line(char *dst, uint64_t id, const struct record_sizes *sizes)
{
    char text[ID_TEXT_SIZE];

    memset(dst, ' ', RECORD_LINE_LEN);
    memcpy(dst, MAGIC, MAGIC_LEN);
    id_text(id, text);
    memcpy(dst + AT_ID, text, ID_TEXT_LEN);
    digits_write(dst + AT_ENVELOPE, sizes->envelope);
    digits_write(dst + AT_HEADER, sizes->header);
    digits_write(dst + AT_BODY, sizes->body);
    dst[RECORD_LINE_LEN - 1] = '\n';
}

void record_seal(char *record, size_t len, const char *nonce, uint32_t segment, uint64_t offset)
{
    memcpy(record + MAGIC_LEN, nonce, RECORD_NONCE_LEN);
    digits_hex32(record + AT_CRC, record_crc(record, len, segment, offset));
}

/* Every byte of the line is checked, blanks too: there is one way to write a record. */
bool record_line_parse(struct strv bytes, const char *nonce, uint64_t *id, struct record_sizes *sizes)
{
    const char *p = bytes.p;

    return bytes.n >= RECORD_LINE_LEN && memcmp(p, MAGIC, MAGIC_LEN) == 0 &&
           memcmp(p + MAGIC_LEN, nonce, RECORD_NONCE_LEN) == 0 && p[AT_ID - 1] == ' ' &&
           p[AT_ENVELOPE - 1] == ' ' && p[AT_HEADER - 1] == ' ' && p[AT_BODY - 1] == ' ' &&
           p[AT_CRC - 1] == ' ' && p[RECORD_LINE_LEN - 1] == '\n' &&
           id_parse(strv_make(p + AT_ID, ID_TEXT_LEN), id) &&
           digits_read(p + AT_ENVELOPE, &sizes->envelope) && digits_read(p + AT_HEADER, &sizes->header) &&
           digits_read(p + AT_BODY, &sizes->body);
}

bool record_views(struct strv bytes, struct record *out)
{
    const char *p = bytes.p;

    if (bytes.n < RECORD_LINE_LEN || !record_line_parse(bytes, p + MAGIC_LEN, &out->id, &out->sizes))
        return false;
    out->len = record_size(&out->sizes);
    if (out->len == 0 || out->len > bytes.n)
        return false;
    out->envelope = strv_make(p + RECORD_LINE_LEN, out->sizes.envelope);
    out->message =
        strv_make(p + RECORD_LINE_LEN + out->sizes.envelope, out->sizes.header + 2 + out->sizes.body);
    return p[out->len - 1] == '\n';
}

bool record_parse(struct strv bytes, const char *nonce, uint32_t segment, uint64_t offset, struct record *out)
{
    char crc[CRC_LEN];

    if (bytes.n < RECORD_LINE_LEN || memcmp(bytes.p + MAGIC_LEN, nonce, RECORD_NONCE_LEN) != 0 ||
        !record_views(bytes, out))
        return false;
    digits_hex32(crc, record_crc(bytes.p, out->len, segment, offset));
    return memcmp(crc, bytes.p + AT_CRC, CRC_LEN) == 0;
}

/* The next offset from `from` on where a record of this segment stands; bytes.n when there is none. */
static size_t record_find(const struct record_scan *s, size_t from, struct record *out)
{
    char needle[MAGIC_LEN + RECORD_NONCE_LEN];

    memcpy(needle, MAGIC, MAGIC_LEN);
    memcpy(needle + MAGIC_LEN, s->nonce, RECORD_NONCE_LEN);
    while (from < s->bytes.n) {
        const char *hit = memmem(s->bytes.p + from, s->bytes.n - from, needle, sizeof needle);

        if (!hit)
            break;
        from = (size_t)(hit - s->bytes.p);
        if (record_parse(strv_from(s->bytes, from), s->nonce, s->segment, from, out))
            return from;
        from++;
    }
    return s->bytes.n;
}

enum record_scan_step record_next(struct record_scan *s, struct record *out)
{
    size_t next;

    if (s->at >= s->bytes.n)
        return RECORD_END;
    if (record_parse(strv_from(s->bytes, s->at), s->nonce, s->segment, s->at, out)) {
        s->at += out->len;
        return RECORD_FOUND;
    }
    next = record_find(s, s->at, out);
    if (next == s->bytes.n)
        return RECORD_END;
    s->damage_at = s->at;
    s->damage_len = next - s->at;
    s->at = next;
    return RECORD_DAMAGE;
}

bool record_scan_torn(const struct record_scan *s)
{
    for (size_t i = s->at; i < s->bytes.n; i++)
        if (s->bytes.p[i] != '\0')
            return true;
    return false;
}
