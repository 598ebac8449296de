/* dotforward.h - a user's ~/.forward: whether it may be believed, and what it says
 *
 * The file is read by a process that is the user. What may not be believed, or cannot be understood, is
 * ignored as a whole: the mail stays in the mailbox and the log says why. Only what may be different in a
 * moment (an error of the disk or the network) lets the mail wait.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/err.h"

#define DOTFORWARD_NAME        ".forward"
#define DOTFORWARD_SIZE_MAX    16384u
#define DOTFORWARD_TARGETS_MAX 100u
#define DOTFORWARD_TARGET_MAX  1500u

/* Targets as they stand in frames: "|command", "/file", "\user" or an address, perhaps without a domain. */
struct dotforward {
    struct buf text; /* owned */
    size_t ends[DOTFORWARD_TARGETS_MAX];
    size_t n;
};

void dotforward_init(struct dotforward *d);
void dotforward_clear(struct dotforward *d);
struct strv dotforward_target(const struct dotforward *d, size_t i);
bool dotforward_has(const struct dotforward *d, struct strv target);

/* The contents (pure). False: err says which line and why. */
bool dotforward_parse(struct strv content, struct dotforward *d, struct err *err);

enum dotforward_answer {
    DOTFORWARD_NONE,    /* there is none, or it names nobody */
    DOTFORWARD_FOUND,   /* it has targets */
    DOTFORWARD_IGNORED, /* it is there and must not be used: err */
    DOTFORWARD_FAILED,  /* could not tell now: err */
};
/* home_fd: a directory; one that does not belong to uid is nobody's home and has none. */
enum dotforward_answer dotforward_read(int home_fd, uid_t uid, struct dotforward *d, struct err *err);
