/* report.h - the log lines of a session: one per refusal, per accepted message, per session */
#pragma once

#include "smtpd/engine.h"

/* step: "mail", "rcpt", "data", "message", "command"; reply: as it went out, CRLF and all; rule: what
 * decided. */
void report_refused(const struct engine *e, const char *step, struct strv reply, const char *rule);
void report_accepted(const struct engine *e);
void report_unsettled(const struct engine *e);
/* How an AUTH ended. why: NULL when it succeeded. */
void report_auth(const struct engine *e, bool good, const char *why);
/* The handshake did not succeed. why: for an operator. */
void report_tls_failed(const struct engine *e, const char *why);
void report_session(const struct engine *e, uint64_t bytes_in, uint64_t bytes_out, int64_t ms);
