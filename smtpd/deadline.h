/* deadline.h - how long a session waits for whatever it waits for */
#pragma once

struct session;

/* Sets the session's timer for its present step. */
void deadline_arm(struct session *s);
/* The same when the listener has become short of sessions, or is no more. */
void deadline_again(struct session *s);
