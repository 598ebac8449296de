/* requeue_rig.c - a queue, a cleanup and an operator for tests of requeue and edit */
#include "tests/unit/queued/requeue_rig.h"

#include "common/base/id.h"
#include "common/os/fault.h"
#include "common/os/fd.h"

#include <stdlib.h>

struct rig *r;
static struct ipc_out out;

struct requeue_got got;
bool obedient;
uint64_t next_txn = 1000, made[REQUEUE_MADE];
size_t made_n;

static void text_add(struct strv s)
{
    size_t at = strlen(got.rcpts);

    assert_true(at + s.n < sizeof got.rcpts);
    memcpy(got.rcpts + at, s.p, s.n);
    got.rcpts[at + s.n] = '\0';
}

static void put_rcpt(const struct ipc_in *group)
{
    ipc_group_begin(&out, TAG_RCPT);
    ipc_put_text(&out, TAG_RCPT, ipc_get(group, TAG_RCPT));
    ipc_put_u64(&out, TAG_LOCAL, ipc_get_u64(group, TAG_LOCAL));
    ipc_put_text(&out, TAG_ORIGINAL, ipc_get(group, TAG_ORIGINAL));
    if (ipc_has(group, TAG_NOTIFY))
        ipc_put_u64(&out, TAG_NOTIFY, ipc_get_u64(group, TAG_NOTIFY));
    ipc_group_end(&out);
}

/* A message that comes with more recipients than one frame holds. */
static struct {
    char *bytes; /* owned */
    size_t size;
    uint64_t txn;
} coming;

static void coming_begin(const struct ipc_in *in)
{
    free(coming.bytes);
    coming.size = (size_t)ipc_get_u64(in, TAG_SIZE);
    coming.bytes = malloc(coming.size + 1);
    coming.txn = ++next_txn;
    assert_true(fd_pread_full(in->fds[0], coming.bytes, coming.size, 0) == (ssize_t)coming.size);
}

static void coming_split(struct strv *header, struct strv *body)
{
    for (size_t i = 0;; i++) {
        assert_true(i + 4 <= coming.size);
        if (memcmp(coming.bytes + i, "\r\n\r\n", 4) == 0) {
            *header = strv_make(coming.bytes, i + 2);
            *body = strv_make(coming.bytes + i + 4, coming.size - i - 4);
            return;
        }
    }
}

/* The answer of a cleanup that finds every address as it stands. */
static void submit_again(const struct ipc_in *in, bool last)
{
    struct strv header, body;
    struct ipc_in group;
    size_t at = 0;

    coming_split(&header, &body);
    ipc_begin(&out, last ? IPC_Q_SUBMIT : IPC_Q_RCPTS, coming.txn);
    while (ipc_next_group(in, TAG_RCPT, &at, &group))
        put_rcpt(&group);
    if (last) {
        assert_true(made_n < COUNT(made));
        made[made_n] = id_new();
        ipc_put_u64(&out, TAG_ID, made[made_n++]);
        ipc_put_text(&out, TAG_SENDER, SV(got.sender));
        ipc_put_u64(&out, TAG_ARRIVAL, 1);
        ipc_put_text(&out, TAG_ORIGIN, SV(got.origin));
        ipc_put_bytes(&out, TAG_HEADER, header);
        ipc_put_bytes(&out, TAG_DATA, body);
        ipc_put_u64(&out, TAG_BODY_SIZE, body.n);
    }
    channel_send(r->cleanup, &out);
}

static void on_head(const struct ipc_in *in)
{
    size_t barred = (size_t)ipc_get_u64(in, TAG_COUNT);

    got.n++;
    got.frames = 0;
    got.txn = in->txn;
    got.about = ipc_get_u64(in, TAG_ID);
    got.rcpts[0] = '\0';
    assert_true(strv_cstr(ipc_get(in, TAG_ORIGIN), got.origin, sizeof got.origin));
    assert_true(strv_cstr(ipc_get(in, TAG_SENDER), got.sender, sizeof got.sender));
    memset(got.barred, 0, sizeof got.barred);
    if (barred < sizeof got.barred)
        assert_true(fd_pread_full(in->fds[0], got.barred, barred, (off_t)ipc_get_u64(in, TAG_SIZE)) ==
                    (ssize_t)barred);
    for (size_t i = 0; i + 1 < barred && i < sizeof got.barred; i++)
        got.barred[i] = got.barred[i] ? got.barred[i] : ' ';
    coming_begin(in);
}

static void on_requeue(struct rig *rig, struct ipc_in *in)
{
    struct ipc_in group;
    size_t at = 0;

    (void)rig;
    if (in->type != IPC_N_REQUEUE && in->type != IPC_N_REQUEUE_RCPTS)
        return;
    if (in->type == IPC_N_REQUEUE)
        on_head(in);
    got.frames++;
    got.most = got.frames > got.most ? got.frames : got.most;
    assert_int_equal(in->txn, got.txn);
    while (ipc_next_group(in, TAG_RCPT, &at, &group)) {
        text_add(ipc_get_u64(&group, TAG_KIND) == REQUEUE_RESOLVE ? SV("resolve ") : SV("keep "));
        text_add(ipc_get(&group, TAG_RCPT));
        text_add(SV(" ("));
        text_add(ipc_get(&group, TAG_ORIGINAL));
        text_add(SV(") "));
    }
    if (obedient)
        submit_again(in, !ipc_has(in, TAG_LAST) || ipc_get_u64(in, TAG_LAST));
}

/* ---- the operator ---- */

struct blocking client;
unsigned done, kept, left;
char reason[600];

void client_open(void)
{
    operator_open(r, &client);
}

static void on_row(const char *kind, const struct rowread_value *v)
{
    if (!v) {
        done += strcmp(kind, "requeued") == 0 || strcmp(kind, "edited") == 0;
        kept += strcmp(kind, "kept") == 0;
        left += strcmp(kind, "left") == 0;
    } else if (strcmp(v->name, "reason") == 0) {
        (void)strv_cstr(v->text, reason, sizeof reason);
    }
}

int answer(uint64_t *cursor)
{
    return operator_answer(r, &client, on_row, cursor);
}

/* Of all that is there, and not of what this call makes of it. */
static uint64_t until;

static void until_now(void)
{
    int64_t last = id_wall_ms(id_new());

    RIG_UNTIL(r, mailq_now_ms(&r->q) > last + 1);
    until = (uint64_t)mailq_now_ms(&r->q);
    RIG_UNTIL(r, id_wall_ms(id_new()) > (int64_t)until);
}

void send_call(const char *act, uint64_t id, const char *const words[][2], uint64_t cursor)
{
    struct err err = { 0 };
    char text[ID_TEXT_SIZE];

    blocking_call(&client, act, cursor);
    if (id) {
        id_text(id, text);
        blocking_text(&client, "id", SV(text));
    } else {
        blocking_number(&client, "all", 1);
        blocking_number(&client, "until", until);
    }
    for (size_t i = 0; words && words[i][0]; i++) {
        if (strcmp(words[i][0], "notify") == 0)
            blocking_number(&client, "notify", 1);
        else
            blocking_text(&client, words[i][0], SV(words[i][1]));
    }
    assert_int_equal(blocking_send(&client, &err), BLOCKING_OK);
}

int call(const char *act, uint64_t id, const char *const words[][2])
{
    uint64_t cursor = 0;
    int code;

    done = kept = left = 0;
    reason[0] = '\0';
    if (!id)
        until_now();
    client_open();
    do {
        send_call(act, id, words, cursor);
        code = answer(&cursor);
    } while (cursor && code == 0);
    blocking_close(&client);
    return code;
}

struct message *message(uint64_t id)
{
    return rig_message(r, id);
}

/* ---- messages ---- */

uint64_t message_new(const char *sender, const char *rcpts, const char *body)
{
    struct strv rest = SV(rcpts), word, to;
    uint64_t id = id_new(), txn = ++next_txn;

    ipc_begin(&out, IPC_Q_SUBMIT, txn);
    ipc_put_u64(&out, TAG_ID, id);
    ipc_put_text(&out, TAG_SENDER, SV(sender));
    while (strv_word(&rest, &word)) {
        bool local = word.p[0] == 'l';

        word = strv_from(word, 2);
        assert_true(strv_cut(&word, '=', &to));
        ipc_group_begin(&out, TAG_RCPT);
        ipc_put_text(&out, TAG_RCPT, to);
        ipc_put_u64(&out, TAG_LOCAL, local);
        if (word.p && strv_cut(&word, '=', &to))
            ipc_put_text(&out, TAG_ORIGINAL, to);
        while (word.p && strv_cut(&word, '=', &to))
            ipc_put_text(&out, TAG_ALSO, to);
        ipc_group_end(&out);
    }
    ipc_put_u64(&out, TAG_ARRIVAL, 1700000000000);
    ipc_put_text(&out, TAG_CLIENT, SV("192.0.2.7"));
    ipc_put_text(&out, TAG_ENVID, SV("env"));
    ipc_put_u64(&out, TAG_RET, 2);
    ipc_put_u64(&out, TAG_BODY_TYPE, 1);
    ipc_put_text(&out, TAG_SID, SV("SID"));
    ipc_put_bytes(&out, TAG_HEADER, SV("Subject: test\r\n"));
    ipc_put_bytes(&out, TAG_DATA, SV(body));
    ipc_put_u64(&out, TAG_BODY_SIZE, strlen(body));
    channel_send(r->cleanup, &out);
    RIG_UNTIL(r, rig_answer(r, txn));
    assert_int_equal(rig_answer(r, txn)->verdict, VERDICT_ACCEPT);
    return id;
}

void over(uint64_t id, const char *list)
{
    store_note(r->q.store, &(struct entry){ .kind = ENTRY_DELIVERED, .id = id, .list = SV(list) });
}

void cleanup_leaves_out(const char *rcpt, enum requeue_left why)
{
    ipc_begin(&out, IPC_N_LEFT_OUT, got.txn);
    ipc_put_text(&out, TAG_RCPT, SV(rcpt));
    ipc_put_u64(&out, TAG_KIND, why);
    channel_send(r->cleanup, &out);
}

void cleanup_says(enum ipc_verdict verdict)
{
    ipc_begin(&out, IPC_N_FORWARDED, got.txn);
    ipc_put_u64(&out, TAG_VERDICT, verdict);
    ipc_put_text(&out, TAG_ENHANCED, SV("5.1.1"));
    ipc_put_text(&out, TAG_TEXT, SV("nobody there"));
    channel_send(r->cleanup, &out);
}

int requeue_setup(void **state)
{
    (void)state;
    r = rig_new();
    r->conf.deliver = false;
    r->other = on_requeue;
    memset(&got, 0, sizeof got);
    made_n = 0;
    obedient = true;
    if (!out.bytes.max)
        ipc_out_init(&out);
    return 0;
}

int requeue_teardown(void **state)
{
    (void)state;
    fault_disarm_all();
    rig_free(r);
    free(coming.bytes);
    coming.bytes = NULL;
    return 0;
}
