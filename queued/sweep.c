/* sweep.c - what time alone does: expiry, delay notices, notices that could not be made, a pause that ends */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "conf/queue.h"
#include "queued/health.h"
#include "queued/mailq.h"
#include "queued/measure.h"
#include "queued/result_line.h"

#define SWEEP_MS         1000
#define CLOCK_STEP_MS    10000 /* slewing never gets there */
#define RETRY_NOTICE_MAX 3600u
#define VERIFY_MAX       2000u /* records per tick, and their bytes: some milliseconds */
#define VERIFY_BYTES     (8u * 1024u * 1024u)
#define SWEEP_MAX        20000u /* messages per tick: a few milliseconds */
#define TRIM_TICKS       60u    /* destinations nobody waits for are forgotten every minute */
#define AWAIT_MS         30000  /* an inventory that does not come is said once in a while */

void expiry_text(const struct mailq *q, struct buf *out)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
    size_t i = 0;
    int64_t n;

    while (q->conf->expire_after % units[i].seconds)
        i++;
    n = q->conf->expire_after / units[i].seconds;
    buf_addf(out, "not delivered within %lld %s%s: the time for delivery has expired", (long long)n,
             units[i].name, n == 1 ? "" : "s");
}

/* RFC 3463 X.4.7, unless the last attempt can say more. */
static struct verdict expire_verdict(struct mailq *q, const struct rcpt *r)
{
    return (struct verdict){
        .outcome = OUTCOME_FAILED,
        .enhanced = words_enhanced(r->words).n ? words_enhanced(r->words) : SV_LIT("4.4.7"),
        .relay = words_relay(r->words),
        .remote = r->words && r->words->remote,
        .tried = sched_part(q->ledger.sched, r->part)->tried,
    };
}

static void expire_rcpt(struct mailq *q, uint32_t handle, uint32_t index, bool names)
{
    struct message *m = ledger_at(&q->ledger, handle);
    struct rcpt *r = message_rcpt(m, index);
    bool notice = rcpt_wants(m, r, NOTIFY_FAILURE);
    struct list_writer list = { .out = &q->list };
    struct words *held = words_again(r->words);
    struct result_line line = {
        .id = m->id, .since = m->since, .to = SV_LIT("?"), .notice = notice ? "owed" : "none"
    };
    struct verdict v = expire_verdict(q, r);

    buf_reset(&q->scratch);
    expiry_text(q, &q->scratch);
    if (held) {
        buf_adds(&q->scratch, "; last: ");
        buf_addv(&q->scratch, words_reply(held));
    }
    v.reply = buf_view(&q->scratch);
    if (names && index < q->envelope.rcpt_n) {
        line.to = q->envelope.rcpts[index].to;
        line.original = q->envelope.rcpts[index].original;
    }
    line.v = &v;
    result_line_log(q, &line);
    /* A remote's words stay as they were said: they go into the notice as its diagnostic. */
    if (v.remote)
        v.reply = words_reply(held);
    buf_reset(&q->list);
    list_write(&list, index);
    list_finish(&list);
    verdict_note(q, m->id, buf_view(&q->list), &v, notice);
    words_unref(&q->ledger.words, &held);
}

static bool rcpt_may_expire(const struct message *m, const struct rcpt *r)
{
    return !(m->flags & (MESSAGE_HELD | MESSAGE_DAMAGED | MESSAGE_MOVING)) &&
           (r->state == RCPT_OPEN || r->state == RCPT_WAIT);
}

static void message_expire(struct mailq *q, uint32_t handle)
{
    struct message *m = ledger_at(&q->ledger, handle);
    uint32_t rcpts = m->rcpt_n;
    uint64_t id = m->id;
    char text[ID_TEXT_SIZE];
    struct bytes *bytes;
    struct err err;
    bool names;

    bytes = message_bytes(q, handle, &err);
    names = bytes && envelope_parse(bytes->envelope, &q->envelope, &err);
    id_text(id, text);
    LOG(WARN, "queue.message.expired", KS("id", text), KMS("delay", mailq_now_ms(q) - m->since));
    for (uint32_t i = 0; i < rcpts && ledger_find(&q->ledger, id) == handle; i++)
        if (rcpt_may_expire(ledger_at(&q->ledger, handle), message_rcpt(ledger_at(&q->ledger, handle), i)))
            expire_rcpt(q, handle, i, names);
    bytes_unref(&bytes);
    if (ledger_find(&q->ledger, id) != handle)
        return;
    message_settle(q, handle);
    notice_want(q, handle);
}

static bool message_has_expiring(struct message *m)
{
    for (uint32_t i = 0; i < m->rcpt_n; i++)
        if (rcpt_may_expire(m, message_rcpt(m, i)))
            return true;
    return false;
}

static void message_sweep(struct mailq *q, uint32_t handle)
{
    struct message *m = ledger_at(&q->ledger, handle);
    int64_t age = mailq_now_ms(q) - m->since;

    if (!q->ledger.paused && q->conf->deliver && age >= q->conf->expire_after * 1000 &&
        message_has_expiring(m)) {
        message_expire(q, handle);
        return;
    }
    if (m->retry_notice > mailq_now_s(q) + RETRY_NOTICE_MAX)
        m->retry_notice = 0; /* promised by a clock that was ahead */
    if (m->retry_notice <= mailq_now_s(q) && !(m->flags & MESSAGE_OWED))
        notice_want(q, handle);
    if (q->conf->warn_after > 0 && age >= q->conf->warn_after * 1000 && m->retry_notice <= mailq_now_s(q) &&
        !(m->flags & (MESSAGE_WARNED | MESSAGE_WARNING | MESSAGE_NULL | MESSAGE_HELD | MESSAGE_DAMAGED)))
        notice_warn(q, handle);
}

/* Parts wait and become ready during a pause as ever: there is nothing to bring up to date. */
void mailq_resume(struct mailq *q)
{
    LOG0(WARN, "queue.delivery.resumed");
    store_note(q->store, &(struct entry){ .kind = ENTRY_PAUSE,
                                          .flags = ledger_pauses(&q->ledger) & ~(uint64_t)ENTRY_PAUSE_OUT });
    dispatch_soon(q);
}

/* Retry times are intervals and keep their length; ages, and with them expiry, follow the clock. */
static void follow_clock(struct mailq *q)
{
    /* Not by the loop's time, which is that of the iteration's beginning: one that took long is no step. */
    int64_t step = clock_wall_ms() - (q->wall0 + clock_mono_ms() - q->mono0);

    if (step > -CLOCK_STEP_MS && step < CLOCK_STEP_MS)
        return;
    LOG(WARN, "queue.clock.stepped", KI("seconds", step / 1000));
    q->wall0 += step;
    sched_shift(q->ledger.sched, step / 1000);
}

/* The start believes the indexes of sealed segments. A damaged record shall be known before its turn comes in
 * hours, while a backup still has it. */
static void verify_some(struct mailq *q)
{
    uint64_t bytes = 0;
    uint32_t handle = 0;

    for (unsigned i = 0; i < VERIFY_MAX && bytes < VERIFY_BYTES; i++) {
        struct bytes *b;
        struct err err;

        handle = ledger_next(&q->ledger, &q->verify_cursor);
        if (!handle)
            break;
        if (ledger_at(&q->ledger, handle)->flags & MESSAGE_DAMAGED)
            continue;
        bytes += ledger_at(&q->ledger, handle)->place.length;
        b = message_bytes(q, handle, &err);
        if (ledger_at(&q->ledger, handle)->flags & MESSAGE_DAMAGED)
            message_settle(q, handle);
        bytes_unref(&b);
    }
    q->verified = !handle;
}

static void on_sweep(void *arg)
{
    struct mailq *q = arg;
    uint32_t handle = 1;

    loop_timer_set(&q->sweep_timer, SWEEP_MS);
    follow_clock(q);
    if (!q->verified)
        verify_some(q);
    for (unsigned i = 0; i < SWEEP_MAX && (handle = ledger_next(&q->ledger, &q->sweep_cursor)); i++) {
        measure_message(q, handle);
        message_sweep(q, handle);
    }
    if (!handle) {
        q->sweep_cursor = 0;
        measure_round(q);
    }
    notice_sweep(q);
    requeue_sweep(q);
    if (++q->sweep_ticks % TRIM_TICKS == 0)
        sched_trim(q->ledger.sched);
    if (q->ledger.paused && store_resume_asked(q->store))
        mailq_resume(q);
    if (deliverd_all_known(q)) {
        q->awaited_since = 0;
    } else if (!q->awaited_since) {
        q->awaited_since = loop_now(q->loop);
    } else if (loop_now(q->loop) - q->awaited_since > AWAIT_MS) {
        q->awaited_since = loop_now(q->loop);
        LOG0(WARN, "queue.inventory.awaited");
    }
    health_look(q);
    dispatch_soon(q);
}

void sweep_start(struct mailq *q)
{
    loop_timer_init(&q->sweep_timer, q->loop, on_sweep, q);
    loop_timer_set(&q->sweep_timer, SWEEP_MS);
}
