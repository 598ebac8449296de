/* sure.h - what cannot be taken back is shown first, and asked for */
#pragma once

#include "mtactl/ask.h"

/* a: the call that is about to be made, with its selector; it is limited to what is there now. named: the
   messages were given one by one. True: go on. False: *status is the end of the command. */
bool sure(struct tool *t, struct ask *a, const char *verb, bool named, bool yes, int *status);
