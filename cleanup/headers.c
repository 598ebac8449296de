/* headers.c - the header block as it is stored: hop count, trace field, what RFC 5322 asks of own clients
 *
 * Mail of strangers passes unchanged below the new trace field: a signature may cover any field, and mending
 * a foreign message makes it ours (RFC 6409 8 leaves that to submission). A Return-Path that came along is
 * left too; RFC 5321 4.4 gives it to the final delivery to remove. Own clients hand in their mail here, so
 * here it gets the Date and Message-ID that it must have (RFC 5322 3.6), loses Bcc (3.6.3: the recipients
 * must not see it) and a Return-Path (RFC 5321 4.4: an originating system should not send one).
 */
#include "cleanup/headers.h"

#include "cleanup/drop.h"
#include "cleanup/pipeline.h"
#include "cleanup/qualify.h"
#include "cleanup/service.h"
#include "common/base/clock.h"
#include "common/mail/mailbox.h"
#include "common/mail/priority.h"
#include "common/mail/received.h"
#include "conf/address.h"
#include "conf/conf.h"
#include "conf/queue.h"
#include "conf/top.h"

/* What one pass over the block finds. */
struct survey {
    size_t hops;
    bool date, from, message_id, resent, resent_any, resent_date, resent_id, drop, bulk;
};

static const char *const dropped[] = { "Bcc", "Resent-Bcc", "Return-Path" };

static bool is_dropped(struct strv name)
{
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
        if (strv_iis(name, dropped[i]))
            return true;
    return false;
}

static void survey_field(struct survey *s, const struct header_field *f)
{
    struct strv name = f->name;

    /* By first letter: most fields of a message are none of these. */
    switch (byte_lower(name.p[0])) {
    case 'b': s->drop |= is_dropped(name); return;
    case 'd': s->date |= strv_iis(name, "Date"); return;
    case 'f': s->from |= strv_iis(name, "From"); return;
    case 'l':
    case 'p': s->bulk |= priority_field_is_bulk(name, f->value); return;
    case 'm': s->message_id |= strv_iis(name, "Message-ID"); return;
    case 'r':
        s->hops += strv_iis(name, "Received");
        s->drop |= is_dropped(name);
        if (!strv_istarts(name, SV_LIT("Resent-")))
            return;
        s->resent_any = true;
        return;
    default: return;
    }
}

static struct survey survey(struct strv block)
{
    struct survey s = { 0 };
    struct header_field f;

    while (header_next(&block, &f))
        if (f.name.n)
            survey_field(&s, &f);
    return s;
}

/* What the set of the last resending has; older ones are what they are. */
static void survey_resent(struct strv set, struct survey *s)
{
    s->resent_date = header_count(set, "Resent-Date") > 0;
    s->resent_id = header_count(set, "Resent-Message-ID") > 0;
    s->resent = header_count(set, "Resent-From") > 0 || header_count(set, "Resent-Sender") > 0;
}

static void add_date(struct buf *out, const char *name, int64_t wall_ms)
{
    char text[64];

    clock_rfc5322(wall_ms, text, sizeof text);
    header_add(out, name, SV(text));
}

static void add_resent_id(struct buf *out, const struct headers_in *in)
{
    buf_addf(out, "Resent-Message-ID: <%.*s@%.*s>\r\n", (int)in->id.n, in->id.p, (int)in->hostname.n,
             in->hostname.p);
}

/* A full name may hold any byte over 127: RFC 2047, and what is not UTF-8 is shown as broken as it is. */
static void add_from(const struct mailbox *from, struct buf *out)
{
    struct strv name = buf_view(&from->name);
    struct buf value;
    bool ascii = true;

    buf_init(&value, 8192);
    for (size_t i = 0; i < name.n; i++)
        ascii &= (unsigned char)name.p[i] < 0x80;
    if (ascii) {
        mailbox_format(name, &from->address, &value);
    } else {
        header_encode(name, &value);
        buf_addc(&value, ' ');
        address_format_path(&from->address, &value);
    }
    header_add(out, "From", buf_view(&value));
    buf_clear(&value);
}

/* RFC 5322 3.6.6: resent fields stand together, before everything older, and each set is complete. */
static void add_resent(const struct headers_in *in, const struct survey *s, struct buf *out)
{
    if (s->resent && !s->resent_date)
        add_date(out, "Resent-Date", in->wall_ms);
    if (s->resent && !s->resent_id)
        add_resent_id(out, in);
}

static void add_missing(const struct headers_in *in, const struct survey *s, struct buf *out)
{
    if (!s->date)
        header_add_date(out, in->wall_ms);
    if (!s->from && in->from)
        add_from(in->from, out);
    if (!s->message_id)
        header_add_message_id(out, in->id, in->hostname);
}

static void copy_kept(const struct headers_in *in, struct buf *out)
{
    struct strv block = in->block;
    struct header_field f;

    while (header_next(&block, &f))
        if (!is_dropped(f.name) && !(in->domain.n && qualify_field(&f, in->domain, out)))
            buf_addv(out, f.whole);
}

enum headers_verdict headers_build(const struct headers_in *in, struct buf *out)
{
    struct survey s = survey(in->block);

    if (s.hops > in->max_hops)
        return HEADERS_LOOP;
    if (in->bulk)
        *in->bulk |= s.bulk;
    received_write(in->received, out);
    if (in->warning.n) {
        buf_adds(out, "X-Authentication-Warning: ");
        buf_addv(out, in->hostname);
        buf_adds(out, ": ");
        buf_addv(out, in->warning); /* postdrop's words: one line, no control bytes */
        buf_adds(out, "\r\n");
    }
    if (in->own && s.resent_any) {
        survey_resent(header_resent(in->block), &s);
        add_resent(in, &s, out);
    }
    if (in->own && !s.resent_any)
        add_missing(in, &s, out);
    if (in->own && (s.drop || in->domain.n))
        copy_kept(in, out);
    else
        buf_addv(out, in->block);
    /* They are the message's own: in front they would part the resent fields. */
    if (in->own && s.resent_any) {
        if (!strv_ends(buf_view(out), SV_LIT("\r\n")))
            buf_adds(out, "\r\n");
        add_missing(in, &s, out);
    }
    return buf_ok(out) ? HEADERS_OK : HEADERS_TOO_BIG;
}

static unsigned protocol_flags(struct strv word)
{
    static const struct {
        const char *word;
        unsigned flags;
    } words[] = {
        { "SMTP", 0 },
        { "ESMTP", RECEIVED_ESMTP },
        { "ESMTPS", RECEIVED_ESMTP | RECEIVED_TLS },
        { "ESMTPA", RECEIVED_ESMTP | RECEIVED_AUTH },
        { "ESMTPSA", RECEIVED_ESMTP | RECEIVED_TLS | RECEIVED_AUTH },
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strv_is(word, words[i].word))
            return words[i].flags;
    return 0;
}

/* RFC 5321 7.6: with several recipients the trace field names none, or it would give away the blind ones. */
static bool only_rcpt(const struct txn *t, struct address *out)
{
    const struct txn_rcpt *r = t->rcpts;

    if (t->accepted != 1)
        return false;
    while (r && r->state != RCPT_ACCEPTED)
        r = r->next;
    return r && address_parse(txn_view(t, r->rcpt), ADDRESS_LOCAL_OK, out, NULL);
}

/* Who stands in the From of a message of an own client that has none: the sender of the envelope. */
static bool sender_from(const struct txn *t, struct mailbox *out)
{
    return t->own && !t->drop && t->sender.n > 0 &&
           address_parse(txn_view(t, t->sender), 0, &out->address, NULL);
}

static bool sender_is_bulk(const struct conf_queue *queue, struct strv sender)
{
    size_t at;

    return queue && queue->bulk_senders.n && strv_rfind(sender, '@', &at) &&
           (conf_strings_have(&queue->bulk_senders, sender) ||
            conf_strings_have(&queue->bulk_senders, strv_from(sender, at)));
}

void headers_run(struct txn *t)
{
    const struct conf *conf = t->cl->conf;
    struct address rcpt = { 0 };
    struct received trace = {
        .helo = txn_view(t, t->helo),
        .client_name = txn_view(t, t->client_name),
        .by = SV(conf->top->hostname),
        .protocol = protocol_flags(txn_view(t, t->protocol)),
        .tls = txn_view(t, t->tls),
        .uid = -1,
        .id = SV(t->id_text),
        .wall_ms = clock_wall_ms(),
    };
    struct headers_in in = {
        .block = buf_view(&t->head),
        .received = &trace,
        .own = t->own,
        .id = SV(t->id_text),
        .hostname = SV(conf->top->hostname),
        .wall_ms = t->arrival_ms,
        .max_hops = (size_t)conf->address->max_hops,
    };
    enum headers_verdict verdict;
    struct mailbox from;
    bool bulk = sender_is_bulk(conf->queue, txn_view(t, t->sender));

    if (t->again) {
        buf_addv(&t->new_head, buf_view(&t->head));
        txn_next(t);
        return;
    }
    in.bulk = &bulk;
    if (drop_from(t, &from)) {
        const struct conf_top *top = conf->top;

        in.from = &from;
        in.warning = drop_warning(t);
        in.domain = SV(top->domains.n ? top->domains.v[0] : top->hostname);
        trace.uid = (int64_t)drop_uid(t->drop);
    } else if (sender_from(t, &from)) {
        in.from = &from;
    }
    netaddr_parse_ip(txn_view(t, t->client), &trace.client);
    if (only_rcpt(t, &rcpt))
        trace.rcpt = &rcpt;
    verdict = headers_build(&in, &t->new_head);
    address_clear(&rcpt);
    mailbox_clear(&from);
    if (bulk)
        t->priority |= PRIORITY_BULK;
    switch (verdict) {
    case HEADERS_OK: txn_next(t); return;
    case HEADERS_LOOP:
        txn_refuse(t, VERDICT_REFUSE, 554, "5.4.6", "Too many hops: this message goes round in a circle",
                   "address.max_hops");
        txn_stop(t);
        return;
    case HEADERS_TOO_BIG:
        txn_refuse(t, VERDICT_REFUSE, 552, "5.3.4", "The header of the message is too big", "header size");
        txn_stop(t);
        return;
    }
}
