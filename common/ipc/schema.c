/* schema.c - the table of all messages: docs/IPC.md is generated from it, frame.c obeys it */
#include "common/ipc/schema.h"

#define R(tag, kind, max, doc)                                                                               \
    {                                                                                                        \
        TAG_##tag, IPC_##kind, IPC_REQUIRED, (max), NULL, (doc)                                              \
    }
#define O(tag, kind, max, doc)                                                                               \
    {                                                                                                        \
        TAG_##tag, IPC_##kind, IPC_OPTIONAL, (max), NULL, (doc)                                              \
    }
#define M(tag, kind, max, doc)                                                                               \
    {                                                                                                        \
        TAG_##tag, IPC_##kind, IPC_REPEATED, (max), NULL, (doc)                                              \
    }
#define G(tag, grp, doc)                                                                                     \
    {                                                                                                        \
        TAG_##tag, IPC_GROUP, IPC_REPEATED, 0, &(grp), (doc)                                                 \
    }
#define END                                                                                                  \
    {                                                                                                        \
        .tag = TAG_NONE                                                                                      \
    }
#define FIELDS(name) static const struct ipc_field name[]

#define ADDRESS_MAX 1024u /* an address in RFC 5321 form; RFC limit 256, room for SRS and quoting */
#define NAME_MAX_   255u
#define TARGET_MAX  2048u /* a target of a ~/.forward or an alias, with what it is of */
#define WORDS_MAX   16384u /* a peer's whole reply, line ends written as \n escapes by the sender */

/* ---- channel ---- */
FIELDS(f_credit) = { R(CREDIT, U64, 0, "bytes of chunks of this transaction that were consumed"), END };

/* ---- mtad and its children ---- */
FIELDS(f_setup) = { R(ROLE, U64, 31, "role of the child"),
                    R(INDEX, U64, 255, "which of several of that role"),
                    R(GENERATION, U64, 0, "configuration generation"),
                    R(PROCESS, U64, 255, "number for id_seed, unique on the host"),
                    R(FLAGS, U64, 127,
                      "1 unprivileged (everything runs as the caller); descriptors in this order: 2 "
                      "configuration, 4 log, 8 jail; 16 an agent's peer is mtad (check build); 32 an "
                      "agent gets a second SOURCE, the spool directory of mbox files; 64 an agent that "
                      "runs commands"),
                    R(LANDLOCK, U64, 64, "highest Landlock ABI to use; 0 = off"),
                    R(LEVEL, U64, 3, "log level"),
                    O(USER, TEXT, 64, "system user to become"),
                    O(UID, U64, 0, "its uid"),
                    O(GID, U64, 0, "its gid"),
                    O(GROUP, U64, 0, "agent: its one supplementary group"),
                    O(KIND, U64, 3, "log target: 0 stderr, 1 file, 2 syslog"),
                    O(CODE, U64, 0, "syslog facility number"),
                    O(HOST, TEXT, NAME_MAX_, "host name for syslog lines"),
                    O(DELAY, U64, 0, "check build: milliseconds added to every sync"),
                    M(FAULT, TEXT, 128, "check build: armed fault points"),
                    END };
FIELDS(f_edge) = { R(ROLE, U64, 31, "the peer"), R(INDEX, U64, 255, "which"),
                   R(LIVED, U64, 1, "1: the peer ran before this child"), END };
FIELDS(f_listener) = { R(NAME, TEXT, 64, "label of the listen section"), R(ADDRESS, TEXT, 64, "host:port"),
                       END };
FIELDS(f_source) = { R(KIND, U64, 31, "enum ipc_source"), R(NAME, TEXT, 64, "map, mailbox or section"),
                     R(PATH, TEXT, 4096, "what was opened"), END };
FIELDS(f_none) = { END };
FIELDS(f_drain) = { R(DEADLINE, U64, 0, "milliseconds until exit is forced"),
                    O(DELAY, U64, 0, "a new generation took over: milliseconds to go on for"),
                    END };
FIELDS(f_snapshot) = { R(GENERATION, U64, 0, "number of the configuration"),
                       O(TEXT, TEXT, 0, "why its tables cannot be used"),
                       O(LAST, U64, 1, "1: its last process has ended, forget it"), END };
FIELDS(f_level) = { R(LEVEL, U64, 3, "enum log_level"), END };
FIELDS(f_follow) = { R(KIND, U64, 1, "0 a peer: address, network or host name; 1 a domain"),
                     R(TEXT, TEXT, NAME_MAX_, "which"),
                     R(DEADLINE, U64, 0, "milliseconds that it lasts"),
                     END };
FIELDS(f_gone) = { R(ROLE, U64, 31, "the peer"), R(INDEX, U64, 255, "which"), END };
FIELDS(f_trouble) = { R(NAME, TEXT, 64, "what does not work, e.g. resolver"),
                      O(TEXT, TEXT, 512, "how it shows; absent: it works again"),
                      O(REPLY, TEXT, 512, "what to do about it"), END };
FIELDS(g_cell_f) = { R(INDEX, U64, 1023, "enum metric"), R(KIND, U64, 63, "which of its cells"),
                     O(NAME, TEXT, 64, "the label's word, of those that have words of the moment"),
                     R(COUNT, U64, 0, "number"), END };
static const struct ipc_group g_cell = { "cell", g_cell_f };
FIELDS(f_measured) = { G(ITEM, g_cell, "what differs from 0"), END };
FIELDS(f_agent) = { R(MAILBOX, TEXT, 64, "label of the mailbox section"),
                    O(USER, TEXT, 64,
                      "system user, for mailboxes of system users; or owner given by the mailbox map"),
                    R(KIND, U64, 4,
                      "enum agent_kind: 0 deposit, 1 the section's command, 2 a command of the user's "
                      "~/.forward, 3 a command of an alias, 4 a file of an alias"),
                    O(RCPT, TEXT, ADDRESS_MAX, "3 and 4: the address whose alias it is"),
                    O(TARGET, TEXT, TARGET_MAX, "3 and 4: the command or file as the table has it"), END };
FIELDS(f_agent_reply) = { R(VERDICT, U64, 2, "enum ipc_verdict"), O(TEXT, TEXT, 0, "why not"),
                          O(UID, U64, 0, "uid the agent has"), END };
FIELDS(f_helper) = { R(NAME, TEXT, 4096, "mapd: source:MAP, include:PATH; deliverd: mailbox:LABEL"),
                     END };
FIELDS(f_helper_reply) = { R(VERDICT, U64, 2, "enum ipc_verdict"), O(TEXT, TEXT, 0, "why not"), END };
FIELDS(f_try) = { R(ACT, TEXT, 64, "forbidden act to attempt (check build)"),
                  O(INDEX, U64, 0, "thread number, 0 = main"), O(PATH, TEXT, 4096, "argument"), END };
FIELDS(f_tried) = { R(ACT, TEXT, 64, "the act"), R(INDEX, U64, 0, "thread"),
                    R(SYS, U64, 0, "errno it failed with, 0 = it SUCCEEDED"),
                    O(COUNT, U64, 0, "threads of this process"), END };
FIELDS(f_fault) = { R(FAULT, TEXT, 128, "point:action to arm (check build)"), END };

/* ---- questions ---- */
FIELDS(g_item_f) = { R(MAP, TEXT, 64, "map name"), R(KEY, TEXT, ADDRESS_MAX, "normalised key"), END };
static const struct ipc_group g_item = { "item", g_item_f };
FIELDS(f_map_query) = { O(SNAPSHOT, U64, 0, "configuration snapshot"),
                        G(ITEM, g_item, "asked in order; the first found wins"), END };
FIELDS(f_map_answer) = {
    R(ANSWER, U64, 2, "enum ipc_answer"), O(INDEX, U64, 0, "which item was found"),
    O(VALUE, BYTES, 49152, "its value"),  O(ORIGIN_AT, TEXT, 0, "file:line of the entry"),
    O(ERROR, TEXT, 0, "why FAILED"),
    O(KIND, U64, 1, "of FAILED: 0 cannot tell now; 1 for as long as nobody mends a table or list"),
    END
};
FIELDS(f_auth_query) = { O(SNAPSHOT, U64, 0, "configuration snapshot"),
                         R(KIND, U64, 2, "enum ipc_auth"),
                         R(CLIENT, TEXT, 64, "client's IP address: failures are counted by it"),
                         R(LOGIN, TEXT, 512, "who the client says it is, with its realm"),
                         O(DATA, BYTES, 8192, "password, or SCRAM's AuthMessage"),
                         O(VALUE, BYTES, 32, "SCRAM's proof"),
                         END };
FIELDS(f_auth_check) = { R(VALUE, BYTES, 1024, "stored secret"), R(DATA, BYTES, 1024, "password"), END };
FIELDS(f_auth_answer) = { R(ANSWER, U64, 2, "enum ipc_answer: FOUND yes, ABSENT no, FAILED could not tell"),
                          O(DATA, BYTES, 512, "SCRAM: salt in base64, or the server's signature"),
                          O(COUNT, U64, 0, "SCRAM: iterations"),
                          O(ERROR, TEXT, 0, "why FAILED"),
                          END };
FIELDS(f_dns_client) = { R(ADDR, TEXT, 64, "IP address"), END };
FIELDS(f_dns_client_answer) = { R(ANSWER, U64, 4,
                                  "enum ipc_dns: DNS_OK only when the name leads back to the address"),
                                O(NAME, TEXT, NAME_MAX_, "confirmed name"), END };
FIELDS(f_dns_mx) = { R(DOMAIN, TEXT, NAME_MAX_, "mail domain"), R(FAMILY, U64, 2, "enum ipc_family"), END };
FIELDS(f_dns_host) = { R(HOST, TEXT, NAME_MAX_, "host name"), R(FAMILY, U64, 2, "enum ipc_family"), END };
FIELDS(g_host_f) = { R(NAME, TEXT, NAME_MAX_, "host name"), R(PREFERENCE, U64, 65535, "MX preference"),
                     M(ADDR, TEXT, 64, "IP addresses in the order to try"),
                     R(ANSWER, U64, 4, "enum ipc_dns of its address look-ups"), END };
static const struct ipc_group g_host = { "host", g_host_f };
FIELDS(f_dns_hosts) = { R(ANSWER, U64, 4, "enum ipc_dns; DNS_OK: hosts follow, best first"),
                        G(HOST, g_host, "hosts by preference, equal ones shuffled"),
                        O(AD, U64, 1, "1: authenticated by a trusted validating resolver"),
                        O(TTL, U64, 0, "seconds"),
                        O(TEXT, TEXT, 0, "explanation for log and notice"),
                        O(COUNT, U64, 1,
                          "1: the domain has no MX, its address records are used (RFC 5321 5.1)"),
                        END };
FIELDS(f_dns_query) = { R(NAME, TEXT, NAME_MAX_, "owner name"), R(RRTYPE, U64, 65535, "RR type"), END };
FIELDS(f_dns_answer) = { R(ANSWER, U64, 4, "enum ipc_dns"),
                         M(RECORD, BYTES, 8192, "RDATA with names expanded to text where the type has them"),
                         O(AD, U64, 1, "authenticated"),
                         O(TTL, U64, 0, "seconds"),
                         O(TEXT, TEXT, 0, "explanation"),
                         END };

/* ---- smtpd and cleanup ---- */
FIELDS(f_tx_open) = { R(SID, TEXT, 16, "session id"),
                      R(ID, U64, 0, "message id"),
                      R(CLIENT, TEXT, 64, "client's IP address"),
                      R(PORT, U64, 65535, "client's port"),
                      O(CLIENT_NAME, TEXT, NAME_MAX_, "confirmed PTR name"),
                      O(HELO, TEXT, NAME_MAX_, "HELO/EHLO argument"),
                      R(PROTOCOL, TEXT, 16, "SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA"),
                      R(LISTENER, TEXT, 64, "label of the listen section"),
                      R(OWN, U64, 1, "1: client of own networks or authenticated"),
                      O(LOGIN, TEXT, 255, "authenticated user"),
                      R(SENDER, TEXT, ADDRESS_MAX, "reverse-path without brackets; empty = null"),
                      O(SIZE, U64, 0, "declared size"),
                      O(BODY_TYPE, U64, 1, "enum ipc_body"),
                      O(ENVID, TEXT, 256, "RFC 3461 ENVID"),
                      O(RET, U64, 2, "RFC 3461 RET: 1 full, 2 headers"),
                      O(ARRIVAL, U64, 0, "wall ms when MAIL came"),
                      O(PRIORITY, U64, 63, "as common/mail/priority.h"),
                      O(DOMAIN, TEXT, NAME_MAX_, "TLS protocol and cipher, for Received"),
                      END };
FIELDS(f_tx_rcpt) = { R(RCPT_INDEX, U64, 0, "number of the recipient in the transaction"),
                      R(RCPT, TEXT, ADDRESS_MAX, "forward-path without brackets"),
                      R(LOCAL, U64, 1, "1: own domain (must exist), 0: relayed"),
                      O(NOTIFY, U64, 15, "RFC 3461 NOTIFY bits"),
                      O(ORCPT, TEXT, 512, "RFC 3461 ORCPT"),
                      END };
FIELDS(f_tx_rcpt_reply) = { R(RCPT_INDEX, U64, 0, "which"),
                            R(VERDICT, U64, 2, "enum ipc_verdict"),
                            O(CODE, U64, 599, "reply code"),
                            O(ENHANCED, TEXT, 16, "x.y.z"),
                            O(TEXT, TEXT, 512, "reply text"),
                            O(RULE, TEXT, 0, "what decided, with file:line"),
                            END };
FIELDS(f_data) = { R(DATA, BYTES, IPC_CHUNK_MAX, "bytes in order"), END };
FIELDS(f_tx_end) = { O(DATA, BYTES, IPC_CHUNK_MAX, "last (or only) bytes"),
                     R(SIZE, U64, 0, "all bytes sent, dot-unstuffed"),
                     R(COUNT, U64, 0, "accepted recipients"), O(LINES, U64, 0, "lines"), END };
FIELDS(f_tx_done) = { R(VERDICT, U64, 2, "enum ipc_verdict; ACCEPT only after the message is durable"),
                      O(CODE, U64, 599, "reply code"),
                      O(ENHANCED, TEXT, 16, "x.y.z"),
                      O(TEXT, TEXT, 512, "reply text"),
                      O(RULE, TEXT, 0, "what decided"),
                      END };

/* ---- cleanup and queued ---- */
FIELDS(g_rcpt_f) = { R(RCPT, TEXT, ADDRESS_MAX, "final recipient"),
                     O(ORIGINAL, TEXT, ADDRESS_MAX, "recipient as it was given in the transaction"),
                     R(LOCAL, U64, 1, "1: own domain"),
                     O(NOTIFY, U64, 31, "RFC 3461 NOTIFY bits; 16: an alias that was expanded"),
                     O(ORCPT, TEXT, 512, "RFC 3461 ORCPT"),
                     O(TARGET, TEXT, TARGET_MAX, "what of the recipient: see docs/QUEUE.md"),
                     M(ALSO, TEXT, ADDRESS_MAX, "another address of the transaction that led to it"),
                     END };
static const struct ipc_group g_rcpt = { "rcpt", g_rcpt_f };
FIELDS(f_q_rcpts) = { G(RCPT, g_rcpt, "more recipients"), END };
FIELDS(f_q_submit) = { R(ID, U64, 0, "message id"),
                       R(SENDER, TEXT, ADDRESS_MAX, "empty = null reverse-path"),
                       G(RCPT, g_rcpt, "recipients (and those of Q_RCPTS before)"),
                       R(ARRIVAL, U64, 0, "wall ms"),
                       O(HEADER, BYTES, IPC_CHUNK_MAX, "rest of the header block"),
                       O(DATA, BYTES, IPC_CHUNK_MAX, "rest of the body"),
                       R(BODY_SIZE, U64, 0, "all body bytes, for a check"),
                       O(SID, TEXT, 16, "session id"),
                       O(CLIENT, TEXT, 64, "client's IP address"),
                       O(CLIENT_NAME, TEXT, NAME_MAX_, "its confirmed name"),
                       O(HELO, TEXT, NAME_MAX_, "HELO name"),
                       O(PROTOCOL, TEXT, 16, "protocol"),
                       O(LOGIN, TEXT, 255, "authenticated user"),
                       O(BODY_TYPE, U64, 1, "enum ipc_body"),
                       O(ORIGIN, TEXT, 0, "drop/NAME, forward/ID/RCPT, notice/ID/RCPT/KIND ..."),
                       O(HOLD, TEXT, 256, "reason: store held"),
                       O(MESSAGE_ID, TEXT, 256, "of the header, for the log"),
                       O(PRIORITY, U64, 63, "as common/mail/priority.h"),
                       O(ENVID, TEXT, 256, "RFC 3461 ENVID"),
                       O(RET, U64, 2, "RFC 3461 RET"),
                       END };
FIELDS(f_q_submitted) = { R(VERDICT, U64, 2, "ACCEPT: on disk"),
                          O(CODE, U64, 599, "452 disk full, 451 trouble"), O(ENHANCED, TEXT, 16, "x.y.z"),
                          O(TEXT, TEXT, 512, "why not"), END };
FIELDS(f_query) = { R(ID, U64, 0, "message id"), END };
FIELDS(g_fail_f) = { R(RCPT, TEXT, ADDRESS_MAX, "final recipient"),
                     O(ORIGINAL, TEXT, ADDRESS_MAX, "as given"),
                     O(ORCPT, TEXT, 512, "ORCPT"),
                     R(OUTCOME, U64, 2, "enum ipc_outcome"),
                     O(ENHANCED, TEXT, 16, "status"),
                     O(REPLY, TEXT, WORDS_MAX, "the remote's words or ours"),
                     O(RELAY, TEXT, 512, "who said it; empty = we"),
                     O(REMOTE, U64, 1, "1: REPLY are a peer's words"),
                     O(TEXT, TEXT, 0, "our words beside a peer's: the time for delivery is over"),
                     O(LAST_ATTEMPT, U64, 0, "wall ms"),
                     O(RETRY_UNTIL, U64, 0, "wall ms, delay notices"),
                     O(RCPT_INDEX, U64, 0, "index in the record"),
                     O(KIND, U64, 3, "NOTICE_SUCCESS: 0 delivered, 1 relayed, 2 expanded"),
                     O(TARGET, TEXT, TARGET_MAX, "what of the recipient: a command, a file"),
                     END };
static const struct ipc_group g_fail = { "rcpt", g_fail_f };
FIELDS(f_n_compose) = { R(ID, U64, 0, "message the notice is about"),
                        R(NOTICE, U64, 3, "enum ipc_notice"),
                        R(SENDER, TEXT, ADDRESS_MAX, "to whom"),
                        R(ORIGIN, TEXT, 512, "to finish by its commit"),
                        R(ARRIVAL, U64, 0, "wall ms"),
                        G(RCPT, g_fail, "recipients that the notice tells of"),
                        O(HEADER, BYTES, 40960, "header block of the message (cut at a line when larger)"),
                        O(ENVID, TEXT, 256, "ENVID"),
                        O(SIZE, U64, 0, "size of the message"),
                        O(PRIORITY, U64, 63, "the message's"),
                        O(BODY_SIZE, U64, 0,
                          "with a descriptor: bytes of the message in it (a second: the rest)"),
                        END };
FIELDS(f_drop_open) = { R(ORIGIN, TEXT, 512, "drop/NAME, to finish by its commit"),
                        R(UID, U64, 0, "who submitted it: the owner of the file"),
                        R(SIZE, U64, 0, "bytes of the file"), R(ARRIVAL, U64, 0, "wall ms"), END };
FIELDS(f_drop_done) = { R(VERDICT, U64, 2,
                          "ACCEPT: nothing is left to do; REFUSE: it can never be sent; TEMPFAIL: later"),
                        O(TEXT, TEXT, 512, "why not"), END };
FIELDS(f_n_forward) = { R(ID, U64, 0, "message to send on"),
                        R(ORIGIN, TEXT, 512, "forward/ID/RCPT, to finish by its commit"),
                        R(SENDER, TEXT, ADDRESS_MAX, "reverse-path of the new message"),
                        R(RCPT, TEXT, ADDRESS_MAX, "who sends it on"),
                        O(ORIGINAL, TEXT, ADDRESS_MAX, "his address as the sender gave it"),
                        O(USER, TEXT, 64, "whose ~/.forward it is"),
                        M(TARGET, TEXT, TARGET_MAX, "to whom, as a ~/.forward or an alias has it"),
                        R(SIZE, U64, 0, "bytes of the first descriptor: header + CRLF + body"),
                        O(BODY_SIZE, U64, 0, "bytes of a second one: the body that follows"),
                        R(ARRIVAL, U64, 0, "wall ms"),
                        O(ORCPT, TEXT, 512, "ORCPT"),
                        O(NOTIFY, U64, 15, "NOTIFY"),
                        O(ENVID, TEXT, 256, "ENVID"),
                        O(RET, U64, 2, "RET"),
                        O(BODY_TYPE, U64, 1, "enum ipc_body"),
                        O(PRIORITY, U64, 63, "the message's"),
                        END };
FIELDS(g_requeue_f) = { R(RCPT, TEXT, ADDRESS_MAX, "recipient"),
                        R(KIND, U64, 1, "0: exactly this one; 1: whom tables lead to"),
                        R(LOCAL, U64, 1, "1: of an own domain; without a meaning when tables are asked"),
                        R(ORIGINAL, TEXT, ADDRESS_MAX, "the address as the sender knows it"),
                        O(TARGET, TEXT, TARGET_MAX, "what of the recipient: see docs/QUEUE.md"),
                        O(ORCPT, TEXT, 512, "ORCPT"),
                        O(NOTIFY, U64, 15, "NOTIFY"),
                        END };
static const struct ipc_group g_requeue = { "rcpt", g_requeue_f };
FIELDS(f_n_requeue) = { R(ID, U64, 0, "message to submit anew"),
                        R(ORIGIN, TEXT, 0, "requeue/ID/RECIPIENTS, to finish by its commit"),
                        R(SENDER, TEXT, ADDRESS_MAX, "reverse-path of the new message"),
                        R(ARRIVAL, U64, 0, "wall ms"),
                        G(RCPT, g_requeue, "its recipients"),
                        O(LAST, U64, 1, "0: N_REQUEUE_RCPTS with more of them follows"),
                        R(SIZE, U64, 0, "bytes of the message in the first descriptor: header + CRLF + body"),
                        R(COUNT, U64, 0, "bytes behind it there: recipients that the new message must not "
                                         "have, each l or r (own or not), address, line feed, target, NUL"),
                        O(BODY_SIZE, U64, 0, "bytes of a second descriptor: the body that follows"),
                        END };
FIELDS(f_n_requeue_rcpts) = { G(RCPT, g_requeue, "more recipients of that N_REQUEUE"),
                              O(LAST, U64, 1, "0: more follow"), END };
FIELDS(f_n_left_out) = { R(RCPT, TEXT, ADDRESS_MAX, "who does not get the message that is submitted anew"),
                         O(ORIGINAL, TEXT, ADDRESS_MAX, "the address that led to him"),
                         R(KIND, U64, 1, "0: has it, or gets it by the old one; 1: it leads to nobody"),
                         END };
FIELDS(f_forwarded) = { R(VERDICT, U64, 2, "ACCEPT: nothing is left to do; REFUSE: never; TEMPFAIL: later"),
                        O(ENHANCED, TEXT, 16, "x.y.z; J_FORWARDED that has none means seconds"),
                        O(TEXT, TEXT, 512, "what was done, or why not"),
                        END };
FIELDS(f_n_failed) = { R(ORIGIN, TEXT, 512, "which"), O(TEXT, TEXT, 0, "why"), END };

/* ---- queued and deliverd ---- */
FIELDS(g_jrcpt_f) = { R(RCPT_INDEX, U64, 0, "index in the record"),
                      R(RCPT, TEXT, ADDRESS_MAX, "final recipient"),
                      O(ORIGINAL, TEXT, ADDRESS_MAX, "as given"),
                      O(NOTIFY, U64, 31, "NOTIFY"),
                      O(ORCPT, TEXT, 512, "ORCPT"),
                      O(TARGET, TEXT, TARGET_MAX, "what of the recipient: see docs/QUEUE.md"),
                      END };
static const struct ipc_group g_jrcpt = { "rcpt", g_jrcpt_f };
FIELDS(f_j_start) = { R(ID, U64, 0, "message id"),
                      R(DEST, TEXT, NAME_MAX_, "recipient domain"),
                      R(LOCAL, U64, 1, "1: into mailboxes"),
                      R(SENDER, TEXT, ADDRESS_MAX, "reverse-path"),
                      G(RCPT, g_jrcpt, "recipients"),
                      R(SIZE, U64, 0, "header + CRLF + body in bytes"),
                      O(DATA, BYTES, IPC_INLINE_MAX,
                        "the whole message when it fits, else J_BODY follow, or: the header part when a "
                        "descriptor comes with it"),
                      O(BODY_SIZE, U64, 0, "bytes in the descriptor that follow DATA"),
                      R(ARRIVAL, U64, 0, "wall ms"),
                      O(ATTEMPT, U64, 0, "number of this attempt, from 1"),
                      O(EXPIRES, U64, 0, "wall ms"),
                      O(BODY_TYPE, U64, 1, "enum ipc_body"),
                      O(ENVID, TEXT, 256, "ENVID"),
                      O(RET, U64, 2, "RET"),
                      O(PRIORITY, U64, 63, "as common/mail/priority.h"),
                      O(FLAGS, U64, 3, "1: the submitter watches, J_TRACE is wanted; 2: only tell the KEY of "
                                       "its hosts (step hosts), when a look-up is needed to know them"),
                      END };
FIELDS(f_j_trace) = { R(ID, U64, 0, "message id"),
                      R(DEST, TEXT, NAME_MAX_, "recipient domain"),
                      R(KIND, U64, 2, "0 our words, 1 sent, 2 received"),
                      R(TEXT, TEXT, WORDS_MAX, "one line, passwords left out"),
                      END };
FIELDS(f_j_body) = { R(DATA, BYTES, IPC_CHUNK_MAX, "message bytes in order"), R(LAST, U64, 1, "1: complete"),
                     END };
FIELDS(g_result_f) = {
    R(RCPT_INDEX, U64, 0, "index in the record"),
    R(OUTCOME, U64, 2, "enum ipc_outcome"),
    O(ENHANCED, TEXT, 16, "x.y.z"),
    O(REPLY, TEXT, WORDS_MAX, "the peer's whole reply (lines joined by \\n), or our words"),
    O(RELAY, TEXT, 512, "host[ip]:port or mailbox path"),
    O(REMOTE, U64, 1, "1: REPLY are the peer's words"),
    O(STEP, TEXT, 32, "where it ended: connect greeting ehlo mail rcpt data body quit deposit"),
    O(MAYBE, U64, 1, "1: lost after the final dot: perhaps delivered"),
    O(NOTIFY, U64, 1, "1: the next server was told what notices are wanted, and sends them"),
    END
};
static const struct ipc_group g_result = { "result", g_result_f };
FIELDS(f_j_result) = { R(ID, U64, 0, "message id"),        G(RCPT, g_result, "recipients"),
                       R(LAST, U64, 1, "1: ends the job"), O(MS_CONNECT, U64, 0, "ms"),
                       O(MS_SEND, U64, 0, "ms"), O(MS_LOOKUP, U64, 0, "ms of the longest look-up of hosts"),
                       O(KEY, TEXT, IPC_GROUP_MAX, "of the hosts and the policy that the destination shares "
                                                   "with others; absent: not known"),
                       END };
FIELDS(g_running_f) = { R(ID, U64, 0, "message id"), M(RCPT_INDEX, U64, 0, "recipients still running"), END };
static const struct ipc_group g_running = { "job", g_running_f };
FIELDS(f_j_forward) = { R(ID, U64, 0, "message id"),
                        R(RCPT_INDEX, U64, 0, "its recipient"),
                        O(SENDER, TEXT, ADDRESS_MAX, "another reverse-path: the owner of a list"),
                        O(USER, TEXT, 64, "whose ~/.forward it is"),
                        M(TARGET, TEXT, TARGET_MAX, "to whom it goes on instead"),
                        END };
FIELDS(f_j_inventory) = { G(RUNNING, g_running, "jobs that deliverd still works on"), END };

/* ---- deliverd and agent ---- */
FIELDS(f_a_deposit) = { R(ID, U64, 0, "message id"),
                        R(PATH, TEXT, 4096, "below the root descriptor; relative, no .."),
                        R(RCPT, TEXT, ADDRESS_MAX, "for Delivered-To"),
                        R(SENDER, TEXT, ADDRESS_MAX, "for Return-Path"),
                        R(SIZE, U64, 0, "bytes of the whole message"),
                        O(DATA, BYTES, IPC_INLINE_MAX, "the message, or its beginning"),
                        O(BODY_SIZE, U64, 0,
                          "with a descriptor: its bytes, which end the message behind DATA and A_BODY"),
                        R(KIND, U64, 7, "enum deposit_kind"),
                        O(FLAGS, U64, 7,
                          "1 PATH is below the spool directory; 2 unless the user's ~/.forward says where "
                          "to; 4 its Delivered-To is there already"),
                        O(QUOTA, U64, 0, "bytes, 0 = none"),
                        O(NAME, TEXT, ADDRESS_MAX, "for a command: user part of the address"),
                        O(DOMAIN, TEXT, ADDRESS_MAX, "the same: its domain"),
                        O(KEY, TEXT, ADDRESS_MAX, "the same: its extension"),
                        O(TARGET, TEXT, TARGET_MAX, "the user's own command: must stand in ~/.forward"),
                        END };
FIELDS(f_a_command) = { M(VALUE, TEXT, 4096, "argv: elements that are %u %d %x %s %r stand for values"),
                        R(DEADLINE, U64, 3600, "seconds that it may take"),
                        R(FLAGS, U64, 7,
                          "1 the message begins with a From_ line; 2 no element stands for a value; 4 a "
                          "command of the user's ~/.forward is the last element"),
                        END };
FIELDS(f_a_result) = { R(OUTCOME, U64, 2, "enum ipc_outcome"), R(ENHANCED, TEXT, 16, "x.y.z"),
                       R(TEXT, TEXT, 1024, "what was done, or why not"),
                       M(TARGET, TEXT, TARGET_MAX,
                         "nothing was stored: these are the targets of the user's ~/.forward"),
                       END };

FIELDS(f_history_lines) = { R(DATA, BYTES, IPC_CHUNK_MAX, "lines: u16 length, u8 level, u64 wall ms, text"),
                            O(COUNT, U64, 0, "lines that were lost since the frame before"), END };

/* ---- the operator ---- */
FIELDS(g_value_f) = { R(NAME, TEXT, 64, "name"), O(VALUE, BYTES, 16384, "text: any bytes"),
                      O(COUNT, U64, 0, "or number"), END };
static const struct ipc_group g_value = { "value", g_value_f };
FIELDS(f_ctl_call) = { R(ACT, TEXT, 64, "what is asked for"), G(ITEM, g_value, "arguments"),
                       O(CURSOR, U64, 0, "where to go on, from the CTL_DONE of the portion before"), END };
FIELDS(f_ctl_rows) = { R(DATA, BYTES, IPC_CHUNK_MAX, "rows, packed as common/ipc/rowpack.h says"),
                       END };
FIELDS(f_ctl_done) = { R(CODE, U64, 255, "exit status, as of sysexits.h"),
                       O(TEXT, TEXT, 2048, "why not, or what was done"),
                       O(CURSOR, U64, 0, "there is more: call again with this"), END };

#define B(role)  ROLE_BIT(ROLE_##role)
#define CONTROLLED (B(MTAD) | B(QUEUED) | B(MAPD) | B(CLEANUP) | B(SMTPD) | B(DELIVERD) | B(HISTORYD))
#define CHILDREN                                                                                             \
    (B(SMTPD) | B(CLEANUP) | B(QUEUED) | B(DELIVERD) | B(MAPD) | B(MAPD_WORKER) | B(DNSD) | B(HISTORYD))
#define ALL      (CHILDREN | B(MTAD) | B(AGENT))
#define MSG(type, class, fds, from, to, fields, doc)                                                         \
    {                                                                                                        \
        IPC_##type, #type, IPC_CLASS_##class, (fds), (from), (to), (fields), (doc)                           \
    }

const struct ipc_message ipc_messages[] = {
    MSG(CREDIT, REPLY, 0, ALL, ALL, f_credit, "gives back room for chunks of a transaction"),
    MSG(SETUP, REPLY, IPC_FDS_ANY, B(MTAD), CHILDREN | B(AGENT), f_setup,
        "first frame; descriptors: configuration, log, jail"),
    MSG(EDGE, REPLY, 1, B(MTAD), CHILDREN, f_edge, "a peer's channel"),
    MSG(LISTENER, REPLY, 1, B(MTAD), B(SMTPD), f_listener, "a listening socket"),
    MSG(SOURCE, REPLY, 1, B(MTAD), CHILDREN | B(AGENT), f_source, "an opened file or directory"),
    MSG(START, REPLY, 0, B(MTAD), CHILDREN, f_none, "everything was sent: confine yourself and begin"),
    MSG(READY, REPLY, 0, CHILDREN, B(MTAD), f_none, "confined and working"),
    MSG(DRAIN, REPLY, 0, B(MTAD), CHILDREN, f_drain, "finish and exit"),
    MSG(LOG_LEVEL, REPLY, 0, B(MTAD), CHILDREN, f_level, "new log level"),
    MSG(LOG_LOST, REPLY, 0, CHILDREN, B(MTAD), f_none,
        "the log descriptor is dead (syslog restarted): a new one, please"),
    MSG(LOG_FOLLOW, REPLY, 0, B(MTAD), B(SMTPD) | B(DELIVERD), f_follow,
        "log the dialogue with this one line by line for a while"),
    MSG(LOG_FD, REPLY, 1, B(MTAD), CHILDREN, f_none, "new log descriptor"),
    MSG(PEER_GONE, REPLY, 0, B(MTAD), CHILDREN, f_gone, "a peer ended and has nothing to present"),
    MSG(PEER_RETIRED, REPLY, 0, B(MTAD), B(QUEUED), f_gone,
        "a peer of a former generation finishes what it has: nothing new for it"),
    MSG(SNAPSHOT, REPLY, 0, B(MTAD) | B(MAPD), B(MTAD) | B(MAPD), f_snapshot,
        "mtad: all sources of it were sent; mapd: its tables are there, or why not"),
    MSG(EDGE_LOST, REPLY, 0, CHILDREN, B(MTAD), f_gone,
        "the channel to a living peer was closed for its nonsense: a new one, please"),
    MSG(TROUBLE, REPLY, 0, CHILDREN, B(MTAD), f_trouble,
        "for the operator's status: something is degraded, or well again"),
    MSG(PING, REPLY, 0, B(MTAD), CHILDREN, f_none, "are you there?"),
    MSG(PONG, REPLY, 0, CHILDREN, B(MTAD), f_none, "the answer, from the event loop: it turns"),
    MSG(MEASURE, REPLY, 0, B(MTAD), CHILDREN, f_none, "what did you count?"),
    MSG(MEASURED, REPLY, 0, CHILDREN, B(MTAD), f_measured, "the answer; its transaction is that of MEASURE"),
    MSG(HISTORY_LINES, REPLY, 0, B(SMTPD) | B(CLEANUP) | B(QUEUED) | B(DELIVERD), B(HISTORYD),
        f_history_lines, "log lines about messages; lossy: sent when it can be, never waited for"),
    MSG(AGENT, REQUEST, 0, B(DELIVERD), B(MTAD), f_agent, "an agent for this mailbox, please"),
    MSG(AGENT_REPLY, REPLY, IPC_FDS_ANY, B(MTAD), B(DELIVERD), f_agent_reply, "its channel, or why not"),
    MSG(AGENT_END, REPLY, 0, B(DELIVERD), B(MTAD), f_none,
        "the agent of that request hangs: end it, so that it stores nothing that is tried again"),
    MSG(HELPER, REQUEST, 0, CHILDREN, B(MTAD), f_helper,
        "a connected descriptor to a configured address, please"),
    MSG(HELPER_REPLY, REPLY, IPC_FDS_ANY, B(MTAD), CHILDREN, f_helper_reply, "it, or why not"),
    MSG(TRY, REQUEST, 0, B(MTAD), CHILDREN | B(AGENT), f_try, "check build: attempt a forbidden act"),
    MSG(TRIED, REPLY, 0, CHILDREN | B(AGENT), B(MTAD), f_tried, "check build: how it ended"),
    MSG(FAULT, REPLY, 0, B(MTAD), CHILDREN, f_fault, "check build: arm a fault point"),
    MSG(MAP_QUERY, REQUEST, 0, B(SMTPD) | B(CLEANUP) | B(DELIVERD) | B(MTAD) | B(MAPD),
        B(MAPD) | B(MAPD_WORKER), f_map_query, "look up a chain of keys"),
    MSG(MAP_ANSWER, REPLY, 0, B(MAPD) | B(MAPD_WORKER),
        B(SMTPD) | B(CLEANUP) | B(DELIVERD) | B(MTAD) | B(MAPD), f_map_answer,
        "found, absent or could not tell"),
    MSG(AUTH_QUERY, REQUEST, 0, B(SMTPD), B(MAPD), f_auth_query, "is this who it says it is?"),
    MSG(AUTH_CHECK, REQUEST, 0, B(MAPD), B(MAPD_WORKER), f_auth_check, "is this the password?"),
    MSG(AUTH_ANSWER, REPLY, 0, B(MAPD) | B(MAPD_WORKER), B(SMTPD) | B(MAPD), f_auth_answer,
        "yes, no (an unknown user and a wrong password look alike), or could not tell"),
    MSG(DNS_CLIENT, REQUEST, 0, B(SMTPD), B(DNSD), f_dns_client, "confirmed name of a client"),
    MSG(DNS_CLIENT_ANSWER, REPLY, 0, B(DNSD), B(SMTPD), f_dns_client_answer, "the name, when it leads back"),
    MSG(DNS_MX, REQUEST, 0, B(DELIVERD), B(DNSD), f_dns_mx, "where does mail for a domain go"),
    MSG(DNS_HOST, REQUEST, 0, B(DELIVERD), B(DNSD), f_dns_host, "addresses of a smart host"),
    MSG(DNS_HOSTS, REPLY, 0, B(DNSD), B(DELIVERD), f_dns_hosts, "hosts and addresses, ordered"),
    MSG(DNS_QUERY, REQUEST, 0, B(CLEANUP) | B(SMTPD) | B(DELIVERD), B(DNSD), f_dns_query, "one question"),
    MSG(DNS_ANSWER, REPLY, 0, B(DNSD), B(CLEANUP) | B(SMTPD) | B(DELIVERD), f_dns_answer, "its records"),
    MSG(TX_OPEN, REQUEST, 0, B(SMTPD), B(CLEANUP), f_tx_open,
        "MAIL was accepted: a transaction begins; no reply"),
    MSG(TX_RCPT, REQUEST, 0, B(SMTPD), B(CLEANUP), f_tx_rcpt, "a recipient that relay policy allows"),
    MSG(TX_RCPT_REPLY, REPLY, 0, B(CLEANUP), B(SMTPD), f_tx_rcpt_reply,
        "its verdict; the resolution is kept for the commit"),
    MSG(TX_BODY, CHUNK, 0, B(SMTPD), B(CLEANUP), f_data, "message bytes: canonical CRLF, dots unstuffed"),
    MSG(TX_END, CHUNK, 0, B(SMTPD), B(CLEANUP), f_tx_end, "the message is complete: commit"),
    MSG(TX_DONE, REPLY, 0, B(CLEANUP), B(SMTPD), f_tx_done, "the reply to the end of data"),
    MSG(TX_ABORT, REPLY, 0, B(SMTPD), B(CLEANUP), f_none, "forget the transaction"),
    MSG(TX_QUERY, REQUEST, 0, B(SMTPD), B(CLEANUP), f_query,
        "cleanup was lost after TX_END: was this message committed? TX_DONE answers, and a no is final"),
    MSG(Q_BODY, CHUNK, 0, B(CLEANUP), B(QUEUED), f_data, "body bytes; the first opens the transaction"),
    MSG(Q_HEADER, CHUNK, 0, B(CLEANUP), B(QUEUED), f_data, "header bytes that do not fit Q_SUBMIT"),
    MSG(Q_RCPTS, CHUNK, 0, B(CLEANUP), B(QUEUED), f_q_rcpts, "recipients that do not fit Q_SUBMIT"),
    MSG(Q_SUBMIT, CHUNK, 0, B(CLEANUP), B(QUEUED), f_q_submit, "commit; alone, it is a whole small message"),
    MSG(Q_SUBMITTED, REPLY, 0, B(QUEUED), B(CLEANUP), f_q_submitted, "durable, or not stored at all"),
    MSG(Q_ABORT, REPLY, 0, B(CLEANUP), B(QUEUED), f_none, "forget the transaction"),
    MSG(Q_QUERY, REQUEST, 0, B(CLEANUP), B(QUEUED), f_query,
        "was this message committed? Q_SUBMITTED answers; after a no a late Q_SUBMIT of that id is refused"),
    MSG(N_COMPOSE, REQUEST, IPC_FDS_ANY, B(QUEUED), B(CLEANUP), f_n_compose,
        "compose a notice (RFC 3464) and submit it with this origin"),
    MSG(N_FAILED, REPLY, 0, B(CLEANUP), B(QUEUED), f_n_failed, "could not now"),
    MSG(DROP_OPEN, REQUEST, 1, B(QUEUED), B(CLEANUP), f_drop_open,
        "a file of drop/, read-only: submit it with this origin"),
    MSG(DROP_DONE, REPLY, 0, B(CLEANUP), B(QUEUED), f_drop_done,
        "how it ended; the commit with its origin may have come before"),
    MSG(N_FORWARD, REQUEST, IPC_FDS_ANY, B(QUEUED), B(CLEANUP), f_n_forward,
        "submit this message anew, to these targets and with this origin"),
    MSG(N_FORWARDED, REPLY, 0, B(CLEANUP), B(QUEUED), f_forwarded,
        "how it ended; the commit with its origin may have come before"),
    MSG(N_REQUEUE, REQUEST, IPC_FDS_ANY, B(QUEUED), B(CLEANUP), f_n_requeue,
        "submit this message of the queue anew, with this origin; N_FORWARDED answers"),
    MSG(N_REQUEUE_RCPTS, REQUEST, 0, B(QUEUED), B(CLEANUP), f_n_requeue_rcpts,
        "recipients that do not fit N_REQUEUE"),
    MSG(N_LEFT_OUT, REPLY, 0, B(CLEANUP), B(QUEUED), f_n_left_out,
        "for the log and the operator: before the Q_SUBMIT, with the number of the N_REQUEUE"),
    MSG(J_START, CHUNK, 0 + IPC_FDS_ANY, B(QUEUED), B(DELIVERD), f_j_start,
        "deliver; a descriptor holds a big body, read-only"),
    MSG(J_BODY, CHUNK, 0, B(QUEUED), B(DELIVERD), f_j_body, "message bytes of a job"),
    MSG(J_RESULT, REPLY, 0, B(DELIVERD), B(QUEUED), f_j_result, "results of recipients"),
    MSG(J_RESULT_ACK, REPLY, 0, B(QUEUED), B(DELIVERD), f_none,
        "recorded: the results of this job so far may be forgotten"),
    MSG(J_INVENTORY, REPLY, 0, B(DELIVERD), B(QUEUED), f_j_inventory, "after connecting: what still runs"),
    MSG(J_INVENTORY_END, REPLY, 0, B(DELIVERD), B(QUEUED), f_none, "inventory and old results are complete"),
    MSG(J_CANCEL, REPLY, 0, B(QUEUED), B(DELIVERD), f_none, "forget the job if it has not begun"),
    MSG(J_FORWARD, REQUEST, 0, B(DELIVERD), B(QUEUED), f_j_forward,
        "a recipient's ~/.forward sends the message on: submit it there"),
    MSG(J_FORWARDED, REPLY, 0, B(QUEUED), B(DELIVERD), f_forwarded,
        "the new message is durable and the recipient is done, or why not"),
    MSG(J_TRACE, REPLY, 0, B(DELIVERD), B(QUEUED), f_j_trace, "a line of the dialogue, for who watches"),
    MSG(A_DEPOSIT, CHUNK, IPC_FDS_ANY, B(DELIVERD), B(AGENT), f_a_deposit,
        "store a message; never interleaved: the next one follows all frames, A_RESULT or A_ABORT of it"),
    MSG(A_BODY, CHUNK, 0, B(DELIVERD), B(AGENT), f_data, "message bytes"),
    MSG(A_END, CHUNK, 0, B(DELIVERD), B(AGENT), f_none,
        "complete: make it durable; not needed when A_DEPOSIT had all SIZE bytes"),
    MSG(A_RESULT, REPLY, 0, B(AGENT), B(DELIVERD), f_a_result,
        "durable in the mailbox, or why not; may come before A_END: its other frames are ignored then"),
    MSG(A_COMMAND, REPLY, 0, B(MTAD), B(AGENT), f_a_command, "what an agent that runs commands runs"),
    MSG(A_ABORT, REPLY, 0, B(DELIVERD), B(AGENT), f_none, "forget it"),
    MSG(CTL_CALL, REQUEST, 0, B(MTACTL), CONTROLLED, f_ctl_call,
        "the operator asks; one call at a time, the next after CTL_DONE"),
    MSG(CTL_ROWS, REPLY, 0, CONTROLLED, B(MTACTL), f_ctl_rows, "rows of the answer"),
    MSG(CTL_DATA, REPLY, 0, CONTROLLED, B(MTACTL), f_data, "bytes of the answer (a message)"),
    MSG(CTL_DONE, REPLY, 0, CONTROLLED, B(MTACTL), f_ctl_done,
        "the answer is complete, or this portion of it"),
    { .type = IPC_NONE },
};

const struct ipc_message *ipc_message_find(uint16_t type)
{
    static const struct ipc_message *index[IPC__END];

    if (type == IPC_NONE || type >= IPC__END)
        return NULL;
    if (!index[type])
        for (const struct ipc_message *m = ipc_messages; m->type; m++)
            index[m->type] = m;
    return index[type];
}

bool ipc_permitted(const struct ipc_message *m, enum role from, enum role to)
{
    return (m->from & ROLE_BIT(from)) && (m->to & ROLE_BIT(to));
}
