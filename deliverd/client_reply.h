/* client_reply.h - what a reply means for the recipients; inside of client_engine.c's object */
#pragma once

#include "deliverd/client_engine.h"

#define CLIENT_TEXT_MAX 20000 /* a whole reply (REPLY_BYTES_MAX) with its separators */

/* A complete reply is in c->reply. */
void client_reply(struct client *c);
/* The server says what no server may: results for all, dead. */
void client_protocol_error(struct client *c, const char *why);
/* The message cannot be sent by anybody (permanent), or not read now (temporary). Dead: the data was begun.
 */
void client_fail_message(struct client *c, const char *why);
void client_fail_read(struct client *c);
/* Too large for this server; nothing was sent. */
void client_fail_size(struct client *c);

/* The end of the connection, by whomever. Before a message: the failure of the host. */
void client_die(struct client *c, struct client_result r, const char *how);
/* The server's words. Its status keeps subject and detail, the class is the outcome's: a 554 greeting defers.
 */
struct client_result client_from_reply(struct client *c, enum client_step step, enum ipc_outcome outcome,
                                       enum client_retry retry);
/* Our words, already in c->text. */
struct client_result client_own_words(struct client *c, enum client_step step, enum ipc_outcome outcome,
                                      enum client_retry retry, struct status s);

/* Of client_open.c: a reply to GREETING, EHLO, HELO, STARTTLS, AUTH. */
void client_open_reply(struct client *c, enum client_step step);

/* Of client_engine.c, for the others. */
void client_expect(struct client *c, enum client_step step, size_t rcpt);
void client_send_more(struct client *c);
void client_body_begin(struct client *c);
const char *client_step_doing(enum client_step step); /* "waiting for the reply to RCPT TO" */

/* Of client_trace.c: only while somebody watches. A command stands complete in c->out; a line came. */
void client_trace_sent(const struct client *c, enum client_step step);
void client_trace_received(const struct client *c, struct strv line);
