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

static const struct conf_choice method_choices[] = {
    { "maildir", CONF_METHOD_MAILDIR }, { "mbox", CONF_METHOD_MBOX }, { "procmail", CONF_METHOD_PROCMAIL },
    { "command", CONF_METHOD_COMMAND }, { "pipe", CONF_METHOD_PIPE }, { "lmtp", CONF_METHOD_LMTP },
    { NULL, 0 },
};

static const struct conf_choice forward_choices[] = {
    { "yes", CONF_FORWARD_ALL }, { "addresses", CONF_FORWARD_ADDRESSES }, { "no", CONF_FORWARD_NO },
    { NULL, 0 },
};

#define READERS .roles = ROLE_BIT(ROLE_MAPD) | ROLE_BIT(ROLE_DELIVERD) | ROLE_BIT(ROLE_CLEANUP)
#define DELIVERD .roles = ROLE_BIT(ROLE_DELIVERD)

static const struct conf_field fields[] = {
    FIELD(conf_mailbox, lookup, CT_MAP, "passwd", READERS,
          .doc = "Map that knows who has a mailbox here. `passwd` are the system's users. With any other map "
                 "the mailboxes are virtual: the value is a path below `root`. For `pipe` and `lmtp` being "
                 "listed is all that counts."),
    FIELD(conf_mailbox, method, CT_ENUM, "maildir", .choices = method_choices, READERS,
          .doc = "What a mailbox is: a Maildir, one mbox file, a program that takes the message "
                 "(`procmail` and `command` run as the recipient, `pipe` as `user`), or an LMTP server "
                 "(`lmtp`) that has the mailboxes."),
    FIELD(conf_mailbox, via, CT_SERVER, "\"\"", DELIVERD,
          .doc = "The LMTP server: `\"unix:/path\"`, `host`, `host:port`, `\"[address]:port\"`; the port is "
                 "24 unless written."),
    FIELD(conf_mailbox, max_connections, CT_INT, "20", .min = 1, .max = 10000, DELIVERD,
          .doc = "Connections at once to the LMTP server."),
    FIELD(conf_mailbox, path, CT_HOME_PATH, "~/Maildir", .empty = true, READERS,
          .doc = "The mailbox of a system user; `~/` is the user's home. With `method = mbox` the default is "
                 "the file in `spool` that is named after the user. In the section `postmaster`: where below "
                 "`root` the mailbox of postmaster lies."),
    FIELD(conf_mailbox, spool, CT_PATH, "/var/mail", READERS,
          .doc = "Directory of the mbox files that are named after their users."),
    FIELD(conf_mailbox, command, CT_STRINGS, READERS,
          .doc = "Program and arguments of the methods `procmail`, `command` and `pipe`; no shell reads "
                 "them. An argument that is `%u`, `%d`, `%x`, `%s` or `%r` as a whole is replaced: user, "
                 "domain, extension, sender, recipient. The message comes on standard input. With "
                 "`method = procmail` the default is `/usr/bin/procmail -a %x -d %u`."),
    FIELD(conf_mailbox, user, CT_USER, "\"\"", READERS,
          .doc = "System user that a `pipe` runs as; never root."),
    FIELD(conf_mailbox, forward, CT_ENUM, "yes", .choices = forward_choices, READERS,
          .doc = "Whether a system user's `~/.forward` says where his mail goes: `yes`, `no`, or "
                 "`addresses` without its commands and files."),
    FIELD(conf_mailbox, from_line, CT_BOOL, "no", READERS,
          .doc = "Whether a command's message begins with the `From ` line of mbox files; procmail's does."),
    FIELD(conf_mailbox, timeout, CT_SECONDS, "10m", .min = 1, .max = 3600, READERS,
          .doc = "Longest time that a command may take; then it is killed and tried again later. Also how "
                 "long an LMTP server may take to store a message; half of it for its other answers."),
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

bool conf_mailbox_is_command(const struct conf_mailbox *mailbox)
{
    switch ((enum conf_mailbox_method)mailbox->method) {
    case CONF_METHOD_PROCMAIL:
    case CONF_METHOD_COMMAND:
    case CONF_METHOD_PIPE: return true;
    case CONF_METHOD_MAILDIR:
    case CONF_METHOD_MBOX:
    case CONF_METHOD_LMTP: break;
    }
    return false;
}

bool conf_mailbox_is_list(const struct conf_mailbox *mailbox)
{
    return mailbox->method == CONF_METHOD_PIPE || mailbox->method == CONF_METHOD_LMTP;
}

bool conf_mailbox_is_system(const struct conf_mailbox *mailbox)
{
    return mailbox->root[0] == '\0' && !conf_mailbox_is_list(mailbox);
}

static void prepare_method(struct conf_mailbox *mailbox)
{
    static const char *const procmail[] = { "/usr/bin/procmail", "-a", "%x", "-d", "%u" };
    const size_t n = sizeof procmail / sizeof *procmail;

    /* A mailbox that is no path is the user's file in the spool directory, or no file at all. */
    if (mailbox->method != CONF_METHOD_MAILDIR && mailbox->root[0] == '\0' && !is_written(mailbox, "path") &&
        strcmp(mailbox->path, "~/Maildir") == 0)
        replace(&mailbox->path, "", "");
    if (mailbox->method != CONF_METHOD_PROCMAIL)
        return;
    mailbox->from_line = true;
    if (mailbox->command.n > 0 || is_written(mailbox, "command"))
        return;
    mailbox->command.v = mem_array(n, sizeof *mailbox->command.v);
    for (size_t i = 0; i < n; i++)
        mailbox->command.v[i] = mem_str(procmail[i]);
    mailbox->command.n = n;
}

/* RFC 5321 4.5.1: mail for postmaster must always find a place. This section has one root, one mailbox and no
   table, so what is not written differs from other sections. */
static void prepare_mailbox(struct conf_check *check, void *section)
{
    struct conf_mailbox *mailbox = section;
    const struct conf_processes *processes = check->conf->processes;
    prepare_method(mailbox);
    if (strcmp(mailbox->head.name, "postmaster") != 0)
        return;
    if (!is_written(mailbox, "lookup") && strcmp(mailbox->lookup, "passwd") == 0)
        replace(&mailbox->lookup, "postmaster", "");
    if (!is_written(mailbox, "path") && strcmp(mailbox->path, "~/Maildir") == 0)
        replace(&mailbox->path, "postmaster/", "");
    if (mailbox->root[0] == '\0' && processes && processes->state)
        replace(&mailbox->root, processes->state, "/mail");
}

static void check_spool(struct conf_check *check, struct conf_mailbox *mailbox)
{
    if (mailbox->method == CONF_METHOD_MBOX)
        conf_check_exists(check, mailbox, "spool", mailbox->spool, true);
}

static bool is_value(const char *text)
{
    return text[0] == '%' && text[1] != '\0' && strchr("udxsr", text[1]) && text[2] == '\0';
}

/* What a stranger wrote is an argument as a whole and never part of one, so that nothing can be read into
   it. */
static void check_argument(struct conf_check *check, struct conf_mailbox *mailbox, size_t i)
{
    const char *text = mailbox->command.v[i];
    const char *at = strchr(text, '%');

    if (!is_value(text) && at && at[1] && strchr("udxsr", at[1]))
        conf_check_fail(check, mailbox, "command", i, "%%%c must be an argument of its own", at[1]);
    else if (!is_value(text) && text[0] == '%')
        conf_check_fail(check, mailbox, "command", i,
                        "\"%s\" is none of %%u (user), %%d (domain), %%x (extension), %%s (sender), %%r "
                        "(recipient)",
                        text);
}

static void check_command(struct conf_check *check, struct conf_mailbox *mailbox)
{
    bool pipe = mailbox->method == CONF_METHOD_PIPE;

    if (!conf_mailbox_is_command(mailbox)) {
        if (mailbox->command.n > 0)
            conf_check_fail(check, mailbox, "command", 0,
                            "a command needs one of the methods procmail, command and pipe");
        return;
    }
    if (mailbox->command.n == 0) {
        conf_check_fail(check, mailbox, "method", 0,
                        "this method needs a command, such as: command = [ /usr/bin/program, \"%%u\" ]");
        return;
    }
    if (mailbox->command.v[0][0] != '/')
        conf_check_fail(check, mailbox, "command", 0, "a program is given by its absolute path");
    for (size_t i = 1; i < mailbox->command.n; i++)
        check_argument(check, mailbox, i);
    if (pipe && mailbox->user[0] == '\0')
        conf_check_fail(check, mailbox, "method", 0,
                        "a pipe needs a user to run as, such as: user = nobody");
    else if (pipe && strcmp(mailbox->user, "root") == 0)
        conf_check_fail(check, mailbox, "user", 0, "commands never run as root");
    else if (!pipe && mailbox->user[0] != '\0')
        conf_check_fail(check, mailbox, "user", 0, "this method runs as the recipient; user is for a pipe");
    if (pipe && mailbox->root[0] != '\0')
        conf_check_fail(check, mailbox, "root", 0, "a pipe has no mailboxes");
}

static bool has_server(const struct conf_mailbox *mailbox)
{
    const struct conf_target *via = &mailbox->via;

    return via->path || via->addr.family != AF_UNSPEC || (via->host && via->host[0]);
}

static void check_server(struct conf_check *check, struct conf_mailbox *mailbox)
{
    if (mailbox->method != CONF_METHOD_LMTP) {
        if (has_server(mailbox))
            conf_check_fail(check, mailbox, "via", 0, "only method = lmtp gives mail to a server");
        return;
    }
    if (check->loading && !has_server(mailbox))
        conf_check_fail(check, mailbox, "method", 0,
                        "this method needs a server, such as: via = \"unix:/run/dovecot/lmtp\"");
    if (is_written(mailbox, "root"))
        conf_check_fail(check, mailbox, "root", 0, "the LMTP server knows where its mailboxes are");
    if (strcmp(mailbox->head.name, "postmaster") == 0)
        conf_check_fail(check, mailbox, "method", 0,
                        "this mailbox must not need another server; give postmaster an alias instead");
}

static void check_system_place(struct conf_check *check, struct conf_mailbox *mailbox)
{
    if (mailbox->root[0] != '\0')
        conf_check_fail(check, mailbox, "root", 0,
                        "mailboxes of system users lie where path says; root is for "
                        "virtual mailboxes, which need a lookup");
    else if (mailbox->path[0] == '\0' && mailbox->method != CONF_METHOD_MAILDIR)
        check_spool(check, mailbox);
    else if (!is_below_home(mailbox))
        conf_check_fail(check, mailbox, "path", 0,
                        "the mailbox of a system user lies below the home, such as "
                        "\"~/%s\"",
                        mailbox->path);
}

static void check_virtual_place(struct conf_check *check, struct conf_mailbox *mailbox)
{
    bool postmaster = strcmp(mailbox->head.name, "postmaster") == 0;
    if (conf_mailbox_is_command(mailbox))
        conf_check_fail(check, mailbox, "lookup", 0,
                        "a command runs as the recipient, a system user; for others: method = pipe  user = "
                        "NAME");
    else if (mailbox->root[0] == '\0')
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
    if (!map || conf_section_damaged(map) || conf_mailbox_is_list(mailbox))
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
    check_command(check, mailbox);
    check_server(check, mailbox);
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
