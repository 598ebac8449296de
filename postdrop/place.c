/* place.c - where drop/ is */
#include "postdrop/place.h"

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "conf/error.h"
#include "conf/source.h"

#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

bool place_is_privileged(void)
{
    return getuid() != geteuid() || getgid() != getegid() || getauxval(AT_SECURE) != 0;
}

static const char *directory_of(const struct conf_node *root)
{
    const char *found = NULL;

    for (size_t i = 0; i < root->child_n; i++) {
        const struct conf_node *queue = root->children[i], *field;

        if (queue->kind != NODE_BLOCK || strcmp(queue->name, "queue") != 0)
            continue;
        field = conf_node_find(queue, "directory");
        if (field && field->kind == NODE_VALUE && field->word_n == 1 && field->words[0].text[0] == '/')
            found = field->words[0].text;
    }
    return found;
}

void place_find(const char *conf, struct buf *out)
{
    struct conf_files *files = mem_new(sizeof *files);
    struct conf_node *root = conf_node_new(NODE_BLOCK, "");
    struct conf_parser parser = { .names = dict_new() };
    struct conf_errors errs;
    const char *directory = NULL;

    conf_errors_init(&errs);
    parser.errs = &errs;
    if (conf_files_read(files, &parser, conf, root))
        directory = directory_of(root);
    buf_adds(out, directory ? directory : PLACE_SPOOL);
    buf_adds(out, "/drop");
    conf_node_free(&root);
    conf_files_clear(files);
    conf_errors_clear(&errs);
    dict_free(&parser.names, free);
    free(files);
}
