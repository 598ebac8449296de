/* engine.h - one SMTP session as a pure machine: bytes and answers in, replies and requests out */
#pragma once

#include "common/base/id.h"
#include "common/base/netaddr.h"
#include "common/mail/line.h"
#include "common/mail/path.h"
#include "common/mail/sasl.h"
#include "smtpd/body.h"
#include "smtpd/policy.h"
#include "smtpd/replies.h"
#include "smtpd/service.h"
#include "smtpd/step.h"

struct engine;

/* Bits, so that the verb table can name sets of them. */
enum engine_phase {
    PH_START = 1,   /* before the greeting */
    PH_GREETED = 2, /* before HELO or EHLO */
    PH_READY = 4,   /* between transactions */
    PH_MAIL = 8,    /* a sender, no recipient yet */
    PH_RCPT = 16,   /* at least one recipient */
    PH_BODY = 32,   /* in data, or waiting for the verdict about them */
    PH_ENDED = 64,
    PH_AUTH = 128, /* in the exchange of AUTH */
};
#define PH_COMMANDS (PH_GREETED | PH_READY | PH_MAIL | PH_RCPT)

enum engine_wait {
    AWAIT_NOTHING,
    AWAIT_NAME,
    AWAIT_CLEANUP,
    AWAIT_RCPT,
    AWAIT_DONE,
    AWAIT_AUTH,
    AWAIT_SENDER
};

/* clang-format off */
/* How a session ended. */
enum engine_end {
    END_NOT, END_QUIT, END_CLIENT_CLOSED, END_CLIENT_RESET, END_TIMEOUT, END_TOO_SLOW, END_SESSION_TIME,
    END_ERRORS, END_COMMANDS, END_PROTOCOL, END_OVERSIZE, END_SHUTDOWN, END_UNAVAILABLE, END_UNSETTLED,
};
/* clang-format on */

/* The transaction in cleanup as this side sees it. */
enum tx_state {
    TX_NONE,
    TX_OPENED,
    TX_ENDED,   /* the commit is on its way: only its answer counts */
    TX_DROPPED, /* we aborted it, the data are still being read */
    TX_LOST,    /* cleanup went away */
};

enum tx_verdict { TX_ACCEPT, TX_REFUSE, TX_TEMPFAIL };

/* An answer of cleanup; views are read during the call only. code 0: the default reply of that verdict. */
struct tx_answer {
    enum tx_verdict verdict;
    int code;
    struct strv enhanced, text, rule;
};

enum auth_verdict { AUTH_YES, AUTH_NO, AUTH_UNKNOWN };

/* What mapd says; views are read during the call only. */
struct auth_answer {
    enum auth_verdict verdict;
    struct strv data;    /* SCRAM: salt in base64, or the signature */
    unsigned iterations; /* with the salt */
    struct strv why;     /* AUTH_UNKNOWN: for the log */
};

/* What the engine asks of its driver. None of them may call back into the engine before it returned. */
struct engine_ops {
    bool (*tx_ready)(void *arg); /* can a transaction be opened? If not: engine_cleanup */
    void (*tx_open)(void *arg);  /* reads the envelope from the engine */
    void (*tx_rcpt)(void *arg, unsigned index, struct strv rcpt, bool local); /* answer: engine_rcpt_answer */
    size_t (*tx_room)(void *arg); /* bytes of data that may be sent now */
    void (*tx_body)(void *arg, struct strv data);
    void (*tx_end)(void *arg, struct strv rest, uint64_t size, unsigned rcpts); /* answer: engine_done */
    void (*tx_abort)(void *arg);
    /* An operator asks what would be: told of refusals, which are not logged then. NULL: a real client. */
    void (*told)(void *arg, const char *rule);
    void (*auth)(void *arg,
                 enum sasl_step what); /* of the engine's sasl, for its account; engine_auth_answer */
    /* After each step while `followed` is set: the line it took, without secrets (empty: none). */
    void (*followed)(void *arg, enum engine_phase was, struct strv line);
    void (*sender)(void *arg, struct strv login); /* asks auth.senders; engine_sender_answer */
};

struct envelope {
    enum tx_state tx;
    uint64_t id;     /* of the message; 0 outside a transaction */
    int64_t arrival; /* wall ms of MAIL */
    struct path sender;
    bool eight_bit;    /* BODY=8BITMIME */
    uint64_t declared; /* SIZE=, 0 when absent */
    struct path rcpt;  /* the one being judged */
    bool rcpt_local;
    uint64_t priority;    /* RFC 6710 MT-PRIORITY as common/mail/priority.h; 0: not said */
    bool lowered;         /* it asked for more than it gets */
    uint64_t ret;         /* RFC 3461 RET: 1 full, 2 headers; 0: not said */
    char *envid;          /* owned: ENVID, decoded; NULL: none */
    uint64_t rcpt_notify; /* NOTIFY of rcpt; 0: not said */
    char *rcpt_orcpt;     /* owned: ORCPT of rcpt, "type;address" decoded; NULL: none */
    unsigned given, accepted; /* RCPTs with good syntax; those accepted */
};

struct engine {
    struct service *service;      /* borrowed */
    const struct engine_ops *ops; /* borrowed */
    void *arg;                    /* for ops */
    struct buf *out;              /* borrowed; the driver sets it before each call */
    char sid[ID_TEXT_SIZE];
    struct netaddr client;
    char client_text[NETADDR_TEXT];
    bool own; /* of relay.from: may send anywhere */
    bool name_pending;
    char *client_name; /* owned; NULL: none confirmed */
    char *helo;        /* owned; NULL before HELO */
    bool esmtp;
    bool tls;
    char *cipher;      /* owned: "TLSv1.3 TLS_AES_256_GCM_SHA384"; NULL in the clear */
    char *login;       /* owned: with its realm; NULL until AUTH succeeded */
    char *account;     /* owned: who tries, with the realm; NULL outside AUTH */
    struct sasl *sasl; /* owned; NULL outside AUTH */
    bool after_auth;   /* an AUTH was refused or failed: lines that are no command may be passwords */
    bool draining;
    bool followed; /* the driver's to set: an operator reads along */
    enum engine_phase phase;
    enum engine_wait wait;
    enum engine_end end;
    enum engine_phase last_phase; /* before PH_ENDED */
    enum policy_phase policy;     /* checks that run now */
    unsigned check;               /* the one that is due */
    struct line_reader lines;
    struct strv line; /* the command that runs; borrowed from the input */
    struct envelope envelope;
    struct body body;
    bool ending;                      /* data are complete, the commit waits for room */
    unsigned commands, commands_mark; /* spent; as they were when this transaction began */
    unsigned errors;                  /* 5xx since the last accepted message */
    unsigned idle; /* commands since then that brought no message nearer */
    unsigned commands_total, refused_total, messages, rcpts_total;
    uint64_t message_bytes;
};

/* client's port is kept for Received. out may be NULL until the first call. */
void engine_init(struct engine *e, struct service *sv, const struct netaddr *client,
                 const struct engine_ops *ops, void *arg);
/* Aborts the transaction if one is open, and frees. No log line: see engine_finish. */
void engine_clear(struct engine *e);

/* Writes the greeting. early: the client spoke already. */
enum engine_step engine_start(struct engine *e, bool early);
/* After STEP_TLS, or before the greeting of a listener with implicit TLS. cipher: protocol and cipher. */
enum engine_step engine_secured(struct engine *e, struct strv cipher);
/* Takes as much of in as it can; remove *used bytes afterwards, whatever the step. Never STEP_NEXT. */
enum engine_step engine_input(struct engine *e, struct strv in, size_t *used);

/* Answers; afterwards call engine_input again. An answer nobody waits for is ignored. */
void engine_name(struct engine *e, struct strv name); /* empty: no confirmed name */
/* A new cleanup is there, or did not come in time: MAIL goes on, or is answered 451. */
void engine_cleanup(struct engine *e, bool ready);
void engine_rcpt_answer(struct engine *e, const struct tx_answer *a);
void engine_done(struct engine *e, const struct tx_answer *a);
void engine_auth_answer(struct engine *e, const struct auth_answer *a);
/* allowed: what auth.senders grants to the login (a list of addresses, `@domain`, `*`); p NULL: could not
 * tell. */
void engine_sender_answer(struct engine *e, struct strv allowed);
/* Cleanup went away: the transaction is over, unless its commit is on the way; then the driver finds out from
   the next cleanup what became of it, and says so with engine_done. */
void engine_tx_lost(struct engine *e);
/* Nobody can tell what became of the commit: the session ends without a reply, because each could be wrong.
 */
enum engine_step engine_unsettled(struct engine *e);

/* From now on commands outside a transaction are answered 421. */
void engine_drain(struct engine *e);
bool engine_is_idle(const struct engine *e); /* outside a transaction and waiting for the client */
/* The driver's limits: writes the reply and ends. */
enum engine_step engine_expire(struct engine *e, enum reply_id id, enum engine_end how);

/* Once, before engine_clear: aborts what is open and writes the session's log line. how counts unless the
   engine ended by itself. */
void engine_finish(struct engine *e, enum engine_end how, uint64_t bytes_in, uint64_t bytes_out, int64_t ms);

/* Where the session stands, for logs: "greeting", "helo", "ready", "mail", "rcpt", "data", "end-of-data". */
const char *engine_where(const struct engine *e);
const char *engine_end_name(enum engine_end end);

/* --- for verbs and policy --- */
enum engine_step engine_reply(struct engine *e, enum reply_id id);                      /* success replies */
enum engine_step engine_refuse(struct engine *e, enum reply_id id, struct strv detail); /* logs and counts */
enum engine_step engine_close(struct engine *e, enum engine_end how);
/* Counts a refusal written to out behind `from`, ends the session when the budget is used up. */
enum engine_step engine_count_error(struct engine *e, int code);
/* Forgets the exchange of AUTH, and what it knew. */
void engine_auth_end(struct engine *e);
/* The recipient that was judged, with its parameters. */
void engine_rcpt_forget(struct engine *e);
/* Ends the transaction in every way but success, or after success; back to PH_READY. */
void engine_reset(struct engine *e);
