/* graph.h - who exists, in which order they start and stop, and who talks to whom */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/role.h"

struct conf;

struct graph_role {
    enum role role;
    const char *program; /* beside mtad's own */
    unsigned ready_s;    /* deadline of READY */
    unsigned stop_stage; /* drained together; lower first */
    size_t (*count)(const struct conf *conf);
};

#define GRAPH_STOP_STAGES 4

/* In the order of the start; ends with role ROLE_COUNT. The agent is not in it. */
extern const struct graph_role graph_roles[];
const struct graph_role *graph_role_find(enum role role);
size_t graph_count(const struct conf *conf, enum role role);
bool graph_is_edge(enum role a, enum role b);
