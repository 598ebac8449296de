/* client_engine.h - the SMTP (and LMTP) client without a socket: bytes in, bytes out, one result per
 * recipient (pure)
 *
 * Every command that is sent leaves one expectation behind, replies take them off in order. A server without
 * PIPELINING is a window of one; nothing else differs. The caller owns the connection: it feeds what came,
 * sends what stands in `out`, watches client_timeout_ms and tells of the end. Whatever the server does, each
 * recipient of a message that was begun gets exactly one result.
 */
#pragma once

#include "common/ipc/schema.h"
#include "common/mail/dot.h"
#include "common/mail/line.h"
#include "common/mail/reply.h"
#include "common/mail/sasl_client.h"

#define CLIENT_WINDOW     128u           /* commands without a reply; more are sent as replies come */
#define CLIENT_BODY_AHEAD (128u * 1024u) /* encoded body bytes in `out` before we stop asking for more */

enum client_step {
    CLIENT_GREETING,
    CLIENT_EHLO,
    CLIENT_HELO,
    CLIENT_STARTTLS,
    CLIENT_TLS, /* the handshake, which is the caller's: client_secured or client_tls_failed */
    CLIENT_AUTH,
    CLIENT_READY, /* nothing on its way: a message may begin */
    CLIENT_RSET,
    CLIENT_MAIL,
    CLIENT_RCPT,
    CLIENT_DATA,
    CLIENT_BODY, /* sending it */
    CLIENT_END,  /* the final dot is out, its reply is not in */
    CLIENT_QUIT,
    CLIENT_OVER, /* close the connection */
};

/* Whether something else may be tried for a recipient that was not delivered to. */
enum client_retry {
    CLIENT_FINAL,      /* nothing in this attempt: the answer is about the recipient or the message */
    CLIENT_OTHER_HOST, /* the trouble is this host's: try the next one now */
    CLIENT_SAME_HOST,  /* too many recipients at once: another transaction, same connection */
};

struct client_result {
    enum ipc_outcome outcome;
    enum client_retry retry;
    struct status status;
    struct strv text; /* the server's whole reply, lines joined, or our words; printable */
    bool remote;      /* text is the server's */
    bool maybe;       /* lost after the final dot: perhaps delivered */
    bool tls;         /* it was the handshake that failed: in the clear the host may do */
    const char *step; /* "rcpt": where it ended */
    bool dsn;         /* delivered, and the server was told what notices are wanted: it sends them */
};

enum client_tls {
    CLIENT_TLS_NEVER,
    CLIENT_TLS_OFFERED,  /* STARTTLS when the server has it */
    CLIENT_TLS_REQUIRED, /* STARTTLS, or the server is of no use */
    CLIENT_TLS_IMPLICIT, /* before the greeting */
};

/* What must be true before a message may begin. Borrowed parts live as long as the client. */
struct client_terms {
    enum client_tls tls;
    struct sasl_secret *secret; /* NULL: no AUTH */
    struct strv nonce;          /* for SCRAM: random, printable, no comma */
    bool clear_auth;            /* AUTH may be said in the clear */
};

enum client_body {
    CLIENT_BODY_PIECE, /* *piece holds bytes */
    CLIENT_BODY_WAIT,  /* nothing at the moment: client_more_body when there is */
    CLIENT_BODY_END,
    CLIENT_BODY_BROKEN, /* the message cannot be read */
};

/* What a recipient's sender wants to hear (RFC 3461); all empty: nothing was said. */
struct client_dsn {
    uint64_t notify;    /* bits of NOTIFY */
    struct strv orcpt;  /* "type;address", decoded */
};

/* Borrowed until the client is ready or over again. */
struct client_message {
    struct strv sender; /* without brackets; empty: null reverse-path */
    const struct strv *rcpts;
    size_t rcpt_n;  /* > 0 */
    uint64_t size;  /* header, empty line and body as they are stored */
    bool eight_bit; /* was declared BODY=8BITMIME */
    /* Passed on to a server that announces DSN. */
    const struct client_dsn *dsn; /* of each recipient; NULL: nothing was said of any */
    struct strv envid;            /* decoded; empty: none */
    uint64_t ret;                 /* 0: not said */
    uint64_t priority;            /* common/mail/priority.h; a level goes to who announces MT-PRIORITY */
};

struct client_ops {
    /* The result of one recipient. The client must not be freed or begun again inside. */
    void (*result)(void *arg, size_t rcpt, const struct client_result *r);
    /* The next bytes of the message, at most max. */
    enum client_body (*body)(void *arg, size_t max, struct strv *piece);
};

struct client_expect {
    uint8_t step;  /* enum client_step */
    uint32_t rcpt; /* of RCPT */
};

enum client_state {
    CLIENT_OPENING, /* greeting, EHLO, HELO, STARTTLS, AUTH */
    CLIENT_SHAKING, /* TLS: nothing of the server may come in the clear any more */
    CLIENT_IDLE,
    CLIENT_BUSY,    /* commands are on their way: see the expectations */
    CLIENT_SENDING, /* the body */
    CLIENT_DEAD,
};

struct client {
    /* set by client_init */
    const struct client_ops *ops;
    void *arg;
    struct buf *out;  /* borrowed: appended to */
    struct strv helo; /* borrowed */
    bool lmtp;
    struct client_terms terms;
    /* Somebody watches (client_trace.c): every line that is sent or received, without passwords and the
       message. NULL: nobody. */
    void (*trace)(void *arg, bool sent, struct strv line);
    void *trace_arg;

    /* the server */
    bool pipelining, eight_bit, starttls, dsn, mt_priority;
    bool secure;         /* TLS is up */
    bool auth_refused;   /* for good: our credentials are wrong */
    unsigned mechanisms; /* of AUTH: bits by enum sasl_mechanism */
    struct sasl_client sasl;
    uint64_t size_max; /* 0: not said */
    struct line_reader line;
    struct reply reply;
    struct client_result failure; /* why it died before a message began; text in failure_text */
    struct buf failure_text;
    unsigned messages; /* begun on this connection */
    unsigned replies;  /* since the last message began: 0 tells a connection that died while idle */

    /* the state */
    enum client_state state;
    const char *died_at;  /* DEAD: the step's name */
    const char *died_how; /* "lost", "protocol error", "given up", "ended by the server" */
    struct client_expect expect[CLIENT_WINDOW];
    unsigned head, pending;
    bool need_rset; /* a transaction may be open on the server */

    /* the message */
    const struct client_message *message;
    enum client_step next; /* what is sent next: RSET, MAIL, RCPT, DATA; BODY: nothing more */
    uint8_t *rcpt_state;   /* owned: enum rcpt_state of client_engine.c */
    size_t rcpt_cap;
    size_t rcpt_next;  /* the next one to send */
    size_t rcpt_asked; /* sent, no reply yet */
    size_t rcpt_open;  /* without a result */
    size_t accepted;
    size_t end_next; /* LMTP: whose reply to the end of the message comes next */
    int end_code;    /* of the reply to the end that has begun, however it goes on; 0: not known */
    struct dot_encoder dot;
    struct buf text; /* scratch of results */
};

/* out is where commands go; helo our name. The greeting is waited for. */
void client_init(struct client *c, const struct client_ops *ops, void *arg, struct buf *out, struct strv helo,
                 bool lmtp);
/* Right behind client_init; without it neither TLS nor AUTH is used. */
void client_set_terms(struct client *c, const struct client_terms *terms);
void client_clear(struct client *c);

/* Feeds bytes; returns how many were taken (all but an incomplete line). */
size_t client_input(struct client *c, struct strv in);
/* The connection is gone; how is the beginning of a sentence: "connection lost", "timed out". Results for all
   recipients that have none. OVER afterwards. */
void client_lost(struct client *c, const char *how);

/* Step TLS only: the handshake is over; or failed, why is what follows "TLS: ". */
void client_secured(struct client *c);
void client_tls_failed(struct client *c, const char *why);

/* READY only. Results may be given before it returns (message too large for the server). */
void client_begin(struct client *c, const struct client_message *m);
/* BODY only: the output has room, or the body has more. */
void client_more_body(struct client *c);
/* READY: says goodbye. Anything else: OVER. */
void client_quit(struct client *c);

/* What is waited for or done now: for words, logs and timeouts. */
enum client_step client_step(const struct client *c);
const char *client_step_name(enum client_step step); /* "rcpt" */
/* How long this step may take: RFC 5321 4.5.3.2, shortened where no honest server needs minutes, never for
   the reply to the final dot (giving up there makes duplicates). */
int64_t client_timeout_ms(enum client_step step);
