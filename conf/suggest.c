/* suggest.c - Damerau-Levenshtein distance (optimal string alignment) and the nearest of many words */
#include "conf/suggest.h"

#include <limits.h>
#include <stdio.h>

#define WORD_MAX_BYTES 64u          /* longer words are never a slip of a few letters away from a known one */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned suggest_distance(struct strv a, struct strv b)
{
    if (a.n > WORD_MAX_BYTES || b.n > WORD_MAX_BYTES)
        return UINT_MAX;
    unsigned rows[3][WORD_MAX_BYTES + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (unsigned j = 0; j <= b.n; j++)
        last[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        char ca = byte_lower(a.p[i - 1]);
        now[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            char cb = byte_lower(b.p[j - 1]);
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == byte_lower(b.p[j - 2]) && byte_lower(a.p[i - 2]) == cb)
                now[j] = least(now[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b.n];
}

void suggest_start(struct suggest *s, struct strv word)
{
    /* One slip per three letters, at least one: more similarity than that is chance. */
    unsigned near = word.n <= WORD_MAX_BYTES ? (unsigned)word.n / 3 : 0;
    *s = (struct suggest){ .word = word, .best = { "", 0 }, .distance = (near ? near : 1) + 1 };
}

void suggest_try(struct suggest *s, struct strv candidate)
{
    unsigned d = suggest_distance(s->word, candidate);
    /* A word cut short ("cert") is as good as one slip. */
    if (s->word.n >= 3 && d > 1 && strv_istarts(candidate, s->word))
        d = 1;
    /* A word of which every letter changed is another word, however short. */
    if (d < s->distance && d < candidate.n && d < s->word.n) {
        s->distance = d;
        s->best = candidate;
    }
}

const char *suggest_text(const struct suggest *s, char *dst, size_t size)
{
    dst[0] = '\0';
    if (s->best.n > 0)
        snprintf(dst, size, "; did you mean \"%.*s\"?", (int)s->best.n, s->best.p);
    return dst;
}
