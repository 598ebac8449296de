/* worker.c - the program mapd-worker: answers mapd's questions that may block, one after the other */
#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "common/proc/daemon.h"
#include "common/proc/source_conf.h"
#include "conf/conf.h"
#include "maps/credential.h"
#include "maps/map.h"

#include <stdlib.h>

static struct {
    struct daemon *daemon;
    struct channel *ch; /* to mapd; NULL while it is away */
    struct dict *maps;  /* name -> struct map */
    struct ipc_out out;
} worker;

static void answer_failed(const char *why)
{
    ipc_put_u64(&worker.out, TAG_ANSWER, ANSWER_FAILED);
    ipc_put_clean(&worker.out, TAG_ERROR, SV(why));
}

/* True when this item ends the question; its answer is in the frame then. */
static bool look_up(struct map *m, struct strv key, uint64_t index)
{
    struct map_value value;
    struct err err = { 0 };

    if (!m) {
        answer_failed("this map is not a worker's");
        return true;
    }
    switch (m->ops->get(m, key, &value, &err)) {
    case ANSWER_FOUND:
        ipc_put_u64(&worker.out, TAG_ANSWER, ANSWER_FOUND);
        ipc_put_u64(&worker.out, TAG_INDEX, index);
        ipc_put_bytes(&worker.out, TAG_VALUE, value.text);
        return true;
    case ANSWER_ABSENT: return false;
    case ANSWER_FAILED: answer_failed(err.text); return true;
    }
    return false;
}

static void on_query(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct ipc_in group;
    size_t at = 0;
    uint64_t index = 0;
    bool over = false;

    (void)arg;
    ipc_begin(&worker.out, IPC_MAP_ANSWER, in->txn);
    while (!over && ipc_next_group(in, TAG_ITEM, &at, &group))
        over = look_up(dict_get(worker.maps, ipc_get(&group, TAG_MAP)), ipc_get(&group, TAG_KEY), index++);
    if (!over)
        ipc_put_u64(&worker.out, TAG_ANSWER, ANSWER_ABSENT);
    channel_send(ch, &worker.out);
}

static void on_check(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct err err = { 0 };
    enum ipc_answer answer = credential_check(ipc_get(in, TAG_VALUE), ipc_get(in, TAG_DATA), &err);

    (void)arg;
    ipc_begin(&worker.out, IPC_AUTH_ANSWER, in->txn);
    ipc_put_u64(&worker.out, TAG_ANSWER, answer);
    if (answer == ANSWER_FAILED)
        ipc_put_clean(&worker.out, TAG_ERROR, SV(err.text));
    channel_send(ch, &worker.out);
}

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    static const struct channel_route routes[] = {
        { IPC_MAP_QUERY, on_query }, { IPC_AUTH_CHECK, on_check }, { .type = IPC_NONE }
    };

    channel_dispatch(routes, arg, ch, in);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    (void)arg;
    (void)ch;
    LOG(DEBUG, "mapd.peer.lost", KS("peer", "mapd"), KI("index", 0), KS("why", why));
    channel_free(&worker.ch);
    if (daemon_draining(worker.daemon))
        daemon_exit(worker.daemon, 0);
}

static const struct channel_ops ops = { .frame = on_frame, .lost = on_lost };

static void on_edge(struct daemon *d, enum role peer, unsigned index, int fd, bool lived)
{
    (void)lived;
    if (peer != ROLE_MAPD)
        die("an edge to %s", role_name(peer));
    channel_free(&worker.ch);
    worker.ch = channel_new(daemon_loop(d), fd, ROLE_MAPD_WORKER, ROLE_MAPD, index, &ops, NULL);
}

/* True when it has tables that were not there; they borrow from it then. */
static bool maps_make(const struct conf *conf)
{
    bool any = false;

    for (size_t i = 0; i < conf->map_n; i++) {
        const struct conf_map *c = conf->maps[i];
        const struct map_ops *o = map_ops_find(c->type);

        if (!o || !o->worker || dict_get(worker.maps, SV(c->head.name)))
            continue;
        dict_set(worker.maps, SV(c->head.name), map_new(c));
        any = true;
    }
    return any;
}

/* Name service modules are shared objects: they must be there before nothing can be mapped executable any
   more. Asking for a name that nobody has makes libc load all of them; root tells whether any of them works.
 */
static bool on_open(struct daemon *d, struct err *err)
{
    struct map_value value;
    struct err why = { 0 };
    const struct map_ops *o = &map_passwd;

    worker.daemon = d;
    worker.maps = dict_new();
    ipc_out_init(&worker.out);
    maps_make(daemon_conf(d));
    (void)err;
    (void)o->get(NULL, SV_LIT("mansio-nobody-has-this-name"), &value, &why);
    if (o->get(NULL, SV_LIT("root"), &value, &why) != ANSWER_FOUND)
        LOG(WARN, "mapd.users.missing", KS("why", why.text[0] ? why.text : "the user database has no root"));
    return true;
}

/* A new configuration: what it adds is kept for good, for these tables are names only. */
static void on_source(struct daemon *d, struct daemon_source *s)
{
    struct err err;
    struct conf *conf = source_conf_take(s, ROLE_MAPD_WORKER, &err);

    (void)d;
    if (err.cls)
        LOG(ERROR, "mapd.snapshot.failed", KS("error", err.text));
    if (conf && !maps_make(conf))
        conf_free(&conf);
}

static void on_drain(struct daemon *d, int64_t deadline_ms)
{
    (void)deadline_ms;
    daemon_exit(d, 0);
}

int main(int argc, char **argv)
{
    static const struct daemon_spec spec = {
        .name = "mapd-worker",
        .role = ROLE_MAPD_WORKER,
        .open = on_open,
        .edge = on_edge,
        .source = on_source,
        .drain = on_drain,
    };

    return daemon_main(&spec, argc, argv);
}
