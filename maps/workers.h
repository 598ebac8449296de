/* workers.h - mapd's side of the worker processes: who gets the next question, what is known */
#pragma once

#include "common/ipc/schema.h"
#include "common/base/strv.h"

struct loop;
struct workers;
struct ipc_in;

struct worker_item {
    struct strv map, key;
};

struct worker_answer {
    enum ipc_answer answer;
    size_t index;      /* FOUND: of the items that were asked */
    struct strv value; /* borrowed, like why */
    struct strv why;
};

typedef void worker_done(void *arg, const struct worker_answer *answer);

struct workers *workers_new(struct loop *loop);
void workers_free(struct workers **w);
void workers_edge(struct workers *w, unsigned index, int fd); /* takes fd; replaces that worker */

/* An answer that is seconds old. False: ask. */
bool workers_known(struct workers *w, const struct worker_item *item, struct worker_answer *out);

/* Asks one worker; done runs from the loop. 0: none is there or all have too much to do (*why: static text).
 */
uint64_t workers_ask(struct workers *w, const struct worker_item *items, size_t n, worker_done *done,
                     void *arg, const char **why);
/* A check of a password, which takes milliseconds: one at a time for a worker, and never the last free one
   while there are several, so that look-ups stay fast. False: none can now; ask again when done of one ran.
   answer NULL: the worker is gone or late. */
typedef void worker_checked(void *arg, struct ipc_in *answer);
bool workers_check(struct workers *w, struct strv stored, struct strv password, worker_checked *done,
                   void *arg);
bool workers_any(const struct workers *w); /* whether any worker is there */
void workers_cancel(struct workers *w, uint64_t handle);
