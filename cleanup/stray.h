/* stray.h - mistakes at the beginning of own clients' messages that would show what was to be hidden (pure)
 *
 * A line that is no field ends the header (header.h), and fields below it become text: a Bcc among them would
 * go out to everybody. Mail of strangers is not ours to mend; own clients handed it to us to make it right.
 */
#pragma once

#include "common/base/buf.h"

/* Length of a first line as mailbox readers write it, `From user Thu Jan  1 00:00:00 1970`; 0: it is none. */
size_t stray_from_line(struct strv message);

/* Fields below a bad line are waited for that long: held like body, so it must fit the sender's credit. */
#define STRAY_MAX (64u * 1024u)

/* True when the lines from `at` on are known up to the empty one that ends them (*end is behind it). *looked,
   at first `at`, remembers how far the search came. */
bool stray_is_whole(struct strv message, size_t at, size_t *looked, size_t *end);

/* Appends these lines, without Bcc and Resent-Bcc when they look like what is left of a header: with the
   fields above the bad line there are at least two. A paragraph of text is left as it is. */
void stray_copy(struct strv lines, size_t fields_above, struct buf *out);
