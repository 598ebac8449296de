/* account.c - which segments exist and how much of each is alive (pure) */
#include "queued/account.h"

#include "common/base/mem.h"
#include "queued/segment.h"

#include <stdlib.h>
#include <string.h>

#define SPARSE_SHARE 5u /* a fifth alive costs at most five times the living bytes of disk */

void account_clear(struct account *a)
{
    free(a->rows);
    memset(a, 0, sizeof *a);
}

/* Index of the first row whose number is not smaller. */
static size_t row_at(const struct account *a, uint32_t number)
{
    size_t low = 0, high = a->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (a->rows[mid].number < number)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct account_row *account_find(const struct account *a, uint32_t number)
{
    size_t at = row_at(a, number);

    return at < a->n && a->rows[at].number == number ? &a->rows[at] : NULL;
}

struct account_row *account_row(struct account *a, uint32_t number)
{
    size_t at = row_at(a, number);

    if (at < a->n && a->rows[at].number == number)
        return &a->rows[at];
    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 16;
        a->rows = mem_resize(a->rows, a->cap, sizeof *a->rows);
    }
    memmove(&a->rows[at + 1], &a->rows[at], (a->n - at) * sizeof *a->rows);
    a->n++;
    a->rows[at] = (struct account_row){ .number = number, .used = SEGMENT_FIRST };
    return &a->rows[at];
}

void account_live(struct account *a, struct place p)
{
    struct account_row *row = account_row(a, p.segment);
    uint64_t end = (uint64_t)p.offset + p.length;

    row->live++;
    row->live_bytes += p.length;
    if (end > row->used)
        row->used = end;
}

void account_dead(struct account *a, struct place p)
{
    struct account_row *row = account_find(a, p.segment);

    if (!row)
        return;
    row->live--;
    row->live_bytes -= p.length;
}

void account_seal_before(struct account *a, uint32_t number)
{
    for (size_t i = 0; i < a->n && a->rows[i].number < number; i++)
        a->rows[i].sealed = true;
}

void account_empty(struct account *a, uint64_t mark)
{
    for (size_t i = 0; i < a->n; i++) {
        struct account_row *row = &a->rows[i];

        if (row->sealed && row->live == 0 && !row->keep && !row->going) {
            row->going = true;
            row->mark = mark;
        }
    }
}

struct account_row *account_gone(struct account *a, uint64_t durable)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->rows[i].going && a->rows[i].mark <= durable)
            return &a->rows[i];
    return NULL;
}

void account_remove(struct account *a, uint32_t number)
{
    size_t at = row_at(a, number);

    a->n--;
    memmove(&a->rows[at], &a->rows[at + 1], (a->n - at) * sizeof *a->rows);
}

struct account_row *account_sparse(struct account *a)
{
    struct account_row *best = NULL;

    for (size_t i = 0; i < a->n; i++) {
        struct account_row *row = &a->rows[i];

        if (!row->sealed || row->keep || row->going || row->live == 0 ||
            row->live_bytes * SPARSE_SHARE >= row->used)
            continue;
        if (!best || row->live_bytes * best->used < best->live_bytes * row->used)
            best = row;
    }
    return best;
}
