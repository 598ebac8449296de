/* notice.c - notice show: what a notice says with the templates of the configuration, or of a file */
#include <stdio.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/mail/dsn.h"
#include "conf/conf.h"
#include "conf/queue.h"
#include "conf/top.h"
#include "inspect/inspect.h"
#include "mtactl/command.h"
#include "mtactl/print.h"

#define HOUR_MS 3600000

/* Two recipients: one that another host refused, one that nobody could be asked about. */
static struct dsn sample(const struct conf *conf, enum dsn_kind kind, struct dsn_rcpt rcpts[2])
{
    enum dsn_action action = kind == DSN_KIND_DOUBLE ? DSN_FAILED : (enum dsn_action)kind;
    int64_t now = clock_wall_ms(), arrival = now - 4 * HOUR_MS;
    bool good = action != DSN_FAILED && action != DSN_DELAYED;
    struct dsn d = {
        .hostname = SV(conf->top->hostname),
        .to = kind == DSN_KIND_DOUBLE ? SV(conf_notices_double_bounce(conf->queue))
                                      : SV_LIT("sender@example.com"),
        .notice_id = SV_LIT("0NOTICE000000"),
        .original_id = SV_LIT("0MESSAGE00000"),
        .arrival_ms = arrival,
        .now_ms = now,
        .rcpts = rcpts,
        .rcpt_count = 2,
        .header = SV_LIT("From: sender@example.com\r\nSubject: sample\r\n"),
        .postmaster = SV(conf->queue->postmaster),
        .expire_s = conf->queue->expire_after,
        .is_double = kind == DSN_KIND_DOUBLE,
    };

    rcpts[0] =
        (struct dsn_rcpt){ .rcpt = SV_LIT("anna@example.net"),
                           .action = action,
                           .status = good                    ? STATUS(2, 0, 0)
                                     : action == DSN_DELAYED ? STATUS(4, 2, 1)
                                                             : STATUS(5, 1, 1),
                           .remote_mta = SV_LIT("mx.example.net"),
                           .diagnostic = good                    ? SV_LIT("250 2.0.0 Ok")
                                         : action == DSN_DELAYED ? SV_LIT("450 4.2.1 come again later")
                                                                 : SV_LIT("550 5.1.1 no such user here"),
                           .last_attempt_ms = now,
                           .retry_until_ms = arrival + conf->queue->expire_after * 1000 };
    rcpts[1] = rcpts[0];
    rcpts[1].rcpt = SV_LIT("otto@example.org");
    rcpts[1].remote_mta = rcpts[1].diagnostic = SV_LIT("");
    rcpts[1].reason = good ? SV_LIT("") : SV_LIT("connection to mx.example.org[192.0.2.25]:25 refused");
    return d;
}

static void text_print(struct tool *t, struct strv text)
{
    struct strv line;

    while (strv_cut(&text, '\n', &line) && text.p) {
        print_safe(&t->out, strv_sub(line, 0, line.n - 1)); /* each has its CRLF */
        buf_addc(&t->out, '\n');
    }
}

static void show(struct tool *t, const struct dsn *d)
{
    struct rows rows = { 0 };
    struct row *r = rows_add(&rows, "notice");
    struct buf subject, text, from;

    buf_init(&subject, 8192);
    buf_init(&text, 1u << 20);
    buf_init(&from, 8192);
    dsn_subject(d, &subject);
    dsn_text(d, &text);
    buf_addv(&from, dsn_from_name(d));
    buf_addf(&from, " <MAILER-DAEMON@%.*s>", (int)d->hostname.n, d->hostname.p);
    row_put(r, "about", SV(dsn_kind_name(dsn_kind_of(d))));
    row_put(r, "from", buf_view(&from));
    row_put(r, "to", d->to);
    row_put(r, "subject", buf_view(&subject));
    row_put(r, "text", buf_view(&text));
    if (t->json) {
        tool_rows(t, &rows);
    } else {
        buf_addf(&t->out, "From: %s\nTo: %.*s\nSubject: %s\n\n", buf_cstr(&from), (int)d->to.n, d->to.p,
                 buf_cstr(&subject));
        text_print(t, buf_view(&text));
    }
    rows_clear(&rows);
    buf_clear(&subject);
    buf_clear(&text);
    buf_clear(&from);
}

/* Mistakes go to stderr, as those of a configuration do; in JSON they are rows. */
static void mistakes_print(struct tool *t, const struct findings *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct finding *one = &f->list[i];
        struct rows rows = { 0 };
        struct row *r = rows_add(&rows, "finding");
        struct buf text;

        row_put(r, "level", SV(finding_word(one->level)));
        row_put(r, "where", SV(one->where));
        row_put(r, "problem", SV(one->problem));
        row_put(r, "fix", SV(one->fix));
        buf_init(&text, 65536);
        finding_text(one, &text);
        if (t->json)
            tool_rows(t, &rows);
        else
            fputs(buf_cstr(&text), stderr);
        buf_clear(&text);
        rows_clear(&rows);
    }
}

/* path "": the built-in ones. NULL after mistakes, which were told. */
static struct dsn_texts *texts_read(struct tool *t, const char *path)
{
    struct findings f = { 0 };
    struct dsn_texts *texts = NULL;
    struct err err = { 0 };
    struct buf text;
    mode_t mode;

    if (*path == '\0')
        return dsn_texts_new();
    buf_init(&text, DSN_TEXTS_MAX);
    if (inspect_read(path, &text, &mode, &err))
        texts = inspect_notice_texts(path, buf_view(&text), &f);
    else
        findings_add(&f, FINDING_ERROR, "", "", "%s", err.text);
    mistakes_print(t, &f);
    findings_clear(&f);
    buf_clear(&text);
    return texts;
}

int command_notice_show(struct tool *t, int argc, char **argv)
{
    struct dsn_rcpt rcpts[2];
    struct dsn_texts *texts;
    enum dsn_kind kind;
    struct conf *conf;
    struct dsn d;
    const char *path;
    int code = 0;

    if (!dsn_kind_find(SV(argv[0]), &kind))
        return tool_end(t, EX_USAGE, "there is no notice %s; there are failure, delay, success, relayed, "
                        "expanded and double", argv[0]);
    if (!tool_conf(t, NULL, &conf))
        return tool_end(t, EX_CONFIG, "%s is not in order", t->conf_path);
    path = argc > 1 ? argv[1] : conf_notices_templates(conf->queue);
    texts = texts_read(t, path);
    if (texts) {
        d = sample(conf, kind, rcpts);
        d.texts = texts;
        show(t, &d);
        code = tool_end(t, 0, NULL);
    } else {
        code = tool_end(t, EX_CONFIG, "%s is not in order", path);
    }
    dsn_texts_free(&texts);
    conf_free(&conf);
    return code;
}
