/* conf.h - the configuration: loaded once, constant for the life of a process */

/* Only mtad and mtactl read files (conf_load). Each other daemon gets canonical text that holds no more than
   its role was granted by the field tables (conf_write, conf_parse_text). A section or field that was not
   granted is NULL or zero in the daemon's struct conf, so that wrong use crashes in the first test instead of
   seeing a default. mtad and mtactl are granted everything. */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/role.h"
#include "conf/error.h"
#include "conf/types.h"

struct dict;
struct conf_source;
struct conf_top;
struct conf_listen;
struct conf_relay;
struct conf_map;
struct conf_address;
struct conf_mailbox;
struct conf_route;
struct conf_secret;
struct conf_queue;
struct conf_history;
struct conf_log;
struct conf_dns;
struct conf_users;
struct conf_tls_section;
struct conf_auth_section;
struct conf_processes;

/* Every pointer is owned. Lists are in the order of the text. Sections that nobody wrote exist with defaults;
   maps always hold `passwd`, routes always `default`; mailboxes always `postmaster` (it has a root, and is
   where mail for postmaster goes that nothing else takes) and one more. Each when granted. */
struct conf {
    enum role role;                         /* whose view this is; ROLE_MTAD when loaded from files */
    struct conf_top *top;
    struct conf_listen **listens;      size_t listen_n;
    struct conf_relay *relay;
    struct conf_map **maps;            size_t map_n;
    struct conf_address *address;
    struct conf_mailbox **mailboxes;   size_t mailbox_n;
    struct conf_route **routes;        size_t route_n;
    struct conf_secret **secrets;      size_t secret_n;
    struct conf_queue *queue;
    struct conf_log *log;
    struct conf_history *history;
    struct conf_dns *dns;
    struct conf_users *users;
    struct conf_tls_section **tls;     size_t tls_n;
    struct conf_auth_section *auth;
    struct conf_processes *processes;

    struct dict *own;                       /* own domains */
    struct dict *route_index;
    struct dict *map_index;
    struct dict *names;                     /* file names that places point to */
};

/* What loading takes from the system; zeroed is what mtad wants. */
struct conf_options {
    /* Texts that overrule the files, in the files' language: the fields of a single section (and the top
       level) replace the files' fields one by one; a kind of section that can stand several times (listen,
       map, mailbox, route) replaces all of that kind. Later texts overrule earlier ones. They act before
       defaults are resolved. Errors in them are located at "option 1", "option 2", ... */
    const char *const *overrides;
    size_t override_n;

    const char *system_name;        /* default of hostname; NULL: ask the system */
    int cores;                      /* default of processes; 0: ask the system */
    const char *resolv_conf;        /* default of dns.servers; NULL: /etc/resolv.conf; "": none */
    bool skip_files;                /* do not look whether named files exist */
};

/* Reads path and what it includes. False with errs filled (initialised by the caller, never empty then);
   nothing half-made comes out. The caller frees *out. */
bool conf_load(const char *path, struct conf **out, struct conf_errors *errs)
    __attribute__((warn_unused_result));
bool conf_load_with(const char *path, const struct conf_options *options, struct conf **out,
                    struct conf_errors *errs) __attribute__((warn_unused_result));

/* A daemon's part. name stands in messages. Nothing is looked up: no file, no system default. The places of
   the operator's files come along in the text. */
bool conf_parse_text(struct strv canonical, const char *name, enum role role, struct conf **out,
                     struct conf_errors *errs) __attribute__((warn_unused_result));

/* Canonical text of what role was granted; reading it back with conf_parse_text for that role gives the same,
   and writing that again the same bytes. conf must hold everything that role was granted (one from conf_load
   does). */
void conf_write(const struct conf *conf, enum role role, struct buf *out);

/* Every effective value with its origin ("file:line" or "default"), for an operator. */
void conf_describe(const struct conf *conf, struct buf *out);

/* Markdown reference of all sections and fields, from the tables. */
void conf_reference(struct buf *out);

void conf_free(struct conf **conf);

/* NULL when there is none of that name. */
const struct conf_map *conf_map_find(const struct conf *conf, struct strv name);
const struct conf_listen *conf_listen_find(const struct conf *conf, struct strv name);
/* The exact domain, then `.parent` for each parent (the longest first; `.x` does not hold x itself), then
   default. Case ignored. Never NULL. */
const struct conf_route *conf_route_for(const struct conf *conf, struct strv domain);
/* Case ignored; exact: a subdomain of an own domain is not own. */
bool conf_domain_is_own(const struct conf *conf, struct strv domain);
/* postmaster or MAILER-DAEMON at the host's name where that is no own domain. Notices and replies give that
   name: who is answered to has his mail here (RFC 3461 9.3, RFC 3464 2), and nobody else at it. */
bool conf_is_host_contact(const struct conf *conf, struct strv local, struct strv domain);

/* Where a field of a section was written, e.g. conf_where(&relay->head, "relay", "from"); the section kinds
   are the words of the language, "" is the top level. A field nobody wrote is at {"default", 0, 0}. */
struct conf_where conf_where(const struct conf_head *head, const char *section, const char *field);
/* "file:line", or "default". */
void conf_where_text(struct conf_where where, char *dst, size_t size);
