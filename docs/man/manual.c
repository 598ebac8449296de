/* manual.c - makes a manual page of its source: a line `.\" @TABLE [WORD]` becomes what that table says */
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#ifdef MANUAL_OF_POSTDROP
#include "postdrop/options.h"
#else
#include "conf/manual.h"
#include "mtactl/command.h"
#include "mtad/options.h"
#endif

#define MARK ".\\\" @"

#ifdef MANUAL_OF_POSTDROP
/* A comment, for the test that compares it with the options that the page explains. */
static void letters(struct buf *out)
{
    buf_addf(out, ".\\\" options: %s\n", options_letters());
}

static void ignored(struct buf *out)
{
    const char *before = "";

    for (const char *c = options_ignored(); *c; c++) {
        buf_addf(out, "%s.Fl %c", before, *c);
        before = " ,\n";
    }
    buf_adds(out, " .\n");
}
#endif

static const struct table {
    const char *name;
    void (*make)(struct buf *out);
} tables[] = {
#ifdef MANUAL_OF_POSTDROP
    { "sendmail-letters", letters },
    { "sendmail-ignored", ignored },
#else
    { "mtad-options", options_manual },
    { "mtactl-commands", command_manual },
    { "conf", conf_manual },
#endif
};

#ifndef MANUAL_OF_POSTDROP
static bool conf_of(struct strv rest, struct buf *out)
{
    struct strv word;
    enum role role;

    if (!strv_word(&rest, &word) || !role_parse(word, &role))
        return false;
    conf_manual_role(role, out);
    return true;
}
#endif

static bool put_in(struct strv what, struct buf *out)
{
    struct strv name;

    if (!strv_word(&what, &name))
        return false;
#ifndef MANUAL_OF_POSTDROP
    if (strv_is(name, "conf-of"))
        return conf_of(what, out);
#endif
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (strv_is(name, tables[i].name)) {
            tables[i].make(out);
            return true;
        }
    }
    return false;
}

static bool page_make(const char *source, FILE *in, struct buf *out)
{
    char line[1024];

    for (unsigned n = 1; fgets(line, sizeof line, in); n++) {
        if (strncmp(line, MARK, strlen(MARK)) != 0) {
            buf_adds(out, line);
        } else if (!put_in(strv_trim(strv_from(SV(line), strlen(MARK))), out)) {
            fprintf(stderr, "%s:%u: there is no such table: %s", source, n, line);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    FILE *in, *to;
    struct buf page;
    bool ok;

    if (argc != 3) {
        fputs("usage: mansio-manual SOURCE PAGE\n", stderr);
        return 64;
    }
    in = fopen(argv[1], "r");
    if (!in) {
        perror(argv[1]);
        return 66;
    }
    buf_init(&page, 4u << 20);
    ok = page_make(argv[1], in, &page);
    fclose(in);
    to = ok ? fopen(argv[2], "w") : NULL;
    if (ok && !to)
        perror(argv[2]);
    if (to) {
        ok = fwrite(page.data, 1, page.len, to) == page.len;
        ok = fclose(to) == 0 && ok;
    } else {
        ok = false;
    }
    buf_clear(&page);
    return ok ? 0 : 1;
}
