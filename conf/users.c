/* users.c - section `users` */
#include "conf/users.h"

#include "conf/check.h"
#include "conf/kinds.h"

static const struct conf_field fields[] = {
    FIELD(conf_users, smtpd, CT_USER, "mansio-smtpd", .doc = "User of smtpd."),
    FIELD(conf_users, cleanup, CT_USER, "mansio-cleanup", .doc = "User of cleanup."),
    FIELD(conf_users, queued, CT_USER, "mansio-queued", .doc = "User of queued; owns the spool."),
    FIELD(conf_users, deliverd, CT_USER, "mansio-deliverd", .doc = "User of deliverd."),
    FIELD(conf_users, mapd, CT_USER, "mansio-mapd", .doc = "User of mapd and its workers."),
    FIELD(conf_users, dnsd, CT_USER, "mansio-dnsd", .doc = "User of dnsd."),
    FIELD(conf_users, historyd, CT_USER, "mansio-history", .doc = "User of historyd."),
    FIELD(conf_users, drop, CT_USER, "mansio-drop",
          .doc = "Group of the program that takes mail of local users."),
    FIELD_END
};

const char *conf_users_of(const struct conf_users *users, enum role role)
{
    switch (role) {
    case ROLE_SMTPD:
        return users->smtpd;
    case ROLE_CLEANUP:
        return users->cleanup;
    case ROLE_QUEUED:
        return users->queued;
    case ROLE_DELIVERD:
        return users->deliverd;
    case ROLE_MAPD:
    case ROLE_MAPD_WORKER:
        return users->mapd;
    case ROLE_DNSD:
        return users->dnsd;
    case ROLE_HISTORYD:
        return users->historyd;
    case ROLE_MTAD:
    case ROLE_AGENT:
    case ROLE_MTACTL:
    case ROLE_COUNT:
        break;
    }
    return NULL;
}

static void check_users(struct conf_check *check, void *section)
{
    const struct conf_users *users = section;
    for (size_t i = 0; fields[i].name; i++) {
        char *const *a = (char *const *)(const void *)((const char *)users + fields[i].offset);
        if (strcmp(*a, "root") == 0)
            conf_check_fail(check, users, fields[i].name, 0, "no daemon but mtad may run as root");
        for (size_t k = 0; k < i; k++) {
            char *const *b = (char *const *)(const void *)((const char *)users + fields[k].offset);
            if (strcmp(*a, *b) == 0 && strcmp(fields[i].name, "drop") != 0)
                conf_check_fail(check, users, fields[i].name, 0,
                                "\"%s\" is the user of %s already; each needs its own, "
                                "or they could touch each other",
                                *a, fields[k].name);
        }
    }
}

const struct conf_kind conf_users_kind = {
    .name = "users",
    .fields = fields,
    .size = sizeof(struct conf_users),
    .offset = offsetof(struct conf, users),
    .check = check_users,
    .doc = "The system user of each daemon, used when mtad is started by root.",
};
