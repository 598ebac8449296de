/* main.c - mtad: starts, watches and stops the daemons; parses no mail */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/log.h"
#include "common/proc/sanitizer.h"
#include "mtad/host.h"
#include "mtad/notify.h"

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
