/* words.c - why a recipient waits or failed; equal words are kept once (pure) */
#include "queued/words.h"

#include "common/base/hash.h"
#include "common/base/mem.h"

#include <stdlib.h>

#define SLOTS_FIRST 64u
#define SHORT_MAX   512u

void words_clear(struct words_table *t)
{
    MEM_FREE(t->slots);
    t->slot_n = t->count = 0;
}

static void words_grow(struct words_table *t)
{
    size_t n = t->slot_n ? t->slot_n * 2 : SLOTS_FIRST;
    struct words **slots = mem_array(n, sizeof(struct words *));

    for (size_t i = 0; i < t->slot_n; i++) {
        for (struct words *w = t->slots[i], *next; w; w = next) {
            next = w->next;
            w->next = slots[w->hash & (n - 1)];
            slots[w->hash & (n - 1)] = w;
        }
    }
    free(t->slots);
    t->slots = slots;
    t->slot_n = n;
}

static bool words_equal(const struct words *w, uint32_t hash, struct strv enhanced, struct strv relay,
                        struct strv reply, bool remote)
{
    return w->hash == hash && w->remote == remote && strv_eq(words_enhanced(w), enhanced) &&
           strv_eq(words_relay(w), relay) && strv_eq(words_reply(w), reply);
}

struct words *words_ref(struct words_table *t, struct strv enhanced, struct strv relay, struct strv reply,
                        bool remote)
{
    struct words *w;
    uint32_t hash;

    enhanced = strv_sub(enhanced, 0, SHORT_MAX);
    relay = strv_sub(relay, 0, SHORT_MAX);
    reply = strv_sub(reply, 0, WORDS_REPLY_MAX);
    hash = (uint32_t)(hash_sip(reply) ^ hash_sip(relay) * 3);
    if (t->count >= t->slot_n)
        words_grow(t);
    for (w = t->slots[hash & (t->slot_n - 1)]; w; w = w->next) {
        if (words_equal(w, hash, enhanced, relay, reply, remote)) {
            w->refs++;
            return w;
        }
    }
    w = mem_new(sizeof *w + enhanced.n + relay.n + reply.n);
    w->refs = 1;
    w->hash = hash;
    w->enhanced_n = (uint16_t)enhanced.n;
    w->relay_n = (uint16_t)relay.n;
    w->reply_n = (uint16_t)reply.n;
    w->remote = remote;
    memcpy(w->bytes, enhanced.p, enhanced.n);
    memcpy(w->bytes + enhanced.n, relay.p, relay.n);
    memcpy(w->bytes + enhanced.n + relay.n, reply.p, reply.n);
    w->next = t->slots[hash & (t->slot_n - 1)];
    t->slots[hash & (t->slot_n - 1)] = w;
    t->count++;
    return w;
}

struct words *words_again(struct words *w)
{
    if (w)
        w->refs++;
    return w;
}

void words_unref(struct words_table *t, struct words **wp)
{
    struct words *w = *wp, **link;

    *wp = NULL;
    if (!w || --w->refs > 0)
        return;
    for (link = &t->slots[w->hash & (t->slot_n - 1)]; *link != w; link = &(*link)->next)
        ;
    *link = w->next;
    t->count--;
    free(w);
}
