/* test_model.c - INCIDENTS 10: every sequence of commands up to a length against a reference automaton

   State left over from a refused command is the bug class of three decades of mail servers (Postfix 20260724,
   20260803, 20260812: MAIL and RCPT state survived an error, and a later DATA skipped policy). The automaton
   below is RFC 5321 4.1.4 in twelve lines per command, written without a look at the engine; both must agree
   on the code of every reply, and on what reached cleanup. */
#include "../../support/unit.h"

#include "harness.h"

#include <stdlib.h>

struct model {
    bool helo, mail;
    unsigned good, any; /* recipients accepted; RCPTs tried in this transaction */
    bool lost;          /* cleanup went away inside it */
    unsigned accepted;  /* messages */
};

static void model_reset(struct model *m)
{
    m->mail = m->lost = false;
    m->good = m->any = 0;
}

static int on_ehlo(struct model *m)
{
    m->helo = true;
    model_reset(m);
    return 250;
}

static int on_bad_ehlo(struct model *m)
{
    (void)m;
    return 501;
}

static int on_mail(struct model *m)
{
    if (!m->helo || m->mail)
        return 503;
    m->mail = true;
    return 250;
}

static int on_bad_mail(struct model *m)
{
    return !m->helo || m->mail ? 503 : 501;
}

static int on_big_mail(struct model *m)
{
    return !m->helo || m->mail ? 503 : 552;
}

static int rcpt(struct model *m, int code)
{
    if (!m->mail)
        return 503;
    m->any++;
    if (m->lost && code != 501)
        return 451;
    if (code == 250)
        m->good++;
    return code;
}

static int on_rcpt(struct model *m)
{
    return rcpt(m, 250);
}

static int on_relay(struct model *m)
{
    /* A lost transaction is told before the policy: the client must come again in any case. */
    return rcpt(m, 550);
}

static int on_unknown_rcpt(struct model *m)
{
    return rcpt(m, 550);
}

static int on_bad_rcpt(struct model *m)
{
    return rcpt(m, 501);
}

static int data(struct model *m, int end_code)
{
    bool lost = m->lost;

    if (!m->mail || m->any == 0)
        return 503;
    if (m->good == 0)
        return 554;
    model_reset(m);
    if (lost)
        return 451;
    m->accepted += end_code == 250;
    return end_code;
}

static int on_data(struct model *m)
{
    return data(m, 250);
}

static int on_dirty_data(struct model *m)
{
    return data(m, 550);
}

static int on_refused_data(struct model *m)
{
    return data(m, 554);
}

static int on_rset(struct model *m)
{
    model_reset(m);
    return 250;
}

static int on_vrfy(struct model *m)
{
    (void)m;
    return 252;
}

static int on_unknown(struct model *m)
{
    (void)m;
    return 500;
}

/* Not a command: cleanup dies and is replaced at once. */
static int on_loss(struct model *m)
{
    m->lost = m->mail;
    return 0;
}

/* body: sent when the engine asked for data. */
/* clang-format off */
static const struct symbol {
    const char *name, *command, *body;
    int (*model)(struct model *m);
} symbols[] = {
    { "EHLO", "EHLO x\r\n", NULL, on_ehlo },
    { "MAIL", "MAIL FROM:<a@far.test>\r\n", NULL, on_mail },
    { "RCPT", "RCPT TO:<user@own.test>\r\n", NULL, on_rcpt },
    { "DATA", "DATA\r\n", "Subject: x\r\n\r\nx\r\n.\r\n", on_data },
    { "RSET", "RSET\r\n", NULL, on_rset },
    { "(loss)", NULL, NULL, on_loss },
    { "RCPT unknown", "RCPT TO:<nobody@own.test>\r\n", NULL, on_unknown_rcpt },
    { "DATA dirty", "DATA\r\n", "x\n.\r\n\r\n.\r\n", on_dirty_data },
    /* the symbols up to here are tried in longer sequences */
    { "DATA refused", "DATA\r\n", "X-Fake: refuse\r\n.\r\n", on_refused_data },
    { "RCPT relay", "RCPT TO:<a@elsewhere.test>\r\n", NULL, on_relay },
    { "RCPT bad", "RCPT TO:<a>\r\n", NULL, on_bad_rcpt },
    { "MAIL bad", "MAIL FROM:<a\r\n", NULL, on_bad_mail },
    { "MAIL big", "MAIL FROM:<a@far.test> SIZE=99999999\r\n", NULL, on_big_mail },
    { "EHLO bad", "EHLO a b\r\n", NULL, on_bad_ehlo },
    { "VRFY", "VRFY x\r\n", NULL, on_vrfy },
    { "FROB", "FROB\r\n", NULL, on_unknown },
};
/* clang-format on */

#define FEW 8

/* The code of the last reply in the transcript. */
static int last_code(struct harness *h)
{
    struct strv t = buf_view(&h->transcript), line = strv_make("", 0), last = line;
    uint64_t code = 0;

    while (strv_cut(&t, '\n', &line))
        if (line.n > 0)
            last = line;
    strv_u64(strv_sub(last, 0, 3), 999, &code);
    return (int)code;
}

static int engine_do(struct harness *h, const struct symbol *s)
{
    int code;

    harness_cut(h);
    if (!s->command) {
        harness_lose_cleanup(h, true);
        return 0;
    }
    harness_run(h, SV(s->command), 0);
    code = last_code(h);
    if (code != 354)
        return code;
    harness_cut(h);
    harness_run(h, SV(s->body), 0);
    return last_code(h);
}

static void describe(const unsigned *word, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%s%s", i ? ", " : "", symbols[word[i]].name);
}

static void check_word(struct harness *h, const unsigned *word, size_t n)
{
    struct model m = { .helo = false };

    harness_again(h, "192.0.2.1");
    for (size_t i = 0; i < n; i++) {
        int want = symbols[word[i]].model(&m), got = engine_do(h, &symbols[word[i]]);

        if (got != want || h->accepted != m.accepted) {
            struct buf text;

            buf_init(&text, 65536);
            describe(word, i + 1, &text);
            fail_msg("%s: got %d (%u accepted), want %d (%u)", buf_cstr(&text), got, h->accepted, want,
                     m.accepted);
        }
        /* A transaction is open in cleanup exactly while the model is in one that is not lost. */
        if (h->open != (m.mail && !m.lost)) {
            struct buf text;

            buf_init(&text, 65536);
            describe(word, i + 1, &text);
            fail_msg("%s: cleanup %s a transaction", buf_cstr(&text), h->open ? "still holds" : "has no");
        }
    }
}

static size_t all_words(unsigned alphabet, size_t length, bool after_helo)
{
    struct harness h;
    unsigned word[16] = { 0 };
    size_t count = 0, at;

    harness_init(&h, "192.0.2.1");
    do {
        if (!after_helo || word[0] == 0) {
            check_word(&h, word, length);
            count++;
        }
        for (at = length; at > 0; at--) {
            if (++word[at - 1] < alphabet)
                break;
            word[at - 1] = 0;
        }
    } while (at > 0);
    harness_clear(&h);
    return count;
}

/* MANSIO_LONG adds one to the lengths. */
static size_t longer(void)
{
    return getenv("MANSIO_LONG") ? 1 : 0;
}

static void every_sequence_of_all_commands(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 4 + longer(); n++)
        print_message("length %zu: %zu sequences\n", n, all_words(COUNT(symbols), n, false));
}

static void every_longer_sequence_behind_ehlo(void **state)
{
    (void)state;
    for (size_t n = 5; n <= 6 + longer(); n++)
        print_message("length %zu: %zu sequences\n", n, all_words(FEW, n, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sequence_of_all_commands),
        cmocka_unit_test(every_longer_sequence_behind_ehlo),
    };

    harness_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
