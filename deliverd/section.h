/* section.h - whether deliveries into the mailboxes of a section work at all, for the operator's status */
#pragma once

#include "common/ipc/schema.h"
#include "common/mail/status.h"

struct deliverd;
struct sections;

/* How a delivery into a mailbox of that section ended. One that fails for what is the mailbox's own business
   (it is full) says nothing about the section; several in a row that fail for the system's reasons do. */
void section_result(struct deliverd *d, const char *mailbox, enum ipc_outcome outcome, struct status status,
                    struct strv text);
void sections_free(struct sections **s);
