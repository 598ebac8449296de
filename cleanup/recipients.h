/* recipients.h - a transaction's recipients: resolved when they are named, kept for the commit */
#pragma once

#include "common/base/strv.h"

#include <stdbool.h>
#include <stdint.h>

struct txn;
struct txn_rcpt;

/* Starts to resolve r (txn_rcpt_add made it). Its end is rcpt_done, now or later. */
void recipients_resolve(struct txn *t, struct txn_rcpt *r);
