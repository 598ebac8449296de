/* processes.c - section `processes` */
#include "conf/processes.h"

#include "conf/check.h"
#include "conf/kinds.h"

#include <unistd.h>

#define PROCESSES_MAX 64

static const struct conf_field fields[] = {
    FIELD(conf_processes, smtpd, CT_INT, "0", .min = 0, .max = PROCESSES_MAX, .computed = "one per core",
          .doc = "smtpd processes; 0 is one per core."),
    FIELD(conf_processes, deliverd, CT_INT, "0", .min = 0, .max = PROCESSES_MAX, .computed = "one per core",
          .roles = ROLE_BIT(ROLE_DELIVERD) | ROLE_BIT(ROLE_QUEUED),
          .doc = "deliverd processes; 0 is one per core."),
    FIELD(conf_processes, mapd_workers, CT_INT, "2", .min = 1, .max = 32, .roles = ROLE_BIT(ROLE_MAPD),
          .doc = "Processes for what may block: passwords, the user database, compiling of maps."),
    FIELD(conf_processes, agents, CT_INT, "64", .min = 1, .max = 4096,
          .doc = "mansio-agent processes at once."),
    FIELD(conf_processes, agents_per_user, CT_INT, "4", .min = 1, .max = 256,
          .doc = "mansio-agent processes at once of one user."),
    FIELD(conf_processes, drain, CT_SECONDS, "1m", .min = 0, .max = 3600, .roles = ROLE_BIT(ROLE_SMTPD),
          .doc = "Time that sessions in progress get when the service stops."),
    FIELD(conf_processes, watchdog, CT_SECONDS, "2m", .min = 0, .max = 86400,
          .doc = "A daemon that gives mtad no sign of life for so long is ended and started anew; "
                 "mapd-worker after a quarter of it, mapd after twice, queued never. 0 is off: for "
                 "debuggers."),
    FIELD(conf_processes, runtime, CT_PATH, "/run/mansio",
          .doc = "Directory of control sockets and the empty jail."),
    FIELD(conf_processes, state, CT_PATH, "/var/lib/mansio",
          .doc = "Directory of compiled maps, the history, kept configurations and the mailbox of "
                 "postmaster."),
    FIELD_END
};

static int64_t cores_of(const struct conf_check *check)
{
    long cores = check->options.cores;
    if (cores <= 0)
        cores = check->loading ? sysconf(_SC_NPROCESSORS_ONLN) : 1;
    if (cores < 1)
        cores = 1;
    return cores > PROCESSES_MAX ? PROCESSES_MAX : cores;
}

static void check_processes(struct conf_check *check, void *section)
{
    struct conf_processes *processes = section;
    if (!conf_field_granted(&fields[0], check->conf->role))
        return;
    if (processes->smtpd == 0)
        processes->smtpd = cores_of(check);
    if (processes->deliverd == 0)
        processes->deliverd = cores_of(check);
}

const struct conf_kind conf_processes_kind = {
    .name = "processes", .fields = fields, .size = sizeof(struct conf_processes),
    .offset = offsetof(struct conf, processes), .check = check_processes,
    .doc = "What mtad starts, and where it keeps its own things.",
};
