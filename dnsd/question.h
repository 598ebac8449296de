/* question.h - the questions that dnsd answers, each made of several look-ups */
#pragma once

#include "common/ipc/frame.h"
#include "dnsd/lookup.h"

struct question;

/* Where an answer goes. */
struct question_ops {
    /* The answer frame is begun with the question's txn and complete but for sending. Last use of the
     * question. */
    void (*answer)(void *arg, struct question *q, struct ipc_out *o);
};

/* The part that all questions share; each kind embeds it first. Lists belong to whoever asks. */
struct question {
    struct question *next, *prev;
    struct lookup *lookup; /* borrowed */
    const struct question_ops *ops;
    void *arg;
    uint64_t txn;
    bool trust_ad;       /* the resolvers' AD bit means something */
    struct ipc_out *out; /* borrowed: scratch of the process */
    void (*free)(struct question *q);
};

/* Each begins at once; the answer comes from the loop, never before the function returned. */
struct question *question_mx(const struct question *base, struct strv domain, enum ipc_family family);
struct question *question_host(const struct question *base, struct strv host, enum ipc_family family);
struct question *question_client(const struct question *base, const struct netaddr *addr);
struct question *question_plain(const struct question *base, struct strv name, uint16_t type);

/* Cancels what is on its way and frees. */
void question_free(struct question **q);
