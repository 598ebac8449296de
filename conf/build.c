/* build.c - a node of the tree to a section, by its table: unknown, doubled, missing and bad fields */
#include "conf/build.h"

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "conf/parse.h"
#include "conf/suggest.h"
#include "conf/value.h"

#include <stdio.h>
#include <stdlib.h>

static const struct conf_where nowhere = { "default", 0, 0 };

/* "relay.from" for messages; a field of the top level has no prefix. */
static const char *full_name(const struct conf_kind *kind, const char *field, char *dst, size_t size)
{
    snprintf(dst, size, "%s%s%s", kind->name, kind->name[0] ? "." : "", field);
    return dst;
}

/* The section where a field of that name lives, when it is exactly one. */
static const struct conf_kind *owner_of(struct strv name)
{
    const struct conf_kind *owner = NULL;
    for (size_t i = 0; conf_kinds[i]; i++) {
        if (conf_field_index(conf_kinds[i], name) < 0)
            continue;
        if (owner)
            return NULL;
        owner = conf_kinds[i];
    }
    return owner;
}

static void unknown_hint(const struct conf_kind *kind, const struct conf_node *node, char *hint, size_t size)
{
    struct suggest near;
    struct strv name = SV(node->name);
    const struct conf_kind *owner = owner_of(name);
    suggest_start(&near, name);
    for (const struct conf_field *f = kind->fields; f->name; f++)
        suggest_try(&near, SV(f->name));
    for (size_t i = 1; kind->name[0] == '\0' && conf_kinds[i]; i++)
        suggest_try(&near, SV(conf_kinds[i]->name));
    suggest_text(&near, hint, size);
    if (hint[0] == '\0' && owner && owner->name[0] == '\0')
        snprintf(hint, size, "; it stands outside of sections");
    else if (hint[0] == '\0' && owner)
        snprintf(hint, size, "; it belongs into section \"%s\"", owner->name);
}

static void report_unknown(struct conf_check *check, const struct conf_kind *kind,
                           const struct conf_node *node)
{
    char hint[256] = "";
    if (!conf_errors_full(check->errs))
        unknown_hint(kind, node, hint, sizeof(hint));
    if (kind->name[0] != '\0' && node->kind == NODE_BLOCK && conf_kind_find(SV(node->name)))
        conf_error_at(check->errs, &node->place,
                      "section \"%s\" cannot stand in section \"%s\"; is a \"}\" missing "
                      "before it?",
                      node->name, kind->name);
    else if (kind->name[0] == '\0')
        conf_error_at(check->errs, &node->place, "unknown %s \"%.80s\"%s",
                      node->kind == NODE_BLOCK ? "section" : "name", node->name, hint);
    else
        conf_error_at(check->errs, &node->place, "unknown name \"%.80s\" in section \"%s\"%s", node->name,
                      kind->name, hint);
}

static bool shape_ok(struct conf_check *check, const struct conf_kind *kind, const struct conf_field *field,
                     const struct conf_node *node)
{
    char name[128];
    full_name(kind, field->name, name, sizeof(name));
    if (field->type == CT_BLOCK && node->kind != NODE_BLOCK)
        conf_error_at(check->errs, &node->place, "%s is a section: %s { ... }", name, field->name);
    else if (field->type != CT_BLOCK && node->kind == NODE_BLOCK)
        conf_error_at(check->errs, &node->place, "%s is a value, not a section: %s = ...", name, field->name);
    else if (node->list && !conf_type_is_list(field->type))
        conf_error_at(check->errs, &node->value_place, "%s takes one value, not a list", name);
    else
        return true;
    return false;
}

static void read_words(struct conf_check *check, const struct conf_field *field, struct conf_node *node,
                       void *slot)
{
    struct conf_why why;
    for (size_t i = 0; i < node->word_n; i++) {
        if (!conf_value_parse(field, SV(node->words[i].text), slot, &why)) {
            conf_error_at(check->errs, &node->words[i].place, "%s", why.text);
            node->damaged = true;
        }
    }
}

static bool read_field(struct conf_check *check, const struct conf_kind *kind, struct conf_node *node,
                       struct conf_head *head, bool *written)
{
    int index = conf_field_index(kind, SV(node->name));
    if (index < 0) {
        report_unknown(check, kind, node);
        return false;
    }
    const struct conf_field *field = &kind->fields[index];
    struct conf_where *at = &head->at[index];
    if (!conf_field_granted(field, check->conf->role)) {
        conf_error_at(check->errs, &node->place, "\"%s\" is not for %s", node->name,
                      role_name(check->conf->role));
        return false;
    }
    if (written[index]) {
        conf_error_at(check->errs, &node->place, "\"%s\" is set already at %s:%u", node->name, at->file,
                      at->line);
        return false;
    }
    *at = node->where;
    written[index] = true;
    if (!shape_ok(check, kind, field, node))
        return false;
    void *slot = (char *)head + field->offset;
    if (field->type == CT_BLOCK)
        *(void **)slot = conf_build(check, field->block, node);
    else
        read_words(check, field, node, slot);
    return !node->damaged;
}

/* Defaults take the way of any other text, so that no second parser can disagree. */
static void read_default(struct conf_check *check, const struct conf_field *field, void *slot)
{
    char text[512];
    struct conf_why why;
    snprintf(text, sizeof(text), "x = %s", field->def);
    struct conf_source source = { "default", SV(text) };
    struct conf_parser parser = { .errs = check->errs, .names = check->conf->names };
    struct conf_node *root = conf_node_new(NODE_BLOCK, "");
    if (!conf_parse(&parser, &source, root) || root->child_n != 1)
        die("default of %s cannot be parsed", field->name);
    for (size_t i = 0; i < root->children[0]->word_n; i++) {
        if (!conf_value_parse(field, SV(root->children[0]->words[i].text), slot, &why))
            die("default of %s: %s", field->name, why.text);
    }
    conf_node_free(&root);
}

/* A field without a default that nobody wrote; text is "" rather than NULL. */
static void read_nothing(const struct conf_field *field, void *slot)
{
    switch (field->type) {
    case CT_STRING: case CT_HOSTNAME: case CT_PATH: case CT_HOME_PATH: case CT_LOG: case CT_MAP: case CT_USER:
        if (!*(char **)slot)
            *(char **)slot = mem_str("");
        return;
    case CT_TARGET: case CT_SERVER:
    case CT_STRINGS: case CT_DOMAINS: case CT_ENDPOINTS: case CT_ADDRESSES: case CT_NETWORKS: case CT_BYTES:
    case CT_SECONDS: case CT_SECONDS_LIST: case CT_INT: case CT_BOOL: case CT_ENUM: case CT_USERS:
    case CT_BLOCK:
        return;
    }
}

static void fill_rest(struct conf_check *check, const struct conf_kind *kind, struct conf_node *node,
                      struct conf_head *head, const bool *written)
{
    for (size_t i = 0; kind->fields[i].name; i++) {
        const struct conf_field *field = &kind->fields[i];
        void *slot = (char *)head + field->offset;
        if (!conf_field_granted(field, check->conf->role))
            continue;
        if (!written[i] && field->def)
            read_default(check, field, slot);
        else
            read_nothing(field, slot);
        if (written[i] || !field->required || node->damaged)
            continue;
        conf_error_at(check->errs, &node->place, "section \"%s\" needs \"%s\"", kind->name, field->name);
        node->damaged = true;
    }
}

void *conf_build(struct conf_check *check, const struct conf_kind *kind, struct conf_node *node)
{
    struct conf_head *head = mem_new(kind->size);
    size_t n = conf_field_count(kind);
    head->name = mem_str(node->label ? node->label : "");
    head->where = node->where;
    head->node = node;
    head->at = mem_array(n, sizeof(*head->at));
    for (size_t i = 0; i < n; i++)
        head->at[i] = nowhere;
    bool *written = mem_array(n, sizeof(*written));
    for (size_t i = 0; i < node->child_n; i++) {
        if (!read_field(check, kind, node->children[i], head, written))
            node->damaged = true;
    }
    fill_rest(check, kind, node, head, written);
    free(written);
    return head;
}
