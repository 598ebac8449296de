/* auth.c - section `auth` */
#include "conf/auth.h"

#include "common/base/mem.h"
#include "conf/check.h"
#include "conf/kinds.h"
#include "conf/map.h"
#include "conf/top.h"

#include <stdlib.h>

#define SMTPD_MAPD .roles = ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_MAPD) | ROLE_BIT(ROLE_MAPD_WORKER)

static const struct conf_field fields[] = {
    FIELD(conf_auth_section, users, CT_MAP, "\"\"", SMTPD_MAPD,
          .doc = "Map from logins to secrets: crypt(3) hashes (yescrypt, bcrypt, SHA-512) or SCRAM secrets, "
                 "as `mtactl passwd` writes them. Nothing but the check of passwords reads it."),
    FIELD(conf_auth_section, realm, CT_STRING, "\"\"", .max = 253, SMTPD_MAPD,
          .computed = "`hostname`", .doc = "A login without `@` is completed with it: `dad` is `dad@realm`."),
    FIELD(conf_auth_section, mechanisms, CT_STRINGS, "[ PLAIN, LOGIN ]", .roles = ROLE_BIT(ROLE_SMTPD),
          .doc = "What is offered: `PLAIN`, `LOGIN`, `SCRAM-SHA-256`. The last one works for users whose "
                 "secret is a SCRAM secret only, and clients prefer it, so offer it when all secrets are."),
    FIELD(conf_auth_section, senders, CT_MAP, "\"\"", .roles = ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_MAPD),
          .doc = "Map from logins to the sender addresses that they may use besides their own, separated by "
                 "commas; `@domain` is every address of it, `*` every address."),
    FIELD_END
};

static void prepare_auth(struct conf_check *check, void *section)
{
    struct conf_auth_section *auth = section;
    if (!auth->realm || auth->realm[0] != '\0' || !check->conf->top || !check->conf->top->hostname)
        return;
    free(auth->realm);
    auth->realm = mem_str(check->conf->top->hostname);
}

static void check_auth(struct conf_check *check, void *section)
{
    struct conf_auth_section *auth = section;
    const struct conf_map *map = NULL;
    if (check->conf->map_index && auth->users[0] != '\0')
        map = conf_map_find(check->conf, SV(auth->users));
    for (size_t i = 0; i < auth->mechanisms.n; i++) {
        struct strv m = SV(auth->mechanisms.v[i]);
        if (!strv_iis(m, "PLAIN") && !strv_iis(m, "LOGIN") && !strv_iis(m, "SCRAM-SHA-256"))
            conf_check_fail(check, auth, "mechanisms", i, "\"%.40s\" is not PLAIN, LOGIN or SCRAM-SHA-256",
                            auth->mechanisms.v[i]);
    }
    if (map && (map->type == CONF_MAP_PASSWD || map->type == CONF_MAP_ALIASES))
        conf_check_fail(check, auth, "users", 0, "a map of this type holds no secrets; text or lmdb does");
}

const struct conf_kind conf_auth_kind = {
    .name = "auth",
    .fields = fields,
    .size = sizeof(struct conf_auth_section),
    .offset = offsetof(struct conf, auth),
    .prepare = prepare_auth,
    .check = check_auth,
    .doc = "How users of `listen { auth }` prove who they are.",
};
