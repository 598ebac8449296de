/* command.c - are the programs of mailbox sections there? */
#include "mtad/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/mailbox.h"
#include "mtad/host.h"

static const char *what_is_wrong(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return "is no file";
    return st.st_mode & 0111 ? NULL : "is not executable";
}

void command_check_all(const struct host *h, void (*warn)(const char *text))
{
    for (size_t i = 0; i < h->conf->mailbox_n; i++) {
        const struct conf_mailbox *m = h->conf->mailboxes[i];
        const char *field = "command", *why;
        char where[512], text[1400];

        if (!conf_mailbox_is_command(m) || !(why = what_is_wrong(m->command.v[0])))
            continue;
        if (conf_where(&m->head, "mailbox", field).line == 0)
            field = "method";
        conf_where_text(conf_where(&m->head, "mailbox", field), where, sizeof where);
        snprintf(text, sizeof text, "%s: program %.512s: %s; mail for it waits in the queue", where,
                 m->command.v[0], why);
        warn(text);
    }
}
