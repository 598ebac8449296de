/* certificate.h - are the certificates and keys of the configuration good for anything? */
#pragma once

#include <sys/types.h>

#include "common/base/err.h"
#include "inspect/finding.h"

struct conf;
struct conf_tls_section;

#define CERTIFICATE_SOON_S (14 * 24 * 3600) /* so long before its end a certificate deserves a word */
#define CERTIFICATE_MAX    (1024u * 1024u)

/* Reads both files as they are now and tells when the certificate ends. False: it cannot be used. secret:
   NULL, or set when everybody may read the key. */
bool certificate_load(const struct conf_tls_section *tls, struct buf *cert, struct buf *key, int64_t *expires,
                      bool *open_key, struct err *err) __attribute__((warn_unused_result));
/* The file as it is now, and its mode. */
bool inspect_read(const char *path, struct buf *out, mode_t *mode, struct err *err)
    __attribute__((warn_unused_result));
/* Every pair as smtpd will load it. */
void inspect_certificates(const struct conf *conf, struct findings *f);
