/* drop.h - the directory drop/: files of local submissions, handed to cleanup until a commit finishes them */
#pragma once

#include "common/base/err.h"
#include "common/base/strv.h"

struct channel;
struct drops;
struct ipc_in;
struct mailq;

/* Opens the directory below the spool (made when missing) and watches it. Before the filter: sets q->drops.
   The process stands in the spool afterwards, because a watch wants a path. */
bool drops_open(struct mailq *q, int spool, struct err *err) __attribute__((warn_unused_result));
/* Reads the directory: before recovery, which then names what was committed. */
void drops_scan(struct mailq *q);
/* A record with this origin was found in the spool: its file is unlinked. */
void drops_recovered(struct mailq *q, struct strv origin);
/* From here on files are handed over and looked for. */
void drops_start(struct mailq *q);
/* Why mail of this host's users may wait; NULL: it does not. */
const char *drops_trouble(const struct mailq *q);
size_t drops_waiting(const struct mailq *q); /* files that no commit has finished; as of the last look */
size_t drops_bad(const struct mailq *q);     /* files that a human must look at */
void drops_clear(struct mailq *q);

void drops_pump(struct mailq *q); /* cleanup is there (again) */
void drops_lost(struct mailq *q, const struct channel *ch); /* that cleanup is gone */
/* A message with this origin is durable, or was not stored. */
void drops_committed(struct mailq *q, struct strv origin, bool ok);
void drops_on_done(void *arg, struct channel *ch, struct ipc_in *in); /* DROP_DONE */

/* Makes the unlinking of finished files durable. False: what proves that they were submitted must stay. */
bool drops_sync(struct mailq *q);
