/* logsink.h - where log lines of a process go: stderr, a file, or syslog that may be restarted any time
 *
 * stderr and file: `2026-11-20T23:27:30.123+01:00 host mansio/smtpd[812]: WARN event=...`. syslog: RFC 3164
 * without a host, as the local socket wants it: `<22>Nov 20 23:27:30 mansio/smtpd[812]: event=...`, the level
 * is in the priority. Lines that syslog does not take wait in a bounded ring; what does not fit is counted
 * and reported. A line that a full disk cut is ended as soon as there is room.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/log.h"

enum logsink_kind { LOGSINK_STDERR, LOGSINK_FILE, LOGSINK_SYSLOG };

#define LOGSINK_RING (256u * 1024u)

/* Makes it the sink of this process. Takes fd (stderr: -1). facility: a number as of <syslog.h>, e.g.
   LOG_MAIL. Reads the time zone: before chroot. */
void logsink_open(enum logsink_kind kind, int fd, int facility, const char *host);
/* A new descriptor (takes it): what waits is written. */
void logsink_replace(int fd);
enum logsink_kind logsink_kind_now(void);
int logsink_fd(void); /* borrowed; -1 for stderr */

/* Runs when lines, or the end of one, begin to wait. dead: the descriptor is of no use any more, once until
   logsink_replace; else the reader is slow, or the disk full: call logsink_flush in a while. Only for the
   thread that calls this. */
void logsink_on_wait(void (*fn)(void *arg, bool dead), void *arg);
bool logsink_flush(void);     /* true: nothing waits */
size_t logsink_waiting(void); /* bytes */
