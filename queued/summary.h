/* summary.h - the queue counted by what its recipients have in common, as qshape does */
#pragma once

#include "queued/ctl.h"

void summary_run(struct mailq *q, struct ctl_call *call);
