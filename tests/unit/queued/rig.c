/* rig.c - a whole queue in a temporary directory, with the far ends of its channels in the test's hands */
#include "tests/unit/queued/rig.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/frame.h"
#include "common/os/fd.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static struct ipc_out out;

static void text_copy(char *dst, size_t size, struct strv s)
{
    snprintf(dst, size, "%.*s", (int)s.n, s.n ? s.p : "");
}

/* ---- the far end at deliverd ---- */

static struct rig_job *job_of(struct rig *r, uint64_t txn)
{
    for (size_t i = r->job_n; i > 0; i--)
        if (r->jobs[i - 1].txn == txn)
            return &r->jobs[i - 1];
    return NULL;
}

static void on_j_start(struct rig *r, struct ipc_in *in)
{
    struct rig_job *j = &r->jobs[r->job_n++];
    struct ipc_in group;
    size_t at = 0;

    assert_true(r->job_n <= RIG_JOBS);
    *j = (struct rig_job){ .txn = in->txn, .id = ipc_get_u64(in, TAG_ID) };
    buf_init(&j->data, 1u << 26);
    j->local = ipc_get_u64(in, TAG_LOCAL);
    j->size = ipc_get_u64(in, TAG_SIZE);
    j->attempt = ipc_get_u64(in, TAG_ATTEMPT);
    j->flags = ipc_get_u64(in, TAG_FLAGS);
    text_copy(j->dest, sizeof j->dest, ipc_get(in, TAG_DEST));
    text_copy(j->sender, sizeof j->sender, ipc_get(in, TAG_SENDER));
    while (ipc_next_group(in, TAG_RCPT, &at, &group)) {
        j->rcpts[j->rcpt_n].index = (uint32_t)ipc_get_u64(&group, TAG_RCPT_INDEX);
        text_copy(j->rcpts[j->rcpt_n++].to, 64, ipc_get(&group, TAG_RCPT));
    }
    buf_addv(&j->data, ipc_get(in, TAG_DATA));
    if (in->fd_count > 0) {
        int fd = ipc_take_fd(in, 0);
        uint64_t n = ipc_get_u64(in, TAG_BODY_SIZE);
        char *p = buf_reserve(&j->data, n);

        assert_int_equal(fd_pread_full(fd, p, n, 0), (ssize_t)n);
        buf_commit(&j->data, n);
        fd_close(&fd);
    }
    j->complete = j->data.len == j->size;
}

static void on_deliverd_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct rig *r = arg;
    struct rig_job *j;

    if (in->type == IPC_J_START) {
        on_j_start(r, in);
        if (in->bulk)
            channel_consumed(ch, in->txn, in->bulk);
    } else if (in->type == IPC_J_BODY) {
        j = job_of(r, in->txn);
        assert_non_null(j);
        buf_addv(&j->data, ipc_get(in, TAG_DATA));
        channel_consumed(ch, in->txn, in->bulk);
        j->complete = ipc_get_u64(in, TAG_LAST);
    } else if (in->type == IPC_J_RESULT_ACK) {
        r->acks++;
    } else if (r->other) {
        r->other(r, in);
    }
}

static void on_deliverd_lost(void *arg, struct channel *ch, const char *why)
{
    struct rig *r = arg;

    (void)why;
    r->lost++;
    for (unsigned i = 0; i < COUNT(r->deliverd); i++)
        if (r->deliverd[i] == ch)
            channel_free(&r->deliverd[i]);
}

/* ---- the far end at cleanup ---- */

static void on_cleanup_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct rig *r = arg;
    struct ipc_in group;
    size_t at = 0;

    (void)ch;
    if (in->type == IPC_Q_SUBMITTED) {
        assert_true(r->answer_n < RIG_ANSWERS);
        r->answers[r->answer_n++] =
            (struct rig_answer){ in->txn, (enum ipc_verdict)ipc_get_u64(in, TAG_VERDICT),
                                 (unsigned)ipc_get_u64(in, TAG_CODE) };
    } else if (in->type != IPC_N_COMPOSE && r->other) {
        r->other(r, in);
    } else if (in->type == IPC_N_COMPOSE) {
        struct rig_notice *n = &r->notices[r->notice_n++];

        assert_true(r->notice_n <= COUNT(r->notices));
        *n = (struct rig_notice){ .txn = in->txn,
                                  .id = ipc_get_u64(in, TAG_ID),
                                  .kind = (enum ipc_notice)ipc_get_u64(in, TAG_NOTICE) };
        text_copy(n->origin, sizeof n->origin, ipc_get(in, TAG_ORIGIN));
        text_copy(n->sender, sizeof n->sender, ipc_get(in, TAG_SENDER));
        text_copy(n->header, sizeof n->header, ipc_get(in, TAG_HEADER));
        while (ipc_next_group(in, TAG_RCPT, &at, &group)) {
            text_copy(n->reply, sizeof n->reply, ipc_get(&group, TAG_REPLY));
            text_copy(n->text, sizeof n->text, ipc_get(&group, TAG_TEXT));
            text_copy(n->enhanced, sizeof n->enhanced, ipc_get(&group, TAG_ENHANCED));
            n->last_attempt = ipc_get_u64(&group, TAG_LAST_ATTEMPT);
            n->rcpt_n++;
        }
    }
}

static void on_cleanup_lost(void *arg, struct channel *ch, const char *why)
{
    struct rig *r = arg;

    (void)ch;
    (void)why;
    r->lost++;
    channel_free(&r->cleanup);
}

static const struct channel_ops cleanup_ops = { .frame = on_cleanup_frame, .lost = on_cleanup_lost };
static const struct channel_ops deliverd_ops = { .frame = on_deliverd_frame, .lost = on_deliverd_lost };

/* ---- life ---- */

static void log_nowhere(void *arg, enum log_level level, const char *line, size_t len)
{
    (void)arg;
    (void)level;
    if (getenv("RIG_LOG"))
        fprintf(stderr, "%.*s\n", (int)len, line);
}

void rig_init(struct rig *r)
{
    memset(r, 0, sizeof *r);
    log_set_sink(log_nowhere, NULL);
    spool_make(&r->spool);
    if (!out.bytes.max)
        ipc_out_init(&out);
    r->retry[0] = 300;
    r->retry[1] = 600;
    r->conf = (struct conf_queue){ .retry = { r->retry, 2 },
                                   .warn_after = 4 * 3600,
                                   .expire_after = 4 * 86400,
                                   .reserve = 1,
                                   .max_jobs = 100,
                                   .deliver = true };
    r->sizes = store_sizes_default;
    r->sizes.segment = 1u << 20;
    r->sizes.journal_step = 65536;
    r->sizes.lock_ms = 2000;
}

void rig_keep_all(struct rig *r)
{
    r->conf.warn_after = 0;
    r->conf.expire_after = INT64_C(100) * 365 * 86400;
}

void rig_connect_cleanup(struct rig *r)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    channel_free(&r->cleanup);
    submit_edge(&r->q, 0, ends[0]);
    r->cleanup = channel_new(r->loop, ends[1], ROLE_CLEANUP, ROLE_QUEUED, 0, &cleanup_ops, r);
}

void rig_connect_deliverd(struct rig *r, unsigned index, bool lived)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    channel_free(&r->deliverd[index]);
    deliverd_edge(&r->q, index, ends[0], lived);
    r->deliverd[index] = channel_new(r->loop, ends[1], ROLE_DELIVERD, ROLE_QUEUED, 0, &deliverd_ops, r);
}

void rig_disconnect_deliverd(struct rig *r, unsigned index)
{
    channel_free(&r->deliverd[index]);
}

static void rig_open(struct rig *r)
{
    struct err err = { .cls = ERR_OK };

    r->loop = loop_new();
    mailq_init(&r->q, r->loop, &r->conf);
    r->q.store = store_open(r->spool.fd, &r->sizes, &err);
    if (!r->q.store || !store_threads(r->q.store, &err))
        fail_msg("open: %s", err.text);
}

void rig_start_bare(struct rig *r)
{
    struct err err = { .cls = ERR_OK };

    rig_open(r);
    if (!mailq_start(&r->q, &err))
        fail_msg("start: %s", err.text);
}

void rig_start(struct rig *r)
{
    struct err err = { .cls = ERR_OK };

    rig_open(r);
    rig_connect_cleanup(r);
    rig_connect_deliverd(r, 0, false);
    if (!mailq_start(&r->q, &err))
        fail_msg("start: %s", err.text);
}

void rig_jobs_forget(struct rig *r)
{
    for (size_t i = 0; i < r->job_n; i++)
        buf_clear(&r->jobs[i].data);
    r->job_n = r->answer_n = r->notice_n = 0;
    r->acks = 0;
}

/* Counted from what is there, with nothing of the ledger's own counting. */
static enum standing standing_of(struct message *m)
{
    uint32_t waiting = 0;

    for (uint32_t i = 0; i < m->rcpt_n; i++)
        waiting += message_rcpt(m, i)->state == RCPT_WAIT;
    if (m->flags & MESSAGE_DAMAGED)
        return STANDING_DAMAGED;
    if (m->flags & MESSAGE_HELD)
        return STANDING_HELD;
    return m->jobs ? STANDING_RUNNING : waiting ? STANDING_DEFERRED : STANDING_ACTIVE;
}

void rig_check_standings(struct rig *r)
{
    uint32_t cursor = 0, handle, n[STANDING__N] = { 0 };

    while ((handle = ledger_next(&r->q.ledger, &cursor)))
        n[standing_of(ledger_at(&r->q.ledger, handle))]++;
    for (unsigned i = 0; i < STANDING__N; i++)
        assert_int_equal(r->q.ledger.standings[i], n[i]);
}

void rig_kill(struct rig *r)
{
    rig_check_standings(r);
    mailq_clear(&r->q);
    for (unsigned i = 0; i < COUNT(r->deliverd); i++)
        channel_free(&r->deliverd[i]);
    channel_free(&r->cleanup);
    loop_free(&r->loop);
    rig_jobs_forget(r);
    ipc_out_clear(&out);
}

void rig_stop(struct rig *r)
{
    mailq_drain(&r->q);
    RIG_UNTIL(r, mailq_is_idle(&r->q));
    rig_kill(r);
}

void rig_clear(struct rig *r)
{
    spool_remove(&r->spool);
}

struct rig *rig_new(void)
{
    struct rig *r = malloc(sizeof *r);

    assert_non_null(r);
    rig_init(r);
    return r;
}

void rig_free(struct rig *r)
{
    rig_clear(r);
    free(r);
}

/* ---- frames ---- */

static void put_rcpts(const char *rcpts)
{
    struct strv rest = SV(rcpts), word;

    while (strv_word(&rest, &word)) {
        ipc_group_begin(&out, TAG_RCPT);
        ipc_put_text(&out, TAG_RCPT, strv_from(word, 2));
        ipc_put_u64(&out, TAG_LOCAL, word.p[0] == 'l');
        ipc_group_end(&out);
    }
}

static void submit(struct rig *r, uint64_t txn, uint64_t id, const char *sender, const char *rcpts,
                   struct strv body, const char *origin, uint64_t body_size)
{
    ipc_begin(&out, IPC_Q_SUBMIT, txn);
    ipc_put_u64(&out, TAG_ID, id);
    ipc_put_text(&out, TAG_SENDER, SV(sender));
    put_rcpts(rcpts);
    ipc_put_u64(&out, TAG_ARRIVAL, (uint64_t)mailq_now_ms(&r->q));
    ipc_put_bytes(&out, TAG_HEADER, SV("Subject: test\r\n"));
    ipc_put_bytes(&out, TAG_DATA, body);
    ipc_put_u64(&out, TAG_BODY_SIZE, body_size);
    ipc_put_text(&out, TAG_SID, SV("SID"));
    if (origin)
        ipc_put_text(&out, TAG_ORIGIN, SV(origin));
    channel_send(r->cleanup, &out);
}

void rig_submit(struct rig *r, uint64_t txn, uint64_t id, const char *sender, const char *rcpts,
                const char *body)
{
    submit(r, txn, id, sender, rcpts, SV(body), NULL, strlen(body));
}

void rig_submit_origin(struct rig *r, uint64_t txn, uint64_t id, const char *rcpts, const char *origin)
{
    submit(r, txn, id, "", rcpts, SV("a notice\r\n"), origin, 10);
}

void rig_submit_large(struct rig *r, uint64_t txn, uint64_t id, const char *rcpts, size_t body_size)
{
    char chunk[8192];
    size_t sent = 0;

    while (sent < body_size) {
        size_t n = body_size - sent < sizeof chunk ? body_size - sent : sizeof chunk;

        if (channel_credit(r->cleanup, txn) < n) {
            loop_once(r->loop, 5);
            continue;
        }
        for (size_t i = 0; i < n; i++)
            chunk[i] = (char)('a' + (sent + i) % 26);
        ipc_begin(&out, IPC_Q_BODY, txn);
        ipc_put_bytes(&out, TAG_DATA, strv_make(chunk, n));
        channel_send(r->cleanup, &out);
        sent += n;
    }
    ipc_begin(&out, IPC_Q_HEADER, txn);
    ipc_put_bytes(&out, TAG_DATA, SV("X-First: header\r\n"));
    channel_send(r->cleanup, &out);
    ipc_begin(&out, IPC_Q_RCPTS, txn);
    put_rcpts(rcpts);
    channel_send(r->cleanup, &out);
    submit(r, txn, id, "s@example.org", "", SV("end\r\n"), NULL, body_size + 5);
}

void rig_query(struct rig *r, uint64_t txn, uint64_t id)
{
    ipc_begin(&out, IPC_Q_QUERY, txn);
    ipc_put_u64(&out, TAG_ID, id);
    channel_send(r->cleanup, &out);
}

void rig_notice_failed(struct rig *r, uint64_t txn, const char *origin)
{
    ipc_begin(&out, IPC_N_FAILED, txn);
    ipc_put_text(&out, TAG_ORIGIN, SV(origin));
    ipc_put_text(&out, TAG_TEXT, SV("not now"));
    channel_send(r->cleanup, &out);
}

static void result(struct rig *r, unsigned deliverd, struct rig_job *job, uint64_t mask,
                   enum ipc_outcome outcome, const char *step, bool last)
{
    const char *const enhanced[] = { "2.0.0", "5.1.1", r->busy ? "4.2.0" : "4.4.1" };
    const char *const reply[] = { "250 2.0.0 Ok", "550 5.1.1 no such user",
                                  r->busy ? "450 4.2.0 busy" : "connection refused" };

    ipc_begin(&out, IPC_J_RESULT, job->txn);
    ipc_put_u64(&out, TAG_ID, job->id);
    for (size_t i = 0; i < job->rcpt_n; i++) {
        if (i < 64 && !(mask & (uint64_t)1 << i))
            continue;
        ipc_group_begin(&out, TAG_RCPT);
        ipc_put_u64(&out, TAG_RCPT_INDEX, job->rcpts[i].index);
        ipc_put_u64(&out, TAG_OUTCOME, outcome);
        ipc_put_text(&out, TAG_ENHANCED, SV(enhanced[outcome]));
        ipc_put_text(&out, TAG_REPLY, SV(r->reply && outcome == OUTCOME_FAILED ? r->reply : reply[outcome]));
        ipc_put_text(&out, TAG_RELAY, SV("mx.example[192.0.2.1]:25"));
        ipc_put_u64(&out, TAG_REMOTE, outcome != OUTCOME_DEFERRED || r->busy);
        ipc_put_text(&out, TAG_STEP, SV(step));
        ipc_group_end(&out);
    }
    ipc_put_u64(&out, TAG_LAST, last);
    ipc_put_u64(&out, TAG_MS_CONNECT, 3);
    ipc_put_u64(&out, TAG_MS_SEND, 4);
    if (r->lookup)
        ipc_put_u64(&out, TAG_MS_LOOKUP, r->lookup);
    if (r->group)
        ipc_put_text(&out, TAG_KEY, SV(r->group));
    channel_send(r->deliverd[deliverd], &out);
    job->answered = true;
}

void rig_result(struct rig *r, unsigned deliverd, struct rig_job *job, enum ipc_outcome outcome,
                const char *step, bool last)
{
    result(r, deliverd, job, UINT64_MAX, outcome, step, last);
}

void rig_result_some(struct rig *r, unsigned deliverd, struct rig_job *job, uint64_t mask,
                     enum ipc_outcome outcome, bool last)
{
    result(r, deliverd, job, mask, outcome, "rcpt", last);
}

void rig_inventory(struct rig *r, unsigned deliverd, uint64_t id, uint32_t rcpt)
{
    if (id) {
        ipc_begin(&out, IPC_J_INVENTORY, 1);
        ipc_group_begin(&out, TAG_RUNNING);
        ipc_put_u64(&out, TAG_ID, id);
        ipc_put_u64(&out, TAG_RCPT_INDEX, rcpt);
        ipc_group_end(&out);
        channel_send(r->deliverd[deliverd], &out);
    }
    ipc_begin(&out, IPC_J_INVENTORY_END, 1);
    channel_send(r->deliverd[deliverd], &out);
}

void rig_inventory_job(struct rig *r, unsigned deliverd, const struct rig_job *job)
{
    ipc_begin(&out, IPC_J_INVENTORY, 1);
    ipc_group_begin(&out, TAG_RUNNING);
    ipc_put_u64(&out, TAG_ID, job->id);
    for (size_t i = 0; i < job->rcpt_n; i++)
        ipc_put_u64(&out, TAG_RCPT_INDEX, job->rcpts[i].index);
    ipc_group_end(&out);
    channel_send(r->deliverd[deliverd], &out);
    rig_inventory(r, deliverd, 0, 0);
}

void rig_rest(struct rig *r)
{
    for (int i = 0; i < 30 || store_pending(r->q.store) > 0 || !store_noted(r->q.store); i++)
        loop_once(r->loop, 5);
}

const struct rig_answer *rig_answer(const struct rig *r, uint64_t txn)
{
    for (size_t i = 0; i < r->answer_n; i++)
        if (r->answers[i].txn == txn)
            return &r->answers[i];
    return NULL;
}

void rig_expect_accepted(struct rig *r, uint64_t txn)
{
    RIG_UNTIL(r, rig_answer(r, txn));
    if (rig_answer(r, txn)->verdict != VERDICT_ACCEPT)
        fail_msg("%llu was not accepted: %u", (unsigned long long)txn, rig_answer(r, txn)->code);
}

struct rig_job *rig_job(struct rig *r, uint64_t id)
{
    for (size_t i = r->job_n; i > 0; i--)
        if (r->jobs[i - 1].id == id)
            return &r->jobs[i - 1];
    return NULL;
}

struct message *rig_message(struct rig *r, uint64_t id)
{
    uint32_t handle = ledger_find(&r->q.ledger, id);

    return handle ? ledger_at(&r->q.ledger, handle) : NULL;
}
