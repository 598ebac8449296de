/* list.h - targets of aliases and virtual entries, separated as sendmail and Postfix do (pure) */
#pragma once

#include "common/base/strv.h"

#include <stdbool.h>

enum list_kind {
    LIST_ADDRESS, /* text is an address, perhaps without a domain */
    LIST_FINAL,   /* \user: not expanded any more */
    LIST_INCLUDE, /* :include:/path; text is the path */
    LIST_COMMAND, /* |command; text is the command */
    LIST_FILE,    /* /path */
    LIST_DISCARD, /* /dev/null */
    LIST_BAD,     /* unclosed quote or bracket: text is the rest */
};

struct list_item {
    enum list_kind kind;
    struct strv text; /* borrowed */
    bool quoted;      /* stood in quotes as a whole ("|prog a, b"): backslashes in it still escape */
};

#define LIST_BLANKS 1u /* blanks separate too, as in Postfix's virtual tables; else commas alone */

/* Begins like the name of an :include: list, which is also the key under which mapd has that list: a local
   part like this from the wire must never become a key, or a stranger reads out lists by their path. */
bool list_is_include(struct strv text);

/* Takes the next target off *rest; empty ones are passed over. False at the end. `Name <addr>` gives addr. */
bool list_next(struct strv *rest, unsigned flags, struct list_item *out);

/* `error:` values: "error:text", "error:550 text", "error:550 5.1.1 text", sendmail's "error:nouser 550 text"
   and "error:5.7.0:550 text". Without a code it is 550, without a status that of the keyword, or 5.1.1. */
struct list_error {
    int code;
    char enhanced[12];
    struct strv text; /* borrowed; may be empty */
};
bool list_error_read(struct strv value, struct list_error *out);
