/* address.c - where mail for an address goes, step by step; nothing is sent */
#include <sysexits.h>

#include "conf/conf.h"
#include "conf/route.h"
#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/print.h"

static void step_text(struct buf *out, const struct row *r)
{
    struct strv by = row_text(r, "by");

    buf_adds(out, "  ");
    print_safe(out, row_text(r, "address"));
    if (strv_is(by, "nothing")) {
        buf_adds(out, ": in no table\n");
        return;
    }
    if (strv_is(by, "route")) {
        buf_adds(out, ": not our domain, it is relayed\n");
        return;
    }
    if (strv_is(by, "postmaster")) {
        buf_adds(out, ": postmaster is always there (RFC 5321 4.5.1)\n");
        return;
    }
    buf_adds(out, ": ");
    print_safe(out, by);
    buf_adds(out, ", map ");
    print_safe(out, row_text(r, "map"));
    if (row_text(r, "origin").n) {
        buf_addc(out, ' ');
        print_safe(out, row_text(r, "origin"));
    }
    buf_adds(out, " -> ");
    print_safe(out, row_text(r, "value"));
    if (row_text(r, "forward").n) {
        buf_adds(out, ", perhaps ");
        print_safe(out, row_text(r, "forward"));
    }
    buf_addc(out, '\n');
}

/* The file says by which route; the host that runs may have an older one in memory. */
static void final_route(struct row *r, const struct conf *conf)
{
    const struct conf_route *route;
    struct strv address = row_text(r, "address");
    char where[512];
    size_t at;

    if (!conf || !strv_is(row_text(r, "goes"), "route") || !strv_rfind(address, '@', &at))
        return;
    route = conf_route_for(conf, strv_from(address, at + 1));
    conf_where_text(conf_where(&route->head, "route", "via"), where, sizeof where);
    row_put(r, "route", SV(route->head.name));
    row_put(r, "origin", SV(where));
}

static const char *final_way(struct strv goes)
{
    if (strv_is(goes, "nowhere"))
        return ", NO SUCH MAILBOX here: its sender is told";
    return strv_is(goes, "route") ? ", sent on" : ", into its mailbox here";
}

static void final_text(struct buf *out, const struct row *r)
{
    buf_adds(out, "= ");
    print_safe(out, row_text(r, "address"));
    if (row_text(r, "target").n) {
        buf_adds(out, strv_is(row_text(r, "goes"), "file") ? ", into the file " : ", to the command ");
        print_safe(out, row_text(r, "target"));
    } else {
        buf_adds(out, final_way(row_text(r, "goes")));
    }
    if (row_text(r, "route").n) {
        buf_adds(out, " by route ");
        print_safe(out, row_text(r, "route"));
        buf_adds(out, " (");
        print_safe(out, row_text(r, "origin"));
        buf_addc(out, ')');
    }
    buf_addc(out, '\n');
}

int command_address(struct tool *t, int argc, char **argv)
{
    const struct conf_options options = { .skip_files = true };
    struct rows rows = { 0 };
    struct ask a = { .role = ROLE_CLEANUP, .act = "address", .row = ask_collect, .arg = &rows };
    struct conf_errors errs;
    struct conf *conf = NULL;

    (void)argc;
    ask_text(&a, "address", SV(argv[0]));
    ask_run(&a, t);
    conf_errors_init(&errs);
    if (!conf_load_with(t->conf_path, &options, &conf, &errs))
        conf = NULL;
    conf_errors_clear(&errs);
    for (size_t i = 0; i < rows.n; i++) {
        bool final = strcmp(rows.list[i].kind, "final") == 0;

        if (final)
            final_route(&rows.list[i], conf);
        if (t->json)
            tool_row(t, &rows.list[i]);
        else if (final)
            final_text(&t->out, &rows.list[i]);
        else if (strcmp(rows.list[i].kind, "step") == 0)
            step_text(&t->out, &rows.list[i]);
    }
    rows_clear(&rows);
    conf_free(&conf);
    return tool_end(t, a.code, "%s", a.text);
}
