/* agent_user.c - may an agent be this user? (pure) */
#include "mtad/agent_user.h"

#include "conf/mailbox.h"

static bool is_exception(const struct conf_mailbox *mailbox, struct strv user)
{
    for (size_t i = 0; i < mailbox->uid_exceptions.n; i++) {
        if (strv_is(user, mailbox->uid_exceptions.v[i]))
            return true;
    }
    return false;
}

bool agent_ids_permitted(struct strv user, uint64_t uid, uint64_t gid, struct err *err)
{
    /* -1 means "leave it" to setresuid: it would leave root. */
    if (uid == 0 || gid == 0 || uid >= UINT32_MAX || gid >= UINT32_MAX)
        return err_set(err, ERR_PERM, "user %.*s has uid %llu, gid %llu: never", (int)user.n, user.p,
                       (unsigned long long)uid, (unsigned long long)gid);
    return true;
}

bool agent_user_permitted(const struct conf_mailbox *mailbox, struct strv user, uint64_t uid, uint64_t gid,
                          struct err *err)
{
    if (!agent_ids_permitted(user, uid, gid, err))
        return false;
    if (uid < (uint64_t)mailbox->uid_min && !is_exception(mailbox, user))
        return err_set(err, ERR_PERM, "user %.*s has uid %llu, below mailbox.uid_min", (int)user.n, user.p,
                       (unsigned long long)uid);
    return true;
}
