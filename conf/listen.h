/* listen.h - section `listen NAME`: where clients connect, and their limits */
#pragma once

#include "conf/types.h"

struct conf_listen {
    struct conf_head head;          /* name: the listener's, in logs */
    struct conf_endpoints address;
    int tls;                        /* enum conf_tls */
    int auth;                       /* enum conf_auth */
    bool submission;                /* a submission service (RFC 6409) rather than a public port */
    char *banner;                   /* text behind the host name in the greeting, "" for none */
    int64_t max_message_size;       /* bytes */
    int64_t max_sessions;           /* per process */
    int64_t max_sessions_per_client;
    int64_t max_recipients;         /* per transaction, >= 100 (RFC 5321 4.5.3.1.8) */
    int64_t max_commands;           /* per session, not counting those of an accepted message */
    int64_t max_errors;             /* refused or unknown commands per session */
    int64_t timeout;                /* seconds for one command or one read of data */
    int64_t crowded_timeout;        /* of strangers without a recipient, when sessions are short */
    int64_t session_timeout;        /* seconds for the whole session */
    int64_t min_rate;               /* bytes/s while data is expected; 0 is off */
};
