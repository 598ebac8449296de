/* sanitizer.c - settings of the sanitizers' runtime for confined processes */
#include "common/proc/sanitizer.h"

#ifdef MANSIO_SANITIZE
/* The leak checker needs ptrace and fork at exit, which the walls refuse. Leaks are looked for in the unit
 * tests. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0:handle_abort=1";
}
#endif

void sanitizer_settings(void)
{
}
