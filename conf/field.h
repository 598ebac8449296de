/* field.h - tables of what may be configured: parser, defaults, limits, grants and manual come from them */
#pragma once

#include "common/base/buf.h"
#include "common/base/role.h"
#include "conf/types.h"

struct conf;
struct conf_check;
struct conf_kind;

enum conf_type {
    CT_STRING,                      /* char * */
    CT_STRINGS,                     /* struct conf_strings */
    CT_HOSTNAME,                    /* char *: full name of a host, lower case */
    CT_DOMAINS,                     /* struct conf_strings: domains, lower case, no domain twice */
    CT_ENDPOINTS,                   /* struct conf_endpoints */
    CT_ADDRESSES,                   /* struct conf_endpoints: addresses of hosts, ports are 0 */
    CT_NETWORKS,                    /* struct conf_networks */
    CT_TARGET,                      /* struct conf_target */
    CT_SERVER,                      /* the same, or `unix:/path` */
    CT_BYTES,                       /* int64_t */
    CT_SECONDS,                     /* int64_t */
    CT_SECONDS_LIST,                /* struct conf_numbers */
    CT_INT,                         /* int64_t */
    CT_BOOL,                        /* bool */
    CT_ENUM,                        /* int */
    CT_PATH,                        /* char *: absolute */
    CT_HOME_PATH,                   /* char *: below "~/", or relative */
    CT_LOG,                         /* char *: "syslog", "stderr" or an absolute path */
    CT_MAP,                         /* char *: name of a map */
    CT_USER,                        /* char *: name of a system user or group */
    CT_USERS,                       /* struct conf_strings */
    CT_BLOCK,                       /* pointer to the struct of field->block; NULL when absent */
};

struct conf_choice {
    const char *name;               /* NULL ends a list */
    int value;
};

/* A field whose default is text takes that text through the same parser as the file's; a default of "" is
   written
   `""` and means that the field may be empty. */
struct conf_field {
    const char *name;               /* NULL ends a table */
    size_t offset;
    enum conf_type type;
    const char *def; /* as it would be written behind "="; NULL: must be given, or empty for lists */
    int64_t min, max;               /* numbers: of each value */
    const struct conf_choice *choices;
    const struct conf_kind *block;
    uint16_t port;                  /* endpoints: what an address without port means; 0: a port is required */
    bool required;
    bool empty;                     /* text: "" is a value although it is not the default */
    bool exists;                    /* a named file must exist when the operator's files are loaded */
    unsigned roles;                 /* ROLE_BITs; mtad and mtactl always see everything */
    const char *computed; /* manual: what the default is when def is empty and loading fills it in */
    const char *doc;                /* manual: one sentence or two */
};

/* FIELD(conf_x, member, CT_X, "default", .min = ..., ...): what follows the member goes on behind offset. */
#define FIELD(section, member, ...)                                                                          \
    {                                                                                                        \
        .name = #member, .offset = offsetof(struct section, member), __VA_ARGS__                             \
    }
#define FIELD_AS(word, section, member, ...) \
    { .name = (word), .offset = offsetof(struct section, member), __VA_ARGS__ }
#define FIELD_END { .name = NULL }

enum conf_label { LABEL_NONE, LABEL_REQUIRED, LABEL_OPTIONAL };

/* text is added when no section of that label was written; with label NULL when none was written but,
   perhaps, those that another builtin names. text NULL ends a list. */
struct conf_builtin {
    const char *label;
    const char *text;
};

struct conf_kind {
    const char *name;               /* the section's word; "" is the top level */
    const struct conf_field *fields;
    size_t size;                    /* of its struct */
    size_t offset; /* in struct conf: of the pointer, or of the array when it can stand often */
    size_t count_offset;            /* in struct conf: of the number; 0: stands once */
    enum conf_label label;
    /* NULL: letters, digits, "-" and "_". Else says in why what is wrong with it. */
    bool (*label_ok)(struct strv label, const char **why);
    const struct conf_builtin *builtins;    /* sections that exist without being written; NULL for none */
    /* Fills in what depends on other sections; before references and checks, on sections without mistakes. */
    void (*prepare)(struct conf_check *check, void *section);
    /* What only the section as a whole can tell (or compute); after all fields and references are there. */
    void (*check)(struct conf_check *check, void *section);
    const char *label_doc;          /* manual: what the label is */
    const char *doc;                /* manual: first paragraph */
};

/* All kinds; the top level first. Ends with name NULL. */
extern const struct conf_kind *const conf_kinds[];

const struct conf_kind *conf_kind_find(struct strv name);       /* NULL when unknown */
/* Its number in the table, or -1. */
int conf_field_index(const struct conf_kind *kind, struct strv name);
size_t conf_field_count(const struct conf_kind *kind);
bool conf_field_granted(const struct conf_field *field, enum role role);
/* Whether any field is. */
bool conf_kind_granted(const struct conf_kind *kind, enum role role);

void conf_section_free(const struct conf_kind *kind, void *section);

/* Sections of a kind in conf. A kind that stands once gives 1 or, when not granted, 0. */
size_t conf_kind_count(const struct conf *conf, const struct conf_kind *kind);
void *conf_kind_section(const struct conf *conf, const struct conf_kind *kind, size_t index);
