/* session.h - the agent's conversation with deliverd: frames in, deposits, results out, and when to end
 *
 * One deposit after the other: the next A_DEPOSIT may follow the last frame of the one before without waiting
 * for its result; deposits are never interleaved. A message is whole when DATA and the descriptor have SIZE
 * bytes together (an A_END is then not needed and ignored), else with A_END. A result may come before that:
 * what still arrives of its transaction is ignored. Messages for Maildirs that came together are made durable
 * together, at the end of the loop's turn: results come in any order.
 */
#pragma once

#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "deliverd/agent/batch.h"

#define SESSION_IDLE_MS  10000          /* without a deposit: the agent ends */
#define SESSION_STALL_MS (10 * 60000)   /* within one: deliverd would have ended it long before */

struct session {
    struct loop *loop;
    struct channel *ch;                 /* owned */
    int fd;                             /* the channel's: to say that nothing more is read */
    struct loop_timer timer;
    struct deposit deposit;
    struct batch batch;                 /* whole, not durable yet */
    struct loop_task task;              /* makes it durable */
    uint64_t txn;                       /* of the latest deposit; 0: none yet */
    bool taking;                        /* it is neither in the batch nor has it a result */
    bool closing;
    char id[16];                        /* message id, for the log */
};

/* spool: where mbox files lie that are named after their users; NULL when the mailboxes are no such files.
   Takes fd. Runs on the loop until loop_stop, which it calls itself when it is over. */
void session_start(struct session *s, struct loop *loop, int fd, enum role peer,
                   const struct maildir_place *place, const struct maildir_place *spool);
/* Removes what an unfinished deposit left. */
void session_end(struct session *s);
