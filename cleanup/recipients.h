/* recipients.h - a transaction's recipients: resolved when they are named, kept for the commit */
#pragma once

#include "common/base/strv.h"

#include <stdbool.h>
#include <stdint.h>

struct address;
struct cleanup;
struct conf;
struct resolve_env;
struct txn;
struct txn_rcpt;

/* Several addresses are to take the place of r: before they are added. */
void recipients_expanded(struct txn *t, struct txn_rcpt *r);
/* Starts to resolve r (txn_rcpt_add made it). Its end is rcpt_done, now or later. */
void recipients_resolve(struct txn *t, struct txn_rcpt *r);
/* Fills in how questions are asked; id and the rest stay the caller's. */
void recipients_env(struct cleanup *cl, struct resolve_env *env);
/* An address without a domain, or of the host's contact (conf.h), gets the first own domain; false: it cannot
   be one. */
bool recipients_complete(const struct conf *conf, struct address *a);
