/* session.h - one connected client: where the engine meets the socket, the clock and cleanup */
#pragma once

#include "common/net/loop.h"
#include "dnsd/client.h"
#include "maps/client.h"
#include "smtpd/engine.h"
#include "smtpd/rate.h"
#include "smtpd/tx.h"

struct stream;
struct session;

/* What deadlines of several kinds are about. */
#define DONE_WAIT_MS (5 * 60 * 1000)
/* mapd makes those wait who tried in vain before. */
#define AUTH_WAIT_MS (60 * 1000)

/* What sessions need of their process; outlives them. */
struct session_host {
    struct loop *loop;
    struct tx_link *link;
    struct dns_client *dns;
    struct maps_client *maps;
    /* Called once, when the session is over; it is freed at the end of the iteration. */
    void (*ended)(void *arg, struct session *s);
    void *arg;
};

struct session {
    struct session *prev, *next; /* the owner's list */
    void *owner;                 /* the owner's: its listener */
    struct session_host *host;   /* borrowed */
    struct stream *stream;       /* owned; NULL once over */
    struct engine engine;
    struct tx tx;
    struct dns_ask ask;
    uint64_t auth_ask, sender_ask; /* questions to mapd; 0: none */
    struct rate rate;
    struct loop_timer timer;
    struct loop_task again; /* pump from the loop, where calling it at once is not safe */
    enum engine_step step;  /* of the last pump */
    int64_t began, session_due;
    int64_t command_began; /* when the command that is awaited began to be; 0: not yet */
    int64_t flush_began;   /* since when replies wait for the client to read */
    size_t taken;          /* bytes of the input that the engine used and the stream still holds */
    uint64_t command_mark; /* commands when command_began was set */
    bool shaking;          /* TLS is being begun */
    bool hurried;          /* less time than else, because the listener is short of sessions */
    size_t followed_out;   /* replies at the head of the output that follow.c has logged */
    int64_t ended;         /* when the end of the data went to cleanup */
    bool early;            /* the client spoke before the greeting */
};

/* Takes fd (connected, non-blocking). Nothing of it ends before session_begin, so that the owner can enter it
   in its lists first. */
struct session *session_new(struct session_host *host, struct service *sv, int fd,
                            const struct netaddr *client);
/* Sends the greeting and asks for the client's name. The session may be over when this returns. */
void session_begin(struct session *s);
/* There is a new cleanup. The session may be over when this returns. */
void session_cleanup(struct session *s);
/* 421 for the next command outside a transaction; a session outside one can be ended with session_shut. */
void session_drain(struct session *s);
/* Ends a session that is outside a transaction with a 421; others go on. */
void session_shut(struct session *s);
/* Ends it now, whatever it does. */
void session_kill(struct session *s);

extern const struct tx_events session_tx_events;
