/* main.c - mtad: starts, watches and stops the daemons; parses no mail */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/proc/sanitizer.h"
#include "conf/conf.h"
#include "mtad/certificate.h"
#include "mtad/command.h"
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

static void warn(const char *text)
{
    fprintf(stderr, "mtad: %s\n", text);
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
    if (!certificate_check_all(&host, warn, &err)) {
        fprintf(stderr, "mtad: %s\n", err.text);
        return 1;
    }
    command_check_all(&host, warn);
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
