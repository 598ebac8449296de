/* test_tls.c - TLS over streams: handshake, names, verification, bytes both ways, ends, injected plain text
 */
#include "tests/support/cert.h"
#include "tests/support/unit.h"

#include "common/net/loop.h"
#include "common/net/stream.h"
#include "common/net/tls.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct side {
    struct stream *s;
    struct buf got;
    unsigned secured, ended, drained;
    enum stream_end how;
    int sys;
    bool paused;
    const char *say; /* as soon as TLS is up */
    char why[200];
    struct tls_info info;
};

static struct loop *loop;
static struct side server, client;
static struct cert ca, mx, other, old;

static void on_input(void *arg, struct stream *s)
{
    struct side *d = arg;
    struct strv v = stream_input(s);

    if (d->paused)
        return;
    buf_addv(&d->got, v);
    stream_consume(s, v.n);
}

static void on_secured(void *arg, struct stream *s)
{
    struct side *d = arg;

    d->secured++;
    assert_true(stream_tls_info(s, &d->info));
    if (d->say)
        stream_write(s, d->say, strlen(d->say));
}

static void on_drained(void *arg, struct stream *s)
{
    (void)s;
    ((struct side *)arg)->drained++;
}

static void on_ended(void *arg, struct stream *s, enum stream_end how, int sys)
{
    struct side *d = arg;

    d->ended++;
    d->how = how;
    d->sys = sys;
    snprintf(d->why, sizeof d->why, "%s", stream_tls_why(s));
    stream_free(&d->s);
}

static const struct stream_ops ops = {
    .input = on_input, .drained = on_drained, .secured = on_secured, .ended = on_ended
};

static void run(void)
{
    for (int i = 0; i < 60; i++)
        loop_once(loop, 0);
}

static struct tls_pair pair_of(const struct cert *c)
{
    return (struct tls_pair){ "pair", buf_view(&c->pem), buf_view(&c->key_pem) };
}

static struct tls_context *server_context(void)
{
    struct tls_pair pairs[] = { pair_of(&mx), pair_of(&other), pair_of(&old) };
    struct err err = { 0 };
    struct tls_context *c = tls_server_new(pairs, 3, &err);

    assert_non_null(c);
    return c;
}

static struct tls_context *client_context(enum tls_verify verify, const struct cert *trusted)
{
    struct tls_client_spec spec = { .verify = verify, .ca_name = "ca" };
    struct err err = { 0 };
    struct tls_context *c;

    if (trusted)
        spec.ca = buf_view(&trusted->pem);
    c = tls_client_new(&spec, &err);
    assert_non_null(c);
    return c;
}

static void open_pair(void)
{
    int s[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s), 0);
    server.s = stream_new(loop, s[0], &ops, &server);
    client.s = stream_new(loop, s[1], &ops, &client);
}

static void shake(enum tls_verify verify, const struct cert *trusted, const char *name)
{
    struct tls_context *sc = server_context(), *cc = client_context(verify, trusted);

    open_pair();
    assert_true(stream_start_tls(server.s, sc, NULL));
    assert_true(stream_start_tls(client.s, cc, name));
    tls_context_unref(&sc); /* sessions hold it */
    tls_context_unref(&cc);
    run();
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    memset(&server, 0, sizeof server);
    memset(&client, 0, sizeof client);
    buf_init(&server.got, 64u << 20);
    buf_init(&client.got, 64u << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stream_free(&server.s);
    stream_free(&client.s);
    buf_clear(&server.got);
    buf_clear(&client.got);
    run();
    loop_free(&loop);
    return 0;
}

/* ---- handshakes ---- */

static const struct {
    const char *what;
    enum tls_verify verify;
    bool trusted;
    const char *name;
    bool up, verified;
    const char *peer, *why; /* part of why not */
} handshakes[] = {
    { "good", TLS_VERIFY_REQUIRE, true, "mx.example", true, true, "mx.example", "" },
    { "second certificate by name", TLS_VERIFY_REQUIRE, true, "other.example", true, true, "other.example",
      "" },
    { "wildcard", TLS_VERIFY_REQUIRE, true, "a.wild.example", true, true, "other.example", "" },
    { "case", TLS_VERIFY_REQUIRE, true, "MX.Example", true, true, "mx.example", "" },
    { "address", TLS_VERIFY_REQUIRE, true, "127.0.0.1", true, true, "mx.example", "" },
    { "another name", TLS_VERIFY_REQUIRE, true, "foreign.example", false, false, "", "hostname mismatch" },
    { "two levels below a wildcard", TLS_VERIFY_REQUIRE, true, "a.b.wild.example", false, false, "",
      "mismatch" },
    { "over", TLS_VERIFY_REQUIRE, true, "old.example", false, false, "", "expired" },
    { "no authority", TLS_VERIFY_REQUIRE, false, "mx.example", false, false, "", "unable to get" },
    { "opportunistic, good", TLS_VERIFY_OPPORTUNISTIC, true, "mx.example", true, true, "mx.example", "" },
    { "opportunistic, name", TLS_VERIFY_OPPORTUNISTIC, true, "foreign.example", true, false, "mx.example",
      "" },
    { "opportunistic, over", TLS_VERIFY_OPPORTUNISTIC, true, "old.example", true, false, "old.example", "" },
    { "opportunistic, no name", TLS_VERIFY_OPPORTUNISTIC, true, NULL, true, false, "mx.example", "" },
    { "no verification", TLS_VERIFY_NONE, false, "mx.example", true, false, "mx.example", "" },
};

static void test_handshakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof handshakes / sizeof *handshakes; i++) {
        shake(handshakes[i].verify, handshakes[i].trusted ? &ca : NULL, handshakes[i].name);
        if (client.secured != handshakes[i].up)
            fail_msg("%s: %s", handshakes[i].what, client.why);
        assert_int_equal(server.ended, !handshakes[i].up);
        assert_int_equal(client.ended, !handshakes[i].up);
        if (handshakes[i].up) {
            assert_string_equal(client.info.protocol, "TLSv1.3");
            assert_true(client.info.bits >= 128);
            assert_int_equal(client.info.verified, handshakes[i].verified);
            assert_int_equal(strcmp(client.info.verify, "ok") == 0, handshakes[i].verified);
            assert_string_equal(client.info.peer, handshakes[i].peer);
        } else if (!strcasestr(client.why, handshakes[i].why)) {
            fail_msg("%s: %s", handshakes[i].what, client.why);
        } else {
            assert_int_equal(client.how, STREAM_ERROR);
        }
        tear_down(NULL);
        set_up(NULL);
    }
}

static void test_require_needs_a_name(void **state)
{
    struct tls_context *c = client_context(TLS_VERIFY_REQUIRE, &ca);

    (void)state;
    open_pair();
    assert_false(stream_start_tls(client.s, c, NULL));
    assert_false(stream_start_tls(client.s, c, ""));
    tls_context_unref(&c);
}

/* ---- bytes ---- */

static void test_bytes_both_ways(void **state)
{
    enum { N = 3000000 };
    char *p = malloc(N);

    (void)state;
    for (size_t i = 0; i < N; i++)
        p[i] = (char)(i * 31 + i / 251);
    shake(TLS_VERIFY_REQUIRE, &ca, "mx.example");
    stream_write(client.s, p, N);
    stream_write(server.s, p, N);
    for (int i = 0; i < 2000 && (server.got.len < N || client.got.len < N); i++)
        loop_once(loop, 10);
    assert_int_equal(server.got.len, N);
    assert_int_equal(client.got.len, N);
    assert_memory_equal(server.got.data, p, N);
    assert_memory_equal(client.got.data, p, N);
    run();
    assert_int_equal(client.drained, 1);
    assert_int_equal(stream_bytes_in(server.s), N);
    free(p);
}

/* Bytes that wait in the library are told of by nobody: they must come after a pause and past a small bound.
 */
static void test_pause_and_small_bound(void **state)
{
    char p[40000];

    (void)state;
    memset(p, 'x', sizeof p);
    shake(TLS_VERIFY_NONE, NULL, NULL);
    stream_set_input_max(server.s, 100);
    server.paused = true;
    stream_write(client.s, p, sizeof p);
    run();
    assert_int_equal(stream_input(server.s).n, 100);
    stream_pause(server.s);
    server.paused = false;
    run();
    assert_int_equal(server.got.len, 0);
    stream_resume(server.s);
    for (int i = 0; i < 3000 && server.got.len < sizeof p; i++)
        loop_once(loop, 0);
    assert_int_equal(server.got.len, sizeof p);
}

/* The last words of the clear arrive before the handshake begins, and the first of the session behind it. */
static void test_starttls_order(void **state)
{
    struct tls_context *sc = server_context(), *cc = client_context(TLS_VERIFY_NONE, NULL);

    (void)state;
    open_pair();
    stream_write(server.s, "220 go\r\n", 8);
    assert_true(stream_start_tls(server.s, sc, NULL));
    run();
    assert_string_equal(buf_cstr(&client.got), "220 go\r\n");
    assert_int_equal(server.secured, 0);
    assert_true(stream_start_tls(client.s, cc, "mx.example"));
    run();
    assert_int_equal(server.secured, 1);
    assert_string_equal(server.info.sni, "mx.example");
    stream_write(client.s, "EHLO\r\n", 6);
    run();
    assert_string_equal(buf_cstr(&server.got), "EHLO\r\n");
    tls_context_unref(&sc);
    tls_context_unref(&cc);
}

/* They arrive in one piece with the end of the handshake; no readiness will be told for them. */
static void test_words_behind_the_handshake(void **state)
{
    (void)state;
    client.say = "EHLO a\r\n";
    shake(TLS_VERIFY_REQUIRE, &ca, "mx.example");
    assert_string_equal(buf_cstr(&server.got), "EHLO a\r\n");
}

/* ---- INCIDENTS 6 and 9 ---- */

static void test_plain_text_before_is_refused(void **state)
{
    struct tls_context *sc = server_context();

    (void)state;
    open_pair();
    server.paused = true;
    stream_write(client.s, "RSET\r\n", 6);
    run();
    assert_false(stream_start_tls(server.s, sc, NULL));
    tls_context_unref(&sc);
}

static void plain_bytes(struct stream *s, const char *text)
{
    assert_int_equal(send(stream_fd(s), text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    run();
}

static void test_plain_text_instead_of_handshake(void **state)
{
    struct tls_context *sc = server_context();

    (void)state;
    open_pair();
    assert_true(stream_start_tls(server.s, sc, NULL));
    tls_context_unref(&sc);
    run();
    plain_bytes(client.s, "EHLO a\r\nMAIL FROM:<>\r\n");
    assert_int_equal(server.ended, 1);
    assert_int_equal(server.how, STREAM_ERROR);
    assert_int_equal(server.sys, EPROTO);
    assert_true(server.why[0] != '\0');
    assert_int_equal(server.got.len, 0);
}

static void test_plain_text_in_session(void **state)
{
    (void)state;
    shake(TLS_VERIFY_NONE, NULL, NULL);
    stream_write(client.s, "good", 4);
    run();
    plain_bytes(client.s, "RSET\r\n");
    assert_int_equal(server.ended, 1);
    assert_int_equal(server.how, STREAM_ERROR);
    assert_string_equal(buf_cstr(&server.got), "good");
}

/* Behind close_notify nothing is read, cleartext least of all. */
static void test_plain_text_behind_the_end(void **state)
{
    int fd;

    (void)state;
    shake(TLS_VERIFY_NONE, NULL, NULL);
    fd = dup(stream_fd(client.s));
    stream_write(client.s, "last", 4);
    run();
    stream_free(&client.s);
    assert_int_equal(send(fd, "RSET\r\n", 6, MSG_NOSIGNAL), 6);
    run();
    assert_int_equal(server.ended, 1);
    assert_int_equal(server.how, STREAM_EOF);
    assert_string_equal(buf_cstr(&server.got), "last");
    close(fd);
}

static void test_last_words_arrive(void **state)
{
    (void)state;
    shake(TLS_VERIFY_NONE, NULL, NULL);
    stream_write(server.s, "421 bye\r\n", 9);
    stream_close_after_output(&server.s, 1000);
    run();
    assert_string_equal(buf_cstr(&client.got), "421 bye\r\n");
    assert_int_equal(client.ended, 1);
    assert_int_equal(client.how, STREAM_EOF);
}

static void test_close_in_handshake(void **state)
{
    struct tls_context *sc = server_context();

    (void)state;
    open_pair();
    assert_true(stream_start_tls(server.s, sc, NULL));
    tls_context_unref(&sc);
    run();
    stream_write(server.s, "421 secret", 10);
    stream_close_after_output(&server.s, 1000);
    run();
    assert_int_equal(client.got.len, 0);
    assert_int_equal(client.ended, 1);
}

/* ---- texts ---- */

static void test_pairs_are_checked(void **state)
{
    struct tls_pair good = pair_of(&mx), wrong = good, joined = { .name = "joined" }, empty = { .name = "e" };
    struct err err = { 0 };
    int64_t expires;
    struct buf text;
    size_t n;

    (void)state;
    buf_init(&text, 65536);
    buf_addv(&text, good.key);
    buf_addv(&text, good.certificate);
    joined.certificate = buf_view(&text);
    wrong.key = buf_view(&other.key_pem);
    assert_true(tls_pair_check(&good, &expires, &err));
    assert_true(expires > 86400 * 365);
    assert_true(tls_pair_check(&joined, NULL, &err));
    assert_false(tls_pair_check(&wrong, NULL, &err));
    assert_non_null(strstr(err.text, "pair: the key does not belong"));
    /* The authority's certificate in front of the host's. */
    buf_reset(&text);
    buf_addv(&text, buf_view(&ca.pem));
    buf_addv(&text, good.certificate);
    wrong.certificate = buf_view(&text);
    wrong.key = good.key;
    assert_false(tls_pair_check(&wrong, NULL, &err));
    assert_non_null(strstr(err.text, "pair: the key belongs to certificate 2 of the file"));
    wrong.certificate = good.certificate;
    assert_false(tls_pair_check(&empty, NULL, &err));
    wrong.key = SV_LIT("rubbish");
    assert_false(tls_pair_check(&wrong, NULL, &err));
    wrong = good;
    wrong.certificate.n -= 40;
    assert_false(tls_pair_check(&wrong, NULL, &err));
    assert_true(tls_ca_check(buf_view(&ca.pem), "ca", &n, &err));
    assert_int_equal(n, 1);
    assert_false(tls_ca_check(SV_LIT(""), "ca", &n, &err));
    assert_false(tls_ca_check(strv_sub(buf_view(&ca.pem), 0, 200), "ca", &n, &err));
    buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_handshakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_require_needs_a_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bytes_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pause_and_small_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_starttls_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_words_behind_the_handshake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_plain_text_before_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_plain_text_instead_of_handshake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_plain_text_in_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_plain_text_behind_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_last_words_arrive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_in_handshake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pairs_are_checked, set_up, tear_down),
    };
    int failed;

    signal(SIGPIPE, SIG_IGN);
    tls_warm_up();
    ca = cert_make("Test CA", NULL, NULL, 1000);
    mx = cert_make("mx.example", "DNS:mx.example,IP:127.0.0.1", &ca, 900);
    other = cert_make("other.example", "DNS:other.example,DNS:*.wild.example", &ca, 900);
    old = cert_make("old.example", "DNS:old.example", &ca, -1);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    cert_clear(&ca);
    cert_clear(&mx);
    cert_clear(&other);
    cert_clear(&old);
    return failed;
}
