/* account.h - which segments exist and how much of each is alive (pure) */
#pragma once

#include "queued/committer.h"

struct account_row {
    uint32_t number;
    uint32_t live; /* messages */
    uint64_t live_bytes;
    uint64_t used; /* end of the last record; bytes of the file once sealed */
    bool sealed;   /* nothing is appended any more */
    bool keep;     /* damaged, or in use: not unlinked, not compacted */
    bool going;    /* empty: unlinked once mark is durable */
    uint64_t mark;
};

struct account {
    struct account_row *rows; /* owned, by number */
    size_t n, cap;
};

void account_clear(struct account *a);
struct account_row *account_find(const struct account *a, uint32_t number); /* NULL: none */
/* The row, made when missing. Pointers to rows are valid until the next call. */
struct account_row *account_row(struct account *a, uint32_t number);
void account_live(struct account *a,
                  struct place p); /* a record came to be there, or turned out to be alive */
void account_dead(struct account *a, struct place p);
void account_seal_before(struct account *a, uint32_t number); /* all with smaller numbers */
/* Marks newly empty sealed rows as going, with the mark that must be durable first. */
void account_empty(struct account *a, uint64_t mark);
/* A going row whose mark is durable; the caller unlinks and removes it. NULL: none. */
struct account_row *account_gone(struct account *a, uint64_t durable);
void account_remove(struct account *a, uint32_t number);
/* The sealed row with the smallest living share under 20 %; NULL: none. */
struct account_row *account_sparse(struct account *a);
