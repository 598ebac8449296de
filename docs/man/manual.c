/* manual.c - makes a manual page of its source: a line `.\" @TABLE [WORD]` becomes what that table says */
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "conf/manual.h"
#include "mtactl/command.h"
#include "mtad/options.h"

#define MARK ".\\\" @"

static const struct table {
    const char *name;
    void (*make)(struct buf *out);
} tables[] = {
    { "mtad-options", options_manual },
    { "mtactl-commands", command_manual },
    { "conf", conf_manual },
};

static bool put_in(struct strv what, struct buf *out)
{
    struct strv name, word;
    enum role role;

    if (!strv_word(&what, &name))
        return false;
    if (strv_is(name, "conf-of"))
        return strv_word(&what, &word) && role_parse(word, &role) && (conf_manual_role(role, out), true);
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
