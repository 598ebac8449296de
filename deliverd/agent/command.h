/* command.h - one message into one program: argv, environment, time, and what its end means
 *
 * No shell reads anything but a command that the user wrote into his own ~/.forward: the program is executed
 * with the arguments that mtad took from the configuration, in which whole arguments stand for values. What
 * strangers wrote is a whole argument or a whole variable.
 */
#pragma once

#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/strv.h"
#include "common/ipc/schema.h"

#define COMMAND_ARGS_MAX   64u
#define COMMAND_OUTPUT_MAX 300u

/* What mtad said when the agent began. Strings are borrowed for the agent's life. */
struct command {
    const char *argv[COMMAND_ARGS_MAX + 1]; /* as configured; NULL ends it */
    const char *user, *home;                /* of the process */
    bool from_line;
    bool literal; /* no argument stands for a value */
    bool of_user; /* argv lacks its last argument: one of the commands of the user's ~/.forward */
    const char *shown; /* in messages instead of argv[0]; NULL: argv[0] */
    long timeout_s;
    int channel_fd; /* its end kills the command */
};

/* Of one message; what is not there is empty. */
struct command_values {
    struct strv user, domain, extension, sender, rcpt;
};

struct command_result {
    enum ipc_outcome outcome;
    char enhanced[8];
    char text[512];
};

/* Whether values may be arguments: none of a stranger begins with a hyphen, which the program would take for
   an option, and none holds a NUL. */
bool command_values_ok(const struct command_values *v);
/* The argument that a configured one stands for. */
struct strv command_argument(const char *configured, const struct command_values *v);
/* What an exit status of waitpid means; detail is what the program wrote. */
void command_status(const char *program, int status, struct strv detail, struct command_result *out);

/* Runs it on the descriptor's contents from the start, and waits. */
void command_run(const struct command *c, const struct command_values *v, int message_fd,
                 struct command_result *out);
