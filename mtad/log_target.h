/* log_target.h - where all processes of the suite log to, and syslog's comings and goings */
#pragma once

#include "mtad/host.h"

/* A descriptor for one process: its own socket to syslog (a shared one could be turned away from the log by
   any of them), or the file. -1 without err.text for stderr; -1 with err when it cannot be had now. */
int log_target_open(const struct host *h, struct err *err);
/* mtad's own log goes there from here on. A syslog that is not there yet is no reason not to start. */
bool log_target_begin(struct host *h, struct err *err) __attribute__((warn_unused_result));
/* Once the loop exists: lines that wait, and children that wait for a new descriptor, are served. */
void log_target_watch(struct host *h);
void log_target_wanted(struct host *h); /* some child's wants_log was set */
/* New descriptors for everybody: after logrotate (SIGUSR1). */
void log_target_reopen(struct host *h);
/* enum logsink_kind of the configuration. */
unsigned log_target_kind(const struct host *h);
