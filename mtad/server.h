/* server.h - a connection to a server on a Unix socket, for a child that can name no path */
#pragma once

#include "mtad/host.h"

/* `mailbox:LABEL` of deliverd: the LMTP server of that section of the child's own configuration. Connected,
   or -1: ERR_PERM when the configuration has none such. */
int server_connect(const struct child *c, struct strv label, struct err *err);
