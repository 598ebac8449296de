/* mailbox.h - section `mailbox [NAME]`: who has a mailbox, and where it lies; tried in the order written */
#pragma once

#include "conf/types.h"

enum conf_mailbox_method {
    CONF_METHOD_MAILDIR,
    CONF_METHOD_MBOX,
    CONF_METHOD_PROCMAIL,           /* a command as the recipient, with a From_ line */
    CONF_METHOD_COMMAND,            /* a command as the recipient */
    CONF_METHOD_PIPE,               /* a command as one configured user */
    CONF_METHOD_LMTP,               /* a server that has mailboxes of its own: Dovecot, Cyrus */
};

/* What of a user's ~/.forward is obeyed. */
enum conf_forward { CONF_FORWARD_NO, CONF_FORWARD_ADDRESSES, CONF_FORWARD_ALL };

#define CONF_LMTP_PORT 24           /* when via has none */

struct conf_mailbox {
    struct conf_head head;          /* name "" allowed for one of them */
    char *lookup;                   /* name of a map; "passwd" is built in: the system's users */
    int method;                     /* enum conf_mailbox_method */
    char *path; /* of a system user's mailbox: "~/...", or "" for the file of that name in spool; of
                   postmaster's in the section of that name: below root; of no meaning for other sections with
                   a root */
    char *spool;                    /* directory of mbox files that are named after their users */
    struct conf_strings command;    /* argv; elements %u %d %x %s %r stand for values */
    char *user;                     /* whom a pipe runs as */
    struct conf_target via;         /* the LMTP server; host "": none */
    int64_t max_connections;        /* to it, all processes */
    int forward;                    /* enum conf_forward; of the homes of system users */
    bool from_line;                 /* a command's message begins with a From_ line */
    int64_t timeout;                /* seconds for a command, or for LMTP at the end of a message */
    char *root; /* absolute directory of virtual mailboxes: the look-up's value is a path below
                   it; "" for mailboxes in the users' homes */
    char *owner;                    /* system user that owns mailboxes below root */
    char *group;                    /* the one extra group of the delivering agent; "" for none */
    int64_t uid_min;                /* mailboxes of system users below it are refused */
    struct conf_strings uid_exceptions;     /* names that may have a mailbox all the same; never uid 0 */
    struct conf_strings domains;    /* only for these of the own domains; empty: all of them */
};

/* Whether its recipients are the system's users: the agent acts as one of them. */
bool conf_mailbox_is_system(const struct conf_mailbox *mailbox);
/* Whether the look-up says only who has a mailbox, not where it lies. */
bool conf_mailbox_is_list(const struct conf_mailbox *mailbox);
/* Whether an agent runs a program for it. */
bool conf_mailbox_is_command(const struct conf_mailbox *mailbox);
