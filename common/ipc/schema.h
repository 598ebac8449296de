/* schema.h - every message between daemons with its fields: one table from which encoder, decoder, permit
   check, trace text and docs/IPC.md come */
#pragma once

#include "common/base/role.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IPC_VERSION        1
#define IPC_FRAME_MAX      65536u   /* header and fields: one datagram */
#define IPC_HEADER_SIZE    16u      /* u8 version, u8 flags, u16 type, u32 length, u64 txn; big-endian */
#define IPC_FIELD_HEAD     6u       /* u16 tag, u32 length */
#define IPC_CHUNK_MAX      61440u   /* data bytes of one chunk frame */
#define IPC_GROUP_MAX      1000u    /* of what names the hosts and policy that destinations share */
#define IPC_INLINE_MAX     57344u   /* header + body that share one frame with a moderate envelope */
#define IPC_FDS_MAX        4u       /* descriptors of one frame */
#define IPC_GROUP_DEPTH    2u       /* groups inside groups */
#define IPC_TEXT_MAX       4096u    /* default maximum of a TEXT field */

enum ipc_kind {
    IPC_U64,            /* eight bytes */
    IPC_TEXT,           /* no NUL, CR or LF */
    IPC_BYTES,
    IPC_GROUP,          /* fields of a group table */
};

enum ipc_need { IPC_REQUIRED, IPC_OPTIONAL, IPC_REPEATED };

/* What flow control applies (ARCHITECTURE.md 3). */
enum ipc_class {
    IPC_CLASS_REQUEST,  /* opens a transaction or belongs to one; counts against open transactions */
    IPC_CLASS_CHUNK,    /* bulk bytes under the credit of its transaction */
    IPC_CLASS_REPLY,    /* replies, aborts, credit, control: no credit; overtake chunks of others */
};

struct ipc_group;

struct ipc_field {
    uint16_t tag;               /* enum ipc_tag; 0 ends a table */
    uint8_t kind;               /* enum ipc_kind */
    uint8_t need;               /* enum ipc_need */
    uint32_t max;               /* bytes (0: IPC_TEXT_MAX of TEXT, frame of BYTES), largest U64 (0: any) */
    const struct ipc_group *group;
    const char *doc;
};

struct ipc_group {
    const char *name;
    const struct ipc_field *fields;
};

struct ipc_message {
    uint16_t type;              /* enum ipc_type */
    const char *name;           /* "TX_RCPT" */
    uint8_t class;              /* enum ipc_class */
    uint8_t fds;                /* exact number of descriptors; IPC_FDS_ANY: up to IPC_FDS_MAX */
    uint32_t from, to;          /* ROLE_BIT masks: who may send it to whom */
    const struct ipc_field *fields;
    const char *doc;
};

#define IPC_FDS_ANY 255u

const struct ipc_message *ipc_message_find(uint16_t type);      /* NULL when unknown */
const char *ipc_tag_name(uint16_t tag);                         /* NULL when unknown */
extern const struct ipc_message ipc_messages[];                 /* ends with type 0 */
/* True when `from` may send the message to `to`. */
bool ipc_permitted(const struct ipc_message *m, enum role from, enum role to);

enum ipc_tag {
    TAG_NONE,
    TAG_ROLE, TAG_INDEX, TAG_GENERATION, TAG_PROCESS, TAG_FLAGS, TAG_LEVEL, TAG_NAME, TAG_ADDRESS, TAG_KIND,
    TAG_PATH,
    TAG_LIVED, TAG_DEADLINE, TAG_STATUS, TAG_TEXT, TAG_LANDLOCK, TAG_USER, TAG_MAILBOX, TAG_SNAPSHOT,
    TAG_ERROR,
    TAG_UID, TAG_GID, TAG_FAULT, TAG_DELAY,
    TAG_KEY, TAG_MAP, TAG_ITEM, TAG_ANSWER, TAG_VALUE, TAG_ORIGIN_AT,
    TAG_RRTYPE, TAG_FAMILY, TAG_HOST, TAG_PREFERENCE, TAG_ADDR, TAG_AD, TAG_TTL, TAG_RECORD, TAG_DOMAIN,
    TAG_SID, TAG_ID, TAG_CLIENT, TAG_CLIENT_NAME, TAG_PORT, TAG_HELO, TAG_PROTOCOL, TAG_LISTENER, TAG_OWN,
    TAG_LOGIN,
    TAG_SENDER, TAG_RCPT, TAG_RCPT_INDEX, TAG_ORIGINAL, TAG_SIZE, TAG_BODY_TYPE, TAG_LOCAL, TAG_DATA,
    TAG_HEADER,
    TAG_VERDICT, TAG_CODE, TAG_ENHANCED, TAG_RULE, TAG_LINES, TAG_BARE,
    TAG_ARRIVAL, TAG_ORIGIN, TAG_HOLD, TAG_PRIORITY, TAG_ENVID, TAG_RET, TAG_NOTIFY, TAG_ORCPT, TAG_BODY_SIZE,
    TAG_DEST, TAG_ATTEMPT, TAG_EXPIRES, TAG_LAST, TAG_OUTCOME, TAG_RELAY, TAG_REPLY, TAG_STEP, TAG_MAYBE,
    TAG_MS_BEFORE, TAG_MS_QUEUE, TAG_MS_CONNECT, TAG_MS_SEND, TAG_RUNNING, TAG_NOTICE, TAG_RETRY_UNTIL,
    TAG_COUNT,
    TAG_CREDIT, TAG_ACT, TAG_SYS, TAG_QUOTA, TAG_REMOTE, TAG_LAST_ATTEMPT, TAG_GROUP,
    TAG_CURSOR, TAG_TARGET, TAG_MESSAGE_ID, TAG_ALSO, TAG_MS_LOOKUP,
    TAG__END
};

enum ipc_type {
    IPC_NONE,
    /* channel */
    IPC_CREDIT,
    /* mtad and its children */
    IPC_SETUP, IPC_EDGE, IPC_LISTENER, IPC_SOURCE, IPC_START, IPC_READY, IPC_DRAIN, IPC_LOG_LEVEL,
    IPC_LOG_LOST, IPC_LOG_FD, IPC_LOG_FOLLOW,
    IPC_PEER_GONE, IPC_AGENT, IPC_AGENT_REPLY, IPC_HELPER, IPC_HELPER_REPLY, IPC_TRY, IPC_TRIED, IPC_FAULT,
    IPC_EDGE_LOST, IPC_TROUBLE, IPC_PEER_RETIRED, IPC_SNAPSHOT, IPC_AGENT_END, IPC_PING, IPC_PONG,
    IPC_MEASURE, IPC_MEASURED, IPC_HISTORY_LINES,
    /* questions */
    IPC_MAP_QUERY, IPC_MAP_ANSWER, IPC_AUTH_QUERY, IPC_AUTH_CHECK, IPC_AUTH_ANSWER,
    IPC_DNS_CLIENT, IPC_DNS_CLIENT_ANSWER, IPC_DNS_MX, IPC_DNS_HOST,
    IPC_DNS_HOSTS,
    IPC_DNS_QUERY, IPC_DNS_ANSWER,
    /* smtpd to cleanup */
    IPC_TX_OPEN, IPC_TX_RCPT, IPC_TX_RCPT_REPLY, IPC_TX_BODY, IPC_TX_END, IPC_TX_DONE, IPC_TX_ABORT,
    IPC_TX_QUERY,
    /* cleanup to queued, and back for notices */
    IPC_Q_BODY, IPC_Q_HEADER, IPC_Q_RCPTS, IPC_Q_SUBMIT, IPC_Q_SUBMITTED, IPC_Q_ABORT, IPC_Q_QUERY,
    IPC_N_COMPOSE, IPC_N_FAILED, IPC_DROP_OPEN, IPC_DROP_DONE, IPC_N_FORWARD, IPC_N_FORWARDED,
    IPC_N_REQUEUE, IPC_N_REQUEUE_RCPTS, IPC_N_LEFT_OUT,
    /* queued and deliverd */
    IPC_J_START, IPC_J_BODY, IPC_J_RESULT, IPC_J_RESULT_ACK, IPC_J_INVENTORY, IPC_J_INVENTORY_END,
    IPC_J_CANCEL, IPC_J_FORWARD, IPC_J_FORWARDED, IPC_J_TRACE,
    /* deliverd and agent */
    IPC_A_DEPOSIT, IPC_A_BODY, IPC_A_END, IPC_A_RESULT, IPC_A_ABORT, IPC_A_COMMAND,
    /* the operator */
    IPC_CTL_CALL, IPC_CTL_ROWS, IPC_CTL_DATA, IPC_CTL_DONE,
    IPC__END
};

/* Values of TAG_VERDICT */
enum ipc_verdict { VERDICT_ACCEPT, VERDICT_REFUSE, VERDICT_TEMPFAIL };
/* Values of TAG_ANSWER */
enum ipc_answer { ANSWER_FOUND, ANSWER_ABSENT, ANSWER_FAILED };
/* Values of TAG_ANSWER in DNS answers */
enum ipc_dns { DNS_OK, DNS_NODATA, DNS_NXDOMAIN, DNS_TEMPFAIL, DNS_NULLMX };
/* Values of TAG_KIND in AUTH_QUERY */
enum ipc_auth { AUTH_PASSWORD, AUTH_SALT, AUTH_PROOF };
/* Values of TAG_FAMILY */
enum ipc_family { FAMILY_ANY, FAMILY_IPV4, FAMILY_IPV6 };
/* Values of TAG_OUTCOME: of one recipient in one attempt */
enum ipc_outcome { OUTCOME_DELIVERED, OUTCOME_FAILED, OUTCOME_DEFERRED };
/* Values of TAG_KIND in N_REQUEUE: the recipient stays as he is; is looked for in the tables */
enum requeue_kind { REQUEUE_KEEP, REQUEUE_RESOLVE };
/* Values of TAG_KIND in N_LEFT_OUT */
enum requeue_left { LEFT_HAS_IT, LEFT_NOBODY };
/* Values of TAG_BODY_TYPE */
enum ipc_body { BODY_7BIT, BODY_8BITMIME };
/* Values of TAG_KIND in A_DEPOSIT */
enum deposit_kind { DEPOSIT_MAILDIR, DEPOSIT_MBOX, DEPOSIT_COMMAND };
/* Bits of TAG_FLAGS in A_DEPOSIT */
enum { DEPOSIT_IN_SPOOL = 1, DEPOSIT_ASK_FORWARD = 2, DEPOSIT_EXPANDED = 4 };
/* Bits of TAG_FLAGS in A_COMMAND */
enum { COMMAND_FROM_LINE = 1, COMMAND_LITERAL = 2, COMMAND_OF_USER = 4 };
/* Values of TAG_KIND in AGENT */
enum agent_kind { AGENT_DEPOSIT, AGENT_COMMAND, AGENT_USER_COMMAND, AGENT_ALIAS_COMMAND, AGENT_ALIAS_FILE };
/* Values of TAG_KIND in SOURCE */
enum ipc_source {
    SOURCE_SPOOL, SOURCE_MAP, SOURCE_RESOLV, SOURCE_ROOT, SOURCE_CERT, SOURCE_KEY, SOURCE_PASSWD,
    SOURCE_STATE,
    SOURCE_CA, SOURCE_SECRET, /* deliverd: authorities; a login, named by its section */
    SOURCE_CONF, /* a new configuration of a daemon without generations; the name is its number */
    SOURCE_TICKETS, /* smtpd: seed of the keys of session tickets */
    SOURCE_NOTICES, /* cleanup: templates of notices */
};
/* Values of TAG_NOTICE */
enum ipc_notice { NOTICE_FAILURE, NOTICE_DELAY, NOTICE_SUCCESS, NOTICE_RELAYED };
/* What a notice of success says of a recipient (RFC 3464 2.3.3) */
enum ipc_success { SUCCESS_DELIVERED, SUCCESS_RELAYED, SUCCESS_EXPANDED };
