/* place.h - where drop/ is, and whether there is room for more */
#pragma once

#include "common/base/err.h"

#include <limits.h>
#include <stdint.h>

#define PLACE_CONF  "/etc/mansio/mansio.conf"
#define PLACE_SPOOL "/var/spool/mansio"

/* True when this program has rights that its caller has not: then files that he names are not looked at. */
bool place_is_privileged(void);

struct place {
    char spool[PATH_MAX], drop[PATH_MAX + 8];
    int64_t reserve; /* bytes that new mail must leave free; 0: see common/os/room.h */
};

/* The directory drop/ of the host with this configuration. Only section queue is looked for, so that a
   mistake elsewhere in a file that is being edited keeps no mail from being taken; without a file it is the
   default. False: it cannot be told, because a part of the configuration cannot be read, or makes no sense
   before the directory was found: mail in a directory that nobody looks into would be lost. Never says what
   stands in the file. */
bool place_find(const char *conf, struct place *out, struct err *err) __attribute__((warn_unused_result));
/* False below queue.reserve: what is in the queue needs the rest. */
bool place_has_room(const struct place *p, struct err *err) __attribute__((warn_unused_result));

/* address.sender_warning of the same file, and whether address.trusted lists this user: false when nothing is
   to be said about what he calls himself. */
bool place_warns_of(const char *conf, const char *user);
