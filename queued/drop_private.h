/* drop_private.h - the inside of drop/, shared by its own files */
#pragma once

#include "queued/drop.h"
#include "queued/drop_user.h"
#include "queued/mailq.h"

#include <dirent.h>

#define DIR_NAME     "drop"
#define BAD_NAME     "bad"
#define FLYING_MAX   32u
#define ATTEMPTS     3u
#define PATH_SIZE    (NAME_MAX_ + 16u)
#define FILE_MAX     (51u * 1024u * 1024u) /* postdrop's largest message and envelope */
#define SCAN_MS      60000                 /* without a watch: UNWATCHED_MS */
#define UNWATCHED_MS 1000
#define RETRY_MS     10000
#define RETRY_MAX    300000
#define STALE_S      86400
#define BAD_MAX      10000u /* counted */
#define SCAN_STEP    1000u /* names looked at between other work: a millisecond or two */

struct drops {
    int dir, bad, watch; /* owned */
    struct dict *known;  /* name -> struct drop_file, owned */
    struct dict *flying; /* txn -> struct drop_file */
    size_t flying_n;     /* with orphans */
    struct drop_users users;
    struct file_list suspects, later;
    bool alone; /* a suspect is flying: nobody else does */
    bool suspects_turn;
    DIR *scan;      /* owned: a look at the directory is under way; NULL: none */
    bool scan_again; /* and another one behind it */
    size_t skipped, skipping; /* names that the last look left in the directory; the present one */
    size_t bad_n, bad_hidden; /* files in bad/ and those that could not be moved there; the latter */
    int unreadable; /* errno of the last look; 0: it went well */
    bool dirty; /* unlinked, and the directory was not synced since */
    struct loop_io io;
    struct loop_timer scan_timer, step_timer, due_timer;
    bool started;
};

/* NAME or NAME.n */
bool drop_name_split(struct strv text, struct strv *name, unsigned *attempts);
void drop_path(const struct drop_file *f, unsigned attempts, char path[PATH_SIZE]);
struct drop_file *drop_find(struct drops *d, struct strv origin); /* NULL: not known */
/* Out of the way for good; why is logged. */
void drop_move_bad(struct mailq *q, const char *path, const char *why, int64_t uid);
/* It is in the queue, or nobody wants it: unlinked. */
void drop_finish(struct mailq *q, struct drop_file *f);

/* In steps, from now on, and again when it is time. */
void drops_look(struct mailq *q);
/* One step; arg is the mailq. */
void drop_on_step(void *arg);

/* drop_dir.c */
int drop_watch_open(int spool); /* -1 with errno */
size_t drop_count_bad(int bad);
void drop_on_watch(void *arg, int events);
