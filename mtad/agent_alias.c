/* agent_alias.c - commands and files of aliases: which an operator permits, and what is executed (pure) */
#include "mtad/agent_alias.h"

#include <string.h>

#include "maps/list.h"

/* As the resolver hands it on: a command in quotes keeps its backslashes, which no word may have. */
bool alias_has_target(struct strv value, struct strv target)
{
    struct list_item item;

    while (target.n > 1 && list_next(&value, 0, &item)) {
        if (item.kind == LIST_COMMAND && target.p[0] == '|' && strv_eq(item.text, strv_from(target, 1)))
            return true;
        if (item.kind == LIST_FILE && target.p[0] == '/' && strv_eq(item.text, target))
            return true;
    }
    return false;
}

static bool program_add(const char *commands, struct strv word, struct buf *out)
{
    size_t at;

    if (strcmp(commands, "any") == 0) {
        buf_addv(out, word);
        return word.n > 1 && word.p[0] == '/';
    }
    if (strv_rfind(word, '/', &at))
        word = strv_from(word, at + 1);
    buf_adds(out, commands);
    if (out->len && out->data[out->len - 1] != '/')
        buf_addc(out, '/');
    buf_addv(out, word);
    return word.n > 0 && word.p[0] != '.';
}

bool alias_command_split(const char *commands, struct strv command, struct alias_command *out,
                         struct err *err)
{
    struct strv word;

    out->n = 0;
    buf_init(&out->text, 8192);
    if (strcmp(commands, "none") == 0)
        return err_set(err, ERR_PERM, "aliases may run no commands (address.commands)");
    for (size_t i = 0; i < command.n; i++)
        if (((unsigned char)command.p[i] < ' ' && command.p[i] != '\t') ||
            strchr("`<>|;&$()\\'\"*?[]{}~#!\177", command.p[i]))
            return err_set(err, ERR_PERM, "a command of an alias may hold words alone: no shell reads it");
    while (strv_word(&command, &word)) {
        if (out->n == ALIAS_ARGS_MAX)
            return err_set(err, ERR_PERM, "a command of an alias has too many arguments");
        out->at[out->n] = out->text.len;
        if (out->n++ > 0)
            buf_addv(&out->text, word);
        else if (!program_add(commands, word, &out->text))
            return err_set(err, ERR_PERM, "a command of an alias is given by its absolute path");
        buf_addc(&out->text, '\0');
    }
    if (out->n > 0 && buf_ok(&out->text))
        return true;
    return err_set(err, ERR_PERM, "a command of an alias is empty or too long");
}

void alias_command_clear(struct alias_command *c)
{
    buf_clear(&c->text);
    c->n = 0;
}
