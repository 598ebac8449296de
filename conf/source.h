/* source.h - configuration files: who may have written them, how big they may be, what they include */
#pragma once

#include "common/base/buf.h"
#include "conf/parse.h"

#include <sys/types.h>

/* 10,000 own domains are 300 KiB; whatever is much bigger is a map or the wrong file. */
#define CONF_FILE_MAX ((size_t)4 * 1024 * 1024)
#define CONF_INCLUDE_DEPTH_MAX 8
#define CONF_FILES_MAX 512

struct conf_file {
    struct conf_source source;
    struct buf data;
    dev_t dev;
    ino_t ino;
};

/* Every text of one load; they live until the errors are written. */
struct conf_files {
    struct conf_file *list[CONF_FILES_MAX];
    size_t n;
    struct conf_file *open[CONF_INCLUDE_DEPTH_MAX];     /* the chain of includes being read */
    size_t depth;
    bool unread;                                        /* the tree lacks a file, or more of them */
};

void conf_files_clear(struct conf_files *files);

/* Reads and parses path, with its includes, into root; p->include and p->arg are set here. Mistakes go to
   p->errs. False when there is no tree worth looking at. */
bool conf_files_read(struct conf_files *files, struct conf_parser *p, const char *path,
                     struct conf_node *root);

/* Reads a file that is named at a place; NULL after a mistake. */
const struct conf_source *conf_files_open(struct conf_files *files, struct conf_parser *p,
                                          const struct conf_place *from, const char *path);
/* Adds a text that is no file; borrowed. NULL when there are too many. */
const struct conf_source *conf_files_text(struct conf_files *files, struct conf_parser *p, const char *name,
                                          struct strv text);
