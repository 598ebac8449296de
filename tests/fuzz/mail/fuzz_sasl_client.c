/* fuzz_sasl_client.c - hostile challenges: bounded answers, and a server that knows nothing is not believed
 */
#include "common/base/b64.h"
#include "common/mail/sasl_client.h"
#include "tests/support/fuzz.h"

/* First byte: mechanism and form; challenges follow, one per line. "+" stands for our nonce, which a fuzzer
   does not guess. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv rest, line;
    struct sasl_secret secret;
    struct sasl_client c;
    struct buf text;
    bool goes_on = true;

    if (size < 1)
        return 0;
    rest = strv_make((const char *)data + 1, size - 1);
    sasl_secret_init(&secret, SV_LIT("user,name"), SV_LIT("pencil"));
    sasl_client_init(&c, (enum sasl_mechanism)((data[0] & 3) % SASL__COUNT), &secret, SV_LIT("abcdefgh"));
    buf_init(&text, 1 << 20);
    if (data[0] & 4)
        (void)sasl_client_initial(&c);
    for (unsigned i = 0; i < 8 && goes_on && strv_cut(&rest, '\n', &line); i++) {
        buf_reset(&text);
        for (size_t k = 0; k < line.n; k++)
            if (line.p[k] == '+')
                buf_adds(&text, "abcdefgh");
            else
                buf_addc(&text, line.p[k]);
        goes_on = sasl_client_answer(&c, buf_view(&text));
        must(buf_ok(&c.answer) && (goes_on || c.answer.len == 0));
        must(goes_on == (c.why[0] == '\0'));
    }
    must(!c.proved);
    must(c.mechanism != SASL_SCRAM_SHA_256 || !sasl_client_is_done(&c));
    buf_clear(&text);
    sasl_client_clear(&c);
    sasl_secret_clear(&secret);
    return 0;
}
