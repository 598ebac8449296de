/* test_dialogs.c - every dialog against the engine: whole, byte by byte, and in sevens with late answers */
#include "../../support/unit.h"

#include "dialog.h"
#include "harness.h"

#include <dirent.h>
#include <stdlib.h>

struct mode {
    const char *name;
    size_t piece;
    unsigned delay;
};

static const struct mode modes[] = {
    { "whole", 0, 0 },
    { "byte by byte", 1, 0 },
    { "sevens, late answers", 7, 3 },
    { "bytes, late answers", 1, 5 },
};

static void wrong(const struct dialog *d, const struct dialog_step *s, const struct mode *m, struct strv got)
{
    fail_msg("%s:%u (%s): want \"%s\", got \"%.*s\"", d->name, s->line, m->name, buf_cstr(&s->bytes),
             (int)got.n, got.p);
}

static bool next_line(struct strv *rest, struct strv *line)
{
    size_t at;

    if (!strv_find(*rest, '\n', &at))
        return false;
    *line = strv_sub(*rest, 0, at > 0 ? at - 1 : 0);
    *rest = strv_from(*rest, at + 1);
    return true;
}

static void expect(const struct dialog *d, const struct dialog_step *s, const struct mode *m,
                   struct strv *replies)
{
    struct strv line = strv_make("(nothing)", 9);

    do {
        if (!next_line(replies, &line))
            wrong(d, s, m, line);
    } while (s->kind == DIALOG_REPLY && line.n > 3 && line.p[3] == '-');
    if (!dialog_match(line, buf_view(&s->bytes)))
        wrong(d, s, m, line);
}

/* The replies to a group are compared with all expectations behind it; none may be left. */
static void play(const struct dialog *d, const struct mode *m)
{
    struct harness h;
    struct strv replies;
    size_t i = 0;

    harness_init(&h, d->own ? "127.0.0.1" : "192.0.2.1");
    h.delay = m->delay;
    h.service.strict_sync = d->sync;
    h.service.crowded = d->crowded;
    while (i < d->count) {
        struct buf group;

        buf_init(&group, 1u << 24);
        for (; i < d->count && d->steps[i].kind == DIALOG_SEND; i++)
            buf_addv(&group, buf_view(&d->steps[i].bytes));
        harness_run(&h, buf_view(&group), m->piece);
        buf_clear(&group);
        replies = buf_view(&h.transcript);
        for (; i < d->count && (d->steps[i].kind == DIALOG_LINE || d->steps[i].kind == DIALOG_REPLY); i++)
            expect(d, &d->steps[i], m, &replies);
        if (replies.n > 0)
            fail_msg("%s:%u (%s): left over: \"%.*s\"", d->name, d->steps[i - 1].line, m->name,
                     (int)replies.n, replies.p);
        harness_cut(&h);
        if (i < d->count && d->steps[i].kind == DIALOG_CLOSED) {
            if (!harness_closed(&h))
                fail_msg("%s:%u (%s): the session is still open", d->name, d->steps[i].line, m->name);
            i++;
        } else if (harness_closed(&h)) {
            fail_msg("%s:%u (%s): the session is closed", d->name, d->steps[i - 1].line, m->name);
        }
    }
    if (!harness_closed(&h)) {
        harness_run(&h, SV_LIT("QUIT\r\n"), m->piece);
        expect_text(d->name, harness_transcript(&h), "221 2.0.0 Bye\r\n");
    }
    harness_clear(&h);
}

static void dialogs(void **state)
{
    struct dirent **names;
    int n = scandir("tests/dialog", &names, NULL, alphasort), played = 0;

    (void)state;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        char path[512];
        struct dialog d;

        if (strv_ends(SV(names[i]->d_name), SV_LIT(".dlg"))) {
            snprintf(path, sizeof path, "tests/dialog/%s", names[i]->d_name);
            dialog_read(&d, path);
            for (size_t k = 0; k < (d.sync ? 1 : COUNT(modes)); k++)
                play(&d, &modes[k]);
            dialog_clear(&d);
            played++;
        }
        free(names[i]);
    }
    free(names);
    print_message("%d dialogs in %zu ways\n", played, COUNT(modes));
    assert_true(played > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(dialogs) };

    harness_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
