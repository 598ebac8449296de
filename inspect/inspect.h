/* inspect.h - the full look at a configuration on this host, the same for `mtactl check`, a reload and a
 * start
 *
 * Nothing is opened for use and nothing is changed. Errors are what mtad refuses to start or go on with; the
 * rest is for the operator. Directories of mailboxes are looked at only by who may wait for them (a file
 * server that hangs must not hang mtad, which opens them anyway).
 */
#pragma once

#include "inspect/certificate.h"
#include "inspect/finding.h"

struct conf;
struct dsn_texts;

struct inspect_options {
    bool privileged; /* the host runs as root: users of its own, owners of directories */
    bool mailboxes;  /* look at directories of mailboxes too */
};

/* Everything below, certificates too. */
void inspect_all(const struct conf *conf, const struct inspect_options *o, struct findings *f);

void inspect_users(const struct conf *conf, struct findings *f);
/* Programs that commands name, sockets that servers listen at. */
void inspect_programs(const struct conf *conf, struct findings *f);
void inspect_mailboxes(const struct conf *conf, bool privileged, struct findings *f);
/* Addresses, authorities, certificates and logins of routes. */
void inspect_outgoing(const struct conf *conf, struct findings *f);
/* The templates of notices: every mistake at its line in that file. */
void inspect_notices(const struct conf *conf, struct findings *f);
/* The same with the file's text already read; NULL after mistakes. */
struct dsn_texts *inspect_notice_texts(const char *path, struct strv text, struct findings *f);
void inspect_secrets(const struct conf *conf, struct findings *f);
/* What is allowed, and hardly meant: an open relay, AUTH that comes late, a name nobody can look up. */
void inspect_sense(const struct conf *conf, struct findings *f);
