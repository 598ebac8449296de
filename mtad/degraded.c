/* degraded.c - what of the host does not work: said by its processes, found by mtad's own looks */
#include "mtad/degraded.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/ipc/ctl.h"
#include "common/net/tls.h"
#include "common/os/file.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "conf/queue.h"
#include "conf/tls.h"
#include "inspect/inspect.h"
#include "mtad/generation.h"
#include "mtad/opener.h"

#define LOOK_MS   3600000 /* certificates end by days */
#define MENDED_MS 10000   /* between two looks while something is to be mended */
#define HUNG_MS   60000   /* before files that could not be looked at are tried again */
#define SILENT_MS                                                                                            \
    18000000          /* longer than the last retry time: what deliverd had trouble with has left the queue */
#define WELL_MS 20000 /* a child that ended several times is well when it lives for longer */

void degraded_set(struct host *h, const char *what, const char *text, const char *advice)
{
    if (text)
        troubles_set(&h->troubles, "mtad", what, text, advice, clock_wall_ms());
    else
        troubles_end(&h->troubles, "mtad", what, clock_wall_ms());
    if (h->degraded_timer.fn && h->troubles.n > 0)
        loop_timer_set(&h->degraded_timer, MENDED_MS);
}

/* ---- certificates ---- */

static const struct source_fd *source_find(const struct host *h, enum ipc_source kind, const char *name)
{
    for (size_t i = 0; i < h->source_n; i++) {
        const struct source_fd *s = &h->sources[i];

        if (s->role == ROLE_SMTPD && s->kind == kind && strcmp(s->name, name) == 0)
            return s;
    }
    return NULL;
}

/* When the one that smtpd has ends; 0: it cannot be told. */
static int64_t end_of_used(const struct host *h, const struct conf_tls_section *tls)
{
    const struct source_fd *cert = source_find(h, SOURCE_CERT, tls->head.name);
    const struct source_fd *key = source_find(h, SOURCE_KEY, tls->head.name);
    struct tls_pair pair = { .name = tls->certificate };
    struct buf texts[2];
    int64_t expires = 0;
    struct err err = { 0 };

    buf_init_secret(&texts[0], CERTIFICATE_MAX);
    buf_init_secret(&texts[1], CERTIFICATE_MAX);
    if (cert && file_read(cert->fd, &texts[0], &err) && (!key || file_read(key->fd, &texts[1], &err))) {
        pair.certificate = buf_view(&texts[0]);
        pair.key = buf_view(&texts[1]);
        if (!tls_pair_check(&pair, &expires, &err))
            expires = 0;
    }
    buf_clear(&texts[0]);
    buf_clear(&texts[1]);
    return expires;
}

static void date_text(int64_t at, char *dst, size_t size)
{
    time_t t = (time_t)at;
    struct tm tm;

    dst[0] = '\0';
    if (gmtime_r(&t, &tm))
        strftime(dst, size, "%Y-%m-%d %H:%M UTC", &tm);
}

static void certificate_look(struct host *h, const struct conf_tls_section *tls)
{
    int64_t used = end_of_used(h, tls), filed = 0, now = clock_wall_ms() / 1000;
    char what[96], text[1024], date[32];
    struct buf cert, key;
    struct err err = { 0 };
    bool open_key, good;

    snprintf(what, sizeof what, "certificate%s%.64s", tls->head.name[0] ? " " : "", tls->head.name);
    buf_init_secret(&cert, CERTIFICATE_MAX);
    buf_init_secret(&key, CERTIFICATE_MAX);
    good = certificate_load(tls, &cert, &key, &filed, &open_key, &err);
    buf_clear(&cert);
    buf_clear(&key);
    date_text(used, date, sizeof date);
    if (used && used < now + CERTIFICATE_SOON_S) {
        snprintf(text, sizeof text, "%.400s: the certificate in use %s %s", tls->certificate,
                 used < now ? "is over since" : "ends at", date);
        degraded_set(h, what, text,
                     good && filed > used ? "the file holds a newer one already: mtactl reload"
                                          : "renew it, then: mtactl reload");
    } else if (!good) {
        snprintf(text, sizeof text, "it cannot be renewed, nor the service be started again: %.400s",
                 err.text);
        degraded_set(h, what, text, "put a good certificate and key there, then: mtactl reload");
    }
}

/* ---- drop/ ---- */

static void drop_look(struct host *h)
{
    char text[512], advice[700];
    struct stat st;

    if (!h->privileged || h->spool_fd < 0)
        return;
    snprintf(advice, sizeof advice, "mtactl check --install repairs it");
    if (fstatat(h->spool_fd, "drop", &st, AT_SYMLINK_NOFOLLOW) < 0)
        snprintf(text, sizeof text, "%.300s/drop: %s: nobody on this host can submit mail",
                 h->conf->queue->directory, strerror(errno));
    else if (!S_ISDIR(st.st_mode) || st.st_uid != h->ids[ROLE_QUEUED].uid || (st.st_mode & 07777) != 01730)
        snprintf(
            text, sizeof text,
            "%.300s/drop has uid %u and mode %04o instead of uid %u and mode 1730: local submission may fail",
            h->conf->queue->directory, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777u,
            (unsigned)h->ids[ROLE_QUEUED].uid);
    else
        return;
    degraded_set(h, "drop", text, advice);
}

/* ---- programs ---- */

static void programs_look(struct host *h)
{
    struct findings f = { 0 };

    inspect_programs(h->conf, &f);
    for (size_t i = 0; i < f.n; i++) {
        const char *where = f.list[i].where;
        char what[64], text[700];

        snprintf(what, sizeof what, "program %s", strlen(where) > 50 ? where + strlen(where) - 50 : where);
        snprintf(text, sizeof text, "%.200s: %.480s", f.list[i].where, f.list[i].problem);
        degraded_set(h, what, text, f.list[i].fix);
    }
    findings_clear(&f);
}

/* ---- children ---- */

void degraded_child(struct child *c, const char *why)
{
    char what[48], text[512];

    if (c->host->phase != HOST_RUNNING)
        return;
    child_label(c, what);
    c->ends = c->backoff_ms > 0 && loop_now(c->host->loop) - c->started_ms < 60000 ? c->ends + 1 : 1;
    if (c->ends > 1)
        snprintf(text, sizeof text, "it ended %u times in a row, the last time by %.300s", c->ends, why);
    else
        snprintf(text, sizeof text, "it ended and is being restarted: %.300s", why);
    degraded_set(c->host, what, text, "see the log for its last lines and for mtad.child.ended");
}

void degraded_child_over(struct child *c)
{
    char what[48];

    if (c->ends == 0)
        return;
    c->ends = 0;
    degraded_set(c->host, child_label(c, what), NULL, NULL);
}

static void child_look(struct child *c)
{
    bool lives =
        c->state == CHILD_READY && (c->ends == 1 || loop_now(c->host->loop) - c->started_ms >= WELL_MS);

    if (c->retired || lives)
        degraded_child_over(c);
}

void degraded_take(struct child *c, const struct ipc_in *in)
{
    struct host *h = c->host;
    int64_t now = clock_wall_ms();
    char label[48];

    troubles_take(&c->troubles, child_label(c, label), in, now);
    /* What works again for one works for all that do the same. */
    for (size_t i = 0; !ipc_has(in, TAG_TEXT) && i < h->child_n; i++) {
        struct child *other = &h->children[i];

        if (other != c && other->role == c->role && other->gen == c->gen)
            troubles_take(&other->troubles, child_label(other, label), in, now);
    }
}

/* ---- all ---- */

/* In a process that may hang: what the look below touches. */
static void probe(void *arg)
{
    const struct host *h = arg;
    struct findings f = { 0 };

    inspect_certificates(h->conf, &f);
    inspect_programs(h->conf, &f);
}

/* Most hosts name no file that mtad looks at: no process is needed to see that none hangs. */
static bool has_files(const struct conf *conf)
{
    for (size_t i = 0; i < conf->tls_n; i++) {
        if (conf->tls[i]->certificate[0])
            return true;
    }
    for (size_t i = 0; i < conf->mailbox_n; i++) {
        if (conf_mailbox_is_command(conf->mailboxes[i]))
            return true;
    }
    return false;
}

static void files_look(struct host *h)
{
    int64_t now = clock_wall_ms();
    struct err err = { 0 };

    if (h->degraded_hung_ms && now - h->degraded_hung_ms < HUNG_MS)
        return;
    h->degraded_hung_ms = 0;
    if (has_files(h->conf) && !opener_probe(h, probe, h, &err)) {
        h->degraded_hung_ms = now;
        degraded_set(h, "files", err.text, "look for a disk or file server that hangs (dmesg)");
        return;
    }
    troubles_unsee(&h->troubles);
    for (size_t i = 0; i < h->conf->tls_n; i++) {
        if (h->conf->tls[i]->certificate[0])
            certificate_look(h, h->conf->tls[i]);
    }
    drop_look(h);
    programs_look(h);
    troubles_keep_seen(&h->troubles, "mtad", "files", now);
    troubles_keep_seen(&h->troubles, "mtad", "program", now);
    troubles_keep_seen(&h->troubles, "mtad", "certificate", now);
    troubles_keep_seen(&h->troubles, "mtad", "drop", now);
}

static void look(struct host *h)
{
    char label[48];

    if (h->phase == HOST_RUNNING)
        files_look(h);
    for (size_t i = 0; i < h->child_n; i++) {
        struct child *c = &h->children[i];

        if (c->role != ROLE_COUNT)
            child_look(c);
        if (c->role == ROLE_DELIVERD)
            troubles_age(&c->troubles, child_label(c, label), SILENT_MS, clock_wall_ms());
    }
}

static void on_look(void *arg)
{
    struct host *h = arg;

    look(h);
    loop_timer_set(&h->degraded_timer, h->troubles.n > 0 ? MENDED_MS : LOOK_MS);
}

void degraded_watch(struct host *h)
{
    loop_timer_init(&h->degraded_timer, h->loop, on_look, h);
    loop_timer_set(&h->degraded_timer, 1000);
}

static void row_put(struct ctl_call *call, const char *what, int64_t since_ms, const char *text,
                    const char *advice)
{
    int64_t age = (clock_wall_ms() - since_ms) / 1000;

    ctl_row(call, "degraded");
    ctl_put(call, "what", SV(what));
    ctl_put_u64(call, "for", age > 0 ? (uint64_t)age : 0);
    ctl_put_u64(call, "since", (uint64_t)(since_ms / 1000));
    ctl_put(call, "problem", SV(text));
    ctl_put(call, "advice", SV(advice));
    ctl_row_end(call);
}

static void row(struct ctl_call *call, const struct trouble *t)
{
    row_put(call, t->what, t->since_ms, t->text, t->advice);
}

static void watch_row(struct ctl_call *call, const struct child *c)
{
    const char *text, *advice;
    char label[48];

    if (watch_trouble(c, &text, &advice))
        row_put(call, child_label(c, label), c->watch.asked_ms, text, advice);
}

static bool is_of(const struct troubles *t, const char *what)
{
    for (unsigned i = 0; i < t->n; i++) {
        if (strcmp(t->rows[i].what, what) == 0)
            return true;
    }
    return false;
}

/* Said by a process before this one. */
static bool was_said(const struct host *h, size_t before, const char *what)
{
    for (size_t i = 0; i < before; i++) {
        if (h->children[i].role != ROLE_COUNT && !h->children[i].retired &&
            is_of(&h->children[i].troubles, what))
            return true;
    }
    return false;
}

void degraded_rows(struct host *h, struct ctl_call *call)
{
    look(h);
    for (unsigned i = 0; i < h->troubles.n; i++)
        row(call, &h->troubles.rows[i]);
    for (size_t i = 0; i < h->child_n; i++) {
        const struct child *c = &h->children[i];

        if (c->role != ROLE_COUNT)
            watch_row(call, c);
        for (unsigned k = 0; c->role != ROLE_COUNT && !c->retired && k < c->troubles.n; k++) {
            if (!was_said(h, i, c->troubles.rows[k].what))
                row(call, &c->troubles.rows[k]);
        }
    }
}
