/* certificate.h - from the keys and certificates that mtad handed over to what listeners use */
#pragma once

#include "common/base/err.h"

struct daemon;
struct tls_context;

/* Whether any listener offers TLS. */
bool certificate_is_wanted(const struct daemon *d);
/* All of them, in the order of the configuration, for one listener, whose sessions cannot be resumed on
   another; NULL with err. */
struct tls_context *certificate_load(struct daemon *d, const char *listener, struct err *err)
    __attribute__((warn_unused_result));
/* Closes what they were read from. */
void certificate_forget(struct daemon *d);
