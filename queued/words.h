/* words.h - why a recipient waits or failed; equal words are kept once (pure) */
#pragma once

#include "common/base/strv.h"

struct words { /* counted; made and released by the functions below */
    struct words *next;
    uint32_t refs;
    uint32_t hash;
    uint16_t enhanced_n, relay_n, reply_n;
    bool remote;  /* the reply is the peer's, not ours */
    char bytes[]; /* enhanced, relay, reply */
};

struct words_table {
    struct words **slots; /* owned */
    size_t slot_n, count;
};

/* Longer replies are cut: they are kept for a notice, the log got the whole. */
#define WORDS_REPLY_MAX 2048u

void words_clear(struct words_table *t); /* all references must be gone */
/* A reference to release with words_unref. */
struct words *words_ref(struct words_table *t, struct strv enhanced, struct strv relay, struct strv reply,
                        bool remote);
struct words *words_again(struct words *w); /* one more reference; NULL stays NULL */
void words_unref(struct words_table *t, struct words **w);

static inline struct strv words_enhanced(const struct words *w)
{
    return w ? strv_make(w->bytes, w->enhanced_n) : SV_LIT("");
}

static inline struct strv words_relay(const struct words *w)
{
    return w ? strv_make(w->bytes + w->enhanced_n, w->relay_n) : SV_LIT("");
}

static inline struct strv words_reply(const struct words *w)
{
    return w ? strv_make(w->bytes + w->enhanced_n + w->relay_n, w->reply_n) : SV_LIT("");
}
