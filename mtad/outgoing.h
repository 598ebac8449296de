/* outgoing.h - what deliverd shows to servers and holds against them: certificates, authorities, logins */
#pragma once

#include "mtad/host.h"

/* Sealed copies of all files that routes and their secrets name (what is in them, inspect.h looks at). What
   cannot be opened is named with the line of the configuration; a secret that everybody can read is warned
   about. */
bool outgoing_open(struct host *h, struct err *err) __attribute__((warn_unused_result));
