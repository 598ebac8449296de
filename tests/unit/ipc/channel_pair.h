/* channel_pair.h - two channels joined by a socketpair on one loop, with a record of what each end saw */
#pragma once

#include "common/ipc/channel.h"

#include <sys/types.h>

#define EVENTS_MAX 4096

struct channel_end {
    struct channel *ch;
    struct {
        uint16_t type;
        uint64_t txn;
        size_t bulk;
    } frames[EVENTS_MAX];
    unsigned frame_count;
    unsigned lost, ready;
    uint64_t ready_txn;
    char why[256];
    bool consume; /* give credit back at once */
    bool free_in_frame, free_in_lost;
    int kept_fd; /* the first descriptor that came, when keep_fds */
    bool keep_fds;
    void (*on_ready)(struct channel_end *e, uint64_t txn);
};

struct channel_pair {
    struct loop *loop;
    struct channel_end a, b; /* a is smtpd, b is cleanup unless said otherwise */
    int raw;                 /* the other socket when there is no b, else -1 */
};

void pair_open(struct channel_pair *p, enum role a, enum role b);
/* Only end a is a channel; raw is the bare socket of its peer. */
void pair_open_raw(struct channel_pair *p, enum role self, enum role peer);
void pair_close(struct channel_pair *p);
/* Iterates until nothing happens any more. */
void pair_run(struct channel_pair *p);
/* Descriptors of this process that are open. */
unsigned fd_census(void);
