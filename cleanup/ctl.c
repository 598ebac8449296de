/* ctl.c - the way of an address, for an operator: the very code that resolves mail, with its steps told */
#include "cleanup/ctl.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cleanup/recipients.h"
#include "cleanup/resolve.h"
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "common/mail/address.h"
#include "conf/address.h"
#include "conf/conf.h"

#define UNKNOWN_MAX (1u << 20)
#define VALUE_MAX 2000u /* of a list that an alias stands for */

struct way {
    struct cleanup *cl;
    struct ctl_call *call; /* NULL: the caller left */
    struct resolve *resolve;
    struct buf unknown; /* addresses that no table has, each between line ends */
};

static void on_step(void *ctx, const struct resolve_trace *step)
{
    struct way *w = ctx;

    if (!w->call)
        return;
    ctl_row(w->call, "step");
    ctl_put(w->call, "address", step->address);
    ctl_put(w->call, "by", SV(step->by));
    ctl_put(w->call, "map", SV(step->map));
    ctl_put(w->call, "origin", step->origin);
    ctl_put(w->call, "value", strv_sub(step->value, 0, VALUE_MAX));
    if (step->forward)
        ctl_put(w->call, "forward", SV_LIT("~/.forward, which is read at delivery"));
    ctl_row_end(w->call);
    if (strcmp(step->by, "nothing") == 0) {
        buf_addv(&w->unknown, step->address);
        buf_addc(&w->unknown, '\n');
    }
}

static int verdict_status(enum ipc_verdict verdict)
{
    switch (verdict) {
    case VERDICT_ACCEPT: return EX_OK;
    case VERDICT_REFUSE: return EX_NOUSER;
    case VERDICT_TEMPFAIL: return EX_TEMPFAIL;
    }
    return EX_SOFTWARE;
}

static void way_free(struct way *w)
{
    resolve_free(&w->resolve);
    buf_clear(&w->unknown);
    free(w);
}

/* One of several that an alias names: it is found out at delivery, its sender is told. */
static bool is_unknown(const struct way *w, struct strv address)
{
    struct strv rest = buf_view(&w->unknown), line;

    while (strv_cut(&rest, '\n', &line)) {
        if (line.n && strv_eq(line, address))
            return true;
    }
    return false;
}

static struct strv leaf_goes(const struct way *w, const struct resolve_leaf *leaf)
{
    if (leaf->local && is_unknown(w, leaf->address))
        return SV_LIT("nowhere");
    if (leaf->target.n)
        return strv_starts(leaf->target, SV_LIT("@|")) ? SV_LIT("command") : SV_LIT("file");
    return leaf->local ? SV_LIT("mailbox") : SV_LIT("route");
}

static void way_told(struct way *w)
{
    const struct resolve_result *r = resolve_result(w->resolve);
    struct ctl_call *call = w->call;

    for (size_t i = 0; r->verdict == VERDICT_ACCEPT && i < r->leaf_n; i++) {
        ctl_row(call, "final");
        ctl_put(call, "address", r->leaves[i].address);
        ctl_put(call, "goes", leaf_goes(w, &r->leaves[i]));
        if (r->leaves[i].target.n)
            ctl_put(call, "target", strv_from(r->leaves[i].target, 1));
        ctl_row_end(call);
    }
    if (r->verdict != VERDICT_ACCEPT) {
        ctl_row(call, "verdict");
        ctl_put_u64(call, "code", (uint64_t)r->code);
        ctl_put(call, "enhanced", SV(r->enhanced));
        ctl_put(call, "text", r->text);
        ctl_put(call, "rule", r->rule);
        ctl_row_end(call);
        ctl_done(call, verdict_status(r->verdict), "%d %s %.*s (%.*s)", r->code, r->enhanced, (int)r->text.n,
                 r->text.p, (int)r->rule.n, r->rule.n ? r->rule.p : "");
    } else {
        ctl_done(call, 0, "%s", r->leaf_n ? "deliverable" : "accepted, and thrown away as its addresses say");
    }
    way_free(w);
}

static void on_resolved(void *arg, struct resolve *resolve)
{
    (void)resolve;
    way_told(arg);
}

static void on_gone(void *data)
{
    way_free(data);
}

static void on_address(void *arg, struct ctl_call *call)
{
    struct cleanup *cl = arg;
    struct way *w = mem_new(sizeof *w);
    struct resolve_env env = { .id = "address", .trace = on_step, .trace_ctx = w };
    struct address a;
    const char *why = "";
    uint64_t internal = 0;

    w->cl = cl;
    w->call = call;
    buf_init(&w->unknown, UNKNOWN_MAX);
    ctl_number(call, "internal", &internal);
    recipients_env(cl, &env);
    env.internal = internal != 0;
    if (!address_parse(strv_sub(ctl_text(call, "address"), 0, 1024), ADDRESS_LOCAL_OK | ADDRESS_UTF8, &a,
                       &why) ||
        !recipients_complete(cl->conf, &a)) {
        free(w);
        ctl_done(call, EX_DATAERR, "501 5.1.3 Bad recipient address syntax%s%s", why ? ": " : "",
                 why ? why : "");
        return;
    }
    ctl_later(call, on_gone, w);
    if (resolve_start(&env, &a, false, (size_t)cl->conf->address->max_expansion, on_resolved, w,
                      &w->resolve) == RESOLVE_NOW)
        way_told(w);
    address_clear(&a);
}

static const struct ctl_act acts[] = {
    { "address", on_address, false },
    { .name = NULL },
};

void cleanup_ctl_client(struct cleanup *cl, int fd)
{
    static struct ctl_server *server;

    if (!server)
        server = ctl_server_new(cl->loop, ROLE_CLEANUP, acts, cl);
    ctl_server_client(server, fd);
}
