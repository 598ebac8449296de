/* tls.c - section `tls` */
#include "conf/tls.h"

#include "conf/check.h"
#include "conf/kinds.h"

#define READERS .roles = ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_DELIVERD)

static const struct conf_field fields[] = {
    FIELD(conf_tls_section, certificate, CT_PATH, "\"\"", .exists = true, READERS,
          .doc = "PEM file with the host's certificate and its intermediate ones."),
    FIELD(conf_tls_section, key, CT_PATH, "\"\"", .exists = true, READERS,
          .doc = "PEM file with the private key. It may be readable by root alone."),
    FIELD_END
};

static void check_tls(struct conf_check *check, void *section)
{
    struct conf_tls_section *tls = section;
    if (tls->certificate[0] != '\0' && tls->key[0] == '\0')
        conf_check_fail(check, tls, "certificate", 0,
                        "a certificate needs its key; add: key = /path/key.pem");
    if (tls->key[0] != '\0' && tls->certificate[0] == '\0')
        conf_check_fail(check, tls, "key", 0,
                        "a key needs its certificate; add: certificate = /path/cert.pem");
}

const struct conf_kind conf_tls_kind = {
    .name = "tls",
    .fields = fields,
    .size = sizeof(struct conf_tls_section),
    .offset = offsetof(struct conf, tls),
    .check = check_tls,
    .doc = "The host's own certificate.",
};
