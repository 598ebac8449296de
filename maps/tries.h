/* tries.h - who tried passwords in vain: by network, and by login from there
 *
 * Each failure of a network doubles the time that its next answer takes, and few questions of one network may
 * be open at once, so that slowness cannot be bought off with connections. But a webmail host is one network
 * for all its users: a login that came in from there before, and has not failed since, does not share those
 * places, and no single login takes more than half of them. So one user's old password keeps nobody else
 * out, while whoever goes through many logins has as few places as ever. The price: who shares a network and
 * takes its places learns which logins came in from there before (they are answered, others hear 454).
 */
#pragma once

#include "common/base/netaddr.h"
#include "common/base/strv.h"

struct tries;
struct loop;
struct pair;

/* One open question; embedded. */
struct try {
    char network[NETADDR_TEXT];
    struct pair *pair; /* NULL: not begun */
    bool counted;      /* takes a place of the network */
};

struct tries *tries_new(struct loop *loop);
void tries_free(struct tries **t);

/* False: too many questions of that network, or of that login from there, are open. */
bool tries_have_room(struct tries *t, struct strv client, struct strv login);
void try_begin(struct tries *t, struct strv client, struct strv login, struct try *out);
/* The result: how long it is kept back, in ms. A result that could not be had counts as neither. */
int64_t try_result(struct tries *t, struct try *one, bool good, bool bad);
void try_end(struct tries *t, struct try *one); /* begun or not */
