/* tree.c - nodes of the parsed text */
#include "conf/tree.h"

#include "common/base/mem.h"

#include <stdlib.h>

struct conf_node *conf_node_new(enum conf_node_kind kind, const char *name)
{
    struct conf_node *node = mem_new(sizeof(*node));
    node->kind = kind;
    node->name = mem_str(name);
    return node;
}

/* Recursion is bounded: the parser nests no deeper than CONF_NESTING_MAX. */
void conf_node_free(struct conf_node **node)
{
    struct conf_node *n = *node;
    *node = NULL;
    if (!n)
        return;
    for (size_t i = 0; i < n->word_n; i++)
        free(n->words[i].text);
    for (size_t i = 0; i < n->child_n; i++)
        conf_node_free(&n->children[i]);
    free(n->words);
    free(n->children);
    free(n->label);
    free(n->name);
    free(n);
}

void conf_node_add(struct conf_node *parent, struct conf_node *child)
{
    if (parent->child_n == parent->child_room) {
        parent->child_room = parent->child_room ? parent->child_room * 2 : 4;
        parent->children = mem_resize(parent->children, parent->child_room, sizeof(*parent->children));
    }
    parent->children[parent->child_n++] = child;
}

void conf_node_add_word(struct conf_node *node, char *text, const struct conf_place *place)
{
    if (node->word_n == node->word_room) {
        node->word_room = node->word_room ? node->word_room * 2 : 1;
        node->words = mem_resize(node->words, node->word_room, sizeof(*node->words));
    }
    node->words[node->word_n++] = (struct conf_word){ text, *place };
}

struct conf_node *conf_node_take(struct conf_node *parent, size_t index)
{
    struct conf_node *child = parent->children[index];
    for (size_t i = index + 1; i < parent->child_n; i++)
        parent->children[i - 1] = parent->children[i];
    parent->child_n--;
    return child;
}

struct conf_node *conf_node_find(const struct conf_node *parent, const char *name)
{
    for (size_t i = 0; i < parent->child_n; i++) {
        if (strcmp(parent->children[i]->name, name) == 0)
            return parent->children[i];
    }
    return NULL;
}
