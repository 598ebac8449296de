/* drop_user.c - whose turn it is in drop/: users take turns, and none fills the memory with his files */
#include "queued/drop_user.h"

#include "common/base/dict.h"
#include "common/base/mem.h"

#include <stdlib.h>

void drop_list_init(struct file_list *l)
{
    l->first = NULL;
    l->tail = &l->first;
}

void drop_list_push(struct file_list *l, struct drop_file *f, enum file_state state)
{
    f->state = state;
    f->next = NULL;
    *l->tail = f;
    l->tail = &f->next;
}

struct drop_file *drop_list_pop(struct file_list *l)
{
    struct drop_file *f = l->first;

    if (!f)
        return NULL;
    l->first = f->next;
    if (!l->first)
        l->tail = &l->first;
    f->next = NULL;
    return f;
}

void drop_users_init(struct drop_users *us)
{
    *us = (struct drop_users){ .by_uid = dict_new() };
    us->tail = &us->first;
}

void drop_users_clear(struct drop_users *us)
{
    if (us->by_uid)
        dict_free(&us->by_uid, free);
    us->first = NULL;
    us->tail = &us->first;
}

void drop_look_begins(struct drop_users *us, int64_t now)
{
    us->rescan = false;
    us->began = now;
}

void drop_look_ends(struct drop_users *us, int64_t now)
{
    us->rested = now + (now - us->began);
}

unsigned drop_look_in(const struct drop_users *us, int64_t now)
{
    return us->rested > now ? (unsigned)(us->rested - now) : 1;
}

static struct drop_user *user_get(struct drop_users *us, uint32_t uid)
{
    struct drop_user *u = dict_get_u64(us->by_uid, uid);

    if (u)
        return u;
    u = mem_new(sizeof *u);
    u->uid = uid;
    drop_list_init(&u->fresh);
    dict_set_u64(us->by_uid, uid, u);
    return u;
}

bool drop_user_enter(struct drop_users *us, uint32_t uid, struct drop_file *f)
{
    struct drop_user *u = user_get(us, uid);

    /* Those who have few are let in beyond the limit of all: else some floods would shut out everybody. */
    if (u->known >= USER_KNOWN_MAX || (us->known >= KNOWN_MAX && u->known >= USER_KNOWN_SURE)) {
        u->skipped = true;
        return false;
    }
    u->known++;
    us->known++;
    f->user = u;
    return true;
}

void drop_user_leave(struct drop_users *us, struct drop_file *f)
{
    struct drop_user *u = f->user;

    f->user = NULL;
    u->known--;
    us->known--;
    if (u->skipped && u->known <= USER_KNOWN_MAX / 2 && us->known <= KNOWN_MAX / 2) {
        u->skipped = false;
        us->rescan = true;
    }
    if (u->known == 0 && !u->skipped) {
        dict_pop_u64(us->by_uid, u->uid);
        free(u);
    }
}

static void ring_add(struct drop_users *us, struct drop_user *u)
{
    u->next = NULL;
    *us->tail = u;
    us->tail = &u->next;
}

void drop_fresh_push(struct drop_users *us, struct drop_file *f)
{
    struct drop_user *u = f->user;

    if (!u->fresh.first)
        ring_add(us, u);
    drop_list_push(&u->fresh, f, FILE_FRESH);
}

struct drop_file *drop_fresh_pop(struct drop_users *us)
{
    struct drop_user *u = us->first;
    struct drop_file *f;

    if (!u)
        return NULL;
    us->first = u->next;
    if (!us->first)
        us->tail = &us->first;
    f = drop_list_pop(&u->fresh);
    if (u->fresh.first)
        ring_add(us, u);
    return f;
}
