/* parse.h - text to tree; pure: the fuzzable half of the configuration language */
#pragma once

#include "conf/tree.h"

struct dict;

/* Sections in sections; the language needs two. */
#define CONF_NESTING_MAX 8

struct conf_parser {
    struct conf_errors *errs;
    struct dict *names;             /* interned file names */
    bool marks;                     /* obey `#@` origin marks */
    /* Reads the files of `include "pattern"` into root; false when they are not even parsable. NULL: includes
       are refused. */
    bool (*include)(struct conf_parser *p, struct strv pattern, const struct conf_place *place,
                    struct conf_node *root);
    void *arg;
};

/* Appends the statements of source to root. Mistakes are reported and skipped; false when the structure of
   the text is lost (blocks that do not close), so that looking at the tree would only add false mistakes. */
bool conf_parse(struct conf_parser *p, const struct conf_source *source, struct conf_node *root);
