/* override.h - a second text that overrules the first */
#pragma once

#include "conf/tree.h"

/* Moves the statements of overlay into root by the rules of struct conf_options.overrides; overlay is empty
 * then. */
void conf_override(struct conf_node *root, struct conf_node *overlay);
