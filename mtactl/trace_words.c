/* trace_words.c - a step of a message in words for people: a table of events with their sentences */
#include "mtactl/trace_words.h"

#include <inttypes.h>

#include "mtactl/print.h"

/* {key} is the value of a field, {key:size} a number of bytes; what stands in [] is left out when one of its
   fields is missing. */
static const struct sentence {
    const char *event, *words;
} sentences[] = {
    { "smtp.message.accepted", "accepted from {client}[ ({client_name})][, helo {helo}], sender {sender}, "
                               "{rcpts} recipient(s), {bytes:size}[, login {login}][, {tls}]" },
    { "smtp.rcpt.refused", "refused {rcpt}, sender {sender}, from {client}[ ({client_name})]: {reply}"
                           "[ (rule {rule})]" },
    { "smtp.mail.refused", "refused sender[ {sender}] from {client}[ ({client_name})]: {reply}"
                           "[ (rule {rule})]" },
    { "smtp.data.refused", "refused before the data, sender {sender}, from {client}: {reply}"
                           "[ (rule {rule})]" },
    { "smtp.message.refused", "refused after the data, sender {sender}, from {client}[ ({client_name})]: "
                              "{reply}[ (rule {rule})]" },
    { "smtp.message.unsettled", "the client {client} got no answer: nobody could tell if it was stored" },
    { "smtp.auth.ok", "login {login} of {client}[ ({client_name})] by {mechanism}" },
    { "smtp.auth.failed", "login[ {login}] of {client}[ ({client_name})][ by {mechanism}] failed: {why}" },
    { "queue.message.stored", "in the queue: {size:size}, {rcpts} recipient(s)[, to {to}][ (for {orig_to})]"
                              "[, sender {sender}][, made by {origin}][, held: {hold}]" },
    { "queue.message.refused", "not stored: {reason}" },
    { "delivery.result", "{status}[ to {to}][ (for {orig_to})][ by {relay}][: {reply}]"
                         "[; again in {retry_in} s][; notice {notice}]" },
    { "queue.message.finished", "finished after {delay} s: it has left the queue" },
    { "queue.message.held", "held[ by uid {uid}][: {reason}]" },
    { "queue.message.released", "released[ by uid {uid}][: {reason}]" },
    { "queue.message.deleted", "deleted[ by uid {uid}][: {reason}]" },
    { "queue.message.returned", "returned to its sender by the operator[, uid {uid}][: {reason}]" },
    { "queue.message.requeued", "requeued by uid {uid}: {rcpts} recipient(s) are message[ {new}] now" },
    { "queue.message.edited", "edited by uid {uid}, {rcpts} recipient(s) are message[ {new}] now: {change}" },
    { "queue.requeue.kept", "not requeued: {reason}" },
    { "queue.message.expired", "expired after {delay} s: what was not delivered fails" },
    { "queue.message.unreadable", "cannot be read: {reason}" },
    { "queue.notice.stored", "its sender is told ({notice_kind}) by message {notice}" },
    { "queue.notice.failed", "the notice could not be made now: {reason}" },
    { "queue.job.lost", "deliverd ended with this delivery; it is tried again" },
    { "relay.host.failed", "{relay} did not take it[ at {step}]: {error}" },
    { "relay.tls.plain", "TLS with {relay} did not work, sent in the clear: {error}" },
    { "cleanup.notice.composed", "this is a notice ({notice_kind}) about message {about}, for {rcpt}" },
    { "cleanup.drop.taken", "submitted on this host by uid {uid}, sender {sender}" },
    { "cleanup.forward.taken", "sent on by {rcpt}, whose ~/.forward says so; it was message {about}" },
    { "cleanup.requeue.taken", "through cleanup again; it was message {about}" },
    { "cleanup.requeue.refused", "not requeued: {why}" },
    { "cleanup.message.discarded", "accepted and discarded: {rcpt} leads to /dev/null" },
    { "cleanup.resolve.failed", "{rcpt} could not be resolved: {why}[ (rule {rule})]" },
    { "cleanup.alias.broken", "alias {rcpt} has a member that does not exist[ (rule {rule})]" },
};

static bool field_put(struct buf *out, const struct row *r, struct strv name)
{
    char key[64];
    const struct value *v;
    size_t colon = name.n;
    bool size = strv_find(name, ':', &colon);

    if (!strv_cstr(strv_sub(name, 0, colon), key, sizeof key))
        return false;
    v = row_find(r, key);
    if (!v)
        return false;
    if (v->text) {
        print_safe(out, strv_make(v->text, v->text_n));
        return v->text_n > 0;
    }
    if (size)
        print_size(out, v->number);
    else
        buf_addf(out, "%" PRIu64, v->number);
    return true;
}

/* Up to the end, or the bracket that ends it; false: a field was missing. */
static bool part_put(struct buf *out, const struct row *r, struct strv *words, unsigned depth)
{
    bool whole = true;

    while (words->n && words->p[0] != ']') {
        char c = words->p[0];
        size_t end = 0;

        *words = strv_from(*words, 1);
        if (c == '{' && strv_find(*words, '}', &end)) {
            whole = field_put(out, r, strv_sub(*words, 0, end)) && whole;
            *words = strv_from(*words, end + 1);
        } else if (c == '[' && depth < 2) {
            size_t from = out->len;

            if (!part_put(out, r, words, depth + 1))
                buf_cut(out, from);
            *words = strv_from(*words, 1);
        } else {
            buf_addc(out, c);
        }
    }
    return whole;
}

/* An event without a sentence: as the log has it. */
static void fields_put(struct buf *out, const struct row *r)
{
    static const char *const known[] = { "at", "daemon", "level", "event", "id", "sid" };

    print_safe(out, row_text(r, "event"));
    for (size_t i = 0; i < r->n; i++) {
        bool skip = false;

        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            skip = skip || strcmp(r->values[i].name, known[k]) == 0;
        if (skip)
            continue;
        buf_addf(out, " %s=", r->values[i].name);
        field_put(out, r, SV(r->values[i].name));
    }
}

void trace_words(struct buf *out, const struct row *r)
{
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
        struct strv words = SV(sentences[i].words);

        if (!strv_is(row_text(r, "event"), sentences[i].event))
            continue;
        part_put(out, r, &words, 0);
        return;
    }
    fields_put(out, r);
}
