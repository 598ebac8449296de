/* trace.c - mtactl trace: what became of a message, an address, a Message-ID */
#include "mtactl/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/print.h"
#include "mtactl/selector.h"
#include "mtactl/trace_words.h"

#define LIMIT     20u /* messages */
#define PART_WAIT_MS 2000 /* what is shown of the queue does not wait for a history that hangs */
#define LIMIT_MAX 1000u
#define AT_ONCE   30u    /* ids of one question */
#define ROWS_MAX  20000u /* lines in memory: a mailing to half the world has more */
#define ROWS_LEAST 100u  /* of one story */

/* One message, or one session that led to none. */
struct story {
    char id[64];
    bool sid;      /* id is a session's */
    uint64_t from; /* time of its first step */
    uint64_t results, others; /* lines of single recipients, and of the message, that are there */
    uint64_t left;            /* lines that found no room */
};

struct trace {
    struct tool *t;
    struct strv key, to; /* to: the recipient that is asked for; empty: all */
    bool named;            /* a step is about him */
    uint64_t since, limit; /* seconds since 1970; stories */
    struct rows found;     /* of the key: of sessions that led to no message */
    size_t seen;           /* of the key */
    struct story *stories; /* owned */
    size_t n, cap;
    bool more;     /* stories that were left out */
    uint64_t left; /* lines that found no room */
    struct row state; /* of the history; kind NULL: not told */
};

void trace_when(struct buf *out, uint64_t wall_ms)
{
    time_t when = (time_t)(wall_ms / 1000);
    char text[64] = "";
    struct tm tm;

    if (localtime_r(&when, &tm))
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
    buf_addf(out, "%s.%03u", text, (unsigned)(wall_ms % 1000));
}

/* ---- stories ---- */

static struct strv story_id(const struct row *r, bool *sid)
{
    struct strv id = row_text(r, "id");

    *sid = id.n == 0;
    return *sid ? row_text(r, "sid") : id;
}

static struct story *story_find(struct trace *tr, struct strv id)
{
    for (size_t i = 0; i < tr->n; i++) {
        if (strv_is(id, tr->stories[i].id))
            return &tr->stories[i];
    }
    return NULL;
}

static void story_meet(struct trace *tr, const struct row *r)
{
    struct story *s;
    bool sid;
    struct strv id = story_id(r, &sid);

    if (id.n == 0 || story_find(tr, id))
        return;
    if (tr->n == tr->limit) {
        tr->more = true;
        return;
    }
    if (tr->n == tr->cap) {
        tr->cap = tr->cap ? tr->cap * 2 : 32;
        tr->stories = mem_resize(tr->stories, tr->cap, sizeof *tr->stories);
    }
    s = &tr->stories[tr->n++];
    *s = (struct story){ .sid = sid, .from = UINT64_MAX };
    if (!strv_cstr(id, s->id, sizeof s->id))
        tr->n--;
}

/* ---- questions ---- */

struct collecting {
    struct trace *tr;
    struct ask *a;
    struct rows *rows;
    void (*step)(struct collecting *c, struct row *r);
};

static void on_row(void *arg, struct row *r)
{
    struct collecting *c = arg;

    if (strcmp(r->kind, "step") == 0) {
        c->step(c, r);
    } else if (!c->tr->state.kind) {
        struct rows one = { 0 };

        rows_take(&one, r);
        c->tr->state = one.list[0];
        free(one.list);
    }
}

static bool is_of(const struct row *r, struct strv recipient)
{
    static const char *const names[] = { "to", "orig_to", "rcpt" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strv_ieq(row_text(r, names[i]), recipient))
            return true;
    }
    return false;
}

/* Of the key: whose stories are to be told. Those of messages are asked for in whole afterwards. */
static void key_step(struct collecting *c, struct row *r)
{
    struct trace *tr = c->tr;

    tr->more = tr->more || tr->seen++ >= ROWS_MAX;
    if (!tr->more)
        story_meet(tr, r);
    if (!tr->more && row_text(r, "id").n == 0) {
        tr->named = tr->named || is_of(r, tr->to);
        rows_take(c->rows, r);
    }
    c->a->enough = tr->more;
}

/* What became of one recipient, of whom a message may have any number. */
static bool is_result(const struct row *r)
{
    struct strv event = row_text(r, "event");

    return strv_is(event, "delivery.result") || strv_is(event, "queue.requeue.left");
}

/* Of a story. Each has its share of the memory, and what is said of the message as a whole one of its own:
   the results of the last recipients must not cost its beginning. */
static void story_step(struct collecting *c, struct row *r)
{
    struct trace *tr = c->tr;
    uint64_t share = ROWS_MAX / (tr->n ? tr->n : 1), *count;
    bool sid, result = is_result(r), of = is_of(r, tr->to);
    struct story *s = story_find(tr, story_id(r, &sid));

    if (!s || (result && tr->to.n && !of))
        return;
    tr->named = tr->named || of;
    count = result ? &s->results : &s->others;
    if (*count >= (share > ROWS_LEAST ? share : ROWS_LEAST)) {
        s->left++;
        tr->left++;
        return;
    }
    ++*count;
    rows_take(c->rows, r);
}

/* For who shows more than the history. */
static void any_step(struct collecting *c, struct row *r)
{
    rows_take(c->rows, r);
    c->a->enough = c->rows->n >= ROWS_MAX;
}

static void find_init(struct ask *a, struct collecting *c, uint64_t since)
{
    *a = (struct ask){ .role = ROLE_HISTORYD, .act = "find", .row = on_row, .arg = c };
    c->a = a;
    if (since)
        ask_number(a, "since", since);
}

/* The newest come first, so what is met first is what the limit keeps. */
static int find_key(struct trace *tr, struct ask *a)
{
    struct collecting c = { .tr = tr, .rows = &tr->found, .step = key_step };

    find_init(a, &c, tr->since);
    ask_text(a, "key", tr->key);
    return ask_run(a, tr->t);
}

/* Every line of those messages, also those that the key is not in, and older ones. */
static int find_stories(struct trace *tr, struct ask *a, struct rows *out)
{
    size_t at = 0;

    a->code = 0;
    while (at < tr->n && a->code == 0) {
        struct collecting c = { .tr = tr, .rows = out, .step = story_step };
        size_t keys = 0;

        find_init(a, &c, 0);
        for (; at < tr->n && keys < AT_ONCE; at++) {
            if (!tr->stories[at].sid)
                keys += ask_text(a, "key", SV(tr->stories[at].id));
        }
        if (keys)
            ask_run(a, tr->t);
    }
    return a->code;
}

/* ---- order ---- */

struct order {
    uint64_t at;
    size_t i;
};

/* The newest came first, also of those of one millisecond. */
static int by_time(const void *a, const void *b)
{
    const struct order *x = a, *y = b;

    if (x->at != y->at)
        return x->at > y->at ? 1 : -1;
    return (x->i < y->i) - (x->i > y->i);
}

static void rows_order(struct rows *rows)
{
    struct order *order = mem_resize(NULL, rows->n + 1, sizeof *order);
    struct row *sorted = mem_resize(NULL, rows->n + 1, sizeof *sorted);

    for (size_t i = 0; i < rows->n; i++)
        order[i] = (struct order){ .at = row_number(&rows->list[i], "at"), .i = i };
    qsort(order, rows->n, sizeof *order, by_time);
    for (size_t i = 0; i < rows->n; i++)
        sorted[i] = rows->list[order[i].i];
    free(order);
    free(rows->list);
    rows->list = sorted;
    rows->cap = rows->n + 1;
}

static int by_begin(const void *a, const void *b)
{
    const struct story *x = a, *y = b;

    return (x->from > y->from) - (x->from < y->from);
}

static void stories_order(struct trace *tr, struct rows *rows)
{
    rows_order(rows);
    for (size_t i = 0; i < rows->n; i++) {
        bool sid;
        struct story *s = story_find(tr, story_id(&rows->list[i], &sid));

        if (s && s->from == UINT64_MAX)
            s->from = row_number(&rows->list[i], "at");
    }
    if (tr->n)
        qsort(tr->stories, tr->n, sizeof *tr->stories, by_begin);
}

/* ---- output ---- */

static bool is_end(const struct row *r)
{
    static const char *const ends[] = { "queue.message.finished", "queue.message.deleted",
                                        "cleanup.message.discarded" };

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (strv_is(row_text(r, "event"), ends[i]))
            return true;
    }
    return false;
}

/* Whether queued has it now. */
static bool is_queued(struct tool *t, const char *id)
{
    struct rows rows = { 0 };
    struct ask a = { .role = ROLE_QUEUED, .act = "show", .row = ask_collect, .arg = &rows };
    bool is;

    ask_text(&a, "id", SV(id));
    is = ask_run(&a, t) == 0;
    rows_clear(&rows);
    return is;
}

static void queued_row(struct tool *t, const char *id)
{
    struct rows one = { 0 };

    if (t->json) {
        struct row *q = rows_add(&one, "queued");

        row_put(q, "id", SV(id));
        tool_rows(t, &one);
        rows_clear(&one);
    } else {
        buf_addf(&t->out, "  it is in the queue now: mtactl queue show %s\n", id);
    }
}

static void step_put(struct tool *t, const struct row *r)
{
    if (t->json) {
        tool_row(t, r);
        return;
    }
    buf_adds(&t->out, "  ");
    trace_when(&t->out, row_number(r, "at"));
    buf_addf(&t->out, "  %-12.*s ", (int)row_text(r, "daemon").n, row_text(r, "daemon").p);
    trace_words(&t->out, r);
    buf_addc(&t->out, '\n');
}

static void story_head(struct tool *t, const struct story *s, const struct rows *rows)
{
    if (t->json)
        return;
    buf_addf(&t->out, "%s%s", s->sid ? "session " : "", s->id);
    for (size_t i = 0; i < rows->n; i++) {
        struct strv message_id = row_text(&rows->list[i], "message_id");

        if (message_id.n && strv_is(row_text(&rows->list[i], "id"), s->id)) {
            buf_adds(&t->out, "  Message-ID ");
            print_safe(&t->out, message_id);
            break;
        }
    }
    buf_addc(&t->out, '\n');
}

static void left_put(struct tool *t, const struct story *s)
{
    struct rows one = { 0 };
    struct row *left;

    if (!t->json) {
        buf_addf(&t->out,
                 "  %" PRIu64
                 " older steps of it are not shown: --to RECIPIENT shows those of one recipient\n",
                 s->left);
        return;
    }
    left = rows_add(&one, "left");
    row_put(left, "id", SV(s->id));
    row_put_number(left, "steps", s->left);
    tool_rows(t, &one);
    rows_clear(&one);
}

static void story_put(struct trace *tr, const struct story *s, const struct rows *rows)
{
    bool ended = false, stored = false;

    story_head(tr->t, s, rows);
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *r = &rows->list[i];
        bool sid;

        if (!strv_is(story_id(r, &sid), s->id))
            continue;
        step_put(tr->t, r);
        ended = ended || is_end(r);
        stored = stored || strv_is(row_text(r, "event"), "queue.message.stored") ||
                 strv_is(row_text(r, "event"), "delivery.result");
    }
    if (s->left)
        left_put(tr->t, s);
    if (!s->sid && stored && !ended && is_queued(tr->t, s->id))
        queued_row(tr->t, s->id);
    tool_flush(tr->t);
}

static void reach_put(struct trace *tr)
{
    struct tool *t = tr->t;
    uint64_t since = row_number(&tr->state, "since"), lost = row_number(&tr->state, "lost");

    if (!tr->state.kind)
        return;
    if (t->json) {
        tool_row(t, &tr->state);
        return;
    }
    if (tr->n == 0 && since) {
        buf_adds(&t->out, "the history goes back to ");
        trace_when(&t->out, since * 1000);
        buf_addc(&t->out, '\n');
    }
    if (lost)
        buf_addf(&t->out, "%" PRIu64 " lines were lost on their way since historyd was started\n", lost);
}

/* ---- the command ---- */

static bool options_take(struct trace *tr, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        uint64_t seconds;

        if (strcmp(argv[i], "--since") == 0 && i + 1 < argc && selector_age(SV(argv[i + 1]), &seconds)) {
            uint64_t now = (uint64_t)clock_wall_ms() / 1000;

            tr->since = seconds < now ? now - seconds : 1;
            i++;
        } else if (strcmp(argv[i], "--to") == 0 && i + 1 < argc && tr->to.n == 0) {
            tr->to = SV(argv[++i]);
        } else if (strcmp(argv[i], "--limit") == 0 && i + 1 < argc &&
                   strv_u64(SV(argv[i + 1]), LIMIT_MAX, &tr->limit) && tr->limit > 0) {
            i++;
        } else if (argv[i][0] != '-' && tr->key.n == 0) {
            tr->key = SV(argv[i]);
        } else {
            return false;
        }
    }
    return tr->key.n > 0 && tr->key.n <= 512;
}

static void trace_clear(struct trace *tr)
{
    rows_clear(&tr->found);
    row_clear(&tr->state);
    free(tr->stories);
}

static int trace_end(struct trace *tr, const struct ask *a)
{
    char id[64], left[96] = "";

    if (a->code)
        return tool_end(tr->t, a->code, "%s", a->text);
    reach_put(tr);
    if (tr->left)
        snprintf(left, sizeof left, "; %" PRIu64 " steps are not shown: --to RECIPIENT, --limit 1", tr->left);
    if (tr->n)
        return tool_end(tr->t, 0, "%zu message%s or session%s%s%s%s", tr->n, tr->n == 1 ? "" : "s",
                        tr->n == 1 ? "" : "s", tr->more ? "; there are more: --limit, --since" : "", left,
                        tr->to.n && !tr->named ? "; no step names that recipient" : "");
    if (strv_cstr(tr->key, id, sizeof id) && !strv_has(tr->key, '@') && is_queued(tr->t, id)) {
        queued_row(tr->t, id);
        return tool_end(tr->t, 0, "the history has nothing of it (too old, or it was lost)");
    }
    return tool_end(tr->t, 1, "the history has nothing of that");
}

int command_trace(struct tool *t, int argc, char **argv)
{
    struct trace tr = { .t = t, .limit = LIMIT };
    struct rows rows = { 0 };
    struct ask a;
    int status;

    if (!options_take(&tr, argc, argv))
        return tool_end(t, EX_USAGE,
                        "say an address, an id, a Message-ID or a client; --to takes an address, --since a "
                        "time as 2d, --limit a number up to %u",
                        LIMIT_MAX);
    if (find_key(&tr, &a) == 0) {
        for (size_t i = 0; i < tr.found.n; i++)
            rows_take(&rows, &tr.found.list[i]);
        find_stories(&tr, &a, &rows);
        stories_order(&tr, &rows);
        for (size_t i = 0; a.code == 0 && i < tr.n; i++)
            story_put(&tr, &tr.stories[i], &rows);
    }
    status = trace_end(&tr, &a);
    rows_clear(&rows);
    trace_clear(&tr);
    return status;
}

void trace_attempts(struct buf *out, const struct rows *steps, struct strv recipient)
{
    for (size_t i = 0; i < steps->n; i++) {
        const struct row *r = &steps->list[i];

        if (!strv_is(row_text(r, "event"), "delivery.result") || !strv_ieq(row_text(r, "to"), recipient))
            continue;
        buf_adds(out, "          ");
        trace_when(out, row_number(r, "at"));
        buf_adds(out, "  ");
        trace_words(out, r);
        buf_addc(out, '\n');
    }
}

bool trace_of(struct tool *t, struct strv id, struct rows *out)
{
    struct trace tr = { .t = t, .limit = 1 };
    struct collecting c = { .tr = &tr, .rows = out, .step = any_step };
    struct tool patient = *t;
    struct ask a;

    if (patient.wait_ms > PART_WAIT_MS)
        patient.wait_ms = PART_WAIT_MS;
    find_init(&a, &c, 0);
    ask_text(&a, "key", id);
    ask_run(&a, &patient);
    rows_order(out);
    trace_clear(&tr);
    return a.code == 0;
}
