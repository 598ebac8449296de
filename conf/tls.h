/* tls.h - section `tls`: the host's own certificate */
#pragma once

#include "conf/types.h"

struct conf_tls_section {
    struct conf_head head;
    char *certificate;              /* path of a PEM chain; "" when there is none */
    char *key;                      /* path; both or neither */
};
