/* secret.c - section `secret NAME` */
#include "conf/secret.h"

#include "conf/check.h"
#include "conf/kinds.h"

static const struct conf_field fields[] = {
    FIELD(conf_secret, user, CT_STRING, "\"\"", .max = 255, .roles = ROLE_BIT(ROLE_DELIVERD),
          .doc = "Login. \"\": it stands in the file, before a colon."),
    FIELD(conf_secret, file, CT_PATH, NULL, .required = true, .exists = true,
          .doc = "File whose first line is the password, or `login:password`. It may be readable by root "
                 "alone in a directory of root's; only deliverd gets what is in it. Read at start and at "
                 "reload."),
    FIELD_END
};

const struct conf_secret *conf_secret_find(const struct conf *conf, struct strv name)
{
    for (size_t i = 0; i < conf->secret_n; i++) {
        if (strv_is(name, conf->secrets[i]->head.name))
            return conf->secrets[i];
    }
    return NULL;
}

const struct conf_kind conf_secret_kind = {
    .name = "secret",
    .fields = fields,
    .size = sizeof(struct conf_secret),
    .offset = offsetof(struct conf, secrets),
    .count_offset = offsetof(struct conf, secret_n),
    .label = LABEL_REQUIRED,
    .label_doc = "What `auth` of a route calls it.",
    .doc = "A login at another server. The password is never written into the configuration.",
};
