/* select.c - which messages a call of an operator means: by id, or by what they are */
#include "queued/ctl.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/dict.h"

#define COST_LOOK 1u
#define COST_READ 5u /* a record from disk */

struct bytes *message_envelope(struct mailq *q, uint32_t message)
{
    struct err err = { 0 };
    struct bytes *b = message_bytes(q, message, &err);

    if (b && !envelope_parse(b->envelope, &q->envelope, &err))
        bytes_unref(&b);
    return b;
}

bool message_peek(struct mailq *q, uint32_t message, uint64_t *size)
{
    struct message *m = ledger_at(&q->ledger, message);
    struct record_sizes sizes;
    struct strv envelope;
    struct err err = { 0 };
    struct bytes *b = dict_count(q->fresh) ? dict_get_u64(q->fresh, m->id) : NULL;

    if (!b && !(m->flags & MESSAGE_DAMAGED) &&
        store_peek(q->store, m->place, &sizes, &envelope) && envelope_parse(envelope, &q->envelope, &err)) {
        *size = sizes.header + 2 + sizes.body + (q->envelope.big ? q->envelope.big_size : 0);
        return true;
    }
    /* New ones are in memory; what is wrong with others is found out, and logged, here. */
    b = message_envelope(q, message);
    if (!b)
        return false;
    *size = b->message.n + (q->envelope.big ? q->envelope.big_size : 0);
    bytes_unref(&b);
    return true;
}

const char *message_state(struct mailq *q, uint32_t message)
{
    static const char *const names[] = {
        [STANDING_ACTIVE] = "active",     [STANDING_RUNNING] = "running", [STANDING_DEFERRED] = "deferred",
        [STANDING_HELD] = "held",         [STANDING_DAMAGED] = "damaged",
    };

    return names[message_standing(ledger_at(&q->ledger, message))];
}

bool selection_read(struct selection *s, const struct ctl_call *call, struct err *err)
{
    struct strv id;
    uint64_t value, all = 0;
    size_t at, next = 0;

    *s = (struct selection){
        .call = call,
        .sender = ctl_text(call, "sender"),
        .recipient = ctl_text(call, "recipient"),
        .domain = ctl_text(call, "domain"),
        .reason = ctl_text(call, "reason"),
        .state = ctl_text(call, "state"),
        .ids = ctl_text_nth(call, "id", 0, &id),
    };
    ctl_number(call, "older", &s->older_s);
    ctl_number(call, "younger", &s->younger_s);
    ctl_number(call, "until", &s->until_ms);
    while (s->ids && ctl_text_next(call, "id", &next, &id))
        if (!id_parse(id, &value))
            return err_set(err, ERR_CONF, "%.*s is no message id", (int)(id.n > 40 ? 40 : id.n), id.p);
    s->any = s->ids || s->sender.p || s->recipient.p || s->domain.p || s->reason.p || s->state.p ||
             s->older_s || s->younger_s || (ctl_number(call, "all", &all) && all);
    s->sender_exact = s->sender.p && !strv_has(s->sender, '*');
    s->recipient_exact = s->recipient.p && !strv_has(s->recipient, '*');
    s->sender_hash = ledger_sender(s->sender);
    if (s->recipient.p && strv_rfind(s->recipient, '@', &at))
        s->recipient_domain = strv_from(s->recipient, at + 1);
    return true;
}

static bool domain_matches(const struct mailq *q, const struct message *m, struct strv domain)
{
    for (uint32_t part = m->part; part; part = sched_part(q->ledger.sched, part)->sibling)
        if (strv_ieq(sched_domain(q->ledger.sched, part), domain))
            return true;
    return false;
}

static bool reason_matches(struct message *m, struct strv reason)
{
    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        struct strv reply = words_reply(message_rcpt(m, i)->words);

        if (reply.n >= reason.n && memmem(reply.p, reply.n, reason.p, reason.n))
            return true;
    }
    return false;
}

/* Equal without case; a * at its beginning or end stands for anything. */
static bool address_matches(struct strv text, struct strv want)
{
    bool front = strv_starts(want, SV_LIT("*")), back;

    if (front)
        want = strv_from(want, 1);
    back = strv_ends(want, SV_LIT("*"));
    if (back)
        want.n--;
    if (!front)
        return back ? strv_istarts(text, want) : strv_ieq(text, want);
    if (!back)
        return strv_iends(text, want);
    for (size_t i = 0; i + want.n <= text.n; i++)
        if (strv_istarts(strv_from(text, i), want))
            return true;
    return false;
}

static bool rcpt_matches(const struct envelope_rcpt *r, struct strv recipient)
{
    return address_matches(r->to, recipient) ||
           (r->original.n && address_matches(r->original, recipient));
}

/* What only the record knows. */
static bool names_match(struct mailq *q, const struct selection *s, uint32_t message)
{
    uint64_t size;
    bool yes = message_peek(q, message, &size);

    if (yes && s->sender.p)
        yes = address_matches(q->envelope.sender, s->sender);
    if (yes && s->recipient.p) {
        yes = false;
        for (size_t i = 0; i < q->envelope.rcpt_n && !yes; i++)
            yes = rcpt_matches(&q->envelope.rcpts[i], s->recipient);
    }
    return yes;
}

/* False: not even its record could say that it is meant. */
static bool names_may_match(const struct mailq *q, const struct selection *s, const struct message *m)
{
    if (s->sender_exact && m->sender != s->sender_hash)
        return false;
    return !s->recipient_exact || m->flags & MESSAGE_ORIGINAL || domain_matches(q, m, s->recipient_domain);
}

static bool matches(struct mailq *q, const struct selection *s, uint32_t message, unsigned *budget)
{
    struct message *m = ledger_at(&q->ledger, message);
    int64_t age_s = (mailq_now_ms(q) - m->since) / 1000;

    /* Who says ids means those, also when a clock that was ahead made them. What was requeued meanwhile is as
       old as it was, and came later. */
    if (s->until_ms && !s->ids && id_wall_ms(m->id) > (int64_t)s->until_ms)
        return false;
    if ((s->older_s && age_s < (int64_t)s->older_s) || (s->younger_s && age_s > (int64_t)s->younger_s) ||
        (s->state.p && !strv_is(s->state, message_state(q, message))) ||
        (s->domain.p && !domain_matches(q, m, s->domain)) || (s->reason.p && !reason_matches(m, s->reason)))
        return false;
    if (!s->sender.p && !s->recipient.p)
        return true;
    if (!names_may_match(q, s, m))
        return false;
    *budget -= *budget > COST_READ ? COST_READ : *budget;
    return names_match(q, s, message);
}

/* The id that the cursor is at: mostly the one behind the last. False: the end. */
static bool id_at(struct selection *s, uint64_t cursor, uint64_t *id)
{
    struct strv text;

    if (cursor != s->id_n)
        s->id_n = s->id_next = 0;
    while (s->id_n < cursor && ctl_text_next(s->call, "id", &s->id_next, &text))
        s->id_n++;
    if (s->id_n < cursor || !ctl_text_next(s->call, "id", &s->id_next, &text))
        return false;
    s->id_n++;
    return id_parse(text, id);
}

static void absent_row(struct ctl_call *call, uint64_t id)
{
    char text[ID_TEXT_SIZE];

    id_text(id, text);
    ctl_row(call, "absent");
    ctl_put(call, "id", SV(text));
    ctl_row_end(call);
}

static uint32_t candidate(struct mailq *q, struct selection *s, uint64_t *cursor, bool *end)
{
    uint32_t at = (uint32_t)*cursor, handle;
    uint64_t id;

    *end = false;
    if (!s->ids) {
        handle = ledger_next(&q->ledger, &at);
        *cursor = at;
        *end = handle == 0;
        return handle;
    }
    *end = !id_at(s, *cursor, &id);
    ++*cursor;
    handle = *end ? 0 : ledger_find(&q->ledger, id);
    if (!*end && !handle && s->absent)
        absent_row(s->absent, id);
    return handle;
}

uint32_t selection_next(struct mailq *q, struct selection *s, uint64_t *cursor, unsigned *budget)
{
    int64_t until = clock_mono_ms() + TURN_MS;

    while (*budget > 0) {
        bool end;
        uint32_t handle = candidate(q, s, cursor, &end);

        if (end) {
            *cursor = 0;
            return 0;
        }
        *budget -= COST_LOOK;
        if (handle && matches(q, s, handle, budget))
            return handle;
        if (clock_mono_ms() > until)
            *budget = 0;
    }
    return 0;
}
