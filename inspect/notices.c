/* notices.c - the file of templates of notices, with a better word for each that is unknown */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/mail/dsn_text.h"
#include "conf/conf.h"
#include "conf/queue.h"
#include "conf/suggest.h"
#include "inspect/inspect.h"

struct look {
    const char *path;
    struct findings *f;
};

static void hint(enum dsn_unknown unknown, struct strv word, char *dst, size_t size)
{
    struct suggest near;

    dst[0] = '\0';
    suggest_start(&near, word);
    for (size_t i = 0; unknown == DSN_A_VARIABLE && dsn_variable(i); i++)
        suggest_try(&near, SV(dsn_variable(i)));
    for (unsigned i = 0; unknown == DSN_A_KIND && i < DSN_KINDS; i++)
        suggest_try(&near, SV(dsn_kind_name((enum dsn_kind)i)));
    if (unknown != DSN_NOTHING)
        suggest_text(&near, dst, size);
}

static void list_known(enum dsn_unknown unknown, struct buf *out)
{
    for (size_t i = 0; unknown == DSN_A_VARIABLE && dsn_variable(i); i++)
        buf_addf(out, "%s%s", i ? ", " : "there are ", dsn_variable(i));
    for (unsigned i = 0; unknown == DSN_A_KIND && i < DSN_KINDS; i++)
        buf_addf(out, "%s[%s]", i ? ", " : "there are ", dsn_kind_name((enum dsn_kind)i));
}

static void on_mistake(void *arg, unsigned line, const char *what, enum dsn_unknown unknown, struct strv word)
{
    const struct look *l = arg;
    char where[4200], near[200];
    struct buf known;

    buf_init(&known, 4096);
    snprintf(where, sizeof where, "%s:%u", l->path, line);
    hint(unknown, word, near, sizeof near);
    list_known(unknown, &known);
    findings_add(l->f, FINDING_ERROR, where, buf_cstr(&known), "%s%s", what, near);
    buf_clear(&known);
}

struct dsn_texts *inspect_notice_texts(const char *path, struct strv text, struct findings *f)
{
    struct look look = { path, f };

    return dsn_texts_read(text, on_mistake, &look);
}

void inspect_notices(const struct conf *conf, struct findings *f)
{
    const char *path = conf_notices_templates(conf->queue);
    struct dsn_texts *texts = NULL;
    struct err err = { 0 };
    struct buf text;
    char where[512], fix[4200];
    mode_t mode = 0;

    if (path[0] == '\0')
        return;
    conf_where_text(conf_notices_templates_where(conf->queue), where, sizeof where);
    buf_init(&text, DSN_TEXTS_MAX);
    if (!inspect_read(path, &text, &mode, &err)) {
        findings_add(f, FINDING_ERROR, where, err.sys == EACCES ? "call this as root" : "", "%s", err.text);
    } else {
        texts = inspect_notice_texts(path, buf_view(&text), f);
        snprintf(fix, sizeof fix, "chmod go-w %s", path);
        if (mode & (S_IWGRP | S_IWOTH))
            findings_add(f, FINDING_FAULT, where, fix, "%s: others may write what this host says in notices",
                         path);
    }
    dsn_texts_free(&texts);
    buf_clear(&text);
}
