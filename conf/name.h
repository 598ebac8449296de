/* name.h - values that are names: hosts, domains, paths, users, maps */
#pragma once

#include "conf/value.h"

/* Whether word can be a value of a field of text (scalar or list). A field whose default is "" takes "" too.
 */
bool conf_name_ok(const struct conf_field *field, struct strv word, struct conf_why *why);
/* Owned copy in the form that is kept: lower case for names of hosts and domains. */
char *conf_name_fold(enum conf_type type, struct strv word);

bool conf_target_parse(struct strv word, struct conf_target *out, struct conf_why *why);
/* Also "unix:/path", and "inet:" before the host. */
bool conf_server_parse(struct strv word, struct conf_target *out, struct conf_why *why);
