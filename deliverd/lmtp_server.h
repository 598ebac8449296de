/* lmtp_server.h - what is known of one LMTP server: where it is, and whether it answers */
#pragma once

#include "common/base/strv.h"
#include "common/mail/status.h"
#include "conf/route.h"

struct conf_mailbox;
struct deliverd;

struct lmtp_server {
    struct deliverd *d;
    const struct conf_mailbox *m; /* borrowed: the section */
    struct conf_route route;      /* texts borrowed: what connections of it go by */
    char name[400];               /* "unix:/path", "host:24" */
    char key[80];                 /* of the pool: never that of a route, which has no space at the start */
    bool down;
    const void *probing;          /* down: who tries whether it is back; NULL: nobody */
    int64_t since, until;         /* loop ms: down since, not asked before */
    char why[500], relay[400];
    struct status status;
    bool remote; /* why is the server's */
};

void lmtp_server_init(struct lmtp_server *s, struct deliverd *d, const struct conf_mailbox *m);
/* Whether who may ask it now; while it is down that is one at a time. */
bool lmtp_server_may(struct lmtp_server *s, const void *who);
/* who is through, however it went. */
void lmtp_server_left(struct lmtp_server *s, const void *who);
void lmtp_server_failed(struct lmtp_server *s, struct status status, struct strv relay, struct strv why,
                        bool remote);
void lmtp_server_answered(struct lmtp_server *s);
/* It fails since so short a time that it may be restarting. */
bool lmtp_server_blinks(const struct lmtp_server *s);
