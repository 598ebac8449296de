/* beside.h - other programs of this package */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* In the directory of the running program (an uninstalled build), else in `installed`. False when in neither.
 */
bool beside_find(const char *name, const char *installed, char *path, size_t size);
