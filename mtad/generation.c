/* generation.c - one configuration with everything that was opened for it, and the slots of its processes */
#include "mtad/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "conf/conf.h"
#include "conf/log.h"
#include "conf/processes.h"
#include "conf/queue.h"
#include "conf/users.h"
#include "inspect/inspect.h"
#include "mtad/directory.h"
#include "mtad/history.h"
#include "mtad/identity.h"
#include "mtad/listener.h"
#include "mtad/opener.h"
#include "mtad/source.h"

#define CONF_BYTES_MAX (16u << 20)
#define PROCESS_MAX 255u /* SETUP's number */

bool role_is_lasting(enum role role)
{
    return role == ROLE_QUEUED || role == ROLE_MAPD || role == ROLE_MAPD_WORKER || role == ROLE_HISTORYD;
}

/* ---- slots ---- */

static bool index_is_used(const struct host *h, enum role role, unsigned index)
{
    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].role == role && h->children[i].index == index)
            return true;
    }
    return false;
}

static bool process_is_used(const struct host *h, unsigned process)
{
    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].role != ROLE_COUNT && h->children[i].process == process)
            return true;
    }
    return false;
}

/* Peers know a process by role and index: it must differ from those of the generations before. */
static unsigned index_free(const struct host *h, enum role role)
{
    unsigned index = 0;

    while (index_is_used(h, role, index))
        index++;
    return index;
}

/* Process numbers make ids unique: mtad is 0, a slot keeps its number (a restart is later in time). */
static unsigned process_free(const struct host *h)
{
    unsigned process = 1;

    while (process < PROCESS_MAX && process_is_used(h, process))
        process++;
    return process;
}

static struct child *slot_free(struct host *h)
{
    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].role == ROLE_COUNT)
            return &h->children[i];
    }
    if (h->child_n == CHILDREN_MAX)
        die("more than %d processes", CHILDREN_MAX);
    return &h->children[h->child_n++];
}

static void child_make(struct generation *g, enum role role)
{
    struct host *h = g->host;
    unsigned index = index_free(h, role), process = process_free(h);
    struct child *c = slot_free(h);

    *c = (struct child){ .host = h, .role = role, .index = index, .process = process, .gen = g };
}

/* None without the directory that it would be locked into. */
static size_t children_wanted(const struct generation *g, enum role role)
{
    return role == ROLE_HISTORYD && g->host->history_fd < 0 ? 0 : graph_count(g->conf, role);
}

static void children_make(struct generation *g, bool first)
{
    for (const struct graph_role *r = graph_roles; r->role != ROLE_COUNT; r++) {
        for (size_t i = 0; (first || !role_is_lasting(r->role)) && i < children_wanted(g, r->role); i++)
            child_make(g, r->role);
    }
}

bool generation_has(const struct generation *g, enum role role)
{
    const struct host *h = g->host;

    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].role == role && h->children[i].gen == g)
            return true;
    }
    return false;
}

/* ---- what belongs together ---- */

static void take_from(struct generation *g, const struct host *h)
{
    g->conf = h->conf;
    memcpy(g->confs, h->confs, sizeof g->confs);
    memcpy(g->ids, h->ids, sizeof g->ids);
    g->listeners = h->listeners;
    g->listener_n = h->listener_n;
    g->sources = h->sources;
    g->source_n = h->source_n;
    g->mailboxes = h->mailboxes;
}

void generation_show(struct generation *g)
{
    struct host *h = g->host;

    h->current = g;
    h->conf = g->conf;
    memcpy(h->confs, g->confs, sizeof h->confs);
    memcpy(h->ids, g->ids, sizeof h->ids);
    h->listeners = g->listeners;
    h->listener_n = g->listener_n;
    h->sources = g->sources;
    h->source_n = g->source_n;
    h->mailboxes = g->mailboxes;
    for (size_t i = 0; i < h->child_n; i++) {
        if (role_is_lasting(h->children[i].role))
            h->children[i].gen = g;
    }
}

static void list_add(struct generation *g)
{
    g->next = g->host->generations;
    g->host->generations = g;
}

void generation_enter(struct generation *g)
{
    g->number = ++g->host->generation_last;
    list_add(g);
    children_make(g, false);
}

struct generation *generation_first(struct host *h)
{
    struct generation *g = mem_new(sizeof *g);

    h->children = mem_array(CHILDREN_MAX, sizeof *h->children);
    g->host = h;
    g->number = ++h->generation_last;
    take_from(g, h);
    list_add(g);
    children_make(g, true);
    generation_show(g);
    return g;
}

unsigned generation_count(const struct host *h)
{
    unsigned n = 0;

    for (const struct generation *g = h->generations; g; g = g->next)
        n++;
    return n;
}

static void confs_close(int confs[ROLE_COUNT])
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (confs[i] > 0) /* roles without one are 0, and 0 is never one of them */
            fd_close(&confs[i]);
    }
}

void generation_free(struct generation **gp)
{
    struct generation *g = *gp;

    if (!g)
        return;
    *gp = NULL;
    for (struct generation **at = &g->host->generations; *at; at = &(*at)->next) {
        if (*at == g) {
            *at = g->next;
            break;
        }
    }
    confs_close(g->confs);
    listener_close_all(g->listeners, g->listener_n);
    free(g->listeners);
    for (size_t i = 0; i < g->source_n; i++) {
        fd_close(&g->sources[i].fd);
        free(g->sources[i].name);
        free(g->sources[i].path);
    }
    free(g->sources);
    for (size_t i = 0; g->mailboxes && i < g->conf->mailbox_n; i++)
        fd_close(&g->mailboxes[i].fd);
    free(g->mailboxes);
    conf_free(&g->conf);
    free(g);
}

/* ---- a new one ---- */

static bool differs(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") != 0;
}

/* What the processes without generations hold for life. */
static bool lasting_check(const struct conf *now, const struct conf *next, struct err *err)
{
    const struct {
        const char *name;
        bool differs;
    } fields[] = {
        { "queue.directory", differs(now->queue->directory, next->queue->directory) },
        { "processes.state", differs(now->processes->state, next->processes->state) },
        { "processes.runtime", differs(now->processes->runtime, next->processes->runtime) },
        { "processes.mapd_workers", now->processes->mapd_workers != next->processes->mapd_workers },
        { "users.queued", differs(now->users->queued, next->users->queued) },
        { "users.mapd", differs(now->users->mapd, next->users->mapd) },
        { "log.to", now->log->kind != next->log->kind },
        { "log.facility", now->log->facility != next->log->facility },
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].differs)
            return err_set(err, ERR_CONF, "a new %s needs a restart of the whole service", fields[i].name);
    }
    return true;
}

/* One that was accepted before. The places in it are those of the files of that time. */
static bool kept_open(struct host *next, struct buf *report, struct conf_errors *errs)
{
    struct err err = { 0 };
    struct buf text;
    char name[32];
    bool ok;

    buf_init(&text, CONF_BYTES_MAX);
    snprintf(name, sizeof name, "history/%u.conf", next->reload_history);
    ok = history_text(next, next->reload_history, &text, &err);
    if (!ok)
        buf_addf(report, "%s\n", err.text);
    ok = ok && conf_parse_text(buf_view(&text), name, ROLE_MTAD, &next->conf, errs);
    buf_clear(&text);
    return ok;
}

static bool conf_open(struct host *next, struct buf *report)
{
    struct conf_options options = { .overrides = next->options.overrides,
                                    .override_n = next->options.override_n };
    struct conf_errors errs;
    bool ok;

    conf_errors_init(&errs);
    ok = next->reload_history ? kept_open(next, report, &errs)
                              : conf_load_with(next->options.conf_path, &options, &next->conf, &errs);
    if (!ok)
        conf_errors_text(&errs, report);
    conf_errors_clear(&errs);
    return ok;
}

/* The same look as that of `mtactl check`, but for tables, which mapd reads. All errors are told at once.
   What is wrong and no error is for who asks. */
static bool inspect(const struct host *next, struct buf *report, struct buf *faults)
{
    const struct inspect_options options = { .privileged = next->privileged, .mailboxes = true };
    struct findings f = { 0 };
    bool ok;

    inspect_all(next->conf, &options, &f);
    for (size_t i = 0; i < f.n; i++) {
        if (f.list[i].level == FINDING_ERROR)
            finding_text(&f.list[i], report);
        else if (f.list[i].level == FINDING_FAULT)
            finding_text(&f.list[i], faults);
        if (f.list[i].level != FINDING_ERROR)
            LOG(WARN, "mtad.configuration.doubtful", KS("where", f.list[i].where),
                KS("level", finding_word(f.list[i].level)), KS("problem", f.list[i].problem),
                KS("advice", f.list[i].fix));
    }
    ok = f.count[FINDING_ERROR] == 0;
    findings_clear(&f);
    return ok;
}

/* In a process that may hang: whatever the load below reads. That it came back is all that counts. */
static void probe(void *arg)
{
    struct host *next = arg;
    const struct inspect_options options = { .privileged = next->privileged, .mailboxes = true };
    struct findings f = { 0 };
    struct err err = { 0 };
    struct buf report;

    buf_init(&report, 65536);
    if (conf_open(next, &report) && identity_resolve(next, &err))
        inspect_all(next->conf, &options, &f);
}

struct generation *generation_load(struct host *h, struct buf *report)
{
    /* The functions that fill a host at its start fill this one; only what they opened is kept. */
    struct host next = { .options = h->options, .privileged = h->privileged, .generations = h->generations,
                         .openers = h->openers, .reload_history = h->reload_history,
                         .history_dir = h->history_dir };
    struct generation *g;
    struct err err = { 0 };
    struct buf faults;
    bool ok;

    if (!opener_probe(h, probe, &next, &err)) {
        buf_addf(report, "%s\n", err.text);
        return NULL;
    }
    if (!conf_open(&next, report))
        return NULL;
    buf_init(&faults, 65536);
    ok = lasting_check(h->conf, next.conf, &err) && inspect(&next, report, &faults) &&
         identity_resolve(&next, &err) && directory_roots(&next, &err) &&
         source_open_all(&next, &err) && listener_open_all(&next, &err) && host_seal_confs(&next, &err);
    g = mem_new(sizeof *g);
    g->host = h;
    g->history = h->reload_history;
    snprintf(g->by, sizeof g->by, "%s", h->reload_by);
    take_from(g, &next);
    if (ok)
        buf_addv(report, buf_view(&faults));
    buf_clear(&faults);
    if (!ok) {
        if (err.cls != ERR_OK)
            buf_addf(report, "%s\n", err.text);
        generation_free(&g);
    }
    return g;
}
