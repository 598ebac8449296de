/* address.c - section `address` */
#include "conf/address.h"

#include "conf/check.h"
#include "conf/kinds.h"

#define CLEANUP .roles = ROLE_BIT(ROLE_CLEANUP)
/* The keys of an address are made where it is asked about: cleanup at RCPT, deliverd at delivery. */
#define KEY_MAKERS   .roles = ROLE_BIT(ROLE_CLEANUP) | ROLE_BIT(ROLE_MAPD) | ROLE_BIT(ROLE_DELIVERD)
#define CLEANUP_MAPD .roles = ROLE_BIT(ROLE_CLEANUP) | ROLE_BIT(ROLE_MAPD)

static const struct conf_field masquerade_fields[] = {
    FIELD(conf_masquerade, as, CT_HOSTNAME, .required = true, CLEANUP, .doc = "The domain to show."),
    FIELD(conf_masquerade, from, CT_DOMAINS, CLEANUP, .doc = "The domains to hide, with their subdomains."),
    FIELD_END
};

static const struct conf_kind masquerade_kind = {
    .name = "masquerade", .fields = masquerade_fields, .size = sizeof(struct conf_masquerade),
    .doc = "Shows one domain instead of several in the addresses of own senders.",
};

static const struct conf_field fields[] = {
    FIELD(conf_address, aliases, CT_MAP, "\"\"", CLEANUP_MAPD,
          .doc = "Map from local names of the own domains to other addresses, as in /etc/aliases."),
    FIELD_AS("virtual", conf_address, virtual_map, CT_MAP, "\"\"", CLEANUP_MAPD,
             .doc = "Map from whole addresses (or `@domain`) to other addresses; asked before `aliases`."),
    FIELD(conf_address, extension, CT_STRING, "\"+\"", .max = 8, KEY_MAKERS,
          .doc = "Characters that end the name of a user in an address: mail for user+list goes to user. "
                 "\"\" is off."),
    FIELD(conf_address, commands, CT_STRING, "none", CLEANUP_MAPD,
          .doc = "Whether `|command` and `/file` may be targets of aliases: `none`; a directory, of which "
                 "the commands are taken whatever path the alias names (as smrsh does); `any`. They run "
                 "without a shell, as `command_user`."),
    FIELD(conf_address, command_user, CT_USER, "nobody", .roles = ROLE_BIT(ROLE_MAPD),
          .doc = "System user that the commands of aliases run as and that owns their files; never root."),
    FIELD(conf_address, max_depth, CT_INT, "10", .min = 1, .max = 100, CLEANUP,
          .doc = "How often an alias may lead to a further one."),
    FIELD(conf_address, max_expansion, CT_INT, "1000", .min = 1, .max = 100000, CLEANUP,
          .doc = "How many recipients a message may have when all aliases are expanded."),
    FIELD(conf_address, max_hops, CT_INT, "50", .min = 10, .max = 1000, CLEANUP,
          .doc = "Hosts that a message may have passed (its `Received` fields); more is a loop."),
    /* For postdrop, which reads the file itself. */
    FIELD(conf_address, sender_warning, CT_BOOL, "no",
          .doc = "Whether a message whose local submitter names somebody else as its sender (`sendmail -f`) "
                 "gets a field `X-Authentication-Warning` that says so."),
    FIELD(conf_address, trusted, CT_USERS,
          .doc = "Users who may name any sender without that warning; root always may."),
    FIELD(conf_address, masquerade, CT_BLOCK, .block = &masquerade_kind, CLEANUP,
          .doc = "Shows one domain instead of several in the addresses of own senders."),
    FIELD_END
};

static void check_commands(struct conf_check *check, struct conf_address *address)
{
    const char *commands = address->commands;

    if (commands && strcmp(commands, "none") != 0 && strcmp(commands, "any") != 0 && commands[0] != '/')
        conf_check_fail(check, address, "commands", 0, "\"%s\" is neither none nor any nor a directory",
                        commands);
    if (address->command_user && strcmp(address->command_user, "root") == 0)
        conf_check_fail(check, address, "command_user", 0, "commands never run as root");
}

static void check_address(struct conf_check *check, void *section)
{
    struct conf_address *address = section;
    check_commands(check, address);
    for (const char *c = address->extension; *c; c++) {
        if (!byte_in_set(*c, "+-_=#~."))
            conf_check_fail(check, address, "extension", 0,
                            "\"%s\" cannot separate an extension; use one or more of "
                            "+ - _ = # ~ .",
                            address->extension);
    }
}

const struct conf_kind conf_address_kind = {
    .name = "address", .fields = fields, .size = sizeof(struct conf_address),
    .offset = offsetof(struct conf, address), .check = check_address,
    .doc = "How addresses of recipients are resolved and those of senders rewritten.",
};
