/* forbidden.h - check build: acts that a confined process must be refused, tried one by one
 *
 * mtad sends TRY for each act of the table to each child and each of its threads; the answer is the errno,
 * and 0 means that the wall has a hole. Acts that a role may do are its exceptions, with the reason.
 */
#pragma once

#include "common/base/role.h"
#include "common/base/strv.h"

struct forbidden_act {
    const char *name;             /* "open-passwd" */
    int (*run)(const char *path); /* errno it failed with, 0 when it succeeded; undoes what it can */
    uint32_t exempt;              /* roles that may */
    const char *why;              /* they may */
};

extern const struct forbidden_act forbidden_acts[]; /* ends with name NULL; empty in other builds */

const struct forbidden_act *forbidden_find(struct strv name);
