/* system.h - defaults that come from the host: its name and its resolvers */
#pragma once

#include "conf/types.h"

/* The system's full name when it knows one, else whatever it calls itself. */
void system_host_name(char *dst, size_t size);
/* The pure part: the canonical name in a hosts(5) text of the line that has name on it; false when there is
   none with a dot. */
bool system_name_in_hosts(struct strv hosts, struct strv name, char *dst, size_t size);

/* Appends the name servers of a resolv.conf(5); nothing when it cannot be read. */
void system_resolvers(const char *path, struct conf_endpoints *servers);
/* The pure part. At most eight count. */
void system_parse_resolvers(struct strv text, struct conf_endpoints *servers);
