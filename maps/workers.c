/* workers.c - questions that may block, spread over worker processes */
#include "maps/workers.h"

#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/ipc/question.h"
#include "common/net/loop.h"

#include <stdlib.h>

#define WORKERS_MAX        32u
#define WORKER_PENDING_MAX 200u  /* beyond it a worker hangs, and waiting longer would not help */
#define WORKER_DEADLINE_MS 8000  /* two of them, one behind the other, fit into what askers of mapd wait */
#define WORKER_ITEMS_MAX   200u

/* Answers are kept for seconds: a burst of mail to one user is one look-up, a new user has mail soon. */
#define KNOWN_FOUND_MS  10000
#define KNOWN_ABSENT_MS 2000
#define KNOWN_MAX       4096u

struct worker {
    struct workers *all;
    struct channel *ch; /* owned; NULL while it is away */
    struct asker *asker;
    unsigned index;
    unsigned joined; /* channels so far */
    bool late;       /* it missed a deadline and was not heard since: others are asked */
    worker_checked *checked; /* whom the password that it checks now is for; NULL: none */
    void *checked_arg;
};

struct known {
    int64_t until;
    enum ipc_answer answer;
    size_t n;
    char value[];
};

struct pending {
    struct workers *all;
    struct worker *worker; /* that has it now */
    unsigned joined;       /* the worker's when it got it */
    bool again;            /* asked for the second time */
    uint64_t id, handle;
    worker_done *done;
    void *arg;
    struct buf keys; /* cache keys of the items, one behind the other */
    size_t *ends;
    size_t n;
};

struct workers {
    struct loop *loop;
    struct worker *list[WORKERS_MAX];
    struct dict *known; /* cache key -> struct known */
    struct dict *open;  /* id -> struct pending */
    uint64_t last_id;
    struct ipc_out out;
    struct buf key;
};

/* ---- what is known ---- */

static void known_key(struct strv map, struct strv key, struct buf *out)
{
    buf_addv(out, map);
    buf_addc(out, '\0');
    buf_addv(out, key);
}

bool workers_known(struct workers *w, const struct worker_item *item, struct worker_answer *out)
{
    struct known *k;

    buf_reset(&w->key);
    known_key(item->map, item->key, &w->key);
    k = dict_get(w->known, buf_view(&w->key));
    if (!k || k->until <= loop_now(w->loop))
        return false;
    *out = (struct worker_answer){ .answer = k->answer, .value = { k->value, k->n } };
    return true;
}

static void remember(struct workers *w, struct strv key, enum ipc_answer answer, struct strv value)
{
    struct known *k = mem_new(sizeof *k + value.n);

    /* Emptied at once rather than entry by entry: it fills again within seconds by what is really asked. */
    if (dict_count(w->known) >= KNOWN_MAX) {
        dict_free(&w->known, free);
        w->known = dict_new();
    }
    k->until = loop_now(w->loop) + (answer == ANSWER_FOUND ? KNOWN_FOUND_MS : KNOWN_ABSENT_MS);
    k->answer = answer;
    k->n = value.n;
    memcpy(k->value, value.p, value.n);
    free(dict_set(w->known, key, k));
}

/* ---- asking ---- */

static void pending_free(void *value)
{
    struct pending *p = value;

    buf_clear(&p->keys);
    free(p->ends);
    free(p);
}

static struct strv pending_key(const struct pending *p, size_t i)
{
    size_t from = i ? p->ends[i - 1] : 0;

    return strv_sub(buf_view(&p->keys), from, p->ends[i] - from);
}

static void learn(struct pending *p, const struct worker_answer *a)
{
    size_t absent = a->answer == ANSWER_FOUND ? a->index : a->answer == ANSWER_ABSENT ? p->n : 0;

    for (size_t i = 0; i < absent; i++)
        remember(p->all, pending_key(p, i), ANSWER_ABSENT, SV_LIT(""));
    if (a->answer == ANSWER_FOUND)
        remember(p->all, pending_key(p, a->index), ANSWER_FOUND, a->value);
}

/* A late one has its deadlines behind it and so looks idle: it must not win for that. */
static struct worker *least_busy(struct workers *w, const char **why)
{
    struct worker *best = NULL;
    bool late = false;

    for (size_t i = 0; i < WORKERS_MAX; i++) {
        struct worker *k = w->list[i];

        if (k && k->ch && k->late)
            late = true;
        else if (k && k->ch && (!best || asker_pending(k->asker) < asker_pending(best->asker)))
            best = k;
    }
    *why = late ? "no worker answers" : "no worker is there";
    if (best && asker_pending(best->asker) >= WORKER_PENDING_MAX) {
        *why = "all workers are busy";
        best = NULL;
    }
    return best;
}

static void on_answer(void *arg, struct ipc_in *in);

static void ask(struct pending *p, struct worker *k)
{
    struct workers *w = p->all;

    p->worker = k;
    p->joined = k->joined;
    ipc_begin(&w->out, IPC_MAP_QUERY, asker_txn(k->asker));
    for (size_t i = 0; i < p->n; i++) {
        struct strv key = pending_key(p, i), map;

        strv_cut(&key, '\0', &map);
        ipc_group_begin(&w->out, TAG_ITEM);
        ipc_put_text(&w->out, TAG_MAP, map);
        ipc_put_text(&w->out, TAG_KEY, key);
        ipc_group_end(&w->out);
    }
    p->handle = asker_ask(k->asker, &w->out, WORKER_DEADLINE_MS, on_answer, p);
}

/* The deadline passed, and nothing else: another worker may know, but two are enough for one question. */
static bool ask_another(struct pending *p)
{
    struct worker *k = p->worker;
    const char *why;

    if (!k->ch || k->joined != p->joined)
        return false;
    if (!k->late)
        LOG(WARN, "mapd.worker.late", KI("index", k->index), KI("pending", asker_pending(k->asker) + 1));
    k->late = true;
    k = p->again ? NULL : least_busy(p->all, &why);
    if (!k)
        return false;
    p->again = true;
    ask(p, k);
    return true;
}

static void on_answer(void *arg, struct ipc_in *in)
{
    struct pending *p = arg;
    struct worker_answer a = { .answer = ANSWER_FAILED, .why = SV_LIT("the worker is gone or late") };

    if (!in && ask_another(p))
        return;
    if (in) {
        a.answer = (enum ipc_answer)ipc_get_u64(in, TAG_ANSWER);
        a.index = ipc_get_u64(in, TAG_INDEX);
        a.value = ipc_get(in, TAG_VALUE);
        a.why = ipc_get(in, TAG_ERROR);
    }
    if (a.answer == ANSWER_FOUND && a.index >= p->n) {
        a.answer = ANSWER_FAILED;
        a.why = SV_LIT("the worker answered another question");
    }
    learn(p, &a);
    dict_pop_u64(p->all->open, p->id);
    p->done(p->arg, &a);
    pending_free(p);
}

uint64_t workers_ask(struct workers *w, const struct worker_item *items, size_t n, worker_done *done,
                     void *arg, const char **why)
{
    struct worker *k = least_busy(w, why);
    struct pending *p;

    if (!k || n > WORKER_ITEMS_MAX)
        return 0;
    p = mem_new(sizeof *p);
    *p = (struct pending){ .all = w, .id = ++w->last_id, .done = done, .arg = arg, .n = n };
    p->ends = mem_array(n, sizeof *p->ends);
    buf_init(&p->keys, 1u << 20);
    for (size_t i = 0; i < n; i++) {
        known_key(items[i].map, items[i].key, &p->keys);
        p->ends[i] = p->keys.len;
    }
    ask(p, k);
    dict_set_u64(w->open, p->id, p);
    return p->id;
}

/* ---- passwords ---- */

bool workers_any(const struct workers *w)
{
    for (size_t i = 0; i < WORKERS_MAX; i++)
        if (w->list[i] && w->list[i]->ch)
            return true;
    return false;
}

/* The highest numbers first: least_busy prefers the lowest. */
static struct worker *free_for_check(struct workers *w)
{
    struct worker *best = NULL;
    size_t there = 0, checking = 0;

    for (size_t i = 0; i < WORKERS_MAX; i++) {
        struct worker *k = w->list[i];

        if (!k || !k->ch || k->late)
            continue;
        there++;
        checking += k->checked != NULL;
        if (!k->checked)
            best = k;
    }
    return there > 1 && checking + 1 >= there ? NULL : best;
}

static void on_checked(void *arg, struct ipc_in *in)
{
    struct worker *k = arg;
    worker_checked *done = k->checked;

    k->checked = NULL;
    done(k->checked_arg, in);
}

bool workers_check(struct workers *w, struct strv stored, struct strv password, worker_checked *done,
                   void *arg)
{
    struct worker *k = free_for_check(w);
    struct ipc_out out;

    if (!k)
        return false;
    k->checked = done;
    k->checked_arg = arg;
    ipc_out_init(&out);
    out.bytes.secret = true;
    ipc_begin(&out, IPC_AUTH_CHECK, asker_txn(k->asker));
    ipc_put_bytes(&out, TAG_VALUE, stored);
    ipc_put_bytes(&out, TAG_DATA, password);
    asker_ask(k->asker, &out, WORKER_DEADLINE_MS, on_checked, k);
    ipc_out_clear(&out);
    return true;
}

void workers_cancel(struct workers *w, uint64_t handle)
{
    struct pending *p = handle ? dict_pop_u64(w->open, handle) : NULL;

    if (!p)
        return;
    asker_cancel(p->worker->asker, p->handle);
    pending_free(p);
}

/* ---- channels ---- */

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct worker *k = arg;

    (void)ch;
    k->late = false;
    if (in->type == IPC_MAP_ANSWER || in->type == IPC_AUTH_ANSWER)
        asker_answer(k->asker, in);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct worker *k = arg;

    (void)ch;
    if (asker_pending(k->asker))
        LOG(WARN, "mapd.worker.lost", KI("index", k->index), KS("why", why),
            KI("pending", asker_pending(k->asker)));
    asker_set_channel(k->asker, NULL);
    channel_free(&k->ch);
}

static const struct channel_ops ops = { .frame = on_frame, .lost = on_lost };

void workers_edge(struct workers *w, unsigned index, int fd)
{
    struct worker *k;

    if (index >= WORKERS_MAX)
        die("worker number %u", index);
    k = w->list[index];
    if (!k) {
        k = w->list[index] = mem_new(sizeof *k);
        k->all = w;
        k->index = index;
        k->asker = asker_new(w->loop);
    }
    asker_set_channel(k->asker, NULL);
    channel_free(&k->ch);
    k->joined++;
    k->late = false;
    k->ch = channel_new(w->loop, fd, ROLE_MAPD, ROLE_MAPD_WORKER, index, &ops, k);
    asker_set_channel(k->asker, k->ch);
}

struct workers *workers_new(struct loop *loop)
{
    struct workers *w = mem_new(sizeof *w);

    w->loop = loop;
    w->known = dict_new();
    w->open = dict_new();
    ipc_out_init(&w->out);
    buf_init(&w->key, 4096);
    return w;
}

void workers_free(struct workers **wp)
{
    struct workers *w = *wp;

    if (!w)
        return;
    *wp = NULL;
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        if (!w->list[i])
            continue;
        asker_free(&w->list[i]->asker);
        channel_free(&w->list[i]->ch);
        free(w->list[i]);
    }
    dict_free(&w->open, pending_free);
    dict_free(&w->known, free);
    ipc_out_clear(&w->out);
    buf_clear(&w->key);
    free(w);
}
