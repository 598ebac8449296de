/* status.c - what the end of a child means, in words for the log (pure) */
#include "mtad/status.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS   10000
#define LIVED_WELL_MS    60000

static const struct {
    int signo;
    const char *meaning;
} signals[] = {
    {SIGSEGV,  "it crashed (a fault in Mansio: please report)"                             },
    { SIGBUS,  "it crashed (a fault in Mansio, or a file became shorter under it)"         },
    { SIGFPE,  "it crashed (a fault in Mansio: please report)"                             },
    { SIGILL,  "it crashed (a fault in Mansio, or a processor that lacks an instruction)"  },
    { SIGABRT, "it stopped itself (a broken invariant: please report)"                     },
    { SIGSYS,  "it asked the kernel for something its sandbox forbids (a fault in Mansio, or a library that "
              "is new here)"                                                  },
    { SIGKILL, "it was killed from outside (an operator, or for lack of memory: see dmesg)"},
    { SIGTERM, "it was ended from outside before it was ready"                             },
    { SIGXFSZ, "it wrote to a file and may not"                                            },
    { SIGXCPU, "it used up its processor time"                                             },
};

static const struct {
    int code;
    const char *meaning;
} codes[] = {
    {0,    "it ended by itself (somebody sent SIGTERM to it alone)"                           },
    { 64,  "it was started wrongly: programs of different versions?"                          },
    { 70,  "out of memory, a broken invariant or a failed start: its own last line says which"},
    { 78,  "it cannot work with this configuration: its own last line says why"               },
    { 127, "the program could not be started"                                                 },
};

static const char *signal_meaning(int signo)
{
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (signals[i].signo == signo)
            return signals[i].meaning;
    }
    return "it was ended from outside";
}

static const char *code_meaning(int code)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i].code == code)
            return codes[i].meaning;
    }
    return "its own last line may say why";
}

void status_end_text(int status, char *dst, size_t size)
{
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));

        snprintf(dst, size, "signal %d (%s): %s", WTERMSIG(status), name ? name : "?",
                 signal_meaning(WTERMSIG(status)));
    } else {
        snprintf(dst, size, "exit %d: %s", WEXITSTATUS(status), code_meaning(WEXITSTATUS(status)));
    }
}

long status_backoff(long last_ms, long lived_ms)
{
    if (last_ms == 0 || lived_ms >= LIVED_WELL_MS)
        return BACKOFF_FIRST_MS;
    return last_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : last_ms * 2;
}
