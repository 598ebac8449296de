/* probe.h - the way out to a destination, tried up to the point where a message could begin */
#pragma once

#include "common/ipc/ctl.h"

struct deliverd;

#define PROBES_MAX 4u

/* The act "probe" of argument domain: route, addresses, connection, EHLO, TLS, AUTH, QUIT, by the same code
   that delivers. Rows: `line` for each of the dialogue (without secrets), `advice` when it fails. */
void probe_begin(struct deliverd *d, struct ctl_call *call);
