/* history_fill.c - a history as full as it may be, of mail that could have been
 *
 *   history_fill DIR BYTES    writes DIR/history.mdb; says on standard output what may be looked for
 *
 * Six lines for each message, as the daemons log them; the newest is of now, one every 100 ms before that.
 */
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/role.h"
#include "historyd/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USERS   5000u
#define DOMAINS 997u
#define STEP_MS 100

struct filling {
    struct store *store;
    struct block block;
    char bytes[BLOCK_SIZE];
    uint64_t blocks, lines;
};

static void must(bool ok, const struct err *err)
{
    if (ok)
        return;
    fprintf(stderr, "history_fill: %s\n", err->text);
    exit(1);
}

static void block_end(struct filling *f)
{
    const char *one = f->bytes;
    struct err err = { .cls = ERR_OK };

    block_write(&f->block, f->bytes);
    must(store_put(f->store, &one, 1, false, &err), &err);
    block_reset(&f->block);
    f->blocks++;
}

static void line_add(struct filling *f, enum role role, int64_t ms, const char *text)
{
    struct line line = { .ms = ms, .level = 2, .role = (uint8_t)role, .text = SV(text) };

    f->lines++;
    if (block_add(&f->block, &line))
        return;
    block_end(f);
    block_add(&f->block, &line);
}

/* Every message has an id and a Message-ID of its own, one of some thousand senders and recipients. */
static void message_add(struct filling *f, unsigned i, int64_t ms)
{
    char text[1024], id[ID_TEXT_SIZE], sid[ID_TEXT_SIZE], to[80];

    id_text(UINT64_C(0x1000000000) + i, id);
    id_text(UINT64_C(0x2000000000) + i / 4, sid);
    snprintf(to, sizeof to, "reader%u@domain%u.example.net", i * 7 % USERS, i % DOMAINS);
    snprintf(text, sizeof text,
             "event=smtp.message.accepted sid=%s id=%s listener=smtp client=192.0.2.%u "
             "client_name=mail%u.example.com helo=mail%u.example.com sender=writer%u@example.com rcpts=1 "
             "size=%u message_id=<%u.%" PRId64 "@example.com> tls=TLSv1.3",
             sid, id, i % 250, i % 250, i % 250, i % USERS, 2000 + i % 9000, i, ms);
    line_add(f, ROLE_SMTPD, ms, text);
    snprintf(text, sizeof text,
             "event=queue.message.stored id=%s sender=writer%u@example.com rcpts=1 size=%u", id, i % USERS,
             2000 + i % 9000);
    line_add(f, ROLE_QUEUED, ms + 2, text);
    for (int attempt = 0; attempt < 2; attempt++) {
        snprintf(text, sizeof text,
                 "event=delivery.result id=%s to=%s relay=mx%u.example.net[198.51.100.%u]:25 status=%s "
                 "delay=%d.120 reply=\"%s\"", id, to, i % DOMAINS, i % 250,
                 attempt ? "delivered" : "deferred", 300 * attempt,
                 attempt ? "250 2.0.0 Ok: queued as 4FQX2" : "450 4.7.1 greylisted, come again later");
        line_add(f, ROLE_QUEUED, ms + 50 * attempt, text);
    }
    snprintf(text, sizeof text, "event=queue.message.finished id=%s delay=300.240", id);
    line_add(f, ROLE_QUEUED, ms + 60, text);
    snprintf(text, sizeof text,
             "event=smtp.rcpt.refused sid=%s listener=smtp client=203.0.113.%u sender=stranger%u@example.org "
             "rcpt=nobody%u@example.com reply=\"550 5.1.1 No such mailbox\" rule=unknown", sid, i % 250,
             i % USERS, i);
    line_add(f, ROLE_SMTPD, ms + 70, text);
}

static void tell(const char *what, const char *key)
{
    printf("%s %s\n", what, key);
}

/* Things that are there: the oldest, in the midst, the newest; and some that are not. */
static void keys_tell(unsigned n, int64_t first_ms)
{
    static const char *const ages[] = { "oldest", "middle", "newest" };
    char key[128], what[64];

    for (unsigned k = 0; k < 3; k++) {
        unsigned i = k == 0 ? 0 : k == 1 ? n / 2 : n - 1;

        id_text(UINT64_C(0x1000000000) + i, key);
        snprintf(what, sizeof what, "id,_%s", ages[k]);
        tell(what, key);
        snprintf(key, sizeof key, "<%u.%" PRId64 "@example.com>", i, first_ms + (int64_t)i * STEP_MS);
        snprintf(what, sizeof what, "Message-ID,_%s", ages[k]);
        tell(what, key);
        snprintf(key, sizeof key, "nobody%u@example.com", i);
        snprintf(what, sizeof what, "address_of_one_line,_%s", ages[k]);
        tell(what, key);
    }
    tell("address_of_many_messages", "writer17@example.com");
    tell("domain_in_every_block", "@example.com");
    id_text(UINT64_C(0x3000000000), key);
    tell("id,_not_there", key);
    tell("Message-ID,_not_there", "<none@example.com>");
    tell("address,_not_there", "none@none.example");
}

int main(int argc, char **argv)
{
    struct store_limits limits = { .keep_ms = INT64_C(366) * 86400 * 1000 };
    static struct filling f;
    struct err err = { .cls = ERR_OK };
    int64_t first_ms;
    bool damaged;
    unsigned n = 0, all;

    if (argc != 3 || chdir(argv[1]) < 0) {
        fprintf(stderr, "usage: history_fill DIR BYTES\n");
        return 64;
    }
    limits.size = strtoull(argv[2], NULL, 10);
    f.store = store_open(&limits, &damaged, &err);
    must(f.store != NULL, &err);
    block_init(&f.block);
    all = (unsigned)(limits.size / 900);
    first_ms = clock_wall_ms() - (int64_t)all * STEP_MS;
    while (f.blocks < store_blocks_max(limits.size)) {
        message_add(&f, n, first_ms + (int64_t)n * STEP_MS);
        n++;
    }
    keys_tell(n - 1000, first_ms); /* the last ones stand in a block that was not written */
    printf("filled %u messages, %" PRIu64 " lines, %" PRIu64 " blocks\n", n, f.lines, f.blocks);
    block_clear(&f.block);
    store_close(&f.store);
    return 0;
}
