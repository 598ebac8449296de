/* feed.h - what a daemon sent: the lines of one frame */
#pragma once

#include "historyd/line.h"

enum feed_step { FEED_LINE, FEED_END, FEED_BROKEN };

/* Takes the next line off the bytes; role and index of out are the caller's to set. BROKEN: no daemon of ours
   sends this. */
enum feed_step feed_next(struct strv *rest, struct line *out);
