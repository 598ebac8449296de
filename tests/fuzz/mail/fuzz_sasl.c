/* fuzz_sasl.c - hostile AUTH exchanges: what comes out is bounded and clean, whatever the order of lines */
#include "common/base/b64.h"
#include "common/mail/sasl.h"
#include "tests/support/fuzz.h"

static void look(const struct sasl *s, enum sasl_step step)
{
    must(s->login.len <= SASL_LOGIN_MAX && s->secret.len <= SASL_PASSWORD_MAX);
    must(buf_ok(&s->challenge));
    if (step != SASL_PASSWORD && step != SASL_SALT && step != SASL_PROOF)
        return;
    must(s->login.len > 0);
    for (size_t i = 0; i < s->login.len; i++)
        must((unsigned char)s->login.data[i] >= 32 && s->login.data[i] != 127);
    if (step == SASL_PASSWORD)
        must(s->secret.len > 0 && !strv_has(buf_view(&s->secret), '\0'));
}

/* First byte: mechanism and form; lines follow, as they are or encoded first. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv rest = { (const char *)data + 1, size - 1 }, line;
    static const uint8_t signature[32];
    struct sasl s;
    struct buf b64;
    enum sasl_step step;
    bool encode, initial;

    if (size < 1)
        return 0;
    encode = data[0] & 4;
    initial = data[0] & 8;
    sasl_init(&s, (enum sasl_mechanism)((data[0] & 3) % SASL__COUNT), SV_LIT("servernonce"));
    buf_init(&b64, 1 << 20);
    step = initial ? SASL_CHALLENGE : sasl_begin(&s, strv_make(NULL, 0));
    for (unsigned i = 0; i < 8 && strv_cut(&rest, '\n', &line); i++) {
        buf_reset(&b64);
        if (encode)
            b64_encode(line, &b64);
        else
            buf_addv(&b64, line);
        step = i == 0 && initial ? sasl_begin(&s, buf_view(&b64)) : sasl_input(&s, buf_view(&b64));
        look(&s, step);
        if (step == SASL_SALT)
            step = sasl_salt(&s, SV_LIT("c2FsdA=="), 4096);
        else if (step == SASL_PROOF)
            step = sasl_signature(&s, signature);
        if (step != SASL_CHALLENGE)
            break;
        look(&s, step);
    }
    buf_clear(&b64);
    sasl_clear(&s);
    return 0;
}
