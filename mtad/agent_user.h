/* agent_user.h - may an agent be this user? (pure) */
#pragma once

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/strv.h"

struct conf_mailbox;

/* Whoever it is: never uid or gid 0. For a pipe, whose user the configuration names. */
bool agent_ids_permitted(struct strv user, uint64_t uid, uint64_t gid, struct err *err)
    __attribute__((warn_unused_result));
/* A system user as the mailbox section sees him: never uid or gid 0, not below uid_min unless named as
   exception. ERR_PERM with the reason. */
bool agent_user_permitted(const struct conf_mailbox *mailbox, struct strv user, uint64_t uid, uint64_t gid,
                          struct err *err) __attribute__((warn_unused_result));
