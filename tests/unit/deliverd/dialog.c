/* dialog.c - plays dialogs */
#include "tests/unit/deliverd/dialog.h"

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

const struct strv dialog_rcpts[3] = { SV_LIT("a@x.test"), SV_LIT("b@x.test"), SV_LIT("c@x.test") };

static void on_result(void *arg, size_t i, const struct client_result *r)
{
    struct run *run = arg;
    char status[STATUS_TEXT];
    static const char *const outcomes[] = { "delivered", "failed", "deferred" };
    static const char *const retries[] = { "", " other-host", " same-host" };

    status_text(r->status, status);
    buf_addf(&run->results, "%zu %s %s %s%s%s%s: %.*s\n", i, outcomes[r->outcome], status, r->step,
             retries[r->retry], r->maybe ? " maybe" : r->dsn ? " dsn" : "", r->remote ? " remote" : "",
             (int)r->text.n, r->text.p);
}

static enum client_body on_body(void *arg, size_t max, struct strv *piece)
{
    struct run *run = arg;
    size_t left = strlen(run->body) - run->body_at;

    if (left == 0)
        return CLIENT_BODY_END;
    if (strcmp(run->body, "broken") == 0)
        return CLIENT_BODY_BROKEN;
    if (left > max)
        left = max;
    if (run->trickle && left > 3)
        left = 3;
    *piece = strv_make(run->body + run->body_at, left);
    run->body_at += left;
    return CLIENT_BODY_PIECE;
}

const struct client_ops dialog_ops = { .result = on_result, .body = on_body };

void dialog_feed(struct run *run)
{
    while (run->input.len) {
        size_t most = run->trickle ? 1 : run->input.len, used;

        /* Trickled: what was not taken comes again with one byte more. */
        do {
            used = client_input(&run->c, strv_make(run->input.data, most));
        } while (used == 0 && most++ < run->input.len);
        if (used == 0)
            return;
        buf_drop(&run->input, used);
    }
}

static void expect_line(struct run *run, struct strv want)
{
    struct strv got = strv_from(buf_view(&run->out), run->out_at);
    size_t end = 0;

    dialog_feed(run);
    got = strv_from(buf_view(&run->out), run->out_at);
    if (!strv_find(got, '\n', &end))
        fail_msg("%s: the client does not say `%.*s`", run->name, (int)want.n, want.p);
    run->out_at += end + 1;
    got.n = end && got.p[end - 1] == '\r' ? end - 1 : end;
    if (!strv_eq(got, want))
        fail_msg("%s: client says `%.*s`, not `%.*s`", run->name, (int)got.n, got.p, (int)want.n, want.p);
}

static void step(struct run *run, struct strv line)
{
    struct strv text = strv_from(line, 3);
    char how[80];

    switch (line.p[0]) {
    case 'S':
        buf_addv(&run->input, text);
        buf_adds(&run->input, "\r\n");
        return;
    case 'C': expect_line(run, text); return;
    case 'X':
        dialog_feed(run);
        strv_cstr(text, how, sizeof how);
        client_lost(&run->c, how);
        return;
    case 'M':
        dialog_feed(run);
        if (client_step(&run->c) != CLIENT_READY)
            fail_msg("%s: not ready but at %s", run->name, client_step_name(client_step(&run->c)));
        run->body_at = 0;
        run->m.rcpt_n = (size_t)(text.p[0] - '0');
        client_begin(&run->c, &run->m);
        return;
    case 'T':
    case 'F':
        dialog_feed(run);
        if (client_step(&run->c) != CLIENT_TLS)
            fail_msg("%s: no handshake but %s", run->name, client_step_name(client_step(&run->c)));
        strv_cstr(text, how, sizeof how);
        if (line.p[0] == 'T')
            client_secured(&run->c);
        else
            client_tls_failed(&run->c, how);
        return;
    case 'Q':
        dialog_feed(run);
        client_quit(&run->c);
        return;
    default: fail_msg("%s: bad script", run->name);
    }
}

#define NONCE "rOprNGfwEbeRWgbNEkqO" /* of RFC 7677 3 */

static void check_failure(const struct run *run, const struct dialog *d)
{
    const struct client_result *f = &run->c.failure;
    char got[1000], status[STATUS_TEXT];

    if (!d->failure)
        return;
    status_text(f->status, status);
    snprintf(got, sizeof got, "%s %s%s%s: %.*s", status, f->step ? f->step : "-", f->remote ? " remote" : "",
             f->tls ? " tls" : "", (int)f->text.n, f->text.p);
    if (strcmp(got, d->failure) != 0)
        fail_msg("%s: fails with\n%s\nnot\n%s", d->name, got, d->failure);
    assert_int_equal(f->outcome, OUTCOME_DEFERRED);
}

const struct client_dsn dialog_wants[3] = {
    { 1, { NULL, 0 } },
    { 2 | 8, { "rfc822;a+b@c.test", 17 } },
    { 0, { "rfc822", 6 } }, /* no address, not even an empty one: not said */
};

void dialog_play(const struct dialog *d, bool trickle)
{
    struct run run = { .trickle = trickle,
                       .name = d->name,
                       .body = d->body ? d->body : "Subject: t\r\n\r\n.x\r\n" };
    struct strv rest = SV(d->script), line;
    struct sasl_secret secret;
    struct client_terms terms = {
        .tls = d->tls, .secret = d->auth ? &secret : NULL, .nonce = SV_LIT(NONCE), .clear_auth = d->clear_auth
    };
    enum client_step end;

    sasl_secret_init(&secret, SV_LIT("user"), SV_LIT("pencil"));
    buf_init(&run.out, 1 << 20);
    buf_init(&run.input, 1 << 20);
    buf_init(&run.results, 1 << 16);
    run.m = (struct client_message){ .sender = SV_LIT("s@own.test"),
                                     .rcpts = dialog_rcpts,
                                     .rcpt_n = 1,
                                     .size = d->size ? d->size : 18,
                                     .eight_bit = d->eight_bit };
    run.m.priority = d->priority;
    if (d->dsn) {
        run.m.dsn = dialog_wants;
        run.m.envid = SV_LIT("e+1");
        run.m.ret = 2;
    }
    client_init(&run.c, &dialog_ops, &run, &run.out, SV_LIT("own.test"), d->lmtp);
    client_set_terms(&run.c, &terms);
    while (rest.p && rest.n && strv_cut(&rest, '\n', &line))
        if (line.n)
            step(&run, line);
    dialog_feed(&run);
    if (run.out.len != run.out_at)
        fail_msg("%s: the client also says `%s`", d->name, run.out.data + run.out_at);
    if (strcmp(buf_cstr(&run.results), d->results) != 0)
        fail_msg("%s%s: results are\n%snot\n%s", d->name, trickle ? " (trickled)" : "",
                 buf_cstr(&run.results), d->results);
    end = client_step(&run.c);
    if (end != d->ends)
        fail_msg("%s: ends at %s", d->name, client_step_name(end));
    check_failure(&run, d);
    client_clear(&run.c);
    sasl_secret_clear(&secret);
    buf_clear(&run.out);
    buf_clear(&run.input);
    buf_clear(&run.results);
}
