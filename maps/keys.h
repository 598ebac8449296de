/* keys.h - the one place that knows which keys an address is looked up by, and in which order (pure)
 *
 * A chain is one question to mapd: (map, key) items asked in order, the first found wins, and a table that
 * could not be asked ends the question as FAILED, because what stands in it may have been the answer.
 *
 * Order for an address (tests/unit/maps/test_keys.c is the same as a table):
 *   virtual   local+ext@domain, local+*@domain, local@domain, +*@domain, @domain     any domain
 *   aliases   local+ext, local                                  own domains
 *   mailbox   for each section in the order written: with a root local+ext@domain, local@domain; in the
 * users' homes local+ext, local                                  own domains (mailbox.domains when that is
 * set)
 * A local part that looks like an :include: list has no key but @domain: lists are asked for by cleanup
 * alone, never by whoever can write an address. Keys are lower case and in semantic form (no quotes). An
 * extension may be left out only where the address has one.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"

struct address;
struct conf;
struct conf_mailbox;

#define KEYS_VIRTUAL 1u
#define KEYS_ALIASES 2u
#define KEYS_MAILBOX 4u
#define KEYS_ALL     (KEYS_VIRTUAL | KEYS_ALIASES | KEYS_MAILBOX)
#define KEYS_OWN     8u /* the domain counts as own without being listed: postmaster@hostname */

struct key_item {
    const char *map;                    /* borrowed: from the configuration, or the caller's */
    size_t at, len;                     /* the key in the chain's text */
    unsigned use;                       /* one of KEYS_*, or 0: key_chain_add */
    bool catch_all;                     /* @domain */
    const struct conf_mailbox *mailbox; /* of KEYS_MAILBOX; borrowed from the configuration */
};

#define KEY_CHAIN_MAX 200u /* items; sections beyond it are left out and the chain is marked */

struct key_chain {
    struct buf text;        /* owned: the keys, one behind the other */
    struct key_item *items; /* owned */
    size_t n, cap;
    bool over; /* did not fit: the answer must be "could not tell" */
};

void key_chain_init(struct key_chain *c);
void key_chain_reset(struct key_chain *c); /* empty; keeps the memory */
void key_chain_clear(struct key_chain *c);
struct strv key_chain_key(const struct key_chain *c, size_t i);

/* Appends one item as it is (the key is used unchanged). map is borrowed. */
void key_chain_add(struct key_chain *c, const char *map, struct strv key);

/* Appends the items for an address. uses: KEYS_*. conf needs top.domains, address and mailboxes, as far as
   the role has them (deliverd: address.extension, mailboxes). An address without a domain (postmaster) must
   have been completed before; a literal is looked up in virtual only. */
void keys_for_address(struct key_chain *c, const struct conf *conf, const struct address *a, unsigned uses);

/* Key of a text: ASCII letters in lower case. Table sources are normalised by the same function. */
void key_lower(struct strv s, struct buf *out);

/* Where one recipient's mail lies. Views borrow from the value, the key or the configuration. */
struct mailbox_place {
    const struct conf_mailbox *mailbox;
    bool spool;        /* of a system user: path is below the section's spool, not below the home */
    bool system_user;  /* root is the user's home, user is who owns it */
    struct strv user;  /* whose uid the agent takes; empty: the section's owner as configured */
    struct strv path;  /* below the root or home: relative, without "..", no trailing slash */
    struct strv home;  /* of a system user */
    uint64_t uid, gid; /* of a system user */
    uint64_t quota;    /* bytes; 0: none */
};

/* Reads the value that a KEYS_MAILBOX item found: `path [owner=USER] [quota=N[kMG]]` for a section with a
   root, `uid:gid:home` for the system's users. ERR_CONF with the reason when it is neither: a temporary
   failure outside. */
bool mailbox_place_read(const struct conf_mailbox *mailbox, struct strv key, struct strv value,
                        struct mailbox_place *out, struct err *err) __attribute__((warn_unused_result));

/* Where mail for postmaster goes when no table and no mailbox knows it: the one mailbox of the section
   "postmaster", which conf always has. */
bool mailbox_place_postmaster(const struct conf *conf, struct mailbox_place *out);
/* The same for root, as whom no agent runs: the mailbox `root` beside that of postmaster. */
bool mailbox_place_root(const struct conf *conf, struct mailbox_place *out);

/* `uid:gid:home`, the value of a passwd map. */
bool passwd_value_read(struct strv value, uint64_t *uid, uint64_t *gid, struct strv *home);
