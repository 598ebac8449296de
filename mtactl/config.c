/* config.c - config: the configuration as files say it, in the caller's process */
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/mem.h"
#include "conf/auth.h"
#include "conf/conf.h"
#include "conf/map.h"
#include "mtactl/command.h"

/* `    name = value    # file:line` below `kind [name] {` */
static void line_row(struct tool *t, struct strv line, char section[256])
{
    struct strv name, value, origin = SV_LIT("");
    size_t at;
    struct row r = { 0 };

    line = strv_trim(line);
    for (at = line.n; at > 6 && !strv_starts(strv_from(line, at - 6), SV_LIT("    # ")); at--)
        continue;
    if (at > 6) {
        origin = strv_from(line, at);
        line = strv_sub(line, 0, at - 6);
    }
    if (strv_ends(line, SV_LIT(" {"))) {
        strv_cstr(strv_sub(line, 0, line.n - 2), section, 256);
        return;
    }
    if (strv_is(line, "}")) {
        section[0] = '\0';
        return;
    }
    if (!strv_find(line, '=', &at))
        return;
    name = strv_trim(strv_sub(line, 0, at));
    value = strv_trim(strv_from(line, at + 1));
    r.kind = strv_dup(SV_LIT("value"));
    row_put(&r, "section", SV(section));
    row_put(&r, "name", name);
    row_put(&r, "value", value);
    row_put(&r, "origin", origin);
    tool_row(t, &r);
    row_clear(&r);
}

/* A login is shown, its secret is not. */
static void secrets_mask(struct conf *conf)
{
    const struct conf_map *found = conf->auth->users[0] ? conf_map_find(conf, SV(conf->auth->users)) : NULL;

    for (size_t i = 0; found && i < found->entries.n; i++) {
        struct strv rest = SV(found->entries.v[i]), login = SV_LIT("");
        struct buf text;

        strv_word(&rest, &login);
        buf_init(&text, 65536);
        buf_addv(&text, login);
        buf_adds(&text, " ***");
        free(found->entries.v[i]);
        found->entries.v[i] = mem_str(buf_cstr(&text));
        buf_clear(&text);
    }
}

int command_config(struct tool *t, int argc, char **argv)
{
    char section[256] = "";
    struct strv rest, line;
    struct conf *conf;
    struct buf text;

    (void)argc;
    (void)argv;
    if (!tool_conf(t, NULL, &conf))
        return tool_end(t, EX_CONFIG, "%s is not in order", t->conf_path);
    secrets_mask(conf);
    buf_init(&text, 256u << 20);
    conf_describe(conf, &text);
    conf_free(&conf);
    rest = buf_view(&text);
    if (!t->json)
        buf_addv(&t->out, rest);
    while (t->json && rest.p && strv_cut(&rest, '\n', &line))
        line_row(t, line, section);
    buf_clear(&text);
    return tool_end(t, 0, NULL);
}
