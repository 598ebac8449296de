/* test_credential.c - hashes of crypt(3) and SCRAM secrets against known answers (RFC 7677 3) */
#include "tests/support/unit.h"

#include "common/base/b64.h"
#include "maps/credential.h"

#include <crypt.h>
#include <string.h>

#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define AUTH_MESSAGE                                                                                         \
    "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=" SALT             \
    ",i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

static void bytes(const char *b64, uint8_t out[32])
{
    struct buf raw;

    buf_init(&raw, 32);
    assert_true(b64_decode(SV(b64), &raw));
    memcpy(out, raw.data, 32);
    buf_clear(&raw);
}

static void test_scram(void **state)
{
    struct credential_scram c;
    uint8_t proof[32], signature[32], want[32];
    struct err err = { 0 };
    struct buf text;

    (void)state;
    buf_init(&text, 1000);
    credential_scram_write(SV_LIT("pencil"), SV_LIT(SALT), 4096, &text);
    assert_true(credential_scram_read(buf_view(&text), &c));
    assert_int_equal(c.iterations, 4096);
    bytes("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", proof);
    bytes("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", want);
    assert_true(credential_scram_verify(&c, SV_LIT(AUTH_MESSAGE), proof, signature));
    assert_memory_equal(signature, want, 32);
    proof[0] ^= 1;
    assert_false(credential_scram_verify(&c, SV_LIT(AUTH_MESSAGE), proof, signature));
    assert_int_equal(credential_check(buf_view(&text), SV_LIT("pencil"), &err), ANSWER_FOUND);
    assert_int_equal(credential_check(buf_view(&text), SV_LIT("Pencil"), &err), ANSWER_ABSENT);
    buf_clear(&text);
}

static void test_scram_texts(void **state)
{
    static const char *const bad[] = {
        "",
        "{SCRAM-SHA-256}",
        "{SCRAM-SHA-256}4096",
        "{SCRAM-SHA-256}4096," SALT,
        "{SCRAM-SHA-256}0,a,b,c",
        "{SCRAM-SHA-256}4096," SALT ",AAAA,AAAA",
        "{SCRAM-SHA-1}4096," SALT ",AAAA,AAAA",
        "{SCRAM-SHA-256}99999999999," SALT ",AAAA,AAAA",
    };
    struct credential_scram c;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(credential_scram_read(SV(bad[i]), &c));
}

static void test_crypt(void **state)
{
    static const char *const kinds[] = { "$y$", "$6$", "$5$", "$2b$" };
    struct err err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char setting[CRYPT_GENSALT_OUTPUT_SIZE], hash[CRYPT_OUTPUT_SIZE];
        struct crypt_data data = { 0 };

        assert_non_null(crypt_gensalt_rn(kinds[i], 0, NULL, 0, setting, sizeof setting));
        snprintf(hash, sizeof hash, "%s", crypt_r("s3cret", setting, &data));
        assert_int_equal(credential_check(SV(hash), SV_LIT("s3cret"), &err), ANSWER_FOUND);
        assert_int_equal(credential_check(SV(hash), SV_LIT("S3cret"), &err), ANSWER_ABSENT);
        assert_int_equal(credential_check(SV(hash), SV_LIT(""), &err), ANSWER_ABSENT);
    }
    assert_int_equal(credential_check(SV_LIT("$nonsense$x$y"), SV_LIT("a"), &err), ANSWER_FAILED);
}

/* A locked account, a password in the clear and the eight characters of DES let nobody in. */
static void test_no_hash(void **state)
{
    static const char *const texts[] = { "", "*", "!", "secret", "abJnggxhB/yWI", "!$6$a$b" };
    struct err err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(credential_check(SV(texts[i]), SV(texts[i]), &err), ANSWER_ABSENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scram),
        cmocka_unit_test(test_scram_texts),
        cmocka_unit_test(test_crypt),
        cmocka_unit_test(test_no_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
