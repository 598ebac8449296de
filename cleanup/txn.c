/* txn.c - the transaction object */
#include "cleanup/txn.h"

#include "cleanup/doubt.h"
#include "cleanup/drop.h"
#include "cleanup/forward.h"
#include "cleanup/notice.h"
#include "cleanup/requeue.h"
#include "cleanup/resolve.h"
#include "cleanup/service.h"
#include "cleanup/stray.h"
#include "common/base/dict.h"
#include "common/base/mem.h"
#include "common/mail/params.h"

#include <stdio.h>
#include <stdlib.h>

/* A thousand recipients of the longest kind with ORCPT; over it a recipient is refused, not the process
 * ended. */
#define WORDS_MAX     (4u * 1024u * 1024u)
#define BODY_HELD_MAX (1024u * 1024u) /* above what credit lets smtpd send ahead (IPC_CREDIT_START) */
#define INDEX_FROM    24              /* finals that are searched one by one */
#define FINAL_KEY_MAX 8192
#define ALSO_EACH     8   /* addresses that led to one recipient besides the first; what is over is "*" */
#define ALSO_MAX      256 /* of a transaction */
#define POOL_MAX      64
#define POOL_BUF_MAX  (128u * 1024u) /* larger buffers are given back instead of pooled */

struct txn *txn_new(struct cleanup *cl)
{
    struct txn *t = cl->pool;

    if (t) {
        cl->pool = t->cl_next;
        cl->pooled--;
    } else {
        t = mem_new(sizeof *t);
        buf_init(&t->words, WORDS_MAX);
        buf_init(&t->head, HEADER_SIZE_MAX + STRAY_MAX + IPC_CHUNK_MAX);
        buf_init(&t->new_head, HEADER_SIZE_MAX + 16384);
        buf_init(&t->body, BODY_HELD_MAX);
    }
    t->cl = cl;
    t->cl_next = NULL;
    t->rcpts_tail = &t->rcpts;
    header_scan_init(&t->scan);
    cl->live++;
    return t;
}

static void buf_recycle(struct buf *b)
{
    if (b->cap > POOL_BUF_MAX)
        buf_clear(b);
    else
        buf_reset(b);
}

static void free_contents(struct txn *t)
{
    while (t->rcpts) {
        struct txn_rcpt *r = t->rcpts;

        t->rcpts = r->next;
        resolve_free(&r->resolve);
        if (r->question)
            maps_cancel(t->cl->maps, r->question);
        free(r);
    }
    MEM_FREE(t->finals);
    MEM_FREE(t->also);
    dict_free(&t->final_index, NULL);
    notice_free(&t->notice);
    drop_free(&t->drop);
    forward_free(&t->forward);
    doubt_forget(t);
}

void txn_free(struct txn **tp)
{
    struct txn *t = *tp;
    struct cleanup *cl;
    struct txn blank = { 0 };

    if (!t)
        return;
    *tp = NULL;
    cl = t->cl;
    cl->live--;
    free_contents(t);
    if (cl->pooled >= POOL_MAX) {
        buf_clear(&t->words);
        buf_clear(&t->head);
        buf_clear(&t->new_head);
        buf_clear(&t->body);
        free(t);
        return;
    }
    /* A pooled transaction keeps its memory and nothing else: no byte of one message reaches the next. */
    buf_recycle(&t->words);
    buf_recycle(&t->head);
    buf_recycle(&t->new_head);
    buf_recycle(&t->body);
    blank.words = t->words;
    blank.words.max = WORDS_MAX;
    blank.head = t->head;
    blank.new_head = t->new_head;
    blank.body = t->body;
    *t = blank;
    t->cl_next = cl->pool;
    cl->pool = t;
    cl->pooled++;
}

void txn_pool_clear(struct cleanup *cl)
{
    while (cl->pool) {
        struct txn *t = cl->pool;

        cl->pool = t->cl_next;
        buf_clear(&t->words);
        buf_clear(&t->head);
        buf_clear(&t->new_head);
        buf_clear(&t->body);
        free(t);
    }
    cl->pooled = 0;
}

struct span txn_keep(struct txn *t, struct strv s)
{
    struct span span = { t->words.len, s.n };

    if (!s.n)
        return (struct span){ 0 };
    buf_addv(&t->words, s);
    return span;
}

struct txn_rcpt *txn_rcpt_add(struct txn *t, struct strv rcpt)
{
    struct txn_rcpt *r = mem_new(sizeof *r);

    r->txn = t;
    r->rcpt = txn_keep(t, rcpt);
    *t->rcpts_tail = r;
    t->rcpts_tail = &r->next;
    t->rcpt_n++;
    return r;
}

static bool final_same(const struct txn *t, const struct txn_final *f, struct strv address, bool local,
                       struct strv target)
{
    if (f->local != local || !strv_eq(txn_view(t, f->target), target))
        return false;
    /* RFC 5321 2.4: the case of a local part means nothing only to those who own the domain. */
    return local ? strv_ieq(txn_view(t, f->rcpt), address) : strv_eq(txn_view(t, f->rcpt), address);
}

static struct strv final_key(struct buf *key, struct strv address, bool local, struct strv target)
{
    buf_addc(key, local ? 'l' : 'r');
    if (local)
        key_lower(address, key);
    else
        buf_addv(key, address);
    /* No address and no target holds a line feed. */
    if (target.n)
        buf_addc(key, '\n');
    buf_addv(key, target);
    return buf_view(key);
}

/* Instead of a place: the address is barred; the same, and queued was told so. */
#define NOWHERE (SIZE_MAX - 1)
#define TOLD    SIZE_MAX

/* 1 + its place in finals; NOWHERE or more; 0: it is not there. */
static size_t final_find(struct txn *t, struct strv address, bool local, struct strv target)
{
    struct buf key;
    size_t found;

    if (!t->final_index) {
        for (size_t i = 0; i < t->final_n; i++)
            if (final_same(t, &t->finals[i], address, local, target))
                return 1 + i;
        return 0;
    }
    buf_init(&key, FINAL_KEY_MAX);
    found = (uintptr_t)dict_get(t->final_index, final_key(&key, address, local, target));
    buf_clear(&key);
    return found;
}

static void index_add(struct txn *t, size_t i)
{
    const struct txn_final *f = &t->finals[i];
    struct buf key;

    buf_init(&key, FINAL_KEY_MAX);
    dict_set(t->final_index, final_key(&key, txn_view(t, f->rcpt), f->local, txn_view(t, f->target)),
             (void *)(uintptr_t)(1 + i));
    buf_clear(&key);
}

static void final_nowhere(struct txn *t, struct strv address, bool local, struct strv target, size_t what)
{
    struct buf key;

    if (!t->final_index) {
        t->final_index = dict_new();
        for (size_t i = 0; i < t->final_n; i++)
            index_add(t, i);
    }
    buf_init(&key, FINAL_KEY_MAX);
    dict_set(t->final_index, final_key(&key, address, local, target), (void *)(uintptr_t)what);
    buf_clear(&key);
}

void txn_final_bar(struct txn *t, struct strv address, bool local, struct strv target)
{
    final_nowhere(t, address, local, target, NOWHERE);
}

/* What notices call it. The owner of a list, whose mail this is, must hear which member fails. */
static struct span known_as(const struct txn *t, const struct txn_rcpt *r)
{
    return t->forward && !r->given.n ? (struct span){ 0, 0 } : r->given.n ? r->given : r->rcpt;
}

/* Two addresses of the transaction lead to f. Who sends the message through here again must look for both:
   only one may lead elsewhere by then. */
static void also_add(struct txn *t, struct txn_final *f, struct span address)
{
    struct strv name = txn_view(t, address);
    unsigned n = 0;

    if (!name.n || strv_eq(name, txn_view(t, f->original)) ||
        (f->also && strv_is(txn_view(t, t->also[f->also - 1].address), "*")))
        return;
    for (uint32_t i = f->also; i; i = t->also[i - 1].next, n++)
        if (strv_eq(txn_view(t, t->also[i - 1].address), name))
            return;
    if (n == ALSO_EACH || t->also_n >= ALSO_MAX)
        address = txn_keep(t, SV_LIT("*"));
    if (t->also_n == t->also_cap) {
        t->also_cap = t->also_cap ? t->also_cap * 2 : 4;
        t->also = mem_resize(t->also, t->also_cap, sizeof *t->also);
    }
    t->also[t->also_n++] = (struct txn_also){ .address = address, .next = f->also };
    f->also = t->also_n;
}

#define NOTIFY_DEFAULT (PARAM_NOTIFY_FAILURE | PARAM_NOTIFY_DELAY) /* RFC 3461 4.1 */

/* r leads to f as well: one delivery, so one set of wishes. What either asked to hear is heard, and who asked
   for more is whom a receipt names. */
static void also_wants(struct txn *t, struct txn_final *f, const struct txn_rcpt *r)
{
    uint64_t has = f->has_notify ? f->notify : NOTIFY_DEFAULT;
    uint64_t more = (r->has_notify ? r->notify : NOTIFY_DEFAULT) & ~(uint64_t)PARAM_NOTIFY_NEVER & ~has;
    struct span name = known_as(t, r), before = f->original;

    if (more) {
        f->notify = (has | more) & ~(uint64_t)PARAM_NOTIFY_NEVER;
        f->has_notify = true;
    }
    if (name.n && (more & PARAM_NOTIFY_SUCCESS || (more && has == PARAM_NOTIFY_NEVER))) {
        f->original = name;
        f->orcpt = r->orcpt;
        name = before;
    }
    also_add(t, f, name);
}

static void final_add(struct txn *t, const struct txn_rcpt *r, struct strv address, bool local,
                      struct strv target)
{
    size_t there = final_find(t, address, local, target);
    struct txn_final *f;

    if (there == NOWHERE) {
        final_nowhere(t, address, local, target, TOLD);
        requeue_left_out(t, LEFT_HAS_IT, address, txn_view(t, known_as(t, r)));
    }
    if (there && there < NOWHERE && (!t->forward || t->again))
        also_wants(t, &t->finals[there - 1], r);
    if (there)
        return;
    if (t->final_n == t->final_cap) {
        t->final_cap = t->final_cap ? t->final_cap * 2 : 4;
        t->finals = mem_resize(t->finals, t->final_cap, sizeof *t->finals);
    }
    f = &t->finals[t->final_n++];
    *f = (struct txn_final){ .rcpt = txn_keep(t, address),
                             .original = known_as(t, r),
                             .orcpt = r->orcpt,
                             .target = txn_keep(t, target),
                             .notify = r->notify,
                             .has_notify = r->has_notify,
                             .local = local };
    if (t->final_index) {
        index_add(t, t->final_n - 1);
    } else if (t->final_n == INDEX_FROM) {
        t->final_index = dict_new();
        for (size_t i = 0; i < t->final_n; i++)
            index_add(t, i);
    }
}

void txn_final_add(struct txn *t, const struct txn_rcpt *r, struct strv address, bool local)
{
    final_add(t, r, address, local, SV_LIT(""));
}

void txn_final_add_target(struct txn *t, const struct txn_rcpt *r, struct strv address, struct strv target)
{
    final_add(t, r, address, true, target);
}

void txn_final_leaf(struct txn *t, const struct txn_rcpt *r, const struct resolve_leaf *leaf)
{
    final_add(t, r, leaf->address, leaf->local, leaf->target);
}

static void body_add(struct txn *t, struct strv bytes)
{
    t->body_size += bytes.n;
    if (!txn_is_refused(t))
        buf_addv(&t->body, bytes);
}

/* head holds the message's beginning and the scan knows where the header ends: the rest is body. */
static void head_split(struct txn *t)
{
    struct strv rest = strv_from(buf_view(&t->head), t->scan.body_at);

    t->head_done = true;
    body_add(t, rest);
    buf_cut(&t->head, t->scan.header_len);
}

/* The header of an own client ended at a bad line: what stands below it may be fields all the same. */
static void head_stray(struct txn *t, bool over)
{
    struct strv head = buf_view(&t->head);
    size_t at = t->scan.body_at, end = head.n - at > STRAY_MAX ? at + STRAY_MAX : head.n;
    struct buf kept;

    if (!stray_is_whole(strv_sub(head, 0, end), at, &t->stray_looked, &end) && !over && end - at < STRAY_MAX)
        return;
    buf_init(&kept, HEADER_SIZE_MAX + IPC_CHUNK_MAX);
    stray_copy(strv_sub(head, at, end - at), t->scan.fields, &kept);
    t->head_done = true;
    body_add(t, buf_view(&kept));
    body_add(t, strv_from(head, end));
    buf_clear(&kept);
    buf_cut(&t->head, t->scan.header_len);
}

static void head_judge(struct txn *t, enum header_end end);

static void head_malformed(struct txn *t)
{
    size_t separator = t->scan.header_len == 0 && !t->unboxed ? stray_from_line(buf_view(&t->head)) : 0;

    if (!t->own) {
        head_split(t);
    } else if (separator) {
        t->unboxed = true;
        buf_drop(&t->head, separator);
        header_scan_init(&t->scan);
        head_judge(t, header_scan(&t->scan, buf_view(&t->head)));
    } else {
        t->stray = true;
        t->stray_looked = t->scan.body_at;
        head_stray(t, false);
    }
}

static void head_judge(struct txn *t, enum header_end end)
{
    switch (end) {
    case HEADER_MORE: return;
    case HEADER_END: head_split(t); return;
    case HEADER_END_MALFORMED: head_malformed(t); return;
    case HEADER_TOO_BIG:
        t->head_done = true;
        buf_cut(&t->head, 0);
        txn_refuse(t, VERDICT_REFUSE, 552, "5.3.4", "The header of the message is too big", "header size");
        return;
    }
}

void txn_data(struct txn *t, struct strv bytes)
{
    t->received += bytes.n;
    if (txn_is_refused(t))
        return;
    if (t->head_done) {
        body_add(t, bytes);
        return;
    }
    buf_addv(&t->head, bytes);
    if (t->stray)
        head_stray(t, false);
    else
        head_judge(t, buf_ok(&t->head) ? header_scan(&t->scan, buf_view(&t->head)) : HEADER_TOO_BIG);
}

void txn_data_end(struct txn *t)
{
    if (!t->head_done && !t->stray && !txn_is_refused(t))
        head_judge(t, header_scan_finish(&t->scan, buf_view(&t->head)));
    if (!t->head_done && t->stray && !txn_is_refused(t))
        head_stray(t, true);
    /* A last line without an end: whatever is written behind it would become part of it. */
    if (t->head.len && t->head.data[t->head.len - 1] != '\n')
        buf_adds(&t->head, "\r\n");
}

void txn_refuse(struct txn *t, enum ipc_verdict verdict, int code, const char *enhanced, const char *text,
                const char *rule)
{
    struct txn_reply *r = &t->refused;

    if (txn_is_refused(t))
        return;
    *r = (struct txn_reply){ .verdict = verdict, .code = code };
    snprintf(r->enhanced, sizeof r->enhanced, "%s", enhanced);
    snprintf(r->text, sizeof r->text, "%s", text);
    snprintf(r->rule, sizeof r->rule, "%s", rule ? rule : "");
    buf_reset(&t->body);
}
