/* include.h - :include: lists of an aliases table: read once through mtad, answered like entries
 *
 * The list /etc/mail/staff is the key `:include:/etc/mail/staff`; cleanup asks for it when a target names it.
 * A list that does not fit one answer is cut into parts, each ending with the name of the next
 * (`:include:/etc/mail/staff//2`; no path that a table may name has an empty component). A list that was
 * never there is FAILED; one that is there no more, or has a mistake now, goes on as it was.
 */
#pragma once

#include "common/base/err.h"
#include "maps/map.h"

struct identity;
struct includes;

#define INCLUDES_MAX      1000u      /* lists of one table, those named by lists included */
#define INCLUDE_BYTES_MAX (4u << 20) /* of one list */

bool include_is_key(struct strv key);

struct includes *includes_new(void);
void includes_free(struct includes **in);

/* Names a list that a value mentions; once is enough. False when it may not be named: relative, with empty,
   `.` or
   `..` components, too long, or one too many. */
bool includes_add(struct includes *in, struct strv path, struct err *err);
/* Names all lists of a value of an aliases table (or of a list). The first that may not be named ends it. */
bool includes_add_value(struct includes *in, struct strv value, struct err *err);

/* The next list that was not asked for yet; NULL when there is none. It counts as asked for now. */
const char *includes_next(struct includes *in);
/* Its file came. SAME: the content in use is of this very file, or nobody wants the list. WAIT: it may be
   half written, and there is content to go on with: look again when it had time to settle. */
enum include_step { INCLUDE_READ, INCLUDE_SAME, INCLUDE_WAIT };
enum include_step includes_look(struct includes *in, struct strv path, const struct identity *now);

/* Its content (lists that it names are added). False, with `file:line: what`: then includes_fail. */
bool includes_set(struct includes *in, struct strv path, struct strv content, struct err *err);
/* It could not be had. *kept: what was read before goes on to answer; else the list answers FAILED with this
   reason. True when the reason is another one than last time. */
bool includes_fail(struct includes *in, struct strv path, const char *why, bool *kept);

/* Every list is to be asked for once more; what it answers stays until then. */
void includes_again(struct includes *in);

/* A table was read anew: lists that the old one had answer from there until they are read again. Both may be
 * NULL. */
void includes_adopt(struct includes *in, struct includes *old);

enum ipc_answer includes_get(struct includes *in, struct strv key, struct map_value *out, struct err *err);
size_t includes_count(const struct includes *in);
