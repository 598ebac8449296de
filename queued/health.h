/* health.h - what of the queue does not work, for the operator's status */
#pragma once

struct commit;
struct mailq;

/* Looks at everything and says what is new or over: each second, and when an operator asks. */
void health_look(struct mailq *q);
/* A record was stored, or could not be. */
void health_commit(struct mailq *q, const struct commit *c);
