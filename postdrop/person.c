/* person.c - who runs this program */
#include "postdrop/person.h"

#include "common/base/strv.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of "Full Name,Room,...", where & stands for the login; what must not stand in an envelope becomes a blank.
 */
static void full_name(struct person *p, const char *gecos)
{
    size_t n = 0;

    for (const char *c = gecos; *c && *c != ',' && n + 1 < sizeof p->name; c++) {
        if (*c == '&') {
            int m = snprintf(p->name + n, sizeof p->name - n, "%s", p->login);

            if (byte_is_lower((unsigned char)p->name[n]))
                p->name[n] = (char)(p->name[n] - 32);
            n += (size_t)m < sizeof p->name - n ? (size_t)m : sizeof p->name - n - 1;
        } else {
            p->name[n++] = (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c;
        }
    }
    p->name[n] = '\0';
}

void person_find(struct person *p)
{
    const struct passwd *pw = getpwuid(getuid());

    memset(p, 0, sizeof *p);
    if (!pw || strlen(pw->pw_name) >= sizeof p->login) {
        snprintf(p->login, sizeof p->login, "uid%u", (unsigned)getuid());
        return;
    }
    snprintf(p->login, sizeof p->login, "%s", pw->pw_name);
    full_name(p, pw->pw_gecos ? pw->pw_gecos : "");
}
