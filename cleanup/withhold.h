/* withhold.h - words of a notice that would tell a sender where an alias or a ~/.forward leads (pure) */
#pragma once

#include "common/base/buf.h"

/* A recipient as the sender knows it, and what became of it here. */
struct withhold {
    struct strv given;  /* the address that the sender wrote to */
    struct strv target; /* the address that it led to */
    struct strv what;   /* of that: a command or a file; empty: its mailbox */
};

/* Does the address lead elsewhere at all? */
bool withhold_applies(const struct withhold *w);
/* True when words, ours or a peer's, name any part of the target that the sender does not know. */
bool withhold_names(const struct withhold *w, struct strv words);
/* What may be said of a peer's reply all the same: its code and its status. */
void withhold_reply(struct strv reply, struct buf *out);
