/* override.c - a second text that overrules the first: merges trees before anything is checked */
#include "conf/override.h"

#include "common/base/mem.h"
#include "conf/field.h"

#include <stdlib.h>

static bool stands_often(const struct conf_node *node)
{
    const struct conf_kind *kind = conf_kind_find(SV(node->name));
    return node->kind == NODE_BLOCK && kind && kind->count_offset;
}

static bool stands_once(const struct conf_node *node)
{
    const struct conf_kind *kind = conf_kind_find(SV(node->name));
    return node->kind == NODE_BLOCK && kind && !kind->count_offset;
}

static void remove_named(struct conf_node *parent, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < parent->child_n; i++) {
        if (strcmp(parent->children[i]->name, name) == 0)
            conf_node_free(&parent->children[i]);
        else
            parent->children[kept++] = parent->children[i];
    }
    parent->child_n = kept;
}

static void move_all(struct conf_node *to, struct conf_node *from)
{
    for (size_t i = 0; i < from->child_n; i++)
        conf_node_add(to, from->children[i]);
    from->child_n = 0;
    to->damaged |= from->damaged;
}

static struct conf_node *block_in(struct conf_node *root, const char *name)
{
    struct conf_node *node = conf_node_find(root, name);
    return node && node->kind == NODE_BLOCK ? node : NULL;
}

void conf_override(struct conf_node *root, struct conf_node *overlay)
{
    /* First all that is overruled goes, then all that overrules comes: a field twice in one text stays an
     * error. */
    for (size_t i = 0; i < overlay->child_n; i++) {
        const struct conf_node *node = overlay->children[i];
        struct conf_node *old = stands_once(node) ? block_in(root, node->name) : NULL;
        for (size_t k = 0; old && k < node->child_n; k++)
            remove_named(old, node->children[k]->name);
        if (node->kind == NODE_VALUE || stands_often(node))
            remove_named(root, node->name);
    }
    for (size_t i = 0; i < overlay->child_n; i++) {
        struct conf_node *node = overlay->children[i];
        struct conf_node *old = stands_once(node) && !node->label ? block_in(root, node->name) : NULL;
        if (old) {
            move_all(old, node);
            conf_node_free(&node);
        } else {
            conf_node_add(root, node);
        }
    }
    overlay->child_n = 0;
    root->damaged |= overlay->damaged;
}
