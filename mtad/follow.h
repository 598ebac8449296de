/* follow.h - whose dialogue the operator follows: kept here until it ends, told to smtpd and deliverd */
#pragma once

#include <stdbool.h>

struct child;
struct ctl_call;
struct host;

/* `log` with peer or domain, or without anything: answered. False: it is about the level. */
bool follow_call(struct host *h, struct ctl_call *call);
/* A row for each. */
void follow_rows(struct ctl_call *call);
/* A process that is new learns what is in force. */
void follow_tell(struct child *c);
