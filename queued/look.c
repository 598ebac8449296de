/* look.c - what waits in a spool, read by somebody who is not its queued */
#include "queued/look.h"

#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "queued/recovery.h"
#include "queued/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct look {
    int spool, segment_dir, state_dir; /* owned */
    struct account account;
    struct ledger ledger;
    struct journal journal;
    uint32_t cursor, handle;
    int fd; /* owned: of `number` */
    uint32_t number;
    char nonce[RECORD_NONCE_LEN + 1];
    struct buf bytes; /* of the present record */
    struct envelope envelope;
    size_t drops;
};

static const int64_t never[] = { 1 };

static uint64_t below(uint64_t n)
{
    (void)n;
    return 0;
}

/* Complete files: neither those being written, nor what is out of the way for good. */
static size_t drops_count(int spool)
{
    int fd = file_openat(spool, "drop", O_RDONLY | O_DIRECTORY, 0);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;
    size_t n = 0;

    if (!d) {
        fd_close(&fd);
        return 0;
    }
    while ((e = readdir(d)))
        n += e->d_name[0] != '.' && e->d_type != DT_DIR;
    closedir(d);
    return n;
}

static bool directories(struct look *l, const char *directory, struct err *err)
{
    l->spool = file_opendirat(AT_FDCWD, directory);
    if (l->spool >= 0 && (l->segment_dir = file_opendirat(l->spool, "seg")) < 0 && errno == ENOENT)
        return true; /* no queued has ever worked on it: there may be submissions */
    if (l->spool < 0 || l->segment_dir < 0 || (l->state_dir = file_opendirat(l->spool, "state")) < 0)
        return err_sys(err, "the spool %s", directory);
    return true;
}

bool look_open(const char *directory, int64_t until, struct look **out, struct err *err)
{
    static const struct sched_conf sched = { .retry = never, .retry_n = 1, .below = below };
    struct look *l = mem_new(sizeof *l);
    struct recovery r = { .look = true, .until = until };
    bool ok;

    *out = NULL;
    l->spool = l->segment_dir = l->state_dir = l->fd = -1;
    ledger_init(&l->ledger, &sched);
    envelope_init(&l->envelope);
    buf_init(&l->bytes, SEGMENT_SIZE + 1u);
    ok = directories(l, directory, err);
    journal_init(&l->journal, l->state_dir, 0);
    if (ok) {
        r.segment_dir = l->segment_dir;
        r.big_dir = -1;
        r.ledger = &l->ledger;
        r.account = &l->account;
        r.journal = &l->journal;
        ok = l->segment_dir < 0 || recovery_run(&r, err);
        l->drops = drops_count(l->spool);
    }
    recovery_clear(&r);
    if (ok)
        *out = l;
    else
        look_close(&l);
    return ok;
}

void look_close(struct look **lp)
{
    struct look *l = *lp;

    *lp = NULL;
    if (!l)
        return;
    ledger_clear(&l->ledger);
    account_clear(&l->account);
    journal_clear(&l->journal);
    envelope_clear(&l->envelope);
    buf_clear(&l->bytes);
    fd_close(&l->fd);
    fd_close(&l->segment_dir);
    fd_close(&l->state_dir);
    fd_close(&l->spool);
    free(l);
}

static bool segment_use(struct look *l, uint32_t number)
{
    char head[SEGMENT_FIRST], name[SEGMENT_NAME];
    ssize_t n;

    if (l->fd >= 0 && l->number == number)
        return true;
    fd_close(&l->fd);
    segment_name(number, ".seg", name);
    l->fd = file_openat(l->segment_dir, name, O_RDONLY, 0);
    n = l->fd < 0 ? -1 : fd_pread_full(l->fd, head, sizeof head, 0);
    if (n < 0 || !segment_header(strv_make(head, (size_t)n), number, l->nonce))
        fd_close(&l->fd);
    l->number = number;
    return l->fd >= 0;
}

/* Its record into l->bytes, its envelope into l->envelope. */
static bool record_read(struct look *l, const struct message *m, struct record *record)
{
    struct err err;
    ssize_t n;
    char *to;

    buf_reset(&l->bytes);
    to = segment_use(l, m->place.segment) ? buf_reserve(&l->bytes, m->place.length) : NULL;
    n = to ? fd_pread_full(l->fd, to, m->place.length, (off_t)m->place.offset) : -1;
    if (n < 0)
        return false;
    buf_commit(&l->bytes, (size_t)n);
    return record_parse(buf_view(&l->bytes), l->nonce, m->place.segment, m->place.offset, record) &&
           envelope_parse(record->envelope, &l->envelope, &err) && l->envelope.rcpt_n == m->rcpt_n;
}

static const char *state_of(struct message *m)
{
    if (m->flags & MESSAGE_HELD)
        return "held";
    for (uint32_t i = 0; i < m->rcpt_n; i++)
        if (message_rcpt(m, i)->state == RCPT_WAIT)
            return "deferred";
    return "active";
}

bool look_next(struct look *l, struct look_message *out)
{
    struct message *m;
    struct record record;

    l->handle = ledger_next(&l->ledger, &l->cursor);
    if (!l->handle)
        return false;
    m = ledger_at(&l->ledger, l->handle);
    *out = (struct look_message){ .id = m->id,
                                  .size = m->place.length,
                                  .arrival_s = (uint64_t)m->since / 1000 };
    if (!record_read(l, m, &record)) {
        out->state = "damaged";
        out->sender = SV_LIT("?");
        return true;
    }
    out->state = state_of(m);
    out->size = record.message.n + (l->envelope.big ? l->envelope.big_size : 0);
    out->sender = l->envelope.sender;
    out->rcpt_n = m->rcpt_n;
    return true;
}

void look_rcpt(struct look *l, uint32_t i, struct look_rcpt *out)
{
    const struct rcpt *r = message_rcpt(ledger_at(&l->ledger, l->handle), i);

    *out = (struct look_rcpt){
        .to = l->envelope.rcpts[i].to,
        .reason = words_reply(r->words),
        .state = r->state == RCPT_WAIT   ? "deferred"
                 : r->state == RCPT_OWED ? (r->success ? "delivered" : "failed")
                                         : "active",
        .done = r->state == RCPT_DONE,
    };
}

size_t look_drops(const struct look *l)
{
    return l->drops;
}
