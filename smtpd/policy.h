/* policy.h - the rules of the house: checks by phase, each may answer later, the first refusal wins */
#pragma once

#include "common/base/strv.h"
#include "smtpd/replies.h"
#include "smtpd/step.h"

#include <stdbool.h>

struct engine;

enum policy_phase { POLICY_MAIL, POLICY_RCPT, POLICY_DATA, POLICY_MESSAGE };

enum policy_verdict { POLICY_PASS, POLICY_REFUSE, POLICY_WAIT };

/* Why not: a reply of ours with its detail, or another daemon's words (code not 0). */
struct refusal {
    enum reply_id id;
    struct strv detail;
    int code;
    struct strv enhanced, text;
    char rule[400]; /* name of the rule and where the operator wrote it: "relay.from main.conf:12" */
};

struct policy_check {
    const char *name;
    enum policy_phase phase;
    enum policy_verdict (*run)(struct engine *e, struct refusal *r);
};

extern const struct policy_check policy_checks[]; /* ends with name NULL */

/* Runs the checks of a phase from the first one; then the phase's conclusion (reply and next state). */
enum engine_step policy_begin(struct engine *e, enum policy_phase phase);
/* The answer that the current check waited for. NULL: it passed. */
enum engine_step policy_resume(struct engine *e, const struct refusal *r);
/* Refuses in the phase that runs (or ran last): reply, log line, the state behind a refusal. */
enum engine_step policy_refuse(struct engine *e, const struct refusal *r);
