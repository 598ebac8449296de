/* setup.h - what mtad and the start of its children agree on beside the schema */
#pragma once

/* TAG_FLAGS of SETUP; the descriptors come in this order when their flag is set. */
enum {
    SETUP_UNPRIVILEGED = 1,
    SETUP_CONF = 2,
    SETUP_LOG = 4,
    SETUP_JAIL = 8,
    SETUP_PEER_MTAD = 16,
    SETUP_SPOOL = 32,
    SETUP_COMMAND = 64,
};

#define CONTROL_FD 3 /* of every child */
