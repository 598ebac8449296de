/* ctl.h - the daemon's side of a control socket: an operator's calls answered with rows
 *
 * A call names an act and has named arguments; the answer is any number of rows (a kind and named values),
 * perhaps bytes, and one CTL_DONE with an exit status and a sentence. A long answer comes in portions: the
 * act ends one with ctl_more and is called again with that cursor when the client wants to go on, so that
 * nobody's list fills the memory of a daemon or holds up mail. A client is bounded in calls (one at a time)
 * and all are in number; what breaks the rules costs that client its connection and nothing else.
 */
#pragma once

#include "common/ipc/channel.h"

struct loop;
struct ctl_server;
struct ctl_call;

#define CTL_CLIENTS_MAX 32u
#define CTL_PORTION     8192u /* rows that are a portion */

struct ctl_act {
    const char *name;
    /* Answers now or later; ends with ctl_done or ctl_more, once. */
    void (*run)(void *arg, struct ctl_call *call);
    bool changes; /* logged with who asked */
};

/* acts: ends with name NULL; borrowed. */
struct ctl_server *ctl_server_new(struct loop *loop, enum role self, const struct ctl_act *acts, void *arg);
void ctl_server_free(struct ctl_server **s);
void ctl_server_client(struct ctl_server *s, int fd); /* takes fd: a connected client */

/* Arguments: valid until the call is done. p NULL: not given. */
struct strv ctl_text(const struct ctl_call *call, const char *name);
bool ctl_number(const struct ctl_call *call, const char *name, uint64_t *out);
unsigned ctl_uid(const struct ctl_call *call); /* who connected */
const char *ctl_act_name(const struct ctl_call *call);
uint64_t ctl_cursor(const struct ctl_call *call); /* 0 at first */
/* The nth (from 0) of an argument that was given several times. */
bool ctl_text_nth(const struct ctl_call *call, const char *name, size_t nth, struct strv *out);
/* The same for who goes through thousands: the next one; *at is 0 at first. */
bool ctl_text_next(const struct ctl_call *call, const char *name, size_t *at, struct strv *out);

/* A row: begin, values, end. Texts are cut at 16 KiB, rows must stay below a frame (a value that does not fit
   any more is left out). Rows go out together, at the latest at the end of the loop's iteration. */
void ctl_row(struct ctl_call *call, const char *kind);
void ctl_put(struct ctl_call *call, const char *name, struct strv value);
void ctl_put_u64(struct ctl_call *call, const char *name, uint64_t value);
void ctl_row_end(struct ctl_call *call);
size_t ctl_rows(const struct ctl_call *call); /* of this portion */
void ctl_data(struct ctl_call *call, struct strv bytes);

/* The ends. call is gone afterwards. fmt: a sentence, or NULL. */
void ctl_done(struct ctl_call *call, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void ctl_more(struct ctl_call *call, uint64_t cursor); /* not 0 */

/* For acts that answer later: `gone` runs when the client leaves first; nothing of the call may be used
   then. */
void ctl_later(struct ctl_call *call, void (*gone)(void *data), void *data);
