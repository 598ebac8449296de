/* fuzz_address.c - an address that is taken can be written and read back unchanged, and its parts are
   harmless */
#include "common/mail/address.h"
#include "common/mail/domain.h"
#include "tests/support/fuzz.h"

static void round_trip(struct strv in, unsigned flags)
{
    struct address a, b;
    struct buf out;
    const char *why = NULL;

    if (!address_parse(in, flags, &a, &why)) {
        must(why != NULL && address_is_null(&a));
        return;
    }
    buf_init(&out, 4096);
    address_format(&a, &out);
    must(out.len <= ADDRESS_MAX);
    must(address_parse(buf_view(&out), flags, &b, NULL) && address_eq(&a, &b));
    address_clear(&b);
    must(address_make(a.local, a.domain, flags, &b, NULL) && address_eq(&a, &b));
    address_clear(&b);
    for (size_t i = 0; i < out.len; i++)
        must(byte_is_print((unsigned char)out.data[i]) || ((out.data[i] & 0x80) && (flags & ADDRESS_UTF8)));
    must(a.kind != ADDRESS_DOMAIN || domain_ok(a.domain, flags & ADDRESS_UTF8 ? DOMAIN_UTF8 : 0, NULL));
    buf_reset(&out);
    address_key(&a, &out);
    must(out.len == a.local.n + (a.kind == ADDRESS_LOCAL ? 0 : 1 + a.domain.n));
    address_clear(&a);
    buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv in = strv_make((const char *)data, size), base, ext;

    round_trip(in, 0);
    round_trip(in, ADDRESS_LOCAL_OK);
    round_trip(in, ADDRESS_UTF8 | ADDRESS_LOCAL_OK);
    if (address_split_extension(in, SV_LIT("+-"), &base, &ext))
        must(base.n > 0 && base.n + 1 + ext.n == in.n);
    helo_ok(in);
    return 0;
}
