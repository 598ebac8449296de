/* program.h - the daemons' programs, opened once: a package upgrade never mixes versions */
#pragma once

#include "mtad/host.h"

bool program_open_all(struct host *h, struct err *err) __attribute__((warn_unused_result));
