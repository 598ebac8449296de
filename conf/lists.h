/* lists.h - domains that stand in a file of their own, one a line: local-host-names, relay-domains */
#pragma once

#include "conf/source.h"

/* In every list of domains of the tree, a word that begins with "/" is replaced by the lines of that file.
   Comments begin with "#". Mistakes go to p->errs, and their node is damaged. */
void conf_lists_read(struct conf_files *files, struct conf_parser *p, struct conf_node *root);
