/* test_sasl.c - AUTH exchanges: PLAIN, LOGIN, and SCRAM's example of RFC 7677 byte by byte */
#include "tests/support/unit.h"

#include "common/base/b64.h"
#include "common/mail/sasl.h"

#include <string.h>

static enum sasl_step say(struct sasl *s, const char *raw, size_t n, bool initial)
{
    struct buf b;
    enum sasl_step step;

    buf_init(&b, 8192);
    b64_encode(strv_make(raw, n), &b);
    step = initial ? sasl_begin(s, b.len ? buf_view(&b) : SV_LIT("=")) : sasl_input(s, buf_view(&b));
    buf_clear(&b);
    return step;
}

#define RAW(s) (s), sizeof(s) - 1

static const struct {
    const char *what, *raw;
    size_t n;
    enum sasl_step step;
    const char *login, *password;
} plain[] = {
    { "usual", RAW("\0dad\0secret"), SASL_PASSWORD, "dad", "secret" },
    { "authzid the same", RAW("dad\0dad\0secret"), SASL_PASSWORD, "dad", "secret" },
    { "spaces in the password", RAW("\0d@x\0 a b "), SASL_PASSWORD, "d@x", " a b " },
    { "as somebody else", RAW("root\0dad\0secret"), SASL_BAD, NULL, NULL },
    { "no password", RAW("\0dad\0"), SASL_BAD, NULL, NULL },
    { "no login", RAW("\0\0secret"), SASL_BAD, NULL, NULL },
    { "one NUL", RAW("dad\0secret"), SASL_BAD, NULL, NULL },
    { "no NUL", RAW("dad"), SASL_BAD, NULL, NULL },
    { "three NULs", RAW("\0dad\0sec\0ret"), SASL_BAD, NULL, NULL },
    { "newline in the login", RAW("\0da\nd\0secret"), SASL_BAD, NULL, NULL },
    { "empty", RAW(""), SASL_BAD, NULL, NULL },
};

static void test_plain(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        for (int initial = 0; initial < 2; initial++) {
            struct sasl s;
            enum sasl_step step;

            sasl_init(&s, SASL_PLAIN, SV_LIT(""));
            if (!initial)
                assert_int_equal(sasl_begin(&s, strv_make(NULL, 0)), SASL_CHALLENGE);
            assert_int_equal(s.challenge.len, 0);
            step = say(&s, plain[i].raw, plain[i].n, initial);
            if (step != plain[i].step)
                fail_msg("%s: %d", plain[i].what, step);
            if (plain[i].login) {
                assert_string_equal(buf_cstr(&s.login), plain[i].login);
                assert_string_equal(buf_cstr(&s.secret), plain[i].password);
            }
            sasl_clear(&s);
        }
    }
}

static void test_login(void **state)
{
    struct sasl s;

    (void)state;
    sasl_init(&s, SASL_LOGIN, SV_LIT(""));
    assert_int_equal(sasl_begin(&s, strv_make(NULL, 0)), SASL_CHALLENGE);
    assert_string_equal(buf_cstr(&s.challenge), "Username:");
    assert_int_equal(say(&s, "dad", 3, false), SASL_CHALLENGE);
    assert_string_equal(buf_cstr(&s.challenge), "Password:");
    assert_int_equal(say(&s, "secret", 6, false), SASL_PASSWORD);
    assert_string_equal(buf_cstr(&s.login), "dad");
    assert_string_equal(buf_cstr(&s.secret), "secret");
    assert_int_equal(say(&s, "more", 4, false), SASL_BAD);
    sasl_clear(&s);

    sasl_init(&s, SASL_LOGIN, SV_LIT(""));
    assert_int_equal(say(&s, "dad", 3, true), SASL_CHALLENGE);
    assert_int_equal(sasl_input(&s, SV_LIT("*")), SASL_CANCELLED);
    sasl_clear(&s);

    sasl_init(&s, SASL_LOGIN, SV_LIT(""));
    assert_int_equal(sasl_begin(&s, SV_LIT("!!!")), SASL_BAD);
    sasl_clear(&s);
}

/* RFC 7677 3 */
#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define FIRST_BARE   "n=user,r=" CLIENT_NONCE
#define SERVER_FIRST "r=" CLIENT_NONCE SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define FINAL_BARE   "c=biws,r=" CLIENT_NONCE SERVER_NONCE
#define PROOF        ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static enum sasl_step scram_to_final(struct sasl *s, const char *final)
{
    sasl_init(s, SASL_SCRAM_SHA_256, SV_LIT(SERVER_NONCE));
    assert_int_equal(say(s, RAW("n,," FIRST_BARE), true), SASL_SALT);
    assert_string_equal(buf_cstr(&s->login), "user");
    assert_int_equal(sasl_salt(s, SV_LIT("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096), SASL_CHALLENGE);
    assert_string_equal(buf_cstr(&s->challenge), SERVER_FIRST);
    return say(s, final, strlen(final), false);
}

static void test_scram(void **state)
{
    uint8_t signature[32];
    struct buf raw;
    struct sasl s;

    (void)state;
    assert_int_equal(scram_to_final(&s, FINAL_BARE PROOF), SASL_PROOF);
    assert_string_equal(buf_cstr(&s.text), FIRST_BARE "," SERVER_FIRST "," FINAL_BARE);
    buf_init(&raw, 32);
    assert_true(b64_decode(SV_LIT("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), &raw));
    memcpy(signature, raw.data, 32);
    buf_clear(&raw);
    assert_int_equal(sasl_signature(&s, signature), SASL_CHALLENGE);
    assert_string_equal(buf_cstr(&s.challenge), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_int_equal(sasl_input(&s, SV_LIT("")), SASL_GOOD);
    sasl_clear(&s);
}

static const char *const bad_finals[] = {
    "c=eSws,r=" CLIENT_NONCE SERVER_NONCE PROOF,     /* another header than at first */
    "c=biws,r=" CLIENT_NONCE "x" PROOF,              /* another nonce */
    "c=biws,r=" CLIENT_NONCE SERVER_NONCE,           /* no proof */
    "c=biws,r=" CLIENT_NONCE SERVER_NONCE ",p=dHzb", /* a short one */
    "r=" CLIENT_NONCE SERVER_NONCE ",c=biws" PROOF,  /* order */
    "",
};

static const char *const bad_firsts[] = {
    "p=tls-unique,,n=user,r=abc",
    "n,,n=user",
    "n,,r=abc,n=user",
    "n,,n=,r=abc",
    "n,,n=us=er,r=abc",
    "n,,n=user,r=",
    "n,a=other,n=user,r=abc",
    "x,,n=user,r=abc",
    "n,n=user,r=abc",
    "n",
    "",
    "n,,m=x,n=user,r=abc",
    "n,,n=user,r=a b",
};

static void test_scram_refusals(void **state)
{
    struct sasl s;

    (void)state;
    for (size_t i = 0; i < sizeof bad_finals / sizeof *bad_finals; i++) {
        assert_int_equal(scram_to_final(&s, bad_finals[i]), SASL_BAD);
        sasl_clear(&s);
    }
    for (size_t i = 0; i < sizeof bad_firsts / sizeof *bad_firsts; i++) {
        sasl_init(&s, SASL_SCRAM_SHA_256, SV_LIT("server"));
        if (say(&s, bad_firsts[i], strlen(bad_firsts[i]), true) != SASL_BAD)
            fail_msg("%s", bad_firsts[i]);
        sasl_clear(&s);
    }
    sasl_init(&s, SASL_SCRAM_SHA_256, SV_LIT("server"));
    assert_int_equal(say(&s, RAW("y,a=a=2Cb=3D,n=a=2Cb=3D,r=abc"), true), SASL_SALT);
    assert_string_equal(buf_cstr(&s.login), "a,b=");
    sasl_clear(&s);
}

static void test_names(void **state)
{
    enum sasl_mechanism m;

    (void)state;
    assert_true(sasl_find(SV_LIT("plain"), &m));
    assert_int_equal(m, SASL_PLAIN);
    assert_true(sasl_find(SV_LIT("Scram-SHA-256"), &m));
    assert_false(sasl_find(SV_LIT("CRAM-MD5"), &m));
    assert_false(sasl_find(SV_LIT(""), &m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),          cmocka_unit_test(test_login), cmocka_unit_test(test_scram),
        cmocka_unit_test(test_scram_refusals), cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
