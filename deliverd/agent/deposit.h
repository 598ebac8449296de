/* deposit.h - one message into one mailbox: from its first bytes to "durable", or why not (no IPC here)
 *
 * IDLE -begin-> TAKING -chunk*, end-> DONE; a message that is whole at begin, and every failure, is DONE at
 * once. DONE holds the result; the next begin starts anew. Every way out but a success leaves nothing in the
 * mailbox. With `later`, a message for a Maildir is WRITTEN instead: whole in tmp/, to be made durable
 * together with others (batch.h).
 */
#pragma once

#include "common/ipc/schema.h"
#include "deliverd/agent/command.h"
#include "deliverd/agent/dotforward.h"
#include "deliverd/agent/loop_scan.h"
#include "deliverd/agent/maildir.h"
#include "deliverd/agent/mbox.h"
#include "deliverd/agent/text.h"

struct deposit_request {
    struct strv path;           /* of the mailbox, below the root */
    struct strv rcpt;
    struct strv sender;         /* empty: null */
    struct strv data;           /* the message, or its beginning */
    uint64_t size;              /* of the whole message */
    uint64_t kind;              /* enum deposit_kind */
    bool spool;                 /* path is below the spool directory instead of the root */
    bool ask_forward;           /* unless the user's ~/.forward says where to */
    bool expanded;              /* it was sent on from this very mailbox: its Delivered-To is no loop */
    struct strv user, domain, extension; /* values of a command */
    struct strv target;         /* of an agent that runs the user's own commands: which */
    uint64_t quota;             /* bytes that may lie in the mailbox; 0: any */
    uint64_t body_size;         /* bytes in body_fd, which end the message */
    int body_fd;                /* -1: none. Taken */
};

struct deposit_result {
    enum ipc_outcome outcome;
    char enhanced[8];
    char text[512];
    bool forward;               /* nothing was stored: the targets are in the deposit's forward */
};

enum deposit_state { DEPOSIT_IDLE, DEPOSIT_TAKING, DEPOSIT_WRITTEN, DEPOSIT_DONE };

#define DEPOSIT_CLEANED_MAX 64

struct deposit {
    struct maildir_place place, spool; /* spool.root_fd -1: there is none */
    enum deposit_kind kind;
    enum deposit_state state;
    struct deposit_result result;       /* when DONE */
    struct maildir box;                 /* open from begin to tidy */
    struct mbox mbox;                   /* open from begin to the result */
    const struct command *command;      /* borrowed; NULL: this agent runs none */
    int memory_fd;                      /* owned: a command's message */
    struct dotforward forward;          /* owned: the latest that was read */
    bool expanded;
    bool later;                         /* the caller has a batch */
    char target[DOTFORWARD_TARGET_MAX + 2];
    char sender[1025], user[1025], domain[1025], extension[1025]; /* a command's values */
    struct maildir_file file;
    struct text text;
    struct loop_scan loop;
    char rcpt[1025];
    uint64_t size, got, body_size;
    int body_fd;                        /* owned */
    uint64_t cleaned[DEPOSIT_CLEANED_MAX]; /* which mailboxes' tmp/ was looked through: hashes of paths */
    unsigned cleaned_n;
    uint64_t path_hash;
};

void deposit_init(struct deposit *d, const struct maildir_place *place);
/* Ends an unfinished one as deposit_abort, then starts. */
enum deposit_state deposit_begin(struct deposit *d, const struct deposit_request *r);
enum deposit_state deposit_chunk(struct deposit *d, struct strv bytes);
enum deposit_state deposit_end(struct deposit *d);
/* What becomes of a deposit into a Maildir: stored, or (err not NULL) deferred. */
void deposit_result_make(struct deposit_result *r, const struct err *err, const char *shown);
/* Forgets an unfinished one and what it wrote. */
void deposit_abort(struct deposit *d);
/* Housekeeping in the mailbox's tmp/, once per mailbox. */
void deposit_clean(struct deposit *d);
/* After the result was given: the same, then closes the mailbox. */
void deposit_tidy(struct deposit *d);
