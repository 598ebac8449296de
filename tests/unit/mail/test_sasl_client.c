/* test_sasl_client.c - AUTH as a client: the RFCs' vectors, every way a server can lie, and our own server */
#include "tests/support/unit.h"

#include "common/base/b64.h"
#include "common/mail/sasl_client.h"

#define NONCE        "rOprNGfwEbeRWgbNEkqO"
#define SERVER_FIRST "r=" NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

struct pair {
    struct sasl_secret secret;
    struct sasl_client c;
};

static void begin(struct pair *p, enum sasl_mechanism m, struct strv login, struct strv password)
{
    sasl_secret_init(&p->secret, login, password);
    sasl_client_init(&p->c, m, &p->secret, SV_LIT(NONCE));
}

static void end(struct pair *p)
{
    sasl_client_clear(&p->c);
    sasl_secret_clear(&p->secret);
}

static void says(const struct pair *p, struct strv want)
{
    struct strv got = buf_view(&p->c.answer);

    if (!strv_eq(got, want))
        fail_msg("says `%.*s`, not `%.*s`", (int)got.n, got.p, (int)want.n, want.p);
}

static void plain_and_login(void **state)
{
    struct pair p;

    (void)state;
    begin(&p, SASL_PLAIN, SV_LIT("tim"), SV_LIT("tanstaaftanstaaf"));
    assert_true(sasl_client_initial(&p.c));
    says(&p, SV_LIT("\0tim\0tanstaaftanstaaf")); /* RFC 4616 4 */
    assert_true(sasl_client_is_done(&p.c));
    assert_false(sasl_client_answer(&p.c, SV_LIT("more")));
    says(&p, SV_LIT(""));
    end(&p);

    begin(&p, SASL_PLAIN, SV_LIT("tim"), SV_LIT("x"));
    assert_true(sasl_client_answer(&p.c, SV_LIT("")));
    says(&p, SV_LIT("\0tim\0x"));
    assert_false(sasl_client_answer(&p.c, SV_LIT("")));
    end(&p);

    begin(&p, SASL_LOGIN, SV_LIT("tim"), SV_LIT("x"));
    assert_false(sasl_client_initial(&p.c));
    assert_false(sasl_client_is_done(&p.c));
    assert_true(sasl_client_answer(&p.c, SV_LIT("Benutzername:")));
    says(&p, SV_LIT("tim"));
    assert_false(sasl_client_is_done(&p.c));
    assert_true(sasl_client_answer(&p.c, SV_LIT("Password:")));
    says(&p, SV_LIT("x"));
    assert_true(sasl_client_is_done(&p.c));
    assert_false(sasl_client_answer(&p.c, SV_LIT("Favourite colour:")));
    end(&p);
}

static void scram_of_the_rfc(void **state)
{
    struct pair p;

    (void)state;
    begin(&p, SASL_SCRAM_SHA_256, SV_LIT("user"), SV_LIT("pencil"));
    assert_true(sasl_client_initial(&p.c));
    says(&p, SV_LIT("n,,n=user,r=" NONCE));
    assert_false(sasl_client_is_done(&p.c));
    assert_true(sasl_client_answer(&p.c, SV_LIT(SERVER_FIRST)));
    says(&p, SV_LIT("c=biws,r=" NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+"
                    "Ute9ytag9zjfMHgsqmmiz7AndVQ="));
    assert_false(sasl_client_is_done(&p.c)); /* 235 now would be anybody's */
    assert_true(sasl_client_answer(&p.c, SV_LIT(SERVER_FINAL)));
    says(&p, SV_LIT(""));
    assert_true(sasl_client_is_done(&p.c));

    /* The keys are kept: the same salt computes nothing, another salt does. */
    assert_true(p.secret.keys_known);
    sasl_client_clear(&p.c);
    memset(p.secret.client_key, 0, 32);
    sasl_client_init(&p.c, SASL_SCRAM_SHA_256, &p.secret, SV_LIT(NONCE));
    assert_true(sasl_client_initial(&p.c) && sasl_client_answer(&p.c, SV_LIT(SERVER_FIRST)));
    assert_false(strv_has(buf_view(&p.c.answer), 'Z')); /* not the proof of above */
    end(&p);
}

static void names_are_escaped(void **state)
{
    struct pair p;

    (void)state;
    begin(&p, SASL_SCRAM_SHA_256, SV_LIT("a,b=c"), SV_LIT("x"));
    assert_true(sasl_client_initial(&p.c));
    says(&p, SV_LIT("n,,n=a=2Cb=3Dc,r=" NONCE));
    end(&p);
}

static void servers_that_lie(void **state)
{
    static const struct {
        const char *name, *first, *final, *why;
    } cases[] = {
        { "no sense", "hello", NULL, "its challenge makes no sense" },
        { "empty", "", NULL, "its challenge makes no sense" },
        { "mandatory extension", "m=x," SERVER_FIRST, NULL, "its challenge makes no sense" },
        { "nonce of another exchange", "r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", NULL,
          "its nonce does not go on from ours" },
        { "nonce without its part", "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", NULL,
          "its nonce does not go on from ours" },
        { "salt that is no base64", "r=" NONCE "x,s=W22Z!,i=4096", NULL, "its challenge makes no sense" },
        { "no salt", "r=" NONCE "x,s=,i=4096", NULL, "its challenge makes no sense" },
        { "no iterations", "r=" NONCE "x,s=W22Z", NULL, "its challenge makes no sense" },
        { "too few", "r=" NONCE "x,s=W22Z,i=4095", NULL, "it wants too few iterations to be safe" },
        { "too many", "r=" NONCE "x,s=W22Z,i=600001", NULL, "it wants too many iterations" },
        { "far too many", "r=" NONCE "x,s=W22Z,i=99999999999999999999", NULL,
          "its challenge makes no sense" },
        { "line break", "r=" NONCE "x\r\n,s=W22Z,i=4096", NULL, "its challenge makes no sense" },
        { "wrong signature", SERVER_FIRST,
          "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", "it does not prove that it knows the password" },
        { "another signature", SERVER_FIRST,
          "v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "it does not prove that it knows the password" },
        { "short signature", SERVER_FIRST, "v=6rri", "it does not prove that it knows the password" },
        { "no signature", SERVER_FIRST, "", "it does not prove that it knows the password" },
        { "error", SERVER_FIRST, "e=invalid-proof", "it does not prove that it knows the password" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pair p;
        bool ok;

        begin(&p, SASL_SCRAM_SHA_256, SV_LIT("user"), SV_LIT("pencil"));
        assert_true(sasl_client_initial(&p.c));
        ok = sasl_client_answer(&p.c, SV(cases[i].first));
        if (ok != (cases[i].final != NULL))
            fail_msg("%s: %s", cases[i].name, p.c.why);
        if (cases[i].final && sasl_client_answer(&p.c, SV(cases[i].final)))
            fail_msg("%s: believed", cases[i].name);
        if (strcmp(p.c.why, cases[i].why) != 0)
            fail_msg("%s: %s", cases[i].name, p.c.why);
        if (p.c.answer.len || sasl_client_is_done(&p.c))
            fail_msg("%s: goes on", cases[i].name);
        end(&p);
    }
}

static void files_of_secrets(void **state)
{
    static const struct {
        const char *user, *text, *login, *password; /* login NULL: refused */
    } cases[] = {
        { "me", "secret\n", "me", "secret" },
        { "me", "secret", "me", "secret" },
        { "me", "secret\r\nmore\n", "me", "secret" },
        { "me", " se:cret \n", "me", " se:cret " },
        { "", "me@x.test:se:cret\n", "me@x.test", "se:cret" },
        { "me", "", NULL, NULL },
        { "me", "\nsecret\n", NULL, NULL },
        { "", "secret\n", NULL, NULL },
        { "", ":secret\n", NULL, NULL },
        { "", "me:\n", NULL, NULL },
        { "me", "se\tcret\n", NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sasl_secret s;
        const char *why;
        bool ok = sasl_secret_read(&s, SV(cases[i].user), SV(cases[i].text), &why);

        if (ok != (cases[i].login != NULL) || (ok && (strcmp(buf_cstr(&s.login), cases[i].login) != 0 ||
                                                      strcmp(buf_cstr(&s.password), cases[i].password) != 0)))
            fail_msg("`%s`: %s, %s", cases[i].text, buf_cstr(&s.login), buf_cstr(&s.password));
        sasl_secret_clear(&s);
    }
}

static void our_own_server(void **state)
{
    for (int m = 0; m < SASL__COUNT; m++) {
        struct pair p;
        struct sasl s;
        struct buf b64;
        enum sasl_step step;

        (void)state;
        buf_init(&b64, 8000);
        begin(&p, (enum sasl_mechanism)m, SV_LIT("me@own.test"), SV_LIT("secret"));
        sasl_init(&s, (enum sasl_mechanism)m, SV_LIT("servernonce"));
        step = SASL_CHALLENGE;
        if (sasl_client_initial(&p.c)) {
            b64_encode(buf_view(&p.c.answer), &b64);
            step = sasl_begin(&s, buf_view(&b64));
        } else {
            step = sasl_begin(&s, strv_make(NULL, 0));
        }
        if (step == SASL_SALT)
            step = sasl_salt(&s, SV_LIT("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
        while (step == SASL_CHALLENGE) {
            assert_true(sasl_client_answer(&p.c, buf_view(&s.challenge)));
            buf_reset(&b64);
            b64_encode(buf_view(&p.c.answer), &b64);
            step = sasl_input(&s, buf_view(&b64));
        }
        assert_int_equal(step, m == SASL_SCRAM_SHA_256 ? SASL_PROOF : SASL_PASSWORD);
        assert_string_equal(buf_cstr(&s.login), "me@own.test");
        if (step == SASL_PROOF)
            assert_true(sasl_signature(&s, p.c.signature) == SASL_CHALLENGE &&
                        sasl_client_answer(&p.c, buf_view(&s.challenge)));
        assert_true(sasl_client_is_done(&p.c));
        end(&p);
        sasl_clear(&s);
        buf_clear(&b64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_and_login),   cmocka_unit_test(scram_of_the_rfc),
        cmocka_unit_test(names_are_escaped), cmocka_unit_test(servers_that_lie),
        cmocka_unit_test(files_of_secrets),  cmocka_unit_test(our_own_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
