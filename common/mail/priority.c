/* priority.c - how urgent a message is: MT-PRIORITY (RFC 6710) and whether it is bulk, in one number (pure)
 */
#include "common/mail/priority.h"

bool priority_parse(struct strv value, int *level)
{
    bool minus = value.n == 2 && value.p[0] == '-';
    char digit;

    if (value.n != 1 && !minus)
        return false;
    digit = value.p[minus];
    if (digit < '0' + minus || digit > '9')
        return false;
    *level = minus ? '0' - digit : digit - '0';
    return true;
}

static bool one_of(struct strv s, const char *const *words)
{
    for (; *words; words++)
        if (strv_iis(s, *words))
            return true;
    return false;
}

bool priority_field_is_bulk(struct strv name, struct strv value)
{
    static const char *const lists[] = { "Id",        "Help", "Unsubscribe", "Unsubscribe-Post",
                                         "Subscribe", "Post", "Owner",       "Archive",
                                         NULL };
    static const char *const words[] = { "bulk", "list", "junk", NULL };

    if (strv_istarts(name, SV_LIT("List-")))
        return one_of(strv_from(name, 5), lists);
    return strv_iis(name, "Precedence") && one_of(strv_trim(value), words);
}
