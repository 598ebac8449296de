/* ask.h - one question to a daemon with all portions of its answer */
#pragma once

#include "common/ipc/blocking.h"
#include "mtactl/rows.h"
#include "mtactl/tool.h"

#define ASK_ARGS_MAX 64u

struct ask_arg {
    const char *name;
    struct strv text; /* p NULL: a number */
    uint64_t number;
};

struct ask {
    enum role role;
    const char *act;
    struct ask_arg args[ASK_ARGS_MAX];
    size_t n;
    /* What comes; NULL: not wanted. */
    void (*row)(void *arg, struct row *r); /* r is good until it returns; rows_take copies it */
    void (*data)(void *arg, struct strv bytes);
    void *arg;
    bool ahead;  /* the next portion is asked for before the rows of this one are handed over */
    bool enough; /* set by what takes rows: no further portion is wanted */
    /* How it ended. */
    enum blocking_trouble trouble;
    int code;        /* exit status */
    char text[2300]; /* a sentence; empty: nothing to say */
};

bool ask_text(struct ask *a, const char *name, struct strv text); /* false: too many */
bool ask_number(struct ask *a, const char *name, uint64_t number);
/* Runs it to the end; the exit status. */
int ask_run(struct ask *a, struct tool *t);
void ask_collect(void *rows, struct row *r); /* a row function: into struct rows */
/* Exit status of a trouble. */
int ask_status(enum blocking_trouble trouble);
