/* test_tickets.c - which server takes up whose sessions, and how long; INCIDENTS 11 */
#include "tests/support/cert.h"
#include "tests/support/unit.h"

#include "common/base/clock.h"
#include "common/net/tls_inner.h"
#include "common/net/tls_tickets.h"

#include <openssl/ssl.h>
#include <string.h>

#define PERIOD_MS ((int64_t)TLS_TICKET_S * 1000)

static struct cert mx, other;
static int64_t now_ms;
static SSL_SESSION *kept; /* what the client holds */

static int64_t wall(void)
{
    return now_ms;
}

static struct tls_context *server(const struct tls_seed *seed, const char *purpose)
{
    struct tls_pair pairs[] = { { "mx", buf_view(&mx.pem), buf_view(&mx.key_pem) },
                                { "other", buf_view(&other.pem), buf_view(&other.key_pem) } };
    struct err err = { 0 };
    struct tls_context *c = tls_server_new(pairs, 2, &err);

    assert_non_null(c);
    if (seed)
        tls_server_tickets(c, seed, SV(purpose));
    return c;
}

static int on_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = s;
    return 1;
}

/* One session over memory; was it resumed? What the server gives replaces what the client has. */
static bool meet(struct tls_context *c, int version, const char *name)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *s = SSL_new(c->ctx[0]), *k;
    BIO *a, *b;
    char byte = 'x';
    bool resumed;

    SSL_CTX_set_max_proto_version(ctx, version);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    k = SSL_new(ctx);
    assert_int_equal(BIO_new_bio_pair(&a, 1u << 16, &b, 1u << 16), 1);
    SSL_set_bio(s, a, a);
    SSL_set_bio(k, b, b);
    SSL_set_accept_state(s);
    SSL_set_connect_state(k);
    assert_int_equal(SSL_set_tlsext_host_name(k, name), 1);
    if (kept)
        assert_int_equal(SSL_set_session(k, kept), 1);
    for (int i = 0; i < 5; i++) {
        (void)SSL_do_handshake(k);
        (void)SSL_do_handshake(s);
    }
    assert_int_equal(SSL_write(s, &byte, 1), 1);
    assert_int_equal(SSL_read(k, &byte, 1), 1); /* the ticket comes along */
    assert_int_equal(SSL_write(k, &byte, 1), 1);
    assert_int_equal(SSL_read(s, &byte, 1), 1);
    resumed = SSL_session_reused(s) == 1;
    assert_int_equal(SSL_session_reused(k), resumed);
    SSL_shutdown(k);
    SSL_shutdown(s);
    SSL_free(k);
    SSL_free(s);
    SSL_CTX_free(ctx);
    return resumed;
}

static bool meet_13(struct tls_context *c)
{
    return meet(c, TLS1_3_VERSION, "mx.example");
}

static int set_up(void **state)
{
    (void)state;
    now_ms = 1795000000000 / PERIOD_MS * PERIOD_MS + PERIOD_MS / 2;
    clock_fake(NULL, wall);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_SESSION_free(kept);
    kept = NULL;
    clock_fake(NULL, NULL);
    return 0;
}

static void test_processes_share_sessions(void **state)
{
    struct tls_seed seed;
    struct tls_context *one, *two;

    (void)state;
    tls_seed_new(&seed, now_ms);
    one = server(&seed, "smtp");
    two = server(&seed, "smtp");
    assert_false(meet_13(one));
    assert_true(meet_13(two));
    assert_true(meet_13(one));
    assert_true(meet(two, TLS1_3_VERSION, "other.example"));
    tls_context_unref(&one);
    tls_context_unref(&two);
}

static void test_listeners_do_not(void **state)
{
    struct tls_seed seed, foreign;
    struct tls_context *one, *two, *three, *none;

    (void)state;
    tls_seed_new(&seed, now_ms);
    tls_seed_new(&foreign, now_ms);
    one = server(&seed, "smtp");
    two = server(&seed, "submission");
    three = server(&foreign, "smtp");
    none = server(NULL, NULL);
    assert_false(meet_13(one));
    assert_false(meet_13(two));
    assert_false(meet_13(one));
    assert_false(meet_13(three));
    assert_false(meet_13(none));
    tls_context_unref(&one);
    tls_context_unref(&two);
    tls_context_unref(&three);
    tls_context_unref(&none);
}

/* A ticket is good for a period; its key is kept for one more. */
static void test_keys_turn(void **state)
{
    struct tls_seed seed, late;
    struct tls_context *one, *two;

    (void)state;
    tls_seed_new(&seed, now_ms);
    late = seed;
    one = server(&seed, "smtp");
    assert_false(meet_13(one));
    now_ms += PERIOD_MS;
    assert_true(meet_13(one));
    now_ms += PERIOD_MS;
    tls_seed_turn(&late, now_ms);
    assert_memory_not_equal(late.secret, seed.secret, sizeof late.secret);
    two = server(&late, "smtp"); /* a process that was started again */
    assert_true(meet_13(two));
    assert_true(meet_13(one));
    now_ms += 2 * PERIOD_MS;
    assert_false(meet_13(one));
    assert_true(meet_13(two));
    now_ms += 1000 * PERIOD_MS;
    assert_false(meet_13(two));
    assert_true(meet_13(one));
    tls_context_unref(&one);
    tls_context_unref(&two);
}

/* Full handshakes, but no harm. */
static void test_a_clock_that_goes_back(void **state)
{
    struct tls_seed seed;
    struct tls_context *one, *two;

    (void)state;
    tls_seed_new(&seed, now_ms);
    one = server(&seed, "smtp");
    now_ms -= 10 * PERIOD_MS;
    assert_false(meet_13(one));
    assert_true(meet_13(one));
    two = server(&seed, "smtp");
    (void)meet_13(two);
    assert_true(meet_13(two));
    tls_context_unref(&one);
    tls_context_unref(&two);
}

static void test_none_for_old_versions(void **state)
{
    struct tls_seed seed;
    struct tls_context *one;

    (void)state;
    tls_seed_new(&seed, now_ms);
    one = server(&seed, "smtp");
    assert_false(meet(one, TLS1_2_VERSION, "mx.example"));
    assert_false(meet(one, TLS1_2_VERSION, "mx.example"));
    assert_false(kept && SSL_SESSION_has_ticket(kept));
    tls_context_unref(&one);
}

static void test_seed_as_text(void **state)
{
    struct tls_seed seed, again;
    struct buf text;

    (void)state;
    tls_seed_new(&seed, now_ms);
    buf_init(&text, 100);
    tls_seed_write(&seed, &text);
    assert_true(tls_seed_read(&again, buf_view(&text)));
    assert_int_equal(again.period, seed.period);
    assert_memory_equal(again.secret, seed.secret, sizeof seed.secret);
    assert_false(tls_seed_read(&again, strv_from(buf_view(&text), 1)));
    assert_false(tls_seed_read(&again, SV("")));
    buf_clear(&text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_processes_share_sessions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_listeners_do_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_clock_that_goes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_none_for_old_versions, set_up, tear_down),
        cmocka_unit_test(test_seed_as_text),
    };
    int failed;

    tls_warm_up();
    mx = cert_make("mx.example", "DNS:mx.example", NULL, 900);
    other = cert_make("other.example", "DNS:other.example", NULL, 900);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    cert_clear(&mx);
    cert_clear(&other);
    return failed;
}
