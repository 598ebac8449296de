/* qualify.c - names without a domain in header fields of own clients */
#include "cleanup/qualify.h"

#include "common/mail/mailbox.h"

static const char *const names[] = {
    "From",        "Sender",        "Reply-To",        "To",        "Cc",        "Bcc",
    "Resent-From", "Resent-Sender", "Resent-Reply-To", "Resent-To", "Resent-Cc", "Resent-Bcc",
};

static bool has_addresses(struct strv name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strv_iis(name, names[i]))
            return true;
    return false;
}

/* Where the local part ends in what may be `root (Cron Daemon)`; s.n when that is not plain to see. */
static size_t word_end(struct strv s)
{
    for (size_t i = 0; i < s.n; i++)
        if (byte_in_set(s.p[i], " \t\r\n("))
            return i;
    return s.n;
}

static void write_one(const struct mailbox *m, struct strv domain, struct buf *out)
{
    struct strv word = strv_sub(m->spec, 0, word_end(m->spec));

    if (strv_eq(word, m->address.local)) {
        buf_addv(out, word);
    } else {
        /* Quoted, or with comments between: written anew. */
        word = m->spec;
        address_format(&m->address, out);
    }
    buf_addc(out, '@');
    buf_addv(out, domain);
    buf_addv(out, strv_from(m->spec, word.n));
}

bool qualify_field(const struct header_field *f, struct strv domain, struct buf *out)
{
    struct mailbox m = { 0 };
    struct mailbox_iter it;
    enum mailbox_step step;
    size_t before = out->len, copied = 0;
    bool changed = false;

    if (!has_addresses(f->name))
        return false;
    mailbox_iter_init(&it, f->value, ADDRESS_LOCAL_OK | ADDRESS_UTF8);
    while ((step = mailbox_next(&it, &m, NULL)) == MAILBOX_OK) {
        if (m.address.kind != ADDRESS_LOCAL)
            continue;
        if (!changed) /* from the name on: as it was written, colon included */
            buf_add(out, f->whole.p, (size_t)(f->value.p - f->whole.p));
        changed = true;
        buf_add(out, f->value.p + copied, (size_t)(m.spec.p - f->value.p) - copied);
        write_one(&m, domain, out);
        copied = (size_t)(m.spec.p + m.spec.n - f->value.p);
    }
    mailbox_clear(&m);
    if (step == MAILBOX_BAD) {
        buf_cut(out, before);
        return false;
    }
    if (changed)
        buf_add(out, f->value.p + copied, (size_t)(f->whole.p + f->whole.n - f->value.p) - copied);
    return changed;
}
