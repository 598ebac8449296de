/* test_client_trace.c - what who watches a delivery sees: every line, no password, nothing of the message */
#include "tests/unit/deliverd/dialog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct buf seen;

static void on_line(void *arg, bool sent, struct strv line)
{
    (void)arg;
    buf_adds(&seen, sent ? "> " : "< ");
    buf_addv(&seen, line);
    buf_addc(&seen, '\n');
}

static void serve(struct client *c, const char *text)
{
    struct strv in = SV(text);

    assert_int_equal(client_input(c, in), in.n);
}

/* What the server says, piece by piece; "message": one begins. */
static void play(const char *const *server, const char *want)
{
    struct sasl_secret secret;
    struct run run = { .body = "From the message\r\n..\r\n" };
    struct client_terms terms = { .tls = CLIENT_TLS_NEVER,
                                  .secret = &secret,
                                  .clear_auth = true,
                                  .nonce = SV_LIT("rOprNGfwEbeRWgbNEkqO") };

    sasl_secret_init(&secret, SV_LIT("user"), SV_LIT("pencil"));
    buf_init(&seen, 65536);
    buf_init(&run.out, 65536);
    buf_init(&run.results, 65536);
    client_init(&run.c, &dialog_ops, &run, &run.out, SV_LIT("own.test"), false);
    client_set_terms(&run.c, &terms);
    run.c.trace = on_line;
    for (; *server; server++) {
        if (strcmp(*server, "message") == 0) {
            run.m = (struct client_message){
                .sender = SV_LIT("s@own.test"), .rcpts = dialog_rcpts, .rcpt_n = 1, .size = 24
            };
            client_begin(&run.c, &run.m);
        } else {
            serve(&run.c, *server);
        }
    }
    assert_string_equal(buf_cstr(&seen), want);
    assert_null(memmem(seen.data, seen.len, "pencil", 6));
    assert_null(memmem(seen.data, seen.len, "From the message", 16));
    client_clear(&run.c);
    buf_clear(&run.out);
    buf_clear(&run.results);
    buf_clear(&seen);
    sasl_secret_clear(&secret);
}

static void plain(void **state)
{
    static const char *const server[] = { "220 x\r\n",
                                          "250-x\r\n250 AUTH PLAIN\r\n",
                                          "235 2.7.0 in\r\n",
                                          "message",
                                          "250 ok\r\n",
                                          "250 ok\r\n",
                                          "354 go\r\n",
                                          "250 2.0.0 taken\r\n",
                                          NULL };

    (void)state;
    play(server, "< 220 x\n> EHLO own.test\n< 250-x\n< 250 AUTH PLAIN\n> AUTH PLAIN ********\n"
                 "< 235 2.7.0 in\n> MAIL FROM:<s@own.test>\n< 250 ok\n> RCPT TO:<a@x.test>\n< 250 ok\n"
                 "> DATA\n< 354 go\n> .\n< 250 2.0.0 taken\n");
}

static void login(void **state)
{
    static const char *const server[] = { "220 x\r\n",
                                          "250-x\r\n250 AUTH LOGIN\r\n",
                                          "334 VXNlcm5hbWU6\r\n",
                                          "334 UGFzc3dvcmQ6\r\n",
                                          "235 2.7.0 in\r\n",
                                          NULL };

    (void)state;
    play(server, "< 220 x\n> EHLO own.test\n< 250-x\n< 250 AUTH LOGIN\n> AUTH LOGIN\n< 334 ********\n"
                 "> ********\n< 334 ********\n> ********\n< 235 2.7.0 in\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(login),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
