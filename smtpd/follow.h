/* follow.h - the lines of a session that an operator follows, without secrets and data */
#pragma once

#include "smtpd/engine.h"

struct session;

/* Is it followed now? Logs what was replied since the last time. Cheap when nobody is. */
void session_follow(struct session *s);
/* The engine's op `followed`: a step in that phase took this line (empty: none). */
void session_follow_step(void *arg, enum engine_phase was, struct strv line);
