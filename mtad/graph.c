/* graph.c - who exists, in which order they start and stop, and who talks to whom */
#include "mtad/graph.h"

#include "conf/conf.h"
#include "conf/history.h"
#include "conf/processes.h"

static size_t one(const struct conf *conf)
{
    (void)conf;
    return 1;
}

static size_t smtpds(const struct conf *conf)
{
    return (size_t)conf->processes->smtpd;
}

static size_t deliverds(const struct conf *conf)
{
    return (size_t)conf->processes->deliverd;
}

static size_t historyds(const struct conf *conf)
{
    return conf->history->keep > 0;
}

static size_t workers(const struct conf *conf)
{
    return (size_t)conf->processes->mapd_workers;
}

/* Start: who is asked before who asks. Stop: no new mail, then what is in cleanup, then the queue together
   with its deliveries (queued stops dispatching and waits for results, deliverd finishes and hands them
   over), then those who only answer, and who hears of all. queued reads its whole spool before it is ready.
   historyd is not awaited by anybody: it is ready before it has looked at its files. */
const struct graph_role graph_roles[] = {
    {ROLE_DNSD,         "dnsd", 30, 3, one },
    { ROLE_MAPD,               "mapd", 120, 3, one },
    { ROLE_MAPD_WORKER,              "mapd-worker", 120, 3, workers },
    { ROLE_QUEUED,        "queued", 900, 2, one },
    { ROLE_CLEANUP,              "cleanup", 30, 1, one },
    { ROLE_DELIVERD,              "deliverd", 30, 2, deliverds },
    { ROLE_SMTPD, "smtpd", 30, 0, smtpds },
    { ROLE_HISTORYD, "historyd", 30, 3, historyds },
    { .role = ROLE_COUNT             },
};

static const struct {
    enum role a, b;
} edges[] = {
    {ROLE_SMTPD,     ROLE_CLEANUP    },
    { ROLE_SMTPD,    ROLE_MAPD       },
    { ROLE_SMTPD,    ROLE_DNSD       },
    { ROLE_CLEANUP,  ROLE_QUEUED     },
    { ROLE_CLEANUP,  ROLE_MAPD       },
    { ROLE_QUEUED,   ROLE_DELIVERD   },
    { ROLE_DELIVERD, ROLE_MAPD       },
    { ROLE_DELIVERD, ROLE_DNSD       },
    { ROLE_MAPD,     ROLE_MAPD_WORKER},
    { ROLE_MTAD,     ROLE_MAPD       },
    { ROLE_SMTPD,    ROLE_HISTORYD   },
    { ROLE_CLEANUP,  ROLE_HISTORYD   },
    { ROLE_QUEUED,   ROLE_HISTORYD   },
    { ROLE_DELIVERD, ROLE_HISTORYD   },
};

const struct graph_role *graph_role_find(enum role role)
{
    for (const struct graph_role *r = graph_roles; r->role != ROLE_COUNT; r++) {
        if (r->role == role)
            return r;
    }
    return NULL;
}

size_t graph_count(const struct conf *conf, enum role role)
{
    const struct graph_role *r = graph_role_find(role);

    return r ? r->count(conf) : 0;
}

bool graph_is_edge(enum role a, enum role b)
{
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        if ((edges[i].a == a && edges[i].b == b) || (edges[i].a == b && edges[i].b == a))
            return true;
    }
    return false;
}
