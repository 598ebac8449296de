/* options.h - the command line of mtad */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"

#define OPTIONS_LIST_MAX 32

struct options {
    const char *conf_path;
    bool check_only;                         /* -n */
    bool print_conf;                         /* --config: the effective configuration, then exit */
    bool try_forbidden;                      /* check build */
    const char *overrides[OPTIONS_LIST_MAX]; /* -o; borrowed from argv */
    size_t override_n;
    const char *faults[OPTIONS_LIST_MAX]; /* check build */
    size_t fault_n;
    unsigned sync_delay_ms; /* check build */
    long restart_max_ms;    /* check build; 0: as in production */
    unsigned landlock;      /* highest ABI to use; 0: off */
    int ready_fd;           /* -1: none */
    const char *programs;   /* check build: directory of the daemons; NULL: mtad's own */
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

/* DONE: help or version was printed. WRONG: the mistake was printed on stderr. */
enum options_result options_parse(struct options *o, int argc, char **argv);
/* The list of options in mdoc, for the manual page; without those of the check build. */
void options_manual(struct buf *out);
