/* summary.c - the queue counted by destination, sender, age or reason, as qshape does
 *
 * What is counted are recipients that are not done: in columns by state and by the age of their message. The
 * names of senders stand in the records only; a sender is known by the 64-bit hash that the ledger has, and
 * only of the groups that are told a record is read.
 */
#include "queued/summary.h"

#include "common/base/clock.h"
#include "common/base/dict.h"
#include "common/base/mem.h"
#include "queued/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define GROUPS_MAX  100000u /* further ones are counted together */
#define TELL_MAX    1000u
#define TELL_USUAL  20u
#define AGES        10u /* as qshape: 5 minutes, doubled; the last is the rest */
#define NOT_TRIED   "(not tried yet)"
#define NULL_SENDER "<>"

enum column { COLUMN_ACTIVE, COLUMN_DEFERRED, COLUMN_HELD, COLUMN__N };

static const char *const columns[] = { "active", "deferred", "held" };
static const char *const ages[] = { "m5",   "m10",  "m20",  "m40",   "m80",
                                    "m160", "m320", "m640", "m1280", "older" };

struct group {
    struct strv key;     /* of the dict */
    uint64_t recipients, messages;
    uint64_t states[COLUMN__N], ages[AGES];
    uint64_t example;    /* id of one of its messages */
    uint32_t last;       /* the message that was counted last: once */
    uint32_t order;      /* by age: the bucket */
};

struct summary;

struct by {
    const char *name;
    struct strv (*key)(struct summary *s, const struct message *m, const struct rcpt *r);
    bool in_order; /* of age, not of the number */
};

struct summary {
    struct walk walk; /* first */
    const struct by *by;
    struct dict *groups; /* owned, values too */
    struct group total, other;
    uint64_t limit;
    struct group **list; /* owned: all in their order, once they are counted; NULL until then */
    size_t n, told;
};

/* ---- counting ---- */

static enum column column_of(const struct message *m, const struct rcpt *r)
{
    if (m->flags & (MESSAGE_HELD | MESSAGE_DAMAGED))
        return COLUMN_HELD;
    return r->state == RCPT_WAIT ? COLUMN_DEFERRED : COLUMN_ACTIVE;
}

static unsigned age_of(const struct mailq *q, const struct message *m)
{
    int64_t minutes = (mailq_now_ms(q) - m->since) / 60000;
    unsigned i = 0;

    for (int64_t limit = 5; i + 1 < AGES && minutes >= limit; limit *= 2)
        i++;
    return i;
}

static void group_count(struct group *g, const struct message *m, uint32_t message, enum column column,
                        unsigned age)
{
    g->recipients++;
    g->messages += g->last != message;
    g->last = message;
    g->example = m->id;
    g->states[column]++;
    g->ages[age]++;
}

static struct group *group_of(struct summary *s, struct strv key)
{
    struct group *g = dict_get(s->groups, key);

    if (g)
        return g;
    if (dict_count(s->groups) >= GROUPS_MAX)
        return &s->other;
    g = mem_new(sizeof *g);
    dict_set(s->groups, key, g);
    return g;
}

static struct strv key_destination(struct summary *s, const struct message *m, const struct rcpt *r)
{
    (void)m;
    return sched_domain(s->walk.q->ledger.sched, r->part);
}

static struct strv key_sender(struct summary *s, const struct message *m, const struct rcpt *r)
{
    (void)s;
    (void)r;
    return strv_make((const char *)&m->sender, sizeof m->sender);
}

static struct strv key_reason(struct summary *s, const struct message *m, const struct rcpt *r)
{
    struct strv reply = words_reply(r->words);

    (void)s;
    (void)m;
    return reply.n ? reply : SV_LIT(NOT_TRIED);
}

static struct strv key_age(struct summary *s, const struct message *m, const struct rcpt *r)
{
    (void)r;
    return SV(ages[age_of(s->walk.q, m)]);
}

static void each(struct walk *w, uint32_t message)
{
    struct summary *s = (struct summary *)w;
    struct message *m = ledger_at(&w->q->ledger, message);
    unsigned age = age_of(w->q, m);

    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        const struct rcpt *r = message_rcpt(m, i);
        struct group *g;

        if (r->state == RCPT_DONE)
            continue;
        g = group_of(s, s->by->key(s, m, r));
        g->order = age;
        group_count(g, m, message, column_of(m, r), age);
        group_count(&s->total, m, message, column_of(m, r), age);
    }
}

/* ---- telling ---- */

static void group_row(struct summary *s, const char *kind, const struct group *g, struct strv name)
{
    struct ctl_call *call = s->walk.call;

    ctl_row(call, kind);
    ctl_put(call, "name", name);
    ctl_put_u64(call, "recipients", g->recipients);
    ctl_put_u64(call, "messages", g->messages);
    for (unsigned i = 0; i < COLUMN__N; i++)
        ctl_put_u64(call, columns[i], g->states[i]);
    for (unsigned i = 0; i < AGES; i++)
        ctl_put_u64(call, ages[i], g->ages[i]);
    ctl_row_end(call);
}

/* The name that the record of one of them has. */
static void sender_row(struct summary *s, const struct group *g)
{
    struct mailq *q = s->walk.q;
    uint32_t handle = ledger_find(&q->ledger, g->example);
    struct bytes *b = handle ? message_envelope(q, handle) : NULL;
    struct strv name = SV_LIT("?");

    if (b)
        name = q->envelope.sender.n ? q->envelope.sender : SV_LIT(NULL_SENDER);
    group_row(s, s->by->name, g, name);
    bytes_unref(&b);
}

static void row(struct summary *s, const struct group *g)
{
    if (strcmp(s->by->name, "sender") == 0)
        sender_row(s, g);
    else
        group_row(s, s->by->name, g, g->key);
}

static void on_group(void *arg, struct strv key, void *value)
{
    struct summary *s = arg;
    struct group *g = value;

    g->key = key;
    s->list[s->n++] = g;
}

static int most_first(const void *a, const void *b)
{
    const struct group *const *left = a, *const *right = b;

    if ((*left)->recipients != (*right)->recipients)
        return (*left)->recipients < (*right)->recipients ? 1 : -1;
    return strv_cmp((*left)->key, (*right)->key);
}

static int young_first(const void *a, const void *b)
{
    const struct group *const *left = a, *const *right = b;

    return (int)(*left)->order - (int)(*right)->order;
}

static void group_add(struct group *to, const struct group *g)
{
    to->recipients += g->recipients;
    to->messages += g->messages;
    for (unsigned i = 0; i < COLUMN__N; i++)
        to->states[i] += g->states[i];
    for (unsigned i = 0; i < AGES; i++)
        to->ages[i] += g->ages[i];
}

static void groups_sort(struct summary *s)
{
    s->list = mem_array(dict_count(s->groups) + 1, sizeof *s->list);
    dict_each(s->groups, on_group, s);
    qsort(s->list, s->n, sizeof *s->list, s->by->in_order ? young_first : most_first);
    for (size_t i = s->limit; i < s->n; i++)
        group_add(&s->other, s->list[i]);
    if (s->n > s->limit)
        s->n = s->limit;
}

/* A name may be a read from a cold disk. */
static bool tell(struct walk *w, int64_t until)
{
    struct summary *s = (struct summary *)w;

    if (!s->list)
        groups_sort(s);
    while (s->told < s->n) {
        row(s, s->list[s->told++]);
        if (clock_mono_ms() > until)
            return true;
    }
    return false;
}

static void end(struct walk *w)
{
    struct summary *s = (struct summary *)w;

    if (s->other.recipients)
        group_row(s, "other", &s->other, SV_LIT("(others)"));
    group_row(s, "total", &s->total, SV_LIT("TOTAL"));
    ctl_done(w->call, 0, NULL);
}

static void clear(struct walk *w)
{
    struct summary *s = (struct summary *)w;

    free(s->list);
    dict_free(&s->groups, free);
    free(s);
}

/* ---- the call ---- */

static const struct by bys[] = {
    { "destination", key_destination, false },
    { "sender", key_sender, false },
    { "reason", key_reason, false },
    { "age", key_age, true },
    { .name = NULL },
};

void summary_run(struct mailq *q, struct ctl_call *call)
{
    struct strv name = ctl_text(call, "by");
    const struct by *by = bys;
    uint64_t limit = TELL_USUAL;
    struct selection selection;
    struct err err = { 0 };
    struct summary *s;

    while (name.p && by->name && !strv_is(name, by->name))
        by++;
    if (!by->name || !selection_read(&selection, call, &err)) {
        ctl_done(call, EX_USAGE, "%s", by->name ? err.text : "by destination, sender, reason or age");
        return;
    }
    ctl_number(call, "limit", &limit);
    s = mem_new(sizeof *s);
    s->walk = (struct walk){ .q = q, .call = call, .selection = selection, .each = each, .tell = tell,
                             .end = end, .clear = clear, .progress = true };
    s->by = by;
    s->groups = dict_new();
    s->limit = limit < TELL_MAX ? limit : TELL_MAX;
    walk_start(&s->walk);
}
