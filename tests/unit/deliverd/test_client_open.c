/* test_client_open.c - STARTTLS and AUTH of the client, with honest servers and others */
#include "tests/unit/deliverd/dialog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define OFFERS(what)                                                                                         \
    "S: 220 x.test ESMTP\nC: EHLO own.test\nS: 250-x.test\nS: 250-" what "\nS: 250 SIZE 1000\n"
#define AGAIN(what) "T:\nC: EHLO own.test\nS: 250-x.test\nS: 250 " what "\n"
#define PLAIN_LINE  "AUTH PLAIN AHVzZXIAcGVuY2ls"
#define SCRAM_ONE   "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8="
#define SCRAM_CHALLENGE                                                                                      \
    "334 cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29Fc1VF"   \
    "amI2Z1E9PSxpPTQwOTY="
#define SCRAM_TWO                                                                                            \
    "Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpV"   \
    "aE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ=="
#define SCRAM_PROOF "334 dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ=="

static void tls_dialogs(void **state)
{
    static const struct dialog cases[] = {
        { "offered and used, capabilities of the clear forgotten",
          OFFERS("STARTTLS") "C: STARTTLS\nS: 220 go\n" AGAIN("8BITMIME") "M: 1\nC: MAIL FROM:<s@own.test>\n",
          "", .tls = CLIENT_TLS_OFFERED, .ends = CLIENT_MAIL },
        { "not offered: in the clear", OFFERS("HELP") "M: 1\nC: MAIL FROM:<s@own.test> SIZE=18\n", "",
          .tls = CLIENT_TLS_OFFERED, .ends = CLIENT_MAIL },
        { "never used", OFFERS("STARTTLS"), "", .tls = CLIENT_TLS_NEVER, .ends = CLIENT_READY },
        { "offered, refused: in the clear", OFFERS("STARTTLS") "C: STARTTLS\nS: 454 4.7.0 not now\n", "",
          .tls = CLIENT_TLS_OFFERED, .ends = CLIENT_READY },
        { "offered, unknown", OFFERS("starttls") "C: STARTTLS\nS: 502 what\n", "", .tls = CLIENT_TLS_OFFERED,
          .ends = CLIENT_READY },
        { "offered twice is used once", OFFERS("STARTTLS") "C: STARTTLS\nS: 220 go\n" AGAIN("STARTTLS"), "",
          .tls = CLIENT_TLS_OFFERED, .ends = CLIENT_READY },
        { "required and used", OFFERS("STARTTLS") "C: STARTTLS\nS: 220 go\n" AGAIN("HELP"), "",
          .tls = CLIENT_TLS_REQUIRED, .ends = CLIENT_READY },
        { "required, stripped", OFFERS("XXXXXXXA"), "", .tls = CLIENT_TLS_REQUIRED, .ends = CLIENT_OVER,
          .failure = "4.7.4 ehlo: the server does not offer STARTTLS, which the route requires" },
        { "required, no EHLO", "S: 220 x\nC: EHLO own.test\nS: 502 what\nC: HELO own.test\nS: 250 hi\n", "",
          .tls = CLIENT_TLS_REQUIRED, .ends = CLIENT_OVER,
          .failure = "4.7.4 ehlo: the server does not offer STARTTLS, which the route requires" },
        { "required, refused", OFFERS("STARTTLS") "C: STARTTLS\nS: 454 4.7.0 not now\n", "",
          .tls = CLIENT_TLS_REQUIRED, .ends = CLIENT_OVER,
          .failure = "4.7.0 starttls remote: 454 4.7.0 not now" },
        { "refused for good is for now", OFFERS("STARTTLS") "C: STARTTLS\nS: 554 5.7.3 no\n", "",
          .tls = CLIENT_TLS_REQUIRED, .ends = CLIENT_OVER, .failure = "4.7.3 starttls remote: 554 5.7.3 no" },
        { "250 is no 220", OFFERS("STARTTLS") "C: STARTTLS\nS: 250 ok\n", "", .tls = CLIENT_TLS_OFFERED,
          .ends = CLIENT_OVER,
          .failure = "4.5.0 starttls: the reply to STARTTLS is neither 220 nor a refusal" },
        { "354 is no 220", OFFERS("STARTTLS") "C: STARTTLS\nS: 354 go\n", "", .tls = CLIENT_TLS_OFFERED,
          .ends = CLIENT_OVER,
          .failure = "4.5.0 starttls: protocol error by the server while waiting for the reply to STARTTLS: "
                     "reply does not fit the command" },
        { "421", OFFERS("STARTTLS") "C: STARTTLS\nS: 421 bye\n", "", .tls = CLIENT_TLS_OFFERED,
          .ends = CLIENT_OVER, .failure = "4.0.0 starttls remote: 421 bye" },
        /* INCIDENTS 6 */
        { "injected behind 220",
          OFFERS("STARTTLS") "C: STARTTLS\nS: 220 go\nS: 250-injected\nS: 250 AUTH PLAIN\n", "",
          .tls = CLIENT_TLS_OFFERED, .auth = true, .ends = CLIENT_OVER,
          .failure = "4.5.0 tls: protocol error by the server while waiting for the TLS handshake: it speaks "
                     "in the clear where TLS begins" },
        { "injected half a line", OFFERS("STARTTLS") "C: STARTTLS\nS: 220 go\nS: 2\n", "",
          .tls = CLIENT_TLS_REQUIRED, .ends = CLIENT_OVER,
          .failure = "4.5.0 tls: protocol error by the server while waiting for the TLS handshake: it speaks "
                     "in the clear where TLS begins" },
        { "handshake fails", OFFERS("STARTTLS") "C: STARTTLS\nS: 220 go\nF: no shared cipher\n", "",
          .tls = CLIENT_TLS_OFFERED, .ends = CLIENT_OVER, .failure = "4.7.5 tls tls: TLS: no shared cipher" },
        { "lost in the handshake", OFFERS("STARTTLS") "C: STARTTLS\nS: 220 go\nX: timed out\n", "",
          .tls = CLIENT_TLS_OFFERED, .ends = CLIENT_OVER,
          .failure = "4.4.2 tls: timed out while waiting for the TLS handshake" },
        { "lost under TLS",
          OFFERS("STARTTLS") "C: STARTTLS\nS: 220 go\nT:\nC: EHLO own.test\nX: connection lost\n", "",
          .tls = CLIENT_TLS_OFFERED, .ends = CLIENT_OVER,
          .failure = "4.4.2 ehlo tls: connection lost while waiting for the reply to EHLO" },
        { "implicit", "T:\nS: 220 x\nC: EHLO own.test\nS: 250-x\nS: 250 STARTTLS\n", "",
          .tls = CLIENT_TLS_IMPLICIT, .ends = CLIENT_READY },
        { "implicit, a server that speaks in the clear", "S: 220 x\n", "", .tls = CLIENT_TLS_IMPLICIT,
          .ends = CLIENT_OVER,
          .failure = "4.5.0 tls: protocol error by the server while waiting for the TLS handshake: it speaks "
                     "in the clear where TLS begins" },
        { "under LMTP",
          "S: 220 l\nC: LHLO own.test\nS: 250-l\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nT:\nC: LHLO "
          "own.test\nS: 250 l\n",
          "", .tls = CLIENT_TLS_OFFERED, .lmtp = true, .ends = CLIENT_READY },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dialog_play(&cases[i], false);
        dialog_play(&cases[i], true);
    }
}

#define TLS_AUTH(name, script, ...)                                                                          \
    {                                                                                                        \
        name, "T:\n" script, "", .tls = CLIENT_TLS_IMPLICIT, .auth = true, __VA_ARGS__                       \
    }

static void auth_dialogs(void **state)
{
    static const struct dialog cases[] = {
        TLS_AUTH("PLAIN", OFFERS("AUTH PLAIN LOGIN") "C: " PLAIN_LINE "\nS: 235 2.7.0 welcome\n",
                 .ends = CLIENT_READY),
        TLS_AUTH("as it was written before the standard",
                 OFFERS("AUTH=LOGIN PLAIN") "C: " PLAIN_LINE "\nS: 235 2.7.0 welcome\n",
                 .ends = CLIENT_READY),
        TLS_AUTH("LOGIN",
                 OFFERS("AUTH CRAM-MD5 LOGIN") "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcg==\nS: 334 "
                                               "UGFzc3dvcmQ6\nC: cGVuY2ls\nS: 235 ok\n",
                 .ends = CLIENT_READY),
        TLS_AUTH("SCRAM",
                 OFFERS("AUTH PLAIN SCRAM-SHA-256") "C: " SCRAM_ONE "\nS: " SCRAM_CHALLENGE "\nC: " SCRAM_TWO
                                                    "\nS: " SCRAM_PROOF "\nC: \nS: 235 ok\n",
                 .ends = CLIENT_READY),
        TLS_AUTH("SCRAM, yes without a proof",
                 OFFERS("AUTH SCRAM-SHA-256") "C: " SCRAM_ONE "\nS: " SCRAM_CHALLENGE "\nC: " SCRAM_TWO
                                              "\nS: 235 ok\n",
                 .ends = CLIENT_OVER,
                 .failure =
                     "4.7.8 auth: AUTH SCRAM-SHA-256: it says yes before it has proved that it knows the "
                     "password"),
        TLS_AUTH("SCRAM, yes at once", OFFERS("AUTH SCRAM-SHA-256") "C: " SCRAM_ONE "\nS: 235 ok\n",
                 .ends = CLIENT_OVER,
                 .failure =
                     "4.7.8 auth: AUTH SCRAM-SHA-256: it says yes before it has proved that it knows the "
                     "password"),
        TLS_AUTH("SCRAM for others only",
                 OFFERS("AUTH PLAIN SCRAM-SHA-256") "C: " SCRAM_ONE "\nS: 535 5.7.8 no\nC: " PLAIN_LINE
                                                    "\nS: 235 ok\n",
                 .ends = CLIENT_READY),
        TLS_AUTH("offered, not there",
                 OFFERS("AUTH PLAIN LOGIN") "C: " PLAIN_LINE
                                            "\nS: 504 5.5.4 no\nC: AUTH LOGIN\nS: 504 5.5.4 no\n",
                 .ends = CLIENT_OVER, .failure = "4.5.4 auth remote: 504 5.5.4 no"),
        TLS_AUTH("wrong password", OFFERS("AUTH PLAIN LOGIN") "C: " PLAIN_LINE "\nS: 535 5.7.8 Wrong\n",
                 .ends = CLIENT_OVER, .failure = "4.7.8 auth remote: 535 5.7.8 Wrong"),
        TLS_AUTH("wrong password without a status", OFFERS("AUTH PLAIN") "C: " PLAIN_LINE "\nS: 535 Wrong\n",
                 .ends = CLIENT_OVER, .failure = "4.7.8 auth remote: 535 Wrong"),
        TLS_AUTH("not now", OFFERS("AUTH PLAIN") "C: " PLAIN_LINE "\nS: 454 4.7.0 not now\n",
                 .ends = CLIENT_OVER, .failure = "4.7.0 auth remote: 454 4.7.0 not now"),
        TLS_AUTH("challenge that is no base64", OFFERS("AUTH LOGIN") "C: AUTH LOGIN\nS: 334 Username:\n",
                 .ends = CLIENT_OVER, .failure = "4.7.8 auth: AUTH LOGIN: its challenge makes no sense"),
        TLS_AUTH("challenge without end", OFFERS("AUTH PLAIN") "C: " PLAIN_LINE "\nS: 334 VXNlcm5hbWU6\n",
                 .ends = CLIENT_OVER,
                 .failure = "4.7.8 auth: AUTH PLAIN: it asks more than the mechanism has"),
        TLS_AUTH("nothing of ours", OFFERS("AUTH CRAM-MD5 XOAUTH2"), .ends = CLIENT_OVER,
                 .failure = "4.7.4 auth: the server offers no AUTH of PLAIN, LOGIN, SCRAM-SHA-256"),
        TLS_AUTH("no AUTH", OFFERS("HELP"), .ends = CLIENT_OVER,
                 .failure = "4.7.4 auth: the server offers no AUTH of PLAIN, LOGIN, SCRAM-SHA-256"),
        TLS_AUTH("lost", OFFERS("AUTH PLAIN") "C: " PLAIN_LINE "\nX: connection lost\n", .ends = CLIENT_OVER,
                 .failure = "4.4.2 auth: connection lost while waiting for the reply to AUTH"),
        { "never in the clear", OFFERS("AUTH PLAIN"), "", .auth = true, .tls = CLIENT_TLS_OFFERED,
          .ends = CLIENT_OVER,
          .failure = "4.7.4 auth: the server does not speak TLS, and the password is not sent in the clear" },
        { "in the clear when that is said", OFFERS("AUTH PLAIN") "C: " PLAIN_LINE "\nS: 235 ok\n", "",
          .auth = true, .clear_auth = true, .ends = CLIENT_READY },
        { "what was offered in the clear is forgotten",
          OFFERS("AUTH PLAIN\nS: 250-STARTTLS") "C: STARTTLS\nS: 220 go\n" AGAIN(
              "AUTH LOGIN") "C: AUTH LOGIN\n",
          "", .auth = true, .tls = CLIENT_TLS_REQUIRED, .ends = CLIENT_AUTH },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dialog_play(&cases[i], false);
        dialog_play(&cases[i], true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_dialogs),
        cmocka_unit_test(auth_dialogs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
