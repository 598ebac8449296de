/* test_client_engine.c - dialogs with every kind of server, whole and byte by byte */
#include "common/base/mem.h"
#include "tests/unit/deliverd/dialog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define HELLO "S: 220 x.test ESMTP\nC: EHLO own.test\nS: 250-x.test greets\nS: 250 HELP\n"
#define PIPE                                                                                                 \
    "S: 220 x.test ESMTP\nC: EHLO own.test\nS: 250-x.test\nS: 250-PIPELINING\nS: 250-SIZE 1000\nS: 250 "     \
    "8BITMIME\n"
#define BODY "C: Subject: t\nC: \nC: ..x\nC: .\n"
#define MRD1 "C: MAIL FROM:<s@own.test> SIZE=18\nC: RCPT TO:<a@x.test>\nC: DATA\n"
#define MRD2 "C: MAIL FROM:<s@own.test> SIZE=18\nC: RCPT TO:<a@x.test>\nC: RCPT TO:<b@x.test>\nC: DATA\n"
#define MRD3                                                                                                 \
    "C: MAIL FROM:<s@own.test> SIZE=18\nC: RCPT TO:<a@x.test>\nC: RCPT TO:<b@x.test>\nC: RCPT "              \
    "TO:<c@x.test>\nC: DATA\n"
#define ONE "M: 1\nC: MAIL FROM:<s@own.test>\nS: 250 ok\nC: RCPT TO:<a@x.test>\n"

static const struct dialog dialogs[] = {
    { "one after the other",
      HELLO ONE "S: 250 ok\nC: DATA\nS: 354 go\n" BODY
                "S: 250 2.0.0 Ok: queued as 1\nQ:\nC: QUIT\nS: 221 bye\n",
      "0 delivered 2.0.0 end remote: 250 2.0.0 Ok: queued as 1\n", .ends = CLIENT_OVER },
    { "pipelined group",
      PIPE "M: 2\n" MRD2 "S: 250 ok\nS: 250 ok\nS: 251 will forward\nS: 354 go\n" BODY "S: 250 taken\n",
      "0 delivered 2.0.0 end remote: 250 taken\n1 delivered 2.0.0 end remote: 250 taken\n",
      .ends = CLIENT_READY },
    { "wishes about notices go to a server that announces DSN",
      "S: 220 x\nC: EHLO own.test\nS: 250-x\nS: 250-dsn\nS: 250 PIPELINING\nM: 3\n"
      "C: MAIL FROM:<s@own.test> RET=HDRS ENVID=e+2B1\nC: RCPT TO:<a@x.test> NOTIFY=NEVER\n"
      "C: RCPT TO:<b@x.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c.test\nC: RCPT TO:<c@x.test>\nC: DATA\n"
      "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n" BODY "S: 250 taken\n",
      "0 delivered 2.0.0 end dsn remote: 250 taken\n1 delivered 2.0.0 end dsn remote: 250 taken\n"
      "2 delivered 2.0.0 end dsn remote: 250 taken\n",
      .ends = CLIENT_READY, .dsn = true },
    { "a level of priority goes to a server that announces MT-PRIORITY",
      "S: 220 x\nC: EHLO own.test\nS: 250-x\nS: 250 mt-priority STANAG4406\nM: 1\n"
      "C: MAIL FROM:<s@own.test> MT-PRIORITY=-3\nS: 250 ok\nC: RCPT TO:<a@x.test>\nS: 250 ok\nC: DATA\n"
      "S: 354 go\n" BODY "S: 250 taken\n",
      "0 delivered 2.0.0 end remote: 250 taken\n", .ends = CLIENT_READY, .priority = 32 + 10 - 3 },
    { "and to no other, nor when none was given",
      "S: 220 x\nC: EHLO own.test\nS: 250-x\nS: 250 mt-priority\nM: 1\nC: MAIL FROM:<s@own.test>\n"
      "S: 250 ok\nC: RCPT TO:<a@x.test>\nS: 250 ok\nC: DATA\nS: 354 go\n" BODY "S: 250 taken\n",
      "0 delivered 2.0.0 end remote: 250 taken\n", .ends = CLIENT_READY, .priority = 32 },
    { "and to no other",
      PIPE "M: 2\n" MRD2 "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n" BODY "S: 250 taken\n",
      "0 delivered 2.0.0 end remote: 250 taken\n1 delivered 2.0.0 end remote: 250 taken\n",
      .ends = CLIENT_READY, .dsn = true },
    { "two messages on one connection",
      PIPE "M: 1\n" MRD1 "S: 250 ok\nS: 250 ok\nS: 354 go\n" BODY "S: 250 a\nM: 1\n" MRD1
           "S: 250 ok\nS: 250 ok\nS: 354 go\n" BODY "S: 250 b\n",
      "0 delivered 2.0.0 end remote: 250 a\n0 delivered 2.0.0 end remote: 250 b\n", .ends = CLIENT_READY },
    { "each recipient its own result",
      PIPE "M: 3\n" MRD3 "S: 250 ok\nS: 250 ok\nS: 550-5.1.1 no such user\nS: 550 5.1.1 ask the postmaster\n"
           "S: 450 4.2.1 later\nS: 354 go\n" BODY "S: 250 ok\n",
      "1 failed 5.1.1 rcpt remote: 550 5.1.1 no such user / ask the postmaster\n2 deferred 4.2.1 rcpt "
      "remote: 450 4.2.1 later\n"
      "0 delivered 2.0.0 end remote: 250 ok\n",
      .ends = CLIENT_READY },
    { "all refused, no DATA", HELLO ONE "S: 550 no\n", "0 failed 5.0.0 rcpt remote: 550 no\n",
      .ends = CLIENT_READY },
    { "and RSET before the next",
      HELLO ONE "S: 550 no\nM: 1\nC: RSET\nS: 250 ok\nC: MAIL FROM:<s@own.test>\n",
      "0 failed 5.0.0 rcpt remote: 550 no\n", .ends = CLIENT_MAIL },
    { "all refused, pipelined DATA accepted: a lone dot",
      PIPE "M: 1\n" MRD1 "S: 250 ok\nS: 550 5.1.1 no\nS: 354 go\nC: .\nS: 554 nobody\n",
      "0 failed 5.1.1 rcpt remote: 550 5.1.1 no\n", .ends = CLIENT_READY },
    { "all refused, pipelined DATA refused",
      PIPE "M: 1\n" MRD1 "S: 250 ok\nS: 550 5.1.1 no\nS: 503 nobody\nM: 1\nC: RSET\n" MRD1,
      "0 failed 5.1.1 rcpt remote: 550 5.1.1 no\n", .ends = CLIENT_RSET },
    { "MAIL refused for good",
      PIPE "M: 2\n" MRD2 "S: 553 5.1.8 who are you\nS: 503 no\nS: 503 no\nS: 503 no\n",
      "0 failed 5.1.8 mail remote: 553 5.1.8 who are you\n1 failed 5.1.8 mail remote: 553 5.1.8 who are "
      "you\n",
      .ends = CLIENT_READY },
    { "MAIL refused, 354 all the same: a lone dot",
      PIPE "M: 1\n" MRD1 "S: 553 no\nS: 503 no\nS: 354 go\nC: .\nS: 554 no\n",
      "0 failed 5.0.0 mail remote: 553 no\n", .ends = CLIENT_READY },
    { "MAIL later: another host may", HELLO "M: 1\nC: MAIL FROM:<s@own.test>\nS: 452 4.3.1 disk full\n",
      "0 deferred 4.3.1 mail other-host remote: 452 4.3.1 disk full\n", .ends = CLIENT_READY },
    { "DATA refused", HELLO ONE "S: 250 ok\nC: DATA\nS: 554 5.7.1 no\n",
      "0 failed 5.7.1 data remote: 554 5.7.1 no\n", .ends = CLIENT_READY },
    { "DATA later", HELLO ONE "S: 250 ok\nC: DATA\nS: 451 busy\n",
      "0 deferred 4.0.0 data other-host remote: 451 busy\n", .ends = CLIENT_READY },
    { "message refused",
      PIPE "M: 1\n" MRD1 "S: 250 ok\nS: 250 ok\nS: 354 go\n" BODY "S: 550-5.7.1 spam\nS: 550 5.7.1 really\n",
      "0 failed 5.7.1 end remote: 550 5.7.1 spam / really\n", .ends = CLIENT_READY },
    { "message later",
      PIPE "M: 1\n" MRD1 "S: 250 ok\nS: 250 ok\nS: 354 go\n" BODY "S: 451 4.7.1 greylisted\n",
      "0 deferred 4.7.1 end remote: 451 4.7.1 greylisted\n", .ends = CLIENT_READY },
    { "too many recipients is another transaction",
      PIPE "M: 2\n" MRD2 "S: 250 ok\nS: 250 ok\nS: 452 4.5.3 too many\nS: 354 go\n" BODY "S: 250 ok\n",
      "1 deferred 4.5.3 rcpt same-host remote: 452 4.5.3 too many\n0 delivered 2.0.0 end remote: 250 ok\n",
      .ends = CLIENT_READY },
    { "552 at RCPT without a status is too many",
      PIPE "M: 2\n" MRD2 "S: 250 ok\nS: 250 ok\nS: 552 too many\nS: 354 go\n" BODY "S: 250 ok\n",
      "1 deferred 4.0.0 rcpt same-host remote: 552 too many\n0 delivered 2.0.0 end remote: 250 ok\n",
      .ends = CLIENT_READY },
    { "552 of a full mailbox is no", HELLO ONE "S: 552 5.2.2 full\n",
      "0 failed 5.2.2 rcpt remote: 552 5.2.2 full\n", .ends = CLIENT_READY },
    { "too many at the first is later", HELLO ONE "S: 452 4.5.3 too many\n",
      "0 deferred 4.5.3 rcpt remote: 452 4.5.3 too many\n", .ends = CLIENT_READY },
    { "421 at MAIL", PIPE "M: 2\n" MRD2 "S: 421 4.3.2 going down\n",
      "0 deferred 4.3.2 mail other-host remote: 421 4.3.2 going down\n1 deferred 4.3.2 mail other-host "
      "remote: 421 4.3.2 going down\n",
      .ends = CLIENT_OVER },
    { "421 after some results", PIPE "M: 2\n" MRD2 "S: 250 ok\nS: 550 5.1.1 no\nS: 421 bye\n",
      "0 failed 5.1.1 rcpt remote: 550 5.1.1 no\n1 deferred 4.0.0 rcpt other-host remote: 421 bye\n",
      .ends = CLIENT_OVER },
    { "421 at the end was not delivered",
      PIPE "M: 1\n" MRD1 "S: 250 ok\nS: 250 ok\nS: 354 go\n" BODY "S: 421 bye\n",
      "0 deferred 4.0.0 end other-host remote: 421 bye\n", .ends = CLIENT_OVER },
    { "421 while idle", PIPE "S: 421 idle too long\n", "", .ends = CLIENT_OVER },
    { "HELO for old servers", "S: 220 old\nC: EHLO own.test\nS: 502 what\nC: HELO own.test\nS: 250 hi\n" ONE,
      "", .ends = CLIENT_RCPT },
    { "null sender, size and 8 bit",
      PIPE "M: 1\nC: MAIL FROM:<s@own.test> SIZE=999 BODY=8BITMIME\nC: RCPT TO:<a@x.test>\nC: DATA\n", "",
      .ends = CLIENT_MAIL, .eight_bit = true, .size = 999 },
    { "8-bit message to a 7-bit server goes as it is", HELLO "M: 1\nC: MAIL FROM:<s@own.test>\n", "",
      .ends = CLIENT_MAIL, .eight_bit = true },
    { "largest that fits", PIPE "M: 1\nC: MAIL FROM:<s@own.test> SIZE=1000\nC: RCPT TO:<a@x.test>\nC: DATA\n",
      "", .ends = CLIENT_MAIL, .size = 1000 },
    { "too large is not even tried", PIPE "M: 2\n",
      "0 failed 5.3.4 mail: the message has 1001 bytes, the server takes no more than 1000\n"
      "1 failed 5.3.4 mail: the message has 1001 bytes, the server takes no more than 1000\n",
      .ends = CLIENT_READY, .size = 1001 },
    { "SIZE 0 is no limit",
      "S: 220 x\nC: EHLO own.test\nS: 250-x\nS: 250 size 0\nM: 1\nC: MAIL FROM:<s@own.test> SIZE=5000\n", "",
      .ends = CLIENT_MAIL, .size = 5000 },
    { "SIZE that is no number",
      "S: 220 x\nC: EHLO own.test\nS: 250-x\nS: 250 SIZE 99999999999999999999\nM: 1\nC: MAIL "
      "FROM:<s@own.test> SIZE=18\n",
      "", .ends = CLIENT_MAIL },
    { "bare LF never leaves", PIPE "M: 1\n" MRD1 "S: 250 ok\nS: 250 ok\nS: 354 go\n",
      "0 failed 5.6.0 body: the message holds a bare CR or LF, which RFC 5321 2.3.8 forbids to send\n",
      .body = "\n", .ends = CLIENT_OVER },
    { "message that cannot be read", PIPE "M: 1\n" MRD1 "S: 250 ok\nS: 250 ok\nS: 354 go\n",
      "0 deferred 4.3.0 body: the stored message cannot be read\n", .body = "broken", .ends = CLIENT_OVER },
    { "empty message", PIPE "M: 1\n" MRD1 "S: 250 ok\nS: 250 ok\nS: 354 go\nC: .\nS: 250 ok\n",
      "0 delivered 2.0.0 end remote: 250 ok\n", .body = "", .ends = CLIENT_READY },
    { "LMTP",
      "S: 220 l\nC: LHLO own.test\nS: 250-l\nS: 250 PIPELINING\nM: 3\nC: MAIL FROM:<s@own.test>\nC: RCPT "
      "TO:<a@x.test>\nC: RCPT TO:<b@x.test>\n"
      "C: RCPT TO:<c@x.test>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 550 no\nS: 250 ok\nS: 354 go\n" BODY
      "S: 250 first\nS: 452 4.2.2 full\n",
      "1 failed 5.0.0 rcpt remote: 550 no\n0 delivered 2.0.0 end remote: 250 first\n2 deferred 4.2.2 end "
      "remote: 452 4.2.2 full\n",
      .lmtp = true, .ends = CLIENT_READY },
    { "LMTP lost between two replies",
      "S: 220 l\nC: LHLO own.test\nS: 250-l\nS: 250 PIPELINING\nM: 2\nC: MAIL FROM:<s@own.test>\nC: RCPT "
      "TO:<a@x.test>\nC: RCPT TO:<b@x.test>\n"
      "C: DATA\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n" BODY "S: 250 first\nX: connection lost\n",
      "0 delivered 2.0.0 end remote: 250 first\n1 deferred 4.4.2 end maybe: connection lost while waiting "
      "for the reply to the end of the message; it may have been delivered\n",
      .lmtp = true, .ends = CLIENT_OVER },
    { "LMTP nonsense behind a code",
      "S: 220 l\nC: LHLO own.test\nS: 250-l\nS: 250 PIPELINING\nM: 3\nC: MAIL FROM:<s@own.test>\nC: RCPT "
      "TO:<a@x.test>\nC: RCPT TO:<b@x.test>\nC: RCPT TO:<c@x.test>\n"
      "C: DATA\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n" BODY
      "S: 250 first\nS: 250-second\nS: 550 is another\n",
      "0 delivered 2.0.0 end remote: 250 first\n1 delivered 2.0.0 end: 250 (protocol error by the server "
      "while waiting for the reply to the end of the message: line 2: another code than before)\n"
      "2 deferred 4.5.0 end maybe: protocol error by the server while waiting for the reply to the end of "
      "the message: line 2: another code than before; it may have been delivered\n",
      .lmtp = true, .ends = CLIENT_OVER },
    { "LMTP nonsense without a code",
      "S: 220 l\nC: LHLO own.test\nS: 250-l\nS: 250 PIPELINING\nM: 2\nC: MAIL FROM:<s@own.test>\nC: RCPT "
      "TO:<a@x.test>\nC: RCPT TO:<b@x.test>\n"
      "C: DATA\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n" BODY "S: 550 no\nS: what\n",
      "0 failed 5.0.0 end remote: 550 no\n"
      "1 deferred 4.5.0 end maybe: protocol error by the server while waiting for the reply to the end of "
      "the message: line 1: bad reply code; it may have been delivered\n",
      .lmtp = true, .ends = CLIENT_OVER },
    { "status of another class is not believed", HELLO ONE "S: 450 5.2.2 full\n",
      "0 deferred 4.0.0 rcpt remote: 450 5.2.2 full\n", .ends = CLIENT_READY },
};

static void all_dialogs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dialogs / sizeof *dialogs; i++) {
        dialog_play(&dialogs[i], false);
        dialog_play(&dialogs[i], true);
    }
}

#define LOST(step, words) "0 deferred 4.4.2 " step " other-host: connection lost while " words "\n"

static void lost_at_each_step(void **state)
{
    static const struct dialog cases[] = {
        { "MAIL", HELLO "M: 1\nC: MAIL FROM:<s@own.test>\nX: connection lost\n",
          LOST("mail", "waiting for the reply to MAIL FROM"), .ends = CLIENT_OVER },
        { "RCPT", HELLO ONE "X: connection lost\n", LOST("rcpt", "waiting for the reply to RCPT TO"),
          .ends = CLIENT_OVER },
        { "DATA", HELLO ONE "S: 250 ok\nC: DATA\nX: connection lost\n",
          LOST("data", "waiting for the reply to DATA"), .ends = CLIENT_OVER },
        { "pipelined", PIPE "M: 1\n" MRD1 "S: 250 ok\nX: connection lost\n",
          LOST("rcpt", "waiting for the reply to RCPT TO"), .ends = CLIENT_OVER },
        { "end", PIPE "M: 1\n" MRD1 "S: 250 ok\nS: 250 ok\nS: 354 go\n" BODY "X: timed out\n",
          "0 deferred 4.4.2 end maybe: timed out while waiting for the reply to the end of the message; it "
          "may have been delivered\n",
          .ends = CLIENT_OVER },
        { "half a reply at the end",
          PIPE "M: 1\n" MRD1 "S: 250 ok\nS: 250 ok\nS: 354 go\n" BODY
               "S: 250-2.0.0 half\nX: connection lost\n",
          "0 deferred 4.4.2 end maybe: connection lost while waiting for the reply to the end of the "
          "message; it may have been delivered\n",
          .ends = CLIENT_OVER },
        { "idle", PIPE "X: connection lost\n", "", .ends = CLIENT_OVER },
        { "quit", PIPE "Q:\nC: QUIT\nX: connection lost\n", "", .ends = CLIENT_OVER },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dialog_play(&cases[i], false);
        dialog_play(&cases[i], true);
    }
}

/* Trouble before a message: the failure of the host, for whoever opens the connection. */
static void opening_failures(void **state)
{
    static const struct {
        const char *name, *said;
        const char *how, *text, *status, *step;
        bool remote;
    } cases[] = {
        { "554 greeting", "554 5.7.1 go away\r\n", NULL, "554 5.7.1 go away", "4.7.1", "greeting", true },
        { "421 greeting", "421 busy\r\n", NULL, "421 busy", "4.0.0", "greeting", true },
        { "multi-line refusal", "554-a\r\n554 b\r\n", NULL, "554 a / b", "4.0.0", "greeting", true },
        { "lost at the greeting", "", "connection lost", "connection lost while waiting for the greeting",
          "4.4.2", "greeting", false },
        { "half a greeting", "220-x\r\n", "timed out", "timed out while waiting for the greeting", "4.4.2",
          "greeting", false },
        { "lost at EHLO", "220 x\r\n", "connection lost",
          "connection lost while waiting for the reply to EHLO", "4.4.2", "ehlo", false },
        { "EHLO later", "220 x\r\n451 no\r\n", NULL, "451 no", "4.0.0", "ehlo", true },
        { "HELO refused", "220 x\r\n500 no\r\n550 your name\r\n", NULL, "550 your name", "4.0.0", "helo",
          true },
        { "2xx that is no 220", "250 x\r\n", NULL, "250 x", "4.0.0", "greeting", true },
        { "354 greeting", "354 x\r\n", NULL,
          "protocol error by the server while waiting for the greeting: reply does not fit the command",
          "4.5.0", "greeting", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct client c;
        struct buf out;
        char status[STATUS_TEXT];

        buf_init(&out, 4096);
        client_init(&c, &dialog_ops, NULL, &out, SV_LIT("own.test"), false);
        client_input(&c, SV(cases[i].said));
        if (cases[i].how)
            client_lost(&c, cases[i].how);
        status_text(c.failure.status, status);
        if (client_step(&c) != CLIENT_OVER || !strv_is(c.failure.text, cases[i].text) ||
            strcmp(status, cases[i].status) != 0 || strcmp(c.failure.step, cases[i].step) != 0 ||
            c.failure.remote != cases[i].remote || c.failure.outcome != OUTCOME_DEFERRED ||
            c.failure.retry != CLIENT_OTHER_HOST || strcmp(c.died_at, cases[i].step) != 0 ||
            strcmp(c.died_how, cases[i].how      ? "lost"
                               : cases[i].remote ? "ended by the server"
                                                 : "protocol error") != 0)
            fail_msg("%s: %s %s `%.*s`", cases[i].name, status, c.failure.step, (int)c.failure.text.n,
                     c.failure.text.p);
        client_clear(&c);
        buf_clear(&out);
    }
}

/* INCIDENTS 2 (CVE-2020-8794): what a hostile server says must stay one printable, bounded text. */
static void hostile_replies(void **state)
{
    struct buf flood;
    struct {
        const char *name;
        struct strv said;
    } cases[] = {
        { "one byte", SV_LIT("2") },
        { "no text", SV_LIT("550\r\n") },
        { "NUL", SV_LIT("550 a\0b\r\n") },
        { "CR only", SV_LIT("550 a\r550 b\r") },
        { "LF only", SV_LIT("550 a\n") },
        { "missing last line", SV_LIT("550-a\r\n550-b\r\n") },
        { "another code in the middle", SV_LIT("550-a\r\n250 b\r\n") },
        { "no code", SV_LIT("hello\r\n") },
        { "code out of range", SV_LIT("999 x\r\n") },
        { "empty line", SV_LIT("\r\n") },
        { "a reply too many", SV_LIT("250 a\r\n250 b\r\n250 c\r\n250 d\r\n") },
        { "escape sequence", SV_LIT("550 \033[2Ja\x80\xff\r\n") },
        { "8 KB line", { NULL, 8192 } },
        { "100000 lines", { NULL, 700000 } },
    };

    (void)state;
    buf_init(&flood, 1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run run = { .name = cases[i].name, .body = "x\r\n" };
        struct strv lines;

        buf_init(&run.out, 1 << 20);
        buf_init(&run.input, 1 << 20);
        buf_init(&run.results, 1 << 16);
        run.m = (struct client_message){
            .sender = SV_LIT("s@own.test"), .rcpts = dialog_rcpts, .rcpt_n = 3, .size = 3
        };
        client_init(&run.c, &dialog_ops, &run, &run.out, SV_LIT("own.test"), false);
        buf_adds(&run.input, "220 x\r\n250-x\r\n250 PIPELINING\r\n");
        dialog_feed(&run);
        client_begin(&run.c, &run.m);
        buf_reset(&flood);
        if (cases[i].said.n == 8192)
            for (int k = 0; k < 8192; k++)
                buf_addc(&flood, '5');
        if (cases[i].said.n == 700000)
            for (int k = 0; k < 100000; k++)
                buf_adds(&flood, "550-x\r\n");
        buf_addv(&run.input, cases[i].said.p ? cases[i].said : buf_view(&flood));
        dialog_feed(&run);
        client_lost(&run.c, "connection lost");
        lines = buf_view(&run.results);
        for (size_t k = 0; k < 3; k++) {
            struct strv line = { NULL, 0 };

            if (!strv_cut(&lines, '\n', &line) || line.n > 20000)
                fail_msg("%s: no bounded result for %zu: %s", cases[i].name, k, buf_cstr(&run.results));
            for (size_t b = 0; b < line.n; b++)
                if (!byte_is_print((unsigned char)line.p[b]))
                    fail_msg("%s: byte %d in a result", cases[i].name, line.p[b]);
        }
        if (lines.n)
            fail_msg("%s: too many results: %s", cases[i].name, buf_cstr(&run.results));
        client_clear(&run.c);
        buf_clear(&run.out);
        buf_clear(&run.input);
        buf_clear(&run.results);
    }
    buf_clear(&flood);
}

/* A server that says 250 and then babbles has the message: another attempt would be another copy. */
static void malformed_final_replies(void **state)
{
    struct buf flood;
    static const struct {
        const char *name;
        struct strv said;
        const char *begins; /* of the first result */
    } cases[] = {
        { "100 lines and more", SV_LIT("L250-x\r\n"), "0 delivered 2.0.0 end" },
        { "a long line", SV_LIT("C250 "), "0 delivered 2.0.0 end" },
        { "a line without an end", SV_LIT("F250 "), "0 delivered 2.0.0 end" },
        { "a long line behind the first", SV_LIT("C250-ok\r\n250 "), "0 delivered 2.0.0 end" },
        { "another code", SV_LIT("250-a\r\n251 b\r\n"), "0 delivered 2.0.0 end" },
        { "no separator", SV_LIT("250ok\r\n"), "0 delivered 2.0.0 end" },
        { "bare LF", SV_LIT("250 ok\n"), "0 delivered 2.0.0 end" },
        { "NUL", SV_LIT("250 o\0k\r\n"), "0 delivered 2.0.0 end" },
        { "lost in the middle", SV_LIT("250-queued\r\n"), "0 deferred 4.4.2 end maybe" },
        { "refused, other code", SV_LIT("550-a\r\n250 b\r\n"), "0 failed 5.0.0 end" },
        { "later, bare LF", SV_LIT("451 no\n"), "0 deferred 4.0.0 end" },
        { "no code", SV_LIT("25\r\n"), "0 deferred 4.5.0 end maybe" },
        { "four digits", SV_LIT("2500 x\r\n"), "0 deferred 4.5.0 end maybe" },
        { "lost before it", SV_LIT("250"), "0 deferred 4.4.2 end maybe" },
        { "does not fit", SV_LIT("354 go\r\n"), "0 deferred 4.5.0 end maybe" },
    };

    (void)state;
    buf_init(&flood, 1 << 20);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct run run = { .name = cases[i / 2].name, .body = "x\r\n", .trickle = i % 2 };
        struct strv said = cases[i / 2].said;
        size_t more = said.p[0] == 'L' ? 200 : said.p[0] == 'C' ? 5000 : said.p[0] == 'F' ? 80000 : 0;

        if (more)
            said = strv_from(said, 1);
        buf_reset(&flood);
        buf_addv(&flood, said);
        for (; more; more--)
            buf_addv(&flood, cases[i / 2].said.p[0] == 'L' ? said : SV_LIT("x"));
        if (cases[i / 2].said.p[0] == 'C')
            buf_adds(&flood, "\r\n");
        buf_init(&run.out, 1 << 20);
        buf_init(&run.input, 1 << 20);
        buf_init(&run.results, 1 << 16);
        run.m = (struct client_message){
            .sender = SV_LIT("s@own.test"), .rcpts = dialog_rcpts, .rcpt_n = 1, .size = 3
        };
        client_init(&run.c, &dialog_ops, &run, &run.out, SV_LIT("own.test"), false);
        buf_adds(&run.input, "220 x\r\n250 x\r\n");
        dialog_feed(&run);
        client_begin(&run.c, &run.m);
        buf_adds(&run.input, "250 a\r\n250 b\r\n354 c\r\n");
        dialog_feed(&run);
        assert_int_equal(client_step(&run.c), CLIENT_END);
        buf_addv(&run.input, buf_view(&flood));
        dialog_feed(&run);
        client_lost(&run.c, "connection lost");
        if (!strv_starts(buf_view(&run.results), SV(cases[i / 2].begins)))
            fail_msg("%s: %s", run.name, buf_cstr(&run.results));
        assert_int_equal(client_step(&run.c), CLIENT_OVER);
        assert_string_equal(run.c.died_at, "end");
        assert_string_equal(run.c.died_how, strncmp(run.name, "lost", 4) == 0 ? "lost" : "protocol error");
        client_clear(&run.c);
        buf_clear(&run.out);
        buf_clear(&run.input);
        buf_clear(&run.results);
    }
    buf_clear(&flood);
}

/* More recipients than the window. */
static void many_recipients(void **state)
{
    struct run run = { .name = "many", .body = "x\r\n" };
    size_t n = CLIENT_WINDOW * 3 + 5, got = 0, sent = 0;
    struct strv *many = mem_array(n, sizeof *many);
    struct strv results, line;

    (void)state;
    buf_init(&run.out, 1 << 20);
    buf_init(&run.input, 1 << 20);
    buf_init(&run.results, 1 << 20);
    for (size_t i = 0; i < n; i++)
        many[i] = SV_LIT("r@x.test");
    run.m = (struct client_message){ .sender = SV(""), .rcpts = many, .rcpt_n = n, .size = 3 };
    client_init(&run.c, &dialog_ops, &run, &run.out, SV_LIT("own.test"), false);
    buf_adds(&run.input, "220 x\r\n250-x\r\n250 PIPELINING\r\n");
    dialog_feed(&run);
    client_begin(&run.c, &run.m);
    for (int round = 0; round < 5000 && client_step(&run.c) != CLIENT_READY; round++) {
        assert_true(run.c.pending < CLIENT_WINDOW);
        if (client_step(&run.c) == CLIENT_DATA)
            buf_adds(&run.input, "354 go\r\n");
        else if (client_step(&run.c) == CLIENT_RCPT && sent++ % 7 == 0)
            buf_adds(&run.input, "550 no\r\n");
        else
            buf_adds(&run.input, "250 ok\r\n");
        dialog_feed(&run);
    }
    assert_int_equal(client_step(&run.c), CLIENT_READY);
    results = buf_view(&run.results);
    while (results.n && strv_cut(&results, '\n', &line))
        got++;
    assert_int_equal(got, n);
    client_clear(&run.c);
    buf_clear(&run.out);
    buf_clear(&run.input);
    buf_clear(&run.results);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_dialogs),
        cmocka_unit_test(lost_at_each_step),
        cmocka_unit_test(opening_failures),
        cmocka_unit_test(hostile_replies),
        cmocka_unit_test(malformed_final_replies),
        cmocka_unit_test(many_recipients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
