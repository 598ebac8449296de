/* ctl.c - what an operator may ask of the history */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/log.h"
#include "common/base/log_read.h"
#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "historyd/collect.h"
#include "historyd/keys.h"

struct asker {
    struct history *history;
    struct ctl_call *call;
    struct keeper_job *job; /* the keeper's */
};

/* ---- rows ---- */

/* Fields keep the names of docs/LOGGING.md; those of the row itself come first. */
static void step_row(struct ctl_call *call, const struct line *line)
{
    char text[LINE_MAX_TEXT], who[48];
    struct strv rest = line->text, name, value;

    snprintf(who, sizeof who, "%s[%u]", role_name((enum role)line->role), line->index);
    ctl_row(call, "step");
    ctl_put_u64(call, "at", (uint64_t)line->ms);
    ctl_put(call, "daemon", SV(who));
    ctl_put(call, "level", SV(line->level > LOG_LV_DEBUG ? "" : log_level_name((enum log_level)line->level)));
    while (log_read(&rest, &name, &value)) {
        char key[64];
        uint64_t number;
        struct strv plain = strv_make(text, log_value(value, text, sizeof text));

        /* In JSON `kind` is the row's. */
        if (!strv_cstr(strv_is(name, "kind") ? SV_LIT("notice_kind") : name, key, sizeof key))
            continue;
        if (strv_u64(value, INT64_MAX, &number) && value.n < 10 && (value.n == 1 || value.p[0] != '0'))
            ctl_put_u64(call, key, number);
        else
            ctl_put(call, key, plain);
    }
    ctl_row_end(call);
}

static void state_row(struct ctl_call *call, const struct history *h, const struct store_state *s)
{
    ctl_row(call, "history");
    ctl_put_u64(call, "since", (uint64_t)s->oldest_ms / 1000);
    ctl_put_u64(call, "bytes", s->bytes);
    ctl_put_u64(call, "lines", h->lines);
    ctl_put_u64(call, "lost", h->lost);
    ctl_put_u64(call, "damaged", s->damaged);
    ctl_row_end(call);
}

/* ---- find ---- */

void history_found(struct history *h, struct keeper_job *job)
{
    struct asker *a = job->asker;
    struct strv lines = buf_view(&job->lines);
    struct line line;

    if (!a)
        return;
    if (!job->ok) {
        ctl_done(a->call, EX_TEMPFAIL, "the history cannot be read now: %s", job->err.text);
    } else {
        while (block_next(&lines, &line))
            step_row(a->call, &line);
        if (!job->next_block)
            state_row(a->call, h, &job->state);
        if (job->next_block)
            ctl_more(a->call, job->next_block);
        else
            ctl_done(a->call, 0, NULL);
    }
    free(a);
}

static void on_gone(void *data)
{
    struct asker *a = data;

    a->job->asker = NULL;
    free(a);
}

/* The keys in the form in which they are compared. False: none, or too many. */
static bool forms_take(struct ctl_call *call, struct keeper_job *job)
{
    char *at = job->form_bytes = mem_array(KEEPER_KEYS, KEY_TEXT);
    struct strv value;

    while (ctl_text_nth(call, "key", job->form_n, &value)) {
        if (job->form_n == KEEPER_KEYS || value.n > KEY_TEXT)
            return false;
        job->forms[job->form_n] = key_form(value, at);
        if (job->forms[job->form_n++].n == 0)
            return false;
        at += KEY_TEXT;
    }
    return job->form_n > 0;
}

static void on_find(void *arg, struct ctl_call *call)
{
    struct history *h = arg;
    struct keeper_job *job = mem_new(sizeof *job);
    struct asker *a;
    uint64_t since = 0;

    job->kind = KEEPER_FIND;
    buf_init(&job->lines, 16u << 20);
    if (!forms_take(call, job)) {
        keeper_job_free(job);
        ctl_done(call, EX_DATAERR, "say what to look for: from 1 to %u keys", KEEPER_KEYS);
        return;
    }
    ctl_number(call, "since", &since);
    job->since_ms = since > INT64_MAX / 1000 ? INT64_MAX : (int64_t)since * 1000;
    job->from = ctl_cursor(call) ? ctl_cursor(call) : UINT64_MAX;
    if (!ctl_cursor(call))
        history_commit(h);
    a = mem_new(sizeof *a);
    *a = (struct asker){ .history = h, .call = call, .job = job };
    job->asker = a;
    ctl_later(call, on_gone, a);
    keeper_add(h->keeper, job);
}

static void on_status(void *arg, struct ctl_call *call)
{
    struct history *h = arg;

    state_row(call, h, &h->state);
    ctl_done(call, 0, NULL);
}

static const struct ctl_act acts[] = {
    { "find", on_find, false },
    { "status", on_status, false },
    { .name = NULL },
};

void history_ctl_client(struct history *h, int fd)
{
    if (!h->ctl)
        h->ctl = ctl_server_new(h->loop, ROLE_HISTORYD, acts, h);
    ctl_server_client(h->ctl, fd);
}
