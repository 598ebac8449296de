/* beside.c - other programs of this package */
#include "postdrop/beside.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool beside_find(const char *name, const char *installed, char *path, size_t size)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (n > 0) {
        self[n] = '\0';
        slash = strrchr(self, '/');
        if (slash) {
            slash[1] = '\0';
            if (snprintf(path, size, "%s%s", self, name) < (int)size && access(path, X_OK) == 0)
                return true;
            if (snprintf(path, size, "%s" MANSIO_LIBEXEC_FROM_SBIN "/%s", self, name) < (int)size &&
                access(path, X_OK) == 0)
                return true;
        }
    }
    return snprintf(path, size, "%s/%s", installed, name) < (int)size && access(path, X_OK) == 0;
}
