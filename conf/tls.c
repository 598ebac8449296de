/* tls.c - section `tls` */
#include "conf/tls.h"

#include "conf/check.h"
#include "conf/kinds.h"

#define READERS .roles = ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_DELIVERD)
#define CLIENT  .roles = ROLE_BIT(ROLE_DELIVERD)

static const struct conf_field fields[] = {
    FIELD(conf_tls_section, certificate, CT_PATH, "\"\"", .exists = true, READERS,
          .doc = "PEM file with the host's certificate and its intermediate ones."),
    FIELD(conf_tls_section, key, CT_PATH, "\"\"", .exists = true, READERS,
          .doc = "PEM file with the private key; without it the key lies in the certificate's file. It may "
                 "be readable by root alone."),
    FIELD(conf_tls_section, ca, CT_PATH, "\"\"", .exists = true, CLIENT,
          .doc = "PEM file with the authorities that vouch for servers to which mail is sent. \"\" is the "
                 "system's collection."),
    FIELD_END
};

static void check_tls(struct conf_check *check, void *section)
{
    struct conf_tls_section *tls = section;
    if (tls->key[0] != '\0' && tls->certificate[0] == '\0')
        conf_check_fail(check, tls, "key", 0,
                        "a key needs its certificate; add: certificate = /path/cert.pem");
}

static const struct conf_builtin builtins[] = { { NULL, "tls { }" }, { NULL, NULL } };

const struct conf_kind conf_tls_kind = {
    .name = "tls",
    .fields = fields,
    .size = sizeof(struct conf_tls_section),
    .offset = offsetof(struct conf, tls),
    .count_offset = offsetof(struct conf, tls_n),
    .label = LABEL_OPTIONAL,
    .check = check_tls,
    .builtins = builtins,
    .label_doc = "Tells several certificates apart. A client that asks for a name gets the first certificate "
                 "that holds it, all others the first one.",
    .doc = "A certificate of this host.",
};
