/* ctl_acts.h - what the operator may ask of mtad itself */
#pragma once

#include "common/ipc/ctl.h"

extern const struct ctl_act ctl_acts[]; /* of struct host */
