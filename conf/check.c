/* check.c - a whole tree to a whole configuration: sections, references between them, checks of each */
#include "conf/check.h"

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "conf/build.h"
#include "conf/kinds.h"
#include "conf/listen.h"
#include "conf/map.h"
#include "conf/parse.h"
#include "conf/suggest.h"
#include "conf/top.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define KINDS_MAX 20
#define LABEL_MAX_BYTES 64u

/* While sections are collected: what of each kind was seen, by label. */
struct seen {
    struct dict *labels[KINDS_MAX];
};

bool conf_section_damaged(const void *section)
{
    const struct conf_head *head = section;
    const struct conf_node *node = head->node;
    return node && node->damaged;
}

void conf_check_fail(struct conf_check *check, const void *section, const char *field, size_t index,
                     const char *fmt, ...)
{
    const struct conf_head *head = section;
    const struct conf_node *node = head->node;
    struct conf_place place = { .source = NULL };
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (node) {
        const struct conf_node *value = field ? conf_node_find(node, field) : NULL;
        place = node->place;
        if (value)
            place = index < value->word_n ? value->words[index].place : value->place;
    }
    if (!place.source)
        place = (struct conf_place){ .source = &check->main };
    conf_error_at(check->errs, &place, "%s", text);
}

static void nearest_file(const char *path, char *hint, size_t size)
{
    const char *slash = strrchr(path, '/');
    struct suggest near;
    char name[256] = "", dir[256] = "/";
    struct dirent *entry;
    if (slash > path && !strv_cstr(strv_make(path, (size_t)(slash - path)), dir, sizeof(dir)))
        return;
    DIR *d = opendir(dir);
    if (!d)
        return;
    suggest_start(&near, SV(slash + 1));
    for (unsigned i = 0; i < 1000 && (entry = readdir(d)); i++) {
        struct suggest before = near;
        suggest_try(&near, SV(entry->d_name));
        if (near.best.p != before.best.p) {
            (void)strv_cstr(near.best, name, sizeof(name));
            near.best = SV(name);
        }
    }
    closedir(d);
    if (name[0])
        snprintf(hint, size, "; did you mean \"%s%s%s\"?", dir, dir[1] ? "/" : "", name);
}

void conf_check_exists(struct conf_check *check, const void *section, const char *field, const char *path,
                       bool directory)
{
    struct stat st;
    char hint[600] = "";
    if (!check->loading || check->options.skip_files)
        return;
    if (stat(path, &st) < 0) {
        int error = errno;
        if (error == ENOENT)
            nearest_file(path, hint, sizeof(hint));
        conf_check_fail(check, section, field, 0, "%.300s: %s%s", path, strerror(error), hint);
    } else if (directory && !S_ISDIR(st.st_mode)) {
        conf_check_fail(check, section, field, 0, "%.300s is not a directory", path);
    } else if (!directory && S_ISDIR(st.st_mode)) {
        conf_check_fail(check, section, field, 0, "%.300s is a directory, not a file", path);
    }
}

/* Labels */

static bool label_is_name(struct strv label, const char **why)
{
    *why = "a name of letters, digits, \"-\" and \"_\"";
    for (size_t i = 0; i < label.n; i++) {
        if (!byte_is_alnum((unsigned char)label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
            return false;
    }
    return label.n > 0 && label.n <= LABEL_MAX_BYTES;
}

static bool label_ok(struct conf_check *check, const struct conf_kind *kind, const struct conf_node *node)
{
    const char *why;
    if (!node->label) {
        if (kind->label != LABEL_REQUIRED)
            return true;
        conf_error_at(check->errs, &node->place, "a section \"%s\" needs a name: %s NAME { ... }", kind->name,
                      kind->name);
        return false;
    }
    if (kind->label == LABEL_NONE) {
        conf_error_at(check->errs, &node->label_place, "section \"%s\" takes no name", kind->name);
        return false;
    }
    if ((kind->label_ok ? kind->label_ok : label_is_name)(SV(node->label), &why))
        return true;
    conf_error_at(check->errs, &node->label_place, "\"%.80s\" cannot name a section \"%s\"; it takes %s",
                  node->label, kind->name, why);
    return false;
}

/* Sections */

static size_t kind_index(const struct conf_kind *kind)
{
    size_t i = 0;
    while (conf_kinds[i] != kind)
        i++;
    return i;
}

static void keep(struct conf *conf, const struct conf_kind *kind, void *section)
{
    char *slot = (char *)conf + kind->offset;
    if (!kind->count_offset) {
        *(void **)(void *)slot = section;
        return;
    }
    void ***array = (void ***)(void *)slot;
    size_t *n = (size_t *)(void *)((char *)conf + kind->count_offset);
    if ((*n & (*n - 1)) == 0)
        *array = mem_resize(*array, *n ? *n * 2 : 1, sizeof(void *));
    (*array)[(*n)++] = section;
}

/* Domain names as labels are one in any case. */
static void fold_label(const struct conf_kind *kind, struct conf_node *node)
{
    if (kind != &conf_route_kind || !node->label)
        return;
    for (char *c = node->label; *c; c++)
        *c = byte_lower(*c);
}

static void add_section(struct conf_check *check, const struct conf_kind *kind, struct conf_node *node,
                        struct seen *seen)
{
    struct dict *labels = seen->labels[kind_index(kind)];
    if (!conf_kind_granted(kind, check->conf->role)) {
        conf_error_at(check->errs, &node->place, "section \"%s\" is not for %s", kind->name,
                      role_name(check->conf->role));
        return;
    }
    if (!label_ok(check, kind, node))
        return;
    fold_label(kind, node);
    const struct conf_head *before = dict_get(labels, SV(node->label));
    if (before) {
        conf_error_at(check->errs, &node->place, "section \"%s%s%s\" stands already at %s:%u", kind->name,
                      node->label ? " " : "", node->label ? node->label : "", before->where.file,
                      before->where.line);
        return;
    }
    void *section = conf_build(check, kind, node);
    dict_set(labels, SV(node->label), section);
    keep(check->conf, kind, section);
}

static void add_builtin(struct conf_check *check, const struct conf_kind *kind, const char *text,
                        struct seen *seen, struct conf_node *sections)
{
    struct conf_source source = { "default", SV(text) };
    struct conf_parser parser = { .errs = check->errs, .names = check->conf->names };
    size_t at = sections->child_n;
    if (!conf_parse(&parser, &source, sections) || sections->child_n != at + 1)
        die("builtin section %s cannot be parsed", kind->name);
    struct conf_node *node = sections->children[at];
    struct conf_where nowhere = { "default", 0, 0 };
    node->where = nowhere;
    node->place = (struct conf_place){ .source = NULL };
    for (size_t i = 0; i < node->child_n; i++) {
        node->children[i]->where = nowhere;
        node->children[i]->place = node->place;
    }
    add_section(check, kind, node, seen);
}

static void add_builtins(struct conf_check *check, const struct conf_kind *kind, struct seen *seen,
                         struct conf_node *sections)
{
    const struct dict *labels = seen->labels[kind_index(kind)];
    size_t written = conf_kind_count(check->conf, kind), named = 0;
    for (const struct conf_builtin *b = kind->builtins; b->text; b++)
        named += b->label && dict_get(labels, SV(b->label)) ? 1 : 0;
    for (const struct conf_builtin *b = kind->builtins; b->text; b++) {
        if (b->label ? !dict_get(labels, SV(b->label)) : written == named)
            add_builtin(check, kind, b->text, seen, sections);
    }
}

static void add_missing(struct conf_check *check, struct conf_node *sections, struct seen *seen)
{
    for (size_t i = 1; conf_kinds[i]; i++) {
        const struct conf_kind *kind = conf_kinds[i];
        if (!conf_kind_granted(kind, check->conf->role))
            continue;
        if (kind->builtins) {
            add_builtins(check, kind, seen, sections);
        } else if (!kind->count_offset && conf_kind_count(check->conf, kind) == 0) {
            struct conf_node *node = conf_node_new(NODE_BLOCK, kind->name);
            node->where = (struct conf_where){ "default", 0, 0 };
            conf_node_add(sections, node);
            add_section(check, kind, node, seen);
        }
    }
}

/* Values stay in top, sections known by name go to sections; the rest is for top to complain about. */
static void split(struct conf_check *check, struct conf_node *root, struct conf_node *top,
                  struct conf_node *sections)
{
    top->damaged = root->damaged;
    for (size_t i = 0; i < root->child_n; i++) {
        struct conf_node *node = root->children[i];
        bool known = node->name[0] != '\0' && conf_kind_find(SV(node->name));
        if (known && node->kind == NODE_BLOCK) {
            conf_node_add(sections, node);
        } else if (known) {
            conf_error_at(check->errs, &node->place, "\"%s\" is a section: %s { ... }", node->name,
                          node->name);
            conf_node_free(&node);
        } else {
            conf_node_add(top, node);
        }
    }
    root->child_n = 0;
}

/* References and checks */

static void check_map_name(struct conf_check *check, const struct conf_field *field, const void *section,
                           const char *name)
{
    struct suggest near;
    char hint[160];
    if (name[0] == '\0' || dict_get(check->conf->map_index, SV(name)))
        return;
    suggest_start(&near, SV(name));
    for (size_t i = 0; i < check->conf->map_n && !conf_errors_full(check->errs); i++)
        suggest_try(&near, SV(check->conf->maps[i]->head.name));
    conf_check_fail(check, section, field->name, 0, "there is no map \"%s\"%s", name,
                    suggest_text(&near, hint, sizeof(hint)));
}

static void check_fields(struct conf_check *check, const struct conf_kind *kind, const void *section)
{
    for (const struct conf_field *f = kind->fields; f->name; f++) {
        const void *slot = (const char *)section + f->offset;
        if (!conf_field_granted(f, check->conf->role))
            continue;
        if (f->type == CT_MAP && check->conf->map_index && !check->root_damaged)
            check_map_name(check, f, section, *(char *const *)slot);
        const char *path = f->exists ? *(char *const *)slot : "";
        if (path[0] != '\0')
            conf_check_exists(check, section, f->name, path, false);
    }
}

static void prepare_section(struct conf_check *check, const struct conf_kind *kind, void *section)
{
    if (kind->prepare && !conf_section_damaged(section))
        kind->prepare(check, section);
}

static void check_section(struct conf_check *check, const struct conf_kind *kind, void *section)
{
    if (conf_section_damaged(section))
        return;
    check_fields(check, kind, section);
    if (kind->check)
        kind->check(check, section);
}

static void for_all(struct conf_check *check,
                    void (*fn)(struct conf_check *check, const struct conf_kind *kind, void *section))
{
    for (size_t i = 0; conf_kinds[i]; i++) {
        for (size_t k = 0; k < conf_kind_count(check->conf, conf_kinds[i]); k++)
            fn(check, conf_kinds[i], conf_kind_section(check->conf, conf_kinds[i], k));
    }
}

/* Two listeners on one address would fail at bind, when it is too late for a good message. */
static void check_endpoints(struct conf_check *check)
{
    struct dict *taken = dict_new();
    for (size_t i = 0; i < check->conf->listen_n; i++) {
        struct conf_listen *listen = check->conf->listens[i];
        for (size_t k = 0; k < listen->address.n; k++) {
            char text[NETADDR_TEXT];
            netaddr_text(&listen->address.v[k], text, sizeof(text));
            const struct conf_listen *other = dict_set(taken, SV(text), listen);
            if (other)
                conf_check_fail(check, listen, "address", k, "%s is listened on already by \"%s\"", text,
                                other->head.name);
        }
    }
    dict_free(&taken, NULL);
}

/* Nothing points into the tree any more. */
static void forget_nodes(struct conf *conf)
{
    for (size_t i = 0; conf_kinds[i]; i++) {
        for (size_t k = 0; k < conf_kind_count(conf, conf_kinds[i]); k++) {
            struct conf_head *head = conf_kind_section(conf, conf_kinds[i], k);
            head->node = NULL;
            for (const struct conf_field *f = conf_kinds[i]->fields; f->name; f++) {
                struct conf_head **block = (struct conf_head **)(void *)((char *)head + f->offset);
                if (f->type == CT_BLOCK && *block)
                    (*block)->node = NULL;
            }
        }
    }
}

static void collect(struct conf_check *check, struct conf_node *top, struct conf_node *sections,
                    struct seen *seen)
{
    struct conf *conf = check->conf;
    check->root_damaged = top->damaged;
    conf->top = conf_build(check, &conf_top_kind, top);
    size_t written = sections->child_n;
    for (size_t i = 0; i < written; i++) {
        struct conf_node *node = sections->children[i];
        add_section(check, conf_kind_find(SV(node->name)), node, seen);
    }
    add_missing(check, sections, seen);
}

bool conf_check(struct conf_check *check, struct conf_node *root)
{
    struct conf_node *top = conf_node_new(NODE_BLOCK, "");
    struct conf_node *sections = conf_node_new(NODE_BLOCK, "");
    struct seen seen;
    struct conf *conf = check->conf;
    top->where = (struct conf_where){ "default", 0, 0 };
    for (size_t i = 0; i < KINDS_MAX; i++)
        seen.labels[i] = dict_new();
    split(check, root, top, sections);
    collect(check, top, sections, &seen);
    for (size_t i = 0; conf_kinds[i]; i++) {
        struct dict **place = conf_kinds[i] == &conf_map_kind ? &conf->map_index
                            : conf_kinds[i] == &conf_route_kind ? &conf->route_index : NULL;
        if (!place || !conf_kind_granted(conf_kinds[i], conf->role))
            continue;
        *place = seen.labels[i];
        seen.labels[i] = NULL;
    }
    for_all(check, prepare_section);
    for_all(check, check_section);
    check_endpoints(check);
    forget_nodes(conf);
    for (size_t i = 0; i < KINDS_MAX; i++)
        dict_free(&seen.labels[i], NULL);
    conf_node_free(&top);
    conf_node_free(&sections);
    return check->errs->total == 0;
}
