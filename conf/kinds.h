/* kinds.h - the table of each section, one file each */
#pragma once

#include "conf/field.h"

extern const struct conf_kind conf_top_kind;
extern const struct conf_kind conf_listen_kind;
extern const struct conf_kind conf_relay_kind;
extern const struct conf_kind conf_map_kind;
extern const struct conf_kind conf_address_kind;
extern const struct conf_kind conf_mailbox_kind;
extern const struct conf_kind conf_route_kind;
extern const struct conf_kind conf_secret_kind;
extern const struct conf_kind conf_queue_kind;
extern const struct conf_kind conf_log_kind;
extern const struct conf_kind conf_history_kind;
extern const struct conf_kind conf_dns_kind;
extern const struct conf_kind conf_users_kind;
extern const struct conf_kind conf_tls_kind;
extern const struct conf_kind conf_auth_kind;
extern const struct conf_kind conf_processes_kind;

/* Words shared by sections; NULL-ended. */
extern const struct conf_choice conf_tls_choices[];         /* none, offer, require */
extern const struct conf_choice conf_auth_choices[];
