/* mem.h - allocation that cannot fail, and sizes that cannot wrap */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* All zeroed; die when memory is out or the size is absurd (> 1 GiB: a bug, never a plan). */
void *mem_new(size_t size);
void *mem_array(size_t count, size_t size);
/* Grows or shrinks; new bytes are not cleared. p may be NULL. */
void *mem_resize(void *p, size_t count, size_t size);
void *mem_copy(const void *p, size_t n);
char *mem_str(const char *s);                   /* NULL stays NULL */

/* Wipes even when the compiler thinks it needless. */
void mem_wipe(void *p, size_t n);

static inline bool size_add(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline bool size_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }

/* For a large array of which only a part is ever read, set just before: builds fill variables with zeros, and
   a page of them for every message shows. */
#define MEM_UNSET __attribute__((uninitialized))

/* free(*p) and NULL it. */
#define MEM_FREE(p) do { free(p); (p) = NULL; } while (0)
