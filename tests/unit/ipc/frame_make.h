/* frame_make.h - frames made from the schema itself, so that every message is tested without being listed */
#pragma once

#include "common/ipc/frame.h"

struct make {
    bool optional;                   /* optional fields too */
    unsigned repeat;                 /* how often repeated fields stand */
    const struct ipc_field *special; /* this one gets size bytes, or number as value */
    size_t size;
    uint64_t number;
    const struct ipc_field *omit;  /* this one is left out */
    const struct ipc_field *twice; /* this one is written twice */
};

/* Writes the whole frame of m into o (not finished). */
void make_frame(const struct ipc_message *m, const struct make *how, struct ipc_out *o);
/* Header with the right length around what o holds, without any check. */
void make_header(struct ipc_out *o);
unsigned make_fd_count(const struct ipc_message *m);
