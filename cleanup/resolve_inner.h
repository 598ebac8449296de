/* resolve_inner.h - the tree of questions, for resolve.c and resolve_end.c alone */
#pragma once

#include "cleanup/resolve.h"
#include "common/base/buf.h"
#include "common/mail/address.h"

struct dict;

enum node_state { NODE_NEW, NODE_ASKED, NODE_EXPANDED, NODE_LEAF, NODE_DISCARD, NODE_UNKNOWN };

struct node {
    struct resolve *r;
    struct address address; /* owned */
    struct node *parent;    /* NULL: the recipient itself */
    struct node *next;
    unsigned depth, uses; /* KEYS_* that are still to ask */
    enum node_state state;
    bool local;
    bool again;          /* came up below itself: stands for its mailbox, if it has one */
    const char *include; /* owned: this node is an :include: list of the aliases map, not an address */
    const char *target;  /* owned: this node is a command or file of the alias that the address is */
    const char *user;    /* owned: the system user whose mailbox it is; NULL: none, or not known */
    uint64_t handle;
};

struct resolve {
    struct resolve_env env;
    struct node *first, **tail, *ask_next; /* owned; nodes in the order they were found */
    size_t node_n, asked, leaf_n, leaf_max, discards;
    size_t spelled; /* targets that a table names in full: who is missing there is the table's mistake */
    struct dict *seen; /* keys of nodes; NULL until there is a second node */
    struct resolve_result result;
    int refusal_code; /* of the first `error:`; 0: none */
    char refusal_enhanced[12], refusal_text[320];
    bool over;
    char rule[256];
    struct buf leaf_text;
    struct resolve_leaf *leaves;
    resolve_done *done;
    void *arg;
};

void resolve_cancel(struct resolve *r); /* all questions that are on their way */
void resolve_node_text(const struct node *n, struct buf *out);
void resolve_set_rule(struct resolve *r, const char *map, struct strv origin);
/* The whole recipient waits: could not tell, or only the administrator can mend it. */
void resolve_fail(struct resolve *r, const struct node *n, const char *enhanced, const char *text,
                  struct strv why);
void resolve_fail_conf(struct resolve *r, const struct node *n, const char *why);
bool resolve_is_postmaster(const struct node *n);
/* A table that is not there will not be there soon: mail for postmaster about that must come through. */
void resolve_keep_postmaster_unasked(struct resolve *r, const struct node *at, struct strv why);
/* Everything was asked. */
void resolve_conclude(struct resolve *r);
