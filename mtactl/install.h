/* install.h - users, directories, modes and the set-id program, looked at without repairing anything */
#pragma once

#include "mtactl/tool.h"

struct conf;

/* A row `fault` for each: what, fault, outcome. */
void install_look(struct tool *t, const struct conf *conf, struct rows *rows);
