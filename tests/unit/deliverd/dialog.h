/* dialog.h - scripts of conversations between the client engine and a server, played without a socket */
#pragma once

#include "deliverd/client_engine.h"

/* Lines of a script: "S: text" the server says, "C: text" the client must say next, "X: how" the connection
   ends, "M: n" a message to the first n recipients begins, "Q:" the client quits, "T:" TLS comes up, "F: why"
   it does not. */
struct dialog {
    const char *name, *script, *results;
    const char *body;
    enum client_step ends;
    bool lmtp, eight_bit;
    uint64_t size;
    enum client_tls tls;
    bool auth, clear_auth;
    uint64_t priority; /* of the message */
    bool dsn; /* wishes about notices: dialog_wants, RET=HDRS, ENVID "e+1" */
    const char *failure; /* "4.7.4 ehlo: words": why it ended before a message */
};

/* The state of one conversation, for tests that are no script. */
struct run {
    struct client c;
    struct buf out, input, results;
    size_t out_at;
    bool trickle;
    const char *body;
    size_t body_at;
    struct client_message m;
    const char *name;
};

extern const struct strv dialog_rcpts[3];
extern const struct client_dsn dialog_wants[3];
extern const struct client_ops dialog_ops;
/* Shows the engine what stands in `input`. */
void dialog_feed(struct run *run);

/* Plays it; trickle: a byte at a time, instead of as much as stands there. Fails the test. */
void dialog_play(const struct dialog *d, bool trickle);
