/* agent_alias.h - commands and files of aliases: which an operator permits, and what is executed (pure) */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"

#define ALIAS_ARGS_MAX 60u

/* What becomes of a command: no shell reads it, so it is words between blanks. */
struct alias_command {
    struct buf text; /* owned: the words, each with a NUL behind it */
    size_t at[ALIAS_ARGS_MAX];
    size_t n;
};

/* Whether an aliases table's value has this target: "|command" or "/file". */
bool alias_has_target(struct strv value, struct strv target);

/* commands: address.commands. Of a directory the program of that name is taken, whatever path the alias
   names; with "any" the path must be absolute. What a shell would interpret is refused. ERR_PERM with the
   reason; the caller clears out either way. */
bool alias_command_split(const char *commands, struct strv command, struct alias_command *out,
                         struct err *err)
    __attribute__((warn_unused_result));
void alias_command_clear(struct alias_command *c);
