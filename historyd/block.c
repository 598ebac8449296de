/* block.c - some hundred lines in one piece, with what they are found by */
#include "historyd/block.h"

#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/wire.h"
#include "historyd/keys.h"

#define MAGIC     0x4d48423153554d31ull
#define LINE_HEAD 13u /* u16 length, u8 level, u8 role, u8 index, u64 wall ms */
#define KEY_SIZE  4u
#define CRC_AT    8u
#define BODY_AT   12u /* what the checksum covers */
#define KEYS_ROOM (BLOCK_SIZE / KEY_SIZE)

void block_init(struct block *b)
{
    *b = (struct block){ .lines = mem_new(BLOCK_SIZE), .keys = mem_array(KEYS_ROOM, KEY_SIZE) };
}

void block_clear(struct block *b)
{
    free(b->lines);
    free(b->keys);
    *b = (struct block){ 0 };
}

void block_reset(struct block *b)
{
    b->used = b->key_n = b->line_n = 0;
    b->first_ms = b->last_ms = 0;
}

bool block_is_empty(const struct block *b)
{
    return b->line_n == 0;
}

static void put(char *dst, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        dst[i] = (char)(v >> (8 * (bytes - 1 - i)));
}

/* Lines of one message follow each other closely, and so do their keys. */
static bool is_recent(const struct block *b, uint32_t key)
{
    size_t from = b->key_n > 16 ? b->key_n - 16 : 0;

    for (size_t i = from; i < b->key_n; i++) {
        if (b->keys[i] == key)
            return true;
    }
    return false;
}

bool block_add(struct block *b, const struct line *l)
{
    uint32_t keys[KEYS_MAX];
    size_t n = keys_of(l->text, keys);
    char *at = b->lines + b->used;

    if (BLOCK_HEAD + b->used + LINE_HEAD + l->text.n + (b->key_n + n) * KEY_SIZE > BLOCK_SIZE)
        return false;
    put(at, l->text.n, 2);
    at[2] = (char)l->level;
    at[3] = (char)l->role;
    at[4] = (char)l->index;
    put(at + 5, (uint64_t)l->ms, 8);
    memcpy(at + LINE_HEAD, l->text.p, l->text.n);
    b->used += LINE_HEAD + l->text.n;
    for (size_t i = 0; i < n; i++) {
        if (!is_recent(b, keys[i]))
            b->keys[b->key_n++] = keys[i];
    }
    if (b->line_n == 0 || l->ms < b->first_ms)
        b->first_ms = l->ms;
    if (b->line_n == 0 || l->ms > b->last_ms)
        b->last_ms = l->ms;
    b->line_n++;
    return true;
}

static int key_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

void block_write(const struct block *b, char dst[BLOCK_SIZE])
{
    uint32_t *sorted = mem_copy(b->keys, b->key_n * KEY_SIZE);
    size_t n = 0;
    char *keys;

    qsort(sorted, b->key_n, KEY_SIZE, key_compare);
    for (size_t i = 0; i < b->key_n; i++) {
        if (i == 0 || sorted[i] != sorted[i - 1])
            sorted[n++] = sorted[i];
    }
    put(dst, MAGIC, 8);
    put(dst + 12, (uint64_t)b->first_ms, 8);
    put(dst + 20, (uint64_t)b->last_ms, 8);
    put(dst + 28, b->line_n, 4);
    put(dst + 32, b->used, 4);
    put(dst + 36, n, 4);
    memcpy(dst + BLOCK_HEAD, b->lines, b->used);
    keys = dst + BLOCK_SIZE - n * KEY_SIZE;
    memset(dst + BLOCK_HEAD + b->used, 0, (size_t)(keys - (dst + BLOCK_HEAD + b->used)));
    for (size_t i = 0; i < n; i++)
        put(keys + i * KEY_SIZE, sorted[i], KEY_SIZE);
    free(sorted);
    put(dst + CRC_AT, hash_crc32c(0, dst + BODY_AT, BLOCK_SIZE - BODY_AT), 4);
}

bool block_view(struct strv bytes, struct block_view *out)
{
    struct rd rd = rd_make(bytes.p, bytes.n);
    uint64_t magic = 0, first = 0, last = 0;
    uint32_t crc = 0, used = 0, keys = 0;

    if (bytes.n != BLOCK_SIZE || !rd_u64(&rd, &magic) || magic != MAGIC || !rd_u32(&rd, &crc) ||
        !rd_u64(&rd, &first) || !rd_u64(&rd, &last) || !rd_u32(&rd, &out->line_n) || !rd_u32(&rd, &used) ||
        !rd_u32(&rd, &keys))
        return false;
    if (first > INT64_MAX || last > INT64_MAX || used > BLOCK_SIZE - BLOCK_HEAD ||
        keys > (BLOCK_SIZE - BLOCK_HEAD - used) / KEY_SIZE)
        return false;
    out->first_ms = (int64_t)first;
    out->last_ms = (int64_t)last;
    out->lines = strv_sub(bytes, BLOCK_HEAD, used);
    out->keys = (const uint8_t *)bytes.p + BLOCK_SIZE - (size_t)keys * KEY_SIZE;
    out->key_n = keys;
    return true;
}

static uint32_t key_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool block_sound(struct strv bytes)
{
    return bytes.n == BLOCK_SIZE && key_at((const uint8_t *)bytes.p + CRC_AT) ==
                                        hash_crc32c(0, bytes.p + BODY_AT, BLOCK_SIZE - BODY_AT);
}

bool block_has(const struct block_view *v, uint32_t key)
{
    size_t low = 0, high = v->key_n;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (key_at(v->keys + mid * KEY_SIZE) < key)
            low = mid + 1;
        else
            high = mid;
    }
    return low < v->key_n && key_at(v->keys + low * KEY_SIZE) == key;
}

bool block_next(struct strv *lines, struct line *out)
{
    struct rd rd = rd_make(lines->p, lines->n);
    uint16_t len = 0;
    uint64_t ms = 0;

    if (lines->n == 0 || !rd_u16(&rd, &len) || !rd_u8(&rd, &out->level) || !rd_u8(&rd, &out->role) ||
        !rd_u8(&rd, &out->index) || !rd_u64(&rd, &ms) || !rd_bytes(&rd, len, &out->text))
        return false;
    out->ms = (int64_t)(ms & INT64_MAX);
    *lines = strv_make((const char *)rd.p, rd.left);
    return true;
}
