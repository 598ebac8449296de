/* certificate.h - are the certificates and keys of the configuration good for anything? */
#pragma once

#include "mtad/host.h"

/* Loads every pair as smtpd will. What only deserves a word (readable by everybody, over soon) goes to warn.
   False with err naming file and line. */
bool certificate_check_all(const struct host *h, void (*warn)(const char *text), struct err *err)
    __attribute__((warn_unused_result));
