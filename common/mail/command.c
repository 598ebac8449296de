/* command.c - an SMTP command line into verb and argument */
#include "common/mail/command.h"

#include "common/mail/domain.h"

bool command_split(struct strv line, struct strv *verb, struct strv *argument)
{
    size_t i = 0;

    while (line.n > 0 && byte_is_blank((unsigned char)line.p[line.n - 1]))
        line.n--;
    while (i < line.n && byte_is_alpha((unsigned char)line.p[i]))
        i++;
    if (i == 0 || i > COMMAND_VERB_MAX || (i < line.n && !byte_is_blank((unsigned char)line.p[i])))
        return false;
    *verb = strv_sub(line, 0, i);
    while (i < line.n && byte_is_blank((unsigned char)line.p[i]))
        i++;
    *argument = strv_from(line, i);
    return true;
}

bool command_is_clean(struct strv line, bool utf8)
{
    for (size_t i = 0; i < line.n; i++) {
        unsigned char u = (unsigned char)line.p[i];

        if (u >= 0x80 ? !utf8 : !byte_is_print(u))
            return false;
    }
    return utf8_ok(line);
}
