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

/* Of client_engine.c, for client_reply.c. */
void client_expect(struct client *c, enum client_step step, size_t rcpt);
void client_send_more(struct client *c);
void client_body_begin(struct client *c);
const char *client_step_doing(enum client_step step); /* "waiting for the reply to RCPT TO" */
