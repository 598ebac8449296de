/* resolve.h - one recipient to the addresses that its mail ends at: recursive and bounded
 *
 * Knows nothing of channels: questions go out through struct resolve_env, so that tests answer them.
 *
 * An address of an own domain is looked up once by the whole chain of keys.h; what a table gives is looked up
 * again. An address that comes up again below itself (`info: info, archive`) stands for its mailbox and is
 * not expanded again. What no table could answer makes the recipient temporarily refused, wherever in the
 * tree it happened, and so does what only an administrator can mend (depth, number, a target that this host
 * cannot serve): mail waits for the mend. A member that does not exist beside others that do stays a
 * recipient: delivery will tell the sender.
 */
#pragma once

#include "maps/client.h"

struct address;
struct conf;
struct resolve;

/* A step, for an operator who asks where an address goes. */
struct resolve_trace {
    struct strv address; /* or :include:PATH */
    const char *by;      /* "virtual", "aliases", "mailbox", "route", "postmaster", "nothing" */
    const char *map;     /* "": none */
    struct strv origin;  /* file:line; may be empty */
    struct strv value;   /* what the table says; may be empty */
    bool forward;        /* a mailbox whose user may have a ~/.forward, which is read at delivery */
};

struct resolve_env;
void resolve_trace_found(const struct resolve_env *env, const struct address *a, const char *include,
                         const struct key_item *item, const struct maps_answer *answer);
void resolve_trace_nothing(const struct resolve_env *env, const struct address *a, bool local);

struct resolve_env {
    void (*trace)(void *ctx, const struct resolve_trace *step); /* NULL: nobody asks */
    void *trace_ctx;
    const struct conf *conf;
    uint64_t (*ask)(void *ctx, const struct key_chain *chain, maps_done *done, void *arg);
    void (*cancel)(void *ctx, uint64_t handle);
    void *ctx;
    struct key_chain *chain; /* scratch, reset at each use */
    const char *id;          /* for log lines */
    bool internal;           /* our own mail: what `error:` refuses to strangers is looked for further */
};

struct resolve_leaf {
    struct strv address; /* written form without brackets */
    struct strv target;  /* a command or file of that alias ("@|...", "@/..."); empty: none */
    struct strv user;    /* the system user whose mailbox it is; empty: none */
    bool local;          /* of an own domain */
};

struct resolve_result {
    enum ipc_verdict verdict;
    int code; /* unless accepted */
    char enhanced[16];
    struct strv text;
    struct strv rule; /* what decided: "map virtual, /etc/mansio/virtual:12"; may be empty */
    const struct resolve_leaf *leaves;
    size_t leaf_n; /* 0 when accepted: all targets are /dev/null */
    bool through_aliases; /* the recipient's own name is an alias */
};

typedef void resolve_done(void *arg, struct resolve *r);

/* Starts. With RESOLVE_NOW the result is there already and done will not run; else done runs once, from the
   loop, when it is. local: the address counts as own (postmaster at the host's name). max: addresses it may
   become. env is copied, its pointers are borrowed. */
enum resolve_step { RESOLVE_NOW, RESOLVE_LATER };
enum resolve_step resolve_start(const struct resolve_env *env, const struct address *rcpt, bool local,
                                size_t max, resolve_done *done, void *arg, struct resolve **out);
/* Borrowed until resolve_free. */
const struct resolve_result *resolve_result(const struct resolve *r);
void resolve_free(struct resolve **r); /* cancels what is on its way; allowed inside done */
