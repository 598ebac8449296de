/* queue_start.c - how long queued reads a spool of many deferred messages at its start, in how much memory
 *
 *   queue_start make DIR N    a spool of N messages of 1 KiB and N deferrals, as an orderly end leaves it
 *   queue_start start DIR     reads it as queued does, up to where deliveries would begin
 */
#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/os/file.h"
#include "conf/queue.h"
#include "queued/mailq.h"
#include "queued/segment.h"
#include "queued/sidecar.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DESTINATIONS 1000u
#define BODY         700u

struct making {
    int seg;
    struct segment segment;
    struct sidecar sidecar;
    struct journal journal;
    struct buf batch; /* records that are not written yet */
    struct envelope envelope;
};

static void must(bool ok, const struct err *err)
{
    if (!ok) {
        fprintf(stderr, "queue_start: %s\n", err->text);
        exit(1);
    }
}

static void batch_write(struct making *m)
{
    struct iovec iov = { m->batch.data, m->batch.len };
    struct err err = { .cls = ERR_OK };

    if (m->batch.len)
        must(segment_append(&m->segment, &iov, 1, m->batch.len, &err), &err);
    buf_reset(&m->batch);
}

static void segment_end(struct making *m)
{
    batch_write(m);
    segment_seal(&m->segment);
    sidecar_write(&m->sidecar, m->seg, m->segment.number, m->segment.at);
}

static void segment_next(struct making *m)
{
    uint32_t number = m->segment.number + 1;
    struct err err = { .cls = ERR_OK };

    if (number > 1)
        segment_end(m);
    must(segment_create(m->seg, number, SEGMENT_SIZE, &m->segment, &err), &err);
    sidecar_begin(&m->sidecar, m->segment.nonce, number);
}

static void message_make(struct making *m, unsigned i)
{
    char rcpt[64], sender[64], body[BODY];
    uint64_t id = id_new(), offset;
    struct record_sizes sizes = { 0, 0, BODY };
    struct err err = { .cls = ERR_OK };
    size_t from, at;

    snprintf(rcpt, sizeof rcpt, "user%u@dead%u.example.test", i, i % DESTINATIONS);
    snprintf(sender, sizeof sender, "sender%u@example.org", i % 5000);
    envelope_reset(&m->envelope);
    m->envelope.sender = SV(sender);
    m->envelope.sid = SV_LIT("0123456789ABC");
    m->envelope.arrival = m->envelope.stored = (uint64_t)clock_wall_ms();
    m->envelope.client = SV_LIT("[192.0.2.17]:41234");
    m->envelope.client_name = SV_LIT("client.example.org");
    m->envelope.helo = SV_LIT("client.example.org");
    m->envelope.protocol = SV_LIT("ESMTP");
    envelope_add(&m->envelope)->to = SV(rcpt);
    from = m->batch.len;
    if (m->segment.number == 0 || m->segment.at + from + 2048 > SEGMENT_SIZE) {
        segment_next(m);
        from = 0;
    }
    offset = m->segment.at + from;
    (void)buf_reserve(&m->batch, RECORD_LINE_LEN);
    buf_commit(&m->batch, RECORD_LINE_LEN);
    at = m->batch.len;
    envelope_print(&m->envelope, &m->batch);
    sizes.envelope = m->batch.len - at;
    at = m->batch.len;
    buf_adds(&m->batch, "Received: from client.example.org\r\nSubject: a test\r\n");
    sizes.header = m->batch.len - at;
    memset(body, 'x', sizeof body);
    buf_adds(&m->batch, "\r\n");
    buf_add(&m->batch, body, sizeof body);
    buf_addc(&m->batch, '\n');
    record_line(m->batch.data + from, id, &sizes);
    record_seal(m->batch.data + from, m->batch.len - from, m->segment.nonce, m->segment.number, offset);
    sidecar_add(&m->sidecar, (uint32_t)offset,
                strv_make(m->batch.data + from, RECORD_LINE_LEN + sizes.envelope));
    journal_append(&m->journal, &(struct entry){ .kind = ENTRY_DEFERRED,
                                                 .id = id,
                                                 .list = SV_LIT("0"),
                                                 .time = (uint64_t)clock_wall_ms() / 1000,
                                                 .attempts = 3,
                                                 .due = (uint64_t)clock_wall_ms() / 1000 + 3600 + i % 3600,
                                                 .enhanced = SV_LIT("4.4.1"),
                                                 .relay = SV_LIT("dead.example.test[192.0.2.1]"),
                                                 .reply = SV_LIT("connect: Connection refused") });
    if (m->batch.len > 1u << 20) {
        batch_write(m);
        must(journal_write(&m->journal, &err), &err);
    }
}

static int make(int dir, unsigned n)
{
    struct making m = { .segment = { .fd = -1 } };
    struct err err = { .cls = ERR_OK };

    m.seg = file_mkdirat(dir, "seg", 0700);
    file_mkdirat(dir, "big", 0700);
    buf_init(&m.batch, 8u << 20);
    sidecar_init(&m.sidecar);
    envelope_init(&m.envelope);
    journal_init(&m.journal, file_mkdirat(dir, "state", 0700), 64u << 20);
    must(journal_begin(&m.journal, true, &err), &err);
    for (unsigned i = 0; i < n; i++)
        message_make(&m, i);
    segment_end(&m);
    must(journal_write(&m.journal, &err), &err);
    buf_clear(&m.batch);
    sidecar_clear(&m.sidecar);
    envelope_clear(&m.envelope);
    journal_clear(&m.journal);
    return 0;
}

static void on_line(void *arg, enum log_level level, const char *line, size_t len)
{
    (void)arg;
    (void)level;
    fprintf(stderr, "%.*s\n", (int)len, line);
}

static long status(const char *key)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long value = 0;

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtol(line + strlen(key), NULL, 10);
    if (f)
        fclose(f);
    return value;
}

static int start(int dir)
{
    static int64_t retry[] = { 300 };
    struct conf_queue conf = {
        .retry = { retry, 1 }, .warn_after = 86400, .expire_after = 5 * 86400, .reserve = 1, .max_jobs = 100
    };
    struct err err = { .cls = ERR_OK };
    static struct mailq q;
    struct loop *loop = loop_new();
    int64_t began;

    log_set_sink(on_line, NULL);
    mailq_init(&q, loop, &conf);
    q.store = store_open(dir, &store_sizes_default, &err);
    must(q.store && store_threads(q.store, &err), &err);
    began = clock_mono_ms();
    must(mailq_start(&q, &err), &err);
    printf("%zu messages in %.2f s, resident %ld MB, at most %ld MB\n", ledger_count(&q.ledger),
           (double)(clock_mono_ms() - began) / 1000, status("VmRSS:") / 1024, status("VmHWM:") / 1024);
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv)
{
    int dir = argc > 2 ? file_opendirat(AT_FDCWD, argv[2]) : -1;

    if (dir >= 0 && argc == 4 && strcmp(argv[1], "make") == 0)
        return make(dir, (unsigned)strtoul(argv[3], NULL, 10));
    if (dir >= 0 && argc == 3 && strcmp(argv[1], "start") == 0)
        return start(dir);
    fprintf(stderr, "usage: queue_start make DIR N | start DIR\n");
    return 64;
}
