/* trace.h - sendmail -v: what becomes of one message, told while it happens to who submitted it
 *
 * postdrop makes a FIFO beside the file in drop/ and reads it; the file's name ends in V then. Whatever
 * queued writes into it is for that submitter alone: nobody else can reach the FIFO, and it is named by
 * nobody but postdrop. Nothing waits for the reader: what does not fit is left out, and a reader that went
 * away costs nothing.
 */
#pragma once

#include "queued/mailq.h"

#define TRACE_MARK 'V' /* last byte of the name of a file whose submitter watches */

struct result_line;

/* The file is handed to cleanup: opens its FIFO, when it has one. dir: of drop/. */
void trace_open(struct mailq *q, int dir, const char *name);
/* It was not taken this time: said, and the end. */
void trace_refused(struct mailq *q, const char *name, const char *why);
/* The message with this origin is durable: its deliveries are told from here on. */
void trace_stored(struct mailq *q, struct strv origin, uint64_t id);
bool trace_wanted(const struct mailq *q, uint64_t id);                 /* deliverd is to send the dialogue */
void trace_on_frame(void *arg, struct channel *ch, struct ipc_in *in); /* J_TRACE */
void trace_result(const struct mailq *q, const struct result_line *l);
void trace_clear(struct mailq *q);
