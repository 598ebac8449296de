/* drop_private.h - the inside of drop/, shared by its own files */
#pragma once

#include "queued/drop.h"
#include "queued/mailq.h"

#define DIR_NAME     "drop"
#define BAD_NAME     "bad"
#define FLYING_MAX   32u
#define KNOWN_MAX    20000u /* names in memory; the rest is found when these are gone */
#define ATTEMPTS     3u
#define NAME_MAX_    64u
#define PATH_SIZE    (NAME_MAX_ + 16u)
#define FILE_MAX     (51u * 1024u * 1024u) /* postdrop's largest message and envelope */
#define SCAN_MS      60000                 /* without a watch: UNWATCHED_MS */
#define UNWATCHED_MS 1000
#define RETRY_MS     10000
#define RETRY_MAX    300000
#define STALE_S      86400

enum file_state { FILE_FRESH, FILE_SUSPECT, FILE_LATER, FILE_FLYING, FILE_STUCK };

struct drop_file {
    struct drop_file *next; /* of its list: fresh, suspects or later */
    enum file_state state;
    unsigned attempts;
    int64_t due, delay; /* mono ms; ms */
    uint64_t txn;
    const struct channel *ch; /* flying: of the cleanup that has it; compared only */
    bool orphan; /* flying, and the cleanup that had it is gone: its commit is still under way */
    char name[NAME_MAX_ + 1];
};

struct file_list {
    struct drop_file *first, **tail;
};

struct drops {
    int dir, bad, watch; /* owned */
    struct dict *known;  /* name -> struct drop_file, owned */
    struct dict *flying; /* txn -> struct drop_file */
    size_t flying_n;     /* with orphans */
    struct file_list fresh, suspects, later;
    bool alone; /* a suspect is flying: nobody else does */
    bool suspects_turn;
    bool more;  /* there were more files than KNOWN_MAX */
    int unreadable; /* errno of the last look; 0: it went well */
    bool dirty; /* unlinked, and the directory was not synced since */
    struct loop_io io;
    struct loop_timer scan_timer, due_timer;
    bool started;
};

void drop_list_init(struct file_list *l);
void drop_list_push(struct file_list *l, struct drop_file *f, enum file_state state);
/* NAME or NAME.n */
bool drop_name_split(struct strv text, struct strv *name, unsigned *attempts);
void drop_path(const struct drop_file *f, unsigned attempts, char path[PATH_SIZE]);
struct drop_file *drop_find(struct drops *d, struct strv origin); /* NULL: not known */
/* Out of the way for good; why is logged. */
void drop_move_bad(struct mailq *q, const char *path, const char *why, int64_t uid);
/* It is in the queue, or nobody wants it: unlinked. */
void drop_finish(struct mailq *q, struct drop_file *f);

/* Now, and again when it is time. */
void drops_look(struct mailq *q);

/* drop_dir.c */
int drop_watch_open(int spool); /* -1 with errno */
void drop_on_watch(void *arg, int events);
