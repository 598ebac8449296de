/* history.h - the last configurations that were accepted, as canonical text in mtad's own directory
 *
 * STATE/history/N.conf, root's alone; the first line says when, how and by whom. Only root reads them, and no
 * secret stands in them: secrets are in files of their own, and entries of a map that `auth.users` names are
 * left out (a configuration with such entries cannot be gone back to).
 */
#pragma once

#include "mtad/host.h"

#define HISTORY_MAX       20u
#define HISTORY_BYTES_MAX (16u << 20)

struct ctl_call;

void history_begin(struct host *h); /* once, with the first configuration */
/* A configuration works from now on. how: "start", "reload", "previous"; by: who asked. Written unless the
   newest one says the same. */
void history_accept(struct host *h, const char *how, const char *by);
/* Rows, newest first. */
void history_rows(struct host *h, struct ctl_call *call);
/* The text of one; 0: of what runs. False with err. */
bool history_text(struct host *h, unsigned number, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));
/* The one before that which runs. False with err when there is none. */
bool history_previous(struct host *h, unsigned *number, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));
