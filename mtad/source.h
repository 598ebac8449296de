/* source.h - files that daemons may read but not open: table sources, certificate, key */
#pragma once

#include "mtad/host.h"

/* Opens them all; what cannot be opened is named with the line of the configuration. */
bool source_open_all(struct host *h, struct err *err) __attribute__((warn_unused_result));
