/* block.h - some hundred lines in one piece, with what they are found by
 *
 * A head, the lines in the order in which they came, and at the end the hashes of their keys, sorted, each
 * once. Who looks for something reads the hashes of every block, and the lines only of those that have it:
 * that is a few milliseconds for a full history of the usual size, and it makes the work of every line small
 * (an index would cost a random insertion for each key of each line, for the sake of a question that is
 * asked a few times a day). All blocks have the same size, so that what one leaves fits the next.
 */
#pragma once

#include "historyd/line.h"

/* Sixteen pages with the head that LMDB puts in front of a large value. */
#define BLOCK_SIZE (16u * 4096u - 16u)
#define BLOCK_HEAD 40u

struct block {
    char *lines; /* owned */
    size_t used;
    uint32_t *keys; /* owned, as they came */
    size_t key_n;
    uint32_t line_n;
    int64_t first_ms, last_ms;
};

void block_init(struct block *b);
void block_clear(struct block *b);
void block_reset(struct block *b);
bool block_is_empty(const struct block *b);
bool block_add(struct block *b, const struct line *l); /* false: it is full */
void block_write(const struct block *b, char dst[BLOCK_SIZE]);

/* A block as it was read; views into its bytes. */
struct block_view {
    int64_t first_ms, last_ms;
    uint32_t line_n;
    struct strv lines;
    const uint8_t *keys; /* key_n times u32, big-endian, ascending */
    size_t key_n;
};

/* False: damaged, or no block at all. Looks at the head only; block_sound at everything. */
bool block_view(struct strv bytes, struct block_view *out);
bool block_sound(struct strv bytes);
bool block_has(const struct block_view *v, uint32_t key);
bool block_next(struct strv *lines, struct line *out); /* false: the end, or damage */
