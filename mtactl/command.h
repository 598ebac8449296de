/* command.h - the commands of mtactl: one table from which usage, manual page and completion come */
#pragma once

#include "mtactl/tool.h"

struct command {
    const char *name;                                  /* one or two words: "status", "queue list" */
    const char *arguments;                             /* as usage shows them; "" for none */
    const char *doc;                                   /* one sentence */
    unsigned min, max;                                 /* arguments */
    int (*run)(struct tool *t, int argc, char **argv); /* arguments only; the exit status */
};

extern const struct command commands[]; /* ends with name NULL */

/* The command that the words begin with, the longest; *used: how many words. NULL: none. */
const struct command *command_find(int argc, char **argv, int *used);
void command_usage(struct buf *out);
/* How to call the command of that name and those that it begins ("queue": all of the queue). false: none. */
bool command_help(struct strv name, struct buf *out);
/* mdoc list of all commands, for the manual page. For the completion of a shell: a line for each command, its
   name, a tab, and the options and choices that may follow. */
void command_manual(struct buf *out);
void command_words(struct buf *out);

int command_status(struct tool *t, int argc, char **argv);
int command_stop(struct tool *t, int argc, char **argv);
int command_log(struct tool *t, int argc, char **argv);
int command_check(struct tool *t, int argc, char **argv);
int command_check_install(struct tool *t, int argc, char **argv);
int command_config(struct tool *t, int argc, char **argv);
int command_config_files(struct tool *t, int argc, char **argv);
int command_config_history(struct tool *t, int argc, char **argv);
int command_config_diff(struct tool *t, int argc, char **argv);
int command_reload_previous(struct tool *t, int argc, char **argv);
int command_metrics(struct tool *t, int argc, char **argv);
int command_top(struct tool *t, int argc, char **argv);
int command_sandbox(struct tool *t, int argc, char **argv);
int command_queue_list(struct tool *t, int argc, char **argv);
int command_queue_summary(struct tool *t, int argc, char **argv);
int command_queue_show(struct tool *t, int argc, char **argv);
int command_queue_cat(struct tool *t, int argc, char **argv);
int command_queue_hold(struct tool *t, int argc, char **argv);
int command_queue_release(struct tool *t, int argc, char **argv);
int command_queue_flush(struct tool *t, int argc, char **argv);
int command_queue_delete(struct tool *t, int argc, char **argv);
int command_queue_bounce(struct tool *t, int argc, char **argv);
int command_queue_requeue(struct tool *t, int argc, char **argv);
int command_queue_edit(struct tool *t, int argc, char **argv);
int command_queue_verify(struct tool *t, int argc, char **argv);
int command_mailq(struct tool *t, int argc, char **argv);
int command_notice_show(struct tool *t, int argc, char **argv);
int command_trace(struct tool *t, int argc, char **argv);
int command_pause(struct tool *t, int argc, char **argv);
int command_resume(struct tool *t, int argc, char **argv);
int command_freeze(struct tool *t, int argc, char **argv);
int command_thaw(struct tool *t, int argc, char **argv);
int command_map_list(struct tool *t, int argc, char **argv);
int command_map_get(struct tool *t, int argc, char **argv);
int command_map_dump(struct tool *t, int argc, char **argv);
int command_map_check(struct tool *t, int argc, char **argv);
int command_map_build(struct tool *t, int argc, char **argv);
int command_map_reload(struct tool *t, int argc, char **argv);
int command_address(struct tool *t, int argc, char **argv);
int command_passwd(struct tool *t, int argc, char **argv);
int command_test(struct tool *t, int argc, char **argv);
int command_policy(struct tool *t, int argc, char **argv);
int command_reload(struct tool *t, int argc, char **argv);
