/* fuzz_journal.c - journals: any bytes are read, any entries leave a ledger that is in order */
#include "tests/support/fuzz.h"

#include "common/base/hash.h"
#include "queued/journal.h"
#include "queued/ledger.h"

#include <stdio.h>
#include <string.h>

#define NONCE "0123456789abcdef0123456789abcdef"

static const int64_t retry[] = { 300 };

static uint64_t below(uint64_t n)
{
    (void)n;
    return 0;
}

static void messages_add(struct ledger *l)
{
    struct envelope e;

    envelope_init(&e);
    for (uint64_t id = 1; id <= 4; id++) {
        envelope_reset(&e);
        e.sender = SV_LIT("a@b");
        for (uint64_t i = 0; i < id; i++)
            envelope_add(&e)->to = i % 2 ? SV_LIT("x@one") : SV_LIT("y@two");
        ledger_add(l, id, &e, (struct place){ 1, (uint32_t)id * 100, 100 });
    }
    envelope_clear(&e);
}

static void in_order(struct ledger *l)
{
    uint32_t cursor = 0, handle;

    while ((handle = ledger_next(l, &cursor))) {
        struct message *m = ledger_at(l, handle);
        uint32_t open = 0;

        must(ledger_find(l, m->id) == handle);
        for (uint32_t i = 0; i < m->rcpt_n; i++) {
            must(message_rcpt(m, i)->state <= RCPT_DONE && message_rcpt(m, i)->state != RCPT_RUNNING);
            open += message_rcpt(m, i)->state != RCPT_DONE;
        }
        must(open == m->open && open > 0);
    }
}

static void on_entry(void *arg, const struct entry *e)
{
    struct buf text;
    struct entry back;

    buf_init(&text, 1u << 20);
    entry_print(e, NONCE, &text);
    must(entry_parse(text.data, text.len - 1, NONCE, &back) && back.kind == e->kind);
    buf_clear(&text);
    ledger_apply(arg, e);
    in_order(arg);
}

static void run(struct buf *file, bool last)
{
    const struct sched_conf conf = { .retry = retry, .retry_n = 1, .below = below };
    struct ledger l;
    struct journal_parse p = { .number = 1, .last = last, .fn = on_entry, .arg = &l };

    ledger_init(&l, &conf);
    messages_add(&l);
    must(journal_parse(&p, file->data, file->len));
    must(p.end <= file->len && !(p.damaged && p.torn == 0));
    ledger_clear(&l);
}

/* Each line of the input as a line with a right checksum, so that what is behind the checksum is reached. */
static void sealed(struct buf *file, struct strv input)
{
    struct strv line;

    while (strv_cut(&input, '\n', &line)) {
        uint32_t crc = hash_crc32c(hash_crc32c(0, NONCE, ENTRY_NONCE_LEN), line.p, line.n);

        buf_addf(file, "%08x ", crc);
        buf_addv(file, line);
        buf_addc(file, '\n');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char header[JOURNAL_HEADER + 1];
    struct buf file;

    if (size > 65536)
        return 0;
    journal_header(header, NONCE, 1, true);
    for (int how = 0; how < 2; how++) {
        buf_init(&file, 1u << 24);
        buf_add(&file, header, JOURNAL_HEADER);
        if (how)
            sealed(&file, strv_make((const char *)data, size));
        else
            buf_add(&file, data, size);
        run(&file, size % 2);
        buf_clear(&file);
    }
    return 0;
}
