/* auth.h - mapd's answers to AUTH: one store of secrets, failures counted over all smtpd processes */
#pragma once

#include "common/base/strv.h"
#include "common/ipc/schema.h"

struct auths;
struct channel;
struct conf;
struct ipc_in;
struct loop;
struct tables;
struct workers;

/* Both are borrowed. */
struct auths *auths_new(struct loop *loop, struct workers *workers);
void auths_free(struct auths **a);
/* The key of the salts that logins have which are nobody's. One that stays the same over restarts, or whoever
   asks before and after one could tell who is somebody. */
#define AUTH_SALT_KEY 32
void auths_salts(struct auths *a, const uint8_t key[AUTH_SALT_KEY]);
/* AUTH_QUERY of a channel: answered now or later. conf and tables: of the asker's snapshot, for this call. */
void auths_query(struct auths *a, const struct conf *conf, struct tables *tables, struct channel *ch,
                 struct ipc_in *in);
/* A worker came, or came back: takes what waits. */
void auths_retry(struct auths *a);
/* The channel goes: nothing is answered on it any more. Call before it is freed. */
void auths_forget(struct auths *a, const struct channel *ch);
