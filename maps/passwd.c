/* passwd.c - the system's users through the name service switch; in mapd-worker, because NSS may block */
#include "maps/map.h"

#include "common/base/mem.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_LONGEST 64         /* as the mailbox and agent frames have it; useradd takes 32 */
#define LINE_LONGEST (1u << 20) /* of one user record */

/* What no user is called, whatever a name service makes of it: separators of its own file, paths, controls.
 */
static bool name_ok(struct strv name)
{
    if (!name.n || name.n > NAME_LONGEST || name.p[0] == '-')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];

        if (c <= 32 || c >= 127 || c == ':' || c == '/' || c == ',' || c == '"' || c == '\'')
            return false;
    }
    return true;
}

/* 0 with *pw NULL: no such user. The buffer grows as long as libc asks for more. */
static int look_up(const char *name, struct passwd *pw, struct passwd **found, char **mem)
{
    size_t size = 4096;
    int error;

    for (;;) {
        *mem = mem_resize(*mem, size, 1);
        do {
            *found = NULL;
            error = getpwnam_r(name, pw, *mem, size, found);
        } while (error == EINTR);
        if (error != ERANGE || size >= LINE_LONGEST)
            return error;
        size *= 2;
    }
}

static enum ipc_answer passwd_get(struct map *m, struct strv key, struct map_value *out, struct err *err)
{
    static char value[4200];
    struct passwd pw, *found = NULL;
    char name[NAME_LONGEST + 1], *mem = NULL;
    int error;

    (void)m;
    if (!name_ok(key) || !strv_cstr(key, name, sizeof name))
        return ANSWER_ABSENT;
    error = look_up(name, &pw, &found, &mem);
    if (!found) {
        free(mem);
        if (!error)
            return ANSWER_ABSENT;
        errno = error;
        err_sys(err, "look up user %s", name);
        return ANSWER_FAILED;
    }
    /* A name service that ignores case or cuts names would deliver into somebody else's home. */
    if (strcmp(found->pw_name, name) != 0) {
        free(mem);
        return ANSWER_ABSENT;
    }
    snprintf(value, sizeof value, "%lu:%lu:%s", (unsigned long)found->pw_uid, (unsigned long)found->pw_gid,
             found->pw_dir);
    free(mem);
    *out = (struct map_value){ .text = SV(value) };
    return ANSWER_FOUND;
}

const struct map_ops map_passwd = {
    .type = CONF_MAP_PASSWD, .name = "passwd", .worker = true, .get = passwd_get
};
