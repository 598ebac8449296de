/* verbs.h - the commands of SMTP as one table, and what each does */
#pragma once

#include "smtpd/engine.h"

enum {
    V_LAST = 1, /* must be the last of a pipelined group (RFC 2920 3.1): nothing may be behind it yet */
    V_NO_ARGUMENT = 2,
    V_DRAIN_OK = 4,  /* still served while the process ends */
    V_FATAL = 8,     /* answered with `reply`, then the session ends */
    V_SECRET = 32,   /* what stands behind its first argument is never written to a log */
    V_CLEAR_OK = 16, /* served before TLS where TLS is required (RFC 3207 4) */
    V_IDLE = 64,     /* brings no message nearer; EHLO and HELO do, the first time */
};

struct verb {
    const char *name;
    unsigned phases; /* where it is legal; elsewhere verb_order tells why not */
    unsigned flags;
    enum engine_step (*run)(struct engine *e, struct strv argument); /* NULL: refused with `reply` */
    enum reply_id reply;
};

extern const struct verb verb_table[];          /* ends with name NULL */
const struct verb *verb_find(struct strv name); /* any case; NULL when unknown */

/* The refusal of a verb that its phase does not allow. */
enum reply_id verb_order(const struct verb *v, const struct engine *e);

/* One file per verb with substance. */
enum engine_step verb_helo(struct engine *e, struct strv argument);
enum engine_step verb_ehlo(struct engine *e, struct strv argument);
enum engine_step verb_mail(struct engine *e, struct strv argument);
enum engine_step verb_rcpt(struct engine *e, struct strv argument);
enum engine_step verb_data(struct engine *e, struct strv argument);
enum engine_step verb_starttls(struct engine *e, struct strv argument);
enum engine_step verb_auth(struct engine *e, struct strv argument);
/* The input of PH_AUTH. */
enum engine_step auth_input(struct engine *e, struct strv in, size_t *used);

/* Is DSN announced, so that RET, ENVID, NOTIFY and ORCPT may be said? */
bool dsn_is_offered(const struct engine *e);

/* Conclusions of policy phases: every check passed, or one refused. */
enum engine_step mail_accepted(struct engine *e);
enum engine_step rcpt_accepted(struct engine *e);
enum engine_step data_accepted(struct engine *e);
enum engine_step message_accepted(struct engine *e);

/* The input of PH_BODY. */
enum engine_step data_input(struct engine *e, struct strv in, size_t *used);
