/* trouble.c - what does not work: said by daemons or found by mtad itself, kept for `mtactl status` */
#include "mtad/trouble.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"

static void trouble_clear(struct trouble *t)
{
    free(t->what);
    free(t->text);
    free(t->advice);
    *t = (struct trouble){ 0 };
}

static unsigned find(const struct troubles *t, struct strv what)
{
    unsigned i = 0;

    while (i < t->n && !strv_is(what, t->rows[i].what))
        i++;
    return i;
}

static void set(struct troubles *t, const char *by, struct strv what, struct strv text, struct strv advice,
                int64_t now_ms)
{
    unsigned i = find(t, what);
    int64_t since = i < t->n ? t->rows[i].since_ms : now_ms;

    if (i == TROUBLE_MAX)
        return;
    if (i == t->n) {
        t->rows = mem_resize(t->rows, ++t->n, sizeof *t->rows);
        t->rows[i] = (struct trouble){ 0 };
        LOG(ERROR, "mtad.degraded", KS("by", by), KV("what", what), KV("problem", text),
            KV("advice", advice));
    }
    trouble_clear(&t->rows[i]);
    t->rows[i] = (struct trouble){ .what = strv_dup(what),
                                   .text = strv_dup(text),
                                   .advice = strv_dup(advice),
                                   .since_ms = since,
                                   .heard_ms = now_ms,
                                   .seen = true };
}

static bool end(struct troubles *t, const char *by, struct strv what, int64_t now_ms)
{
    unsigned i = find(t, what);

    if (i == t->n)
        return false;
    LOG(INFO, "mtad.mended", KS("by", by), KV("what", what), KMS("lasted", now_ms - t->rows[i].since_ms));
    trouble_clear(&t->rows[i]);
    t->rows[i] = t->rows[--t->n];
    return true;
}

void troubles_set(struct troubles *t, const char *by, const char *what, const char *text, const char *advice,
                  int64_t now_ms)
{
    set(t, by, SV(what), SV(text), SV(advice), now_ms);
}

bool troubles_end(struct troubles *t, const char *by, const char *what, int64_t now_ms)
{
    return end(t, by, SV(what), now_ms);
}

void troubles_take(struct troubles *t, const char *by, const struct ipc_in *in, int64_t now_ms)
{
    struct strv what = ipc_get(in, TAG_NAME);

    if (ipc_has(in, TAG_TEXT))
        set(t, by, what, ipc_get(in, TAG_TEXT), ipc_get(in, TAG_REPLY), now_ms);
    else
        end(t, by, what, now_ms);
}

void troubles_unsee(struct troubles *t)
{
    for (unsigned i = 0; i < t->n; i++)
        t->rows[i].seen = false;
}

void troubles_keep_seen(struct troubles *t, const char *by, const char *prefix, int64_t now_ms)
{
    for (unsigned i = 0; i < t->n;) {
        if (t->rows[i].seen || !strv_starts(SV(t->rows[i].what), SV(prefix)))
            i++;
        else
            end(t, by, SV(t->rows[i].what), now_ms);
    }
}

void troubles_age(struct troubles *t, const char *by, int64_t age_ms, int64_t now_ms)
{
    for (unsigned i = 0; i < t->n;) {
        if (now_ms - t->rows[i].heard_ms < age_ms)
            i++;
        else
            end(t, by, SV(t->rows[i].what), now_ms);
    }
}

void troubles_clear(struct troubles *t)
{
    while (t->n > 0)
        trouble_clear(&t->rows[--t->n]);
    MEM_FREE(t->rows);
}
