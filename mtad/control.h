/* control.h - what children may ask of mtad: one row each; anything else costs the child its life */
#pragma once

#include "common/ipc/channel.h"

extern const struct channel_ops control_ops; /* arg: struct child */
