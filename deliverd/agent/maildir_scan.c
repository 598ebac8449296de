/* maildir_scan.c - reading a Maildir's directories: what is left in tmp/, how much lies in new/ and cur/ */
#include "deliverd/agent/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/os/fd.h"
#include "common/os/file.h"

#define CLEAN_LOOK_MAX   2000u
#define CLEAN_REMOVE_MAX 200u

/* A stream of its own: the caller's descriptor keeps its place. NULL with errno. */
static DIR *list_open(int at, const char *name)
{
    int fd = file_opendirat(at, name);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (!dir)
        fd_close(&fd);
    return dir;
}

/* Both times: mtime is what a restored backup sets, ctime is when it came here. */
static bool is_left_over(const struct maildir *m, const struct stat *st, int64_t now_s)
{
    return S_ISREG(st->st_mode) && st->st_uid == m->place->uid && st->st_mtime < now_s - MAILDIR_TMP_AGE_S &&
           st->st_ctime < now_s - MAILDIR_TMP_AGE_S;
}

unsigned maildir_clean(struct maildir *m, int64_t now_s)
{
    DIR *dir = list_open(m->tmp_fd, ".");
    unsigned removed = 0;
    struct dirent *e;

    for (unsigned i = 0; dir && i < CLEAN_LOOK_MAX && removed < CLEAN_REMOVE_MAX && (e = readdir(dir)); i++) {
        struct stat st;

        if (e->d_name[0] != '.' && fstatat(m->tmp_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            is_left_over(m, &st, now_s) && unlinkat(m->tmp_fd, e->d_name, 0) == 0)
            removed++;
    }
    if (dir)
        closedir(dir);
    return removed;
}

/* "1700000000.M1P2Q3.host,S=4321:2,S" -> 4321. */
static bool size_in_name(const char *name, uint64_t *size)
{
    const char *at = strstr(name, ",S=");
    size_t digits;

    if (!at)
        return false;
    digits = strspn(at + 3, "0123456789");
    return digits > 0 && strv_u64(strv_make(at + 3, digits), UINT32_MAX, size);
}

static void add_entry(int dir_fd, const char *name, uint64_t *bytes)
{
    struct stat st;
    uint64_t size;

    if (name[0] == '.')
        return;
    if (size_in_name(name, &size))
        *bytes += size;
    else if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        *bytes += (uint64_t)st.st_size;
}

bool maildir_usage(struct maildir *m, uint64_t *bytes, struct err *err)
{
    static const char *const names[] = { "new", "cur" };

    *bytes = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        DIR *dir = list_open(m->dir_fd, names[i]);
        struct dirent *e;

        if (!dir) {
            int sys = errno;

            err_set(err, ERR_TEMP, "list %s: %s (mailbox %s)", names[i], strerror(sys), m->shown);
            err->sys = sys;
            return false;
        }
        while ((e = readdir(dir)))
            add_entry(dirfd(dir), e->d_name, bytes);
        closedir(dir);
    }
    return true;
}
