/* ctl.h - what an operator may ask of deliverd */
#pragma once

struct deliverd;

void deliverd_ctl_client(struct deliverd *d, int fd); /* takes fd */
