/* salt_key.c - the key of nobody's salts, kept in mapd's directory from one start to the next */
#include "maps/salt_key.h"

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define NAME     "salt.key"
#define NAME_NEW "salt.key.new"

enum found { FOUND_KEY, FOUND_NONE, FOUND_UNREADABLE };

static enum found key_read(uint8_t key[AUTH_SALT_KEY], struct err *err)
{
    uint8_t bytes[AUTH_SALT_KEY + 1];
    int fd = file_openat(AT_FDCWD, NAME, O_RDONLY, 0);
    ssize_t n = fd >= 0 ? fd_read_full(fd, bytes, sizeof bytes) : -1;
    enum found found = n == AUTH_SALT_KEY ? FOUND_KEY : FOUND_NONE;

    if (found == FOUND_KEY)
        memcpy(key, bytes, AUTH_SALT_KEY);
    if (n < 0 && !(fd < 0 && errno == ENOENT)) {
        found = FOUND_UNREADABLE;
        err_sys(err, "read " NAME);
    }
    mem_wipe(bytes, sizeof bytes);
    fd_close(&fd);
    return found;
}

static bool key_write(const uint8_t key[AUTH_SALT_KEY], struct err *err)
{
    int fd = file_openat(AT_FDCWD, NAME_NEW, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    bool ok = fd >= 0 && fd_write_full(fd, key, AUTH_SALT_KEY) && fsync(fd) == 0;

    if (!ok)
        err_sys(err, "write " NAME_NEW);
    fd_close(&fd);
    if (ok && renameat(AT_FDCWD, NAME_NEW, AT_FDCWD, NAME) < 0)
        ok = err_sys(err, "rename " NAME_NEW);
    fd = ok ? file_opendirat(AT_FDCWD, ".") : -1;
    if (ok && (fd < 0 || fsync(fd) < 0))
        ok = err_sys(err, "sync the directory of " NAME);
    fd_close(&fd);
    return ok;
}

bool salt_key_load(uint8_t key[AUTH_SALT_KEY], struct err *err)
{
    enum found found = key_read(key, err);

    if (found == FOUND_KEY)
        return true;
    rand_bytes(key, AUTH_SALT_KEY);
    /* What cannot be read for a moment (EMFILE, EIO) is the key of the next start. */
    return found == FOUND_NONE && key_write(key, err);
}
