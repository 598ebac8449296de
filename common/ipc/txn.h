/* txn.h - numbers of transactions, and a table that finds what belongs to one */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Embedded in what the table holds. */
struct txn_node {
    uint64_t txn;
    struct txn_node *next;
};

struct txn_table {
    struct txn_node **buckets; /* owned array of borrowed nodes */
    size_t size, count;
    uint64_t key; /* peers choose numbers: they must not know the bucket */
};

/* Never 0 and never the same twice in a process, so unused on each of its channels. */
uint64_t txn_number(void);

void txn_table_init(struct txn_table *t);
void txn_table_clear(struct txn_table *t); /* the nodes stay with their owner */
struct txn_node *txn_table_find(const struct txn_table *t, uint64_t txn);
void txn_table_add(struct txn_table *t, struct txn_node *n); /* n->txn must not be there */
void txn_table_remove(struct txn_table *t, struct txn_node *n);
/* Calls fn for each node; fn may remove and free the one that it is given. */
void txn_table_each(struct txn_table *t, void (*fn)(void *arg, struct txn_node *n), void *arg);
