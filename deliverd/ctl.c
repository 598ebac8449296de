/* ctl.c - what an operator may ask of deliverd */
#include "deliverd/ctl.h"

#include "common/ipc/ctl.h"
#include "deliverd/deliverd.h"
#include "deliverd/probe.h"

static void on_probe(void *arg, struct ctl_call *call)
{
    probe_begin(arg, call);
}

static const struct ctl_act acts[] = {
    { "probe", on_probe, true },
    { .name = NULL },
};

void deliverd_ctl_client(struct deliverd *d, int fd)
{
    static struct ctl_server *server;

    if (!server)
        server = ctl_server_new(d->loop, ROLE_DELIVERD, acts, d);
    ctl_server_client(server, fd);
}
