/* service.h - what all sessions of one listener share: configuration, fixed texts, scratch memory */
#pragma once

#include "common/base/buf.h"
#include "conf/conf.h"
#include "conf/listen.h"
#include "conf/relay.h"
#include "conf/top.h"

struct tls_context;

struct service {
    const struct conf *conf;          /* borrowed */
    const struct conf_listen *listen; /* borrowed */
    struct buf greeting;              /* the text behind 220 */
    struct buf ehlo, ehlo_tls;        /* the whole reply to EHLO, as it goes out: in the clear, under TLS */
    struct buf scratch;               /* for one call at a time; nobody keeps views of it */
    bool strict_sync;                 /* commands that must be last in their group are held to it */
    struct tls_context *context;      /* borrowed; NULL: none */
    bool tls;                         /* there is a certificate to begin TLS with */
    bool crowded;                     /* few of the listener's sessions are left */
    bool unavailable;                 /* the section demands what this build or configuration cannot give */
};

/* conf and listen outlive it. */
void service_init(struct service *sv, const struct conf *conf, const struct conf_listen *listen);
/* Says whether TLS can be had; without this call it cannot. */
void service_set_tls(struct service *sv, bool tls);
void service_clear(struct service *sv);
