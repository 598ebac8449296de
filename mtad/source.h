/* source.h - files that daemons may read but not open: table sources, certificate, key, seed of tickets */
#pragma once

#include <fcntl.h>

#include "common/ipc/schema.h"
#include "mtad/host.h"

/* How a source is opened: a FIFO or a terminal must not hold up anybody. */
#define SOURCE_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/* Opens them all; what cannot be opened is named with the line of the configuration. */
bool source_open_all(struct host *h, struct err *err) __attribute__((warn_unused_result));
/* The file that has the table's name now (editors replace files). Keeps the old one when it cannot be opened.
 */
bool source_refresh(struct host *h, struct source_fd *s, struct err *err) __attribute__((warn_unused_result));
/* For role, from the next start of one on; takes fd. */
void source_add(struct host *h, enum role role, enum ipc_source kind, const char *name, const char *path,
                int fd);
