/* mailbox.c - section `mailbox [NAME]` */
#include "conf/mailbox.h"

#include "conf/check.h"
#include "conf/kinds.h"
#include "conf/map.h"
#include "conf/suggest.h"
#include "conf/top.h"

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
          .doc = "The mailbox of a system user; `~/` is the user's home."),
    FIELD(conf_mailbox, root, CT_PATH, "\"\"", READERS, .doc = "Directory that holds all virtual mailboxes."),
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

static void check_place(struct conf_check *check, struct conf_mailbox *mailbox)
{
    const struct conf_map *map = conf_map_find(check->conf, SV(mailbox->lookup));
    if (!map || conf_section_damaged(map))
        return;
    if (map->type == CONF_MAP_PASSWD && mailbox->root[0] != '\0')
        conf_check_fail(check, mailbox, "root", 0,
                        "mailboxes of system users lie where path says; root is for "
                        "virtual mailboxes, which need a lookup");
    if (map->type != CONF_MAP_PASSWD && mailbox->root[0] == '\0')
        conf_check_fail(check, mailbox, "lookup", 0,
                        "virtual mailboxes need a root, such as: root = /var/mail/virtual");
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
    if (mailbox->root[0] != '\0')
        conf_check_exists(check, mailbox, "root", mailbox->root, true);
}

const struct conf_kind conf_mailbox_kind = {
    .name = "mailbox", .fields = fields, .size = sizeof(struct conf_mailbox),
    .offset = offsetof(struct conf, mailboxes), .count_offset = offsetof(struct conf, mailbox_n),
    .label = LABEL_OPTIONAL, .check = check_mailbox, .builtin = "mailbox { }",
    .label_doc = "A name; needed when there are several.",
    .doc = "Who has a mailbox, and where. Several sections are asked in the order in which they stand.",
};
