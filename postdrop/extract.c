/* extract.c - recipients from texts: arguments of the command line, and the header of the message for -t */
#include "postdrop/extract.h"

#include "common/mail/header.h"
#include "common/mail/mailbox.h"

bool extract_text(struct strv text, struct buf *out, struct err *err)
{
    struct mailbox m = { 0 };
    struct mailbox_iter it;
    enum mailbox_step step;
    const char *why = "";

    mailbox_iter_init(&it, text, ADDRESS_LOCAL_OK);
    while ((step = mailbox_next(&it, &m, &why)) == MAILBOX_OK) {
        address_format(&m.address, out);
        buf_addc(out, '\n');
    }
    if (step == MAILBOX_BAD) {
        struct strv bad = strv_trim(strv_sub(text, it.last, 80));
        size_t n = 0;

        while (n < bad.n && byte_is_print((unsigned char)bad.p[n]))
            n++;
        err_set(err, ERR_PERM, "\"%.*s\" is no address: %s", (int)n, bad.p, why);
    }
    mailbox_clear(&m);
    return step == MAILBOX_END && (buf_ok(out) || err_set(err, ERR_PERM, "there are too many recipients"));
}

bool extract_header(struct strv block, struct buf *out, struct err *err)
{
    static const char *const fields[2][3] = {
        { "To", "Cc", "Bcc" },
        { "Resent-To", "Resent-Cc", "Resent-Bcc" },
    };
    struct strv set = header_resent(block);
    bool resent =
        header_count(set, fields[1][0]) || header_count(set, fields[1][1]) || header_count(set, fields[1][2]);
    struct header_field f;

    if (resent)
        block = set;
    while (header_next(&block, &f))
        for (size_t i = 0; i < 3; i++)
            if (strv_iis(f.name, fields[resent][i]) && !extract_text(f.value, out, err))
                return false;
    return true;
}
