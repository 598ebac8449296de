/* lists.c - files of domains become words of the list that names them */
#include "conf/lists.h"

#include "common/base/mem.h"
#include "conf/kinds.h"

#include <stdlib.h>

/* One word for what stands in the line, at its place in that file. */
static void add_line(struct conf_node *node, const struct conf_source *source, struct strv line,
                     unsigned number)
{
    struct strv text = line;
    size_t hash, skipped;

    if (strv_find(text, '#', &hash))
        text = strv_sub(text, 0, hash);
    text = strv_trim(text);
    if (!text.n)
        return;
    skipped = (size_t)(text.p - line.p);
    conf_node_add_word(node, strv_dup(text),
                       &(struct conf_place){
                           .source = source,
                           .line_start = (size_t)(line.p - source->text.p),
                           .line = number,
                           .column = (unsigned)skipped + 1,
                           .width = (unsigned)text.n,
                       });
}

static void add_file(struct conf_node *node, const struct conf_source *source)
{
    struct strv rest = source->text, line;

    for (unsigned number = 1; rest.n && strv_cut(&rest, '\n', &line); number++)
        add_line(node, source, strv_has(line, '\0') ? SV_LIT("\\0") : line, number);
}

static bool has_files(const struct conf_node *node)
{
    for (size_t i = 0; i < node->word_n; i++)
        if (node->words[i].text[0] == '/')
            return true;
    return false;
}

static void read_list(struct conf_files *files, struct conf_parser *p, struct conf_node *node)
{
    struct conf_word *words = node->words;
    size_t n = node->word_n;

    if (!has_files(node))
        return;
    node->words = NULL;
    node->word_n = node->word_room = 0;
    for (size_t i = 0; i < n; i++) {
        const struct conf_source *source;

        if (words[i].text[0] != '/') {
            conf_node_add_word(node, words[i].text, &words[i].place);
            continue;
        }
        source = conf_files_open(files, p, &words[i].place, words[i].text);
        if (source)
            add_file(node, source);
        else
            node->damaged = true;
        free(words[i].text);
    }
    free(words);
}

static void read_block(struct conf_files *files, struct conf_parser *p, const struct conf_kind *kind,
                       struct conf_node *block)
{
    for (size_t i = 0; i < block->child_n; i++) {
        struct conf_node *node = block->children[i];
        int index = conf_field_index(kind, SV(node->name));
        const struct conf_field *field = index >= 0 ? &kind->fields[index] : NULL;
        const struct conf_kind *inner = field ? field->block : conf_kind_find(SV(node->name));

        if (node->kind == NODE_BLOCK && inner)
            read_block(files, p, inner, node);
        else if (node->kind == NODE_VALUE && field && field->type == CT_DOMAINS)
            read_list(files, p, node);
    }
}

void conf_lists_read(struct conf_files *files, struct conf_parser *p, struct conf_node *root)
{
    read_block(files, p, conf_kinds[0], root);
}
