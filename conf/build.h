/* build.h - one node of the tree to one section, by the section's table */
#pragma once

#include "conf/check.h"

/* A new section with values, defaults and places; mistakes are reported, and the section is whole all the
 * same. */
void *conf_build(struct conf_check *check, const struct conf_kind *kind, struct conf_node *node);
