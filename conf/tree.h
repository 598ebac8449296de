/* tree.h - what a text says, before anything is known about its words */
#pragma once

#include "conf/place.h"

struct conf_word {
    char *text;                     /* owned, decoded; has no NUL inside */
    struct conf_place place;
};

enum conf_node_kind { NODE_VALUE, NODE_BLOCK };

struct conf_node {
    enum conf_node_kind kind;
    char *name;                     /* owned */
    struct conf_place place;        /* of the name */
    struct conf_where where;
    bool damaged; /* an error inside was reported: what seems to be missing may have been there */

    bool list;                      /* NODE_VALUE: written with brackets */
    struct conf_place value_place;
    struct conf_word *words;
    size_t word_n, word_room;

    char *label;                    /* NODE_BLOCK: owned, NULL when there is none */
    struct conf_place label_place;
    struct conf_node **children;
    size_t child_n, child_room;
};

struct conf_node *conf_node_new(enum conf_node_kind kind, const char *name);
void conf_node_free(struct conf_node **node);
/* Takes child. */
void conf_node_add(struct conf_node *parent, struct conf_node *child);
/* Takes text. */
void conf_node_add_word(struct conf_node *node, char *text, const struct conf_place *place);
/* Takes the child out of its parent; the caller owns it. */
struct conf_node *conf_node_take(struct conf_node *parent, size_t index);
/* First child of that name; NULL when there is none. */
struct conf_node *conf_node_find(const struct conf_node *parent, const char *name);
