/* tls.h - section `tls [NAME]`: certificates of this host, and the authorities that it trusts */
#pragma once

#include "conf/types.h"

struct conf_tls_section {
    struct conf_head head;
    char *certificate;              /* path of a PEM chain; "" when there is none */
    char *key;                      /* path; "": in the certificate's file */
    char *ca;                       /* path of PEM authorities for outgoing TLS; "": the system's */
};
