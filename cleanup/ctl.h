/* ctl.h - what an operator may ask of cleanup: the way of an address, nothing sent */
#pragma once

#include "cleanup/service.h"

void cleanup_ctl_client(struct cleanup *cl, int fd); /* takes fd */
