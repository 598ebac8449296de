/* main.c - mtad: starts, watches and stops the daemons; parses no mail */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/proc/sanitizer.h"
#include "conf/conf.h"
#include "inspect/inspect.h"
#include "mtad/host.h"
#include "mtad/notify.h"

static int print_conf(const struct host *host)
{
    struct buf text;

    buf_init(&text, SIZE_MAX);
    conf_describe(host->conf, &text);
    fwrite(text.data, 1, text.len, stdout);
    buf_clear(&text);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* False: the host cannot be started. */
static bool inspect(const struct host *host)
{
    const struct inspect_options options = { .privileged = geteuid() == 0 };
    struct findings f = { 0 };
    struct buf text;
    bool ok;

    inspect_all(host->conf, &options, &f);
    buf_init(&text, 1u << 20);
    for (size_t i = 0; i < f.n; i++)
        finding_text(&f.list[i], &text);
    fputs(buf_cstr(&text), stderr);
    buf_clear(&text);
    ok = f.count[FINDING_ERROR] == 0;
    findings_clear(&f);
    return ok;
}

int main(int argc, char **argv)
{
    static struct host host;
    struct err err = { 0 };

    sanitizer_settings();
    log_set_name("mtad");
    switch (options_parse(&host.options, argc, argv)) {
    case OPTIONS_DONE: return 0;
    case OPTIONS_WRONG: return 64;
    case OPTIONS_RUN: break;
    }
    if (!host_load(&host))
        return 1;
    if (host.options.print_conf)
        return print_conf(&host);
    if (!inspect(&host))
        return 1;
    if (host.options.check_only) {
        puts("the configuration is in order");
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    umask(022);
    notify_begin();
    if (!host_prepare(&host, &err)) {
        /* Also for the eyes of whoever typed the command, when the log goes elsewhere. */
        fprintf(stderr, "mtad: %s\n", err.text);
        LOG(ERROR, "mtad.start.failed", KS("why", err.text));
        return 1;
    }
    return host_run(&host);
}
