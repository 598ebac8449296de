/* drop_user.h - the files of drop/ by the user who submitted them */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_MAX_       64u
#define KNOWN_MAX       20000u /* names in memory; the rest is found when these are gone */
#define USER_KNOWN_MAX  2000u  /* of them one user's */
#define USER_KNOWN_SURE 16u    /* so many of each user, whatever the others have */

enum file_state { FILE_FRESH, FILE_SUSPECT, FILE_LATER, FILE_FLYING, FILE_STUCK };

struct channel;
struct dict;
struct drop_user;

struct drop_file {
    struct drop_file *next; /* of its list: its user's fresh ones, suspects or later */
    struct drop_user *user;
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

void drop_list_init(struct file_list *l);
void drop_list_push(struct file_list *l, struct drop_file *f, enum file_state state);
struct drop_file *drop_list_pop(struct file_list *l); /* NULL: it is empty */

struct drop_user {
    uint32_t uid;
    size_t known;           /* files in memory, in every state */
    struct file_list fresh; /* not empty: in the ring */
    struct drop_user *next; /* of the ring */
    bool skipped;           /* there are more of his in the directory */
};

struct drop_users {
    struct dict *by_uid;            /* uid -> struct drop_user, owned */
    struct drop_user *first, **tail; /* the ring: who has fresh files, next one first */
    size_t known;
    bool rescan; /* somebody who had more than he may has room again: the directory is to be read */
    int64_t began, rested; /* mono ms: the present look at it; the next one for rescan is not before */
};

void drop_users_init(struct drop_users *us);
void drop_users_clear(struct drop_users *us); /* not the files */
/* A look at the directory begins, is complete. Of very many names it is long, and soon wanted again. */
void drop_look_begins(struct drop_users *us, int64_t now);
void drop_look_ends(struct drop_users *us, int64_t now);
/* ms until the one that rescan asks for: looks take no more than half of the time. */
unsigned drop_look_in(const struct drop_users *us, int64_t now);
/* Counts f as a file of this user. False: he has too many; the directory keeps it for later. */
bool drop_user_enter(struct drop_users *us, uint32_t uid, struct drop_file *f)
    __attribute__((warn_unused_result));
void drop_user_leave(struct drop_users *us, struct drop_file *f); /* f is in no list */
/* Behind the others of its user; users take turns. */
void drop_fresh_push(struct drop_users *us, struct drop_file *f);
struct drop_file *drop_fresh_pop(struct drop_users *us); /* NULL: there is none */
