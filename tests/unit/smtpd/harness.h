/* harness.h - the engine with a fake cleanup and without sockets; collects the transcript */
#pragma once

#include "smtpd/engine.h"

/* The host that the dialogs and tests speak to. The same configuration is given to the real daemons by
   tests/dialog/test_dialogs.py. */
extern const char harness_conf_text[];
struct conf *harness_conf(void); /* parsed; the caller frees it */

enum harness_answer { ANSWER_NONE, ANSWER_RCPT, ANSWER_DONE };

struct harness_message {
    char sender[300];
    char rcpts[4096]; /* each followed by a blank; " (local)" told by a leading '=' */
    unsigned rcpt_count;
    struct buf data; /* of the message that is open */
};

struct harness {
    struct conf *conf; /* owned */
    struct service service;
    struct engine engine;
    struct buf in;  /* fed and not yet used */
    struct buf out; /* the engine's; moved to transcript after each call */
    struct buf transcript;
    enum engine_step step;
    /* the fake cleanup */
    bool up;    /* tx_ready */
    bool flaps; /* it is away between two transactions, and comes when MAIL has waited a moment */
    bool open, ended;
    size_t room; /* what tx_room says */
    struct harness_message tx;
    struct harness_message last; /* the one accepted last */
    unsigned opens, ends, aborts, accepted;
    uint64_t bytes;
    unsigned delay; /* calls of harness_feed by which every answer is late */
    unsigned due;   /* left for the one that is pending */
    enum harness_answer pending;
    char pending_rcpt[300];
    bool pending_local;
};

/* client: "192.0.2.1" is a stranger, "127.0.0.1" is of the own networks. The greeting is in the transcript.
 */
void harness_init(struct harness *h, const char *client);
/* A second session in the same memory: the configuration stays. */
void harness_again(struct harness *h, const char *client);
void harness_clear(struct harness *h);

/* More input; runs the engine as far as it goes and delivers answers that are due. */
void harness_feed(struct harness *h, struct strv bytes);
/* Delivers what is late. */
void harness_settle(struct harness *h);
/* A whole input in pieces of n bytes (0: at once), then settles. */
void harness_run(struct harness *h, struct strv bytes, size_t piece);
bool harness_closed(const struct harness *h);
/* Cleanup goes away; up tells whether a new one is there at once. A commit on its way is settled later. */
void harness_lose_cleanup(struct harness *h, bool up);
/* What a MAIL that waits for a new cleanup hears: it came, or time is up. */
void harness_cleanup(struct harness *h, bool came);

/* The transcript without what differs from run to run: message ids become "ID". Valid until the next call. */
struct strv harness_transcript(struct harness *h);
/* Forgets the transcript so far. */
void harness_cut(struct harness *h);

/* Log lines are counted and the last one kept instead of being written. */
void harness_quiet(void);
extern unsigned harness_log_lines;
extern char harness_log_last[4096];
