/* credit.c - how many bytes of a transaction's chunks may be under way */
#include "common/ipc/credit.h"

#include "common/base/mem.h"

#include <stdlib.h>

void credits_init(struct credits *c)
{
    *c = (struct credits){ .waiting = NULL };
    txn_table_init(&c->table);
}

static void free_node(void *arg, struct txn_node *n)
{
    (void)arg;
    free(n);
}

void credits_clear(struct credits *c)
{
    txn_table_each(&c->table, free_node, NULL);
    txn_table_clear(&c->table);
    c->waiting = NULL;
}

struct credit *credit_find(const struct credits *c, uint64_t txn)
{
    return (struct credit *)(void *)txn_table_find(&c->table, txn);
}

struct credit *credit_get(struct credits *c, uint64_t txn)
{
    struct credit *k = credit_find(c, txn);

    if (!k) {
        k = mem_new(sizeof *k);
        k->node.txn = txn;
        txn_table_add(&c->table, &k->node);
    }
    return k;
}

static void stop_waiting(struct credits *c, struct credit *k)
{
    struct credit **at = &c->waiting;

    if (!k->waits)
        return;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    k->waits = false;
}

void credit_end(struct credits *c, struct credit *k)
{
    stop_waiting(c, k);
    k->over = true;
    if (k->queued)
        return; /* frames in the queue point here */
    txn_table_remove(&c->table, &k->node);
    free(k);
}

void credit_unqueued(struct credits *c, struct credit *k)
{
    k->queued--;
    if (k->over && k->queued == 0)
        credit_end(c, k);
}

void credit_wait(struct credits *c, struct credit *k)
{
    if (k->waits)
        return;
    k->waits = true;
    k->next = c->waiting;
    c->waiting = k;
}

bool credit_wake(struct credits *c, uint64_t *txn)
{
    struct credit *k = c->waiting;

    if (!k)
        return false;
    c->waiting = k->next;
    k->waits = false;
    *txn = k->node.txn;
    return true;
}
