/* rig.h - the driver between real sockets: clients on loopback, fake cleanup and dnsd on channels */
#pragma once

#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "smtpd/server.h"

struct rig {
    struct loop *loop;
    struct conf *conf;
    struct server *server;
    struct netaddr address;  /* of the listener */
    struct channel *cleanup; /* the fake's end; NULL while it is away */
    struct channel *dns;
    struct ipc_out out;
    bool over;
    /* what the fake cleanup saw */
    char trace[8192]; /* "OPEN RCPT END ABORT ..." */
    char open[2048];  /* the last TX_OPEN as ipc_trace writes it */
    struct buf data;
    uint64_t txn; /* of the last frame */
    size_t unconsumed;
    /* how it behaves */
    bool mute_rcpt, mute_done, hold_credit;
    enum ipc_verdict stored; /* what it answers to TX_QUERY */
    char name[256];          /* what dnsd answers; "" = nothing comes */
    unsigned names_asked; /* questions to dnsd */
};

/* more: text in place of the limits of section listen. */
void rig_open(struct rig *r, const char *limits);
void rig_close(struct rig *r);
/* Cleanup's channel dies; a new one is there at once when up. */
void rig_lose_cleanup(struct rig *r, bool up);
/* A new cleanup takes the place of the old one and never reads: its bare socket. */
int rig_stuck_cleanup(struct rig *r);
void rig_give_credit(struct rig *r);
/* Moves the clock of the process, which else goes a millisecond with each round of its loop. */
void rig_pass(struct rig *r, int64_t ms);

int rig_connect(struct rig *r, const char *from); /* a blocking client's socket; from NULL: 127.0.0.1 */
void rig_send(struct rig *r, int fd, const char *text);
/* Reads until the transcript of fd ends with want, or fails. Message ids are written as ID. */
void rig_expect(struct rig *r, int fd, const char *want);
/* The server closed it, after these last words. */
void rig_expect_end(struct rig *r, int fd, const char *want);
/* Runs the loop until *what holds text as its end, or fails. */
void rig_wait_trace(struct rig *r, const char *text);
void rig_spin(struct rig *r, unsigned rounds);
