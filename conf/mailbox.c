/* mailbox.c - section `mailbox [NAME]` */
#include "conf/mailbox.h"

#include "common/base/mem.h"
#include "conf/check.h"
#include "conf/kinds.h"
#include "conf/map.h"
#include "conf/processes.h"
#include "conf/suggest.h"
#include "conf/top.h"

#include <stdlib.h>

static const struct conf_choice method_choices[] = { { "maildir", CONF_METHOD_MAILDIR }, { NULL, 0 } };

#define READERS .roles = ROLE_BIT(ROLE_MAPD) | ROLE_BIT(ROLE_DELIVERD) | ROLE_BIT(ROLE_CLEANUP)
#define DELIVERD .roles = ROLE_BIT(ROLE_DELIVERD)

static const struct conf_field fields[] = {
    FIELD(conf_mailbox, lookup, CT_MAP, "passwd", READERS,
          .doc = "Map that knows who has a mailbox here. `passwd` are the system's users. With any other map "
                 "the mailboxes "
                 "are virtual: the value is a path below `root`."),
    FIELD(conf_mailbox, method, CT_ENUM, "maildir", .choices = method_choices, READERS,
          .doc = "What a mailbox is."),
    FIELD(conf_mailbox, path, CT_HOME_PATH, "~/Maildir", READERS,
          .doc = "The mailbox of a system user; `~/` is the user's home. In the section `postmaster`: where "
                 "below `root` the "
                 "mailbox of postmaster lies."),
    FIELD(conf_mailbox, root, CT_PATH, "\"\"", READERS,
          .doc = "Directory that holds all virtual mailboxes. In the section `postmaster` it is `mail` in "
                 "the state "
                 "directory when it is not set."),
    FIELD(conf_mailbox, owner, CT_USER, "mansio-vmail", READERS,
          .doc = "System user that owns virtual mailboxes."),
    FIELD(conf_mailbox, group, CT_USER, "mail", .empty = true, DELIVERD,
          .doc = "The one further group of the process that writes into mailboxes; \"\" for none."),
    FIELD(conf_mailbox, uid_min, CT_INT, "1000", .min = 1, .max = UINT32_MAX - 1LL,
          .roles = ROLE_BIT(ROLE_MAPD), .doc = "System users with a smaller uid have no mailbox."),
    FIELD(conf_mailbox, uid_exceptions, CT_USERS, .roles = ROLE_BIT(ROLE_MAPD),
          .doc = "System users that have a mailbox in spite of `uid_min`; never root."),
    FIELD(conf_mailbox, domains, CT_DOMAINS, READERS,
          .doc = "Only for these of the own domains. Empty: for all of them."),
    FIELD_END
};

static bool is_written(const struct conf_mailbox *mailbox, const char *field)
{
    return conf_where(&mailbox->head, "mailbox", field).line > 0;
}

static bool is_below_home(const struct conf_mailbox *mailbox)
{
    return strncmp(mailbox->path, "~/", 2) == 0;
}

static void replace(char **text, const char *head, const char *tail)
{
    struct buf made;
    buf_init(&made, 8192);
    buf_adds(&made, head);
    buf_adds(&made, tail);
    free(*text);
    *text = mem_str(buf_cstr(&made));
    buf_clear(&made);
}

static void check_domains(struct conf_check *check, struct conf_mailbox *mailbox)
{
    const struct conf_top *top = check->conf->top;
    if (!check->conf->own || conf_section_damaged(top))
        return;
    for (size_t i = 0; i < mailbox->domains.n; i++) {
        struct strv domain = SV(mailbox->domains.v[i]);
        struct suggest near;
        char hint[160];
        if (conf_domain_is_own(check->conf, domain))
            continue;
        suggest_start(&near, domain);
        for (size_t k = 0; k < top->domains.n && !conf_errors_full(check->errs); k++)
            suggest_try(&near, SV(top->domains.v[k]));
        conf_check_fail(check, mailbox, "domains", i, "\"%s\" is not one of the own domains%s",
                        mailbox->domains.v[i], suggest_text(&near, hint, sizeof(hint)));
    }
}

/* RFC 5321 4.5.1: mail for postmaster must always find a place. This section has one root, one mailbox and no
   table, so what is not written differs from other sections. */
static void prepare_mailbox(struct conf_check *check, void *section)
{
    struct conf_mailbox *mailbox = section;
    const struct conf_processes *processes = check->conf->processes;
    if (strcmp(mailbox->head.name, "postmaster") != 0)
        return;
    if (!is_written(mailbox, "lookup") && strcmp(mailbox->lookup, "passwd") == 0)
        replace(&mailbox->lookup, "postmaster", "");
    if (!is_written(mailbox, "path") && strcmp(mailbox->path, "~/Maildir") == 0)
        replace(&mailbox->path, "postmaster/", "");
    if (mailbox->root[0] == '\0' && processes && processes->state)
        replace(&mailbox->root, processes->state, "/mail");
}

static void check_system_place(struct conf_check *check, struct conf_mailbox *mailbox)
{
    if (mailbox->root[0] != '\0')
        conf_check_fail(check, mailbox, "root", 0,
                        "mailboxes of system users lie where path says; root is for "
                        "virtual mailboxes, which need a lookup");
    else if (!is_below_home(mailbox))
        conf_check_fail(check, mailbox, "path", 0,
                        "the mailbox of a system user lies below the home, such as "
                        "\"~/%s\"",
                        mailbox->path);
}

static void check_virtual_place(struct conf_check *check, struct conf_mailbox *mailbox)
{
    bool postmaster = strcmp(mailbox->head.name, "postmaster") == 0;
    if (mailbox->root[0] == '\0')
        conf_check_fail(check, mailbox, "lookup", 0, "virtual mailboxes need a root, such as: root = "
                        "/var/mail/virtual");
    else if (postmaster && is_below_home(mailbox))
        conf_check_fail(check, mailbox, "path", 0,
                        "postmaster's mailbox lies below root; write a relative path");
    else if (!postmaster && is_written(mailbox, "path"))
        conf_check_fail(check, mailbox, "path", 0,
                        "the value that lookup finds says where below root a mailbox lies; "
                        "path is for those of system users");
}

static void check_place(struct conf_check *check, struct conf_mailbox *mailbox)
{
    const struct conf_map *map = conf_map_find(check->conf, SV(mailbox->lookup));
    if (!map || conf_section_damaged(map))
        return;
    if (map->type == CONF_MAP_PASSWD)
        check_system_place(check, mailbox);
    else
        check_virtual_place(check, mailbox);
}

static void check_mailbox(struct conf_check *check, void *section)
{
    struct conf_mailbox *mailbox = section;
    if (conf_kind_granted(&conf_map_kind, check->conf->role))
        check_place(check, mailbox);
    check_domains(check, mailbox);
    if (conf_strings_have(&mailbox->uid_exceptions, SV("root")))
        conf_check_fail(check, mailbox, "uid_exceptions", 0,
                        "mail for root cannot be written as root; give root an "
                        "alias");
    /* The state directory and what is below it may not be there before mtad's first start. */
    if (mailbox->root[0] != '\0' && is_written(mailbox, "root"))
        conf_check_exists(check, mailbox, "root", mailbox->root, true);
}

static const struct conf_builtin builtins[] = {
    { NULL, "mailbox { }" },
    { "postmaster", "mailbox postmaster { }" },
    { NULL, NULL },
};

const struct conf_kind conf_mailbox_kind = {
    .name = "mailbox",
    .fields = fields,
    .size = sizeof(struct conf_mailbox),
    .offset = offsetof(struct conf, mailboxes),
    .count_offset = offsetof(struct conf, mailbox_n),
    .label = LABEL_OPTIONAL,
    .check = check_mailbox,
    .builtins = builtins,
    .prepare = prepare_mailbox,
    .label_doc = "A name; needed when there are several.",
    .doc = "Who has a mailbox, and where. Several sections are asked in the order in which they stand. The "
           "section "
           "`postmaster` exists by itself: its one mailbox takes mail for `postmaster` when no alias and no "
           "other "
           "mailbox does.",
};
