/* local.c - recipients of own domains: mapd says which mailbox, an agent stores the message there */
#include "deliverd/local.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/mail/address.h"
#include "conf/address.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "deliverd/agents.h"
#include "deliverd/deliverd.h"
#include "deliverd/job.h"
#include "maps/client.h"

#include <stdio.h>
#include <stdlib.h>

struct local_rcpt {
    struct local *l;
    size_t i;          /* of the job */
    uint64_t question; /* handle of maps_ask */
    struct key_chain chain;
    bool unasked;           /* mapd is away: to be asked again */
    struct address address; /* owned */
    struct deposit deposit;
    char *path;      /* owned: where the message goes, for the deposit */
    char relay[300]; /* the same for log and notice */
};

struct local {
    struct job *job;
    struct deliverd *d;
    size_t open;   /* recipients without a result */
    int64_t began; /* loop ms */
    struct loop_timer again;
    struct loop_task task;
    struct local_rcpt rcpts[];
};

/* ---- ends ---- */

static void local_destroy(void *obj)
{
    struct local *l = obj;

    free(l);
}

static void rcpt_clear(struct local_rcpt *r)
{
    maps_cancel(r->l->d->maps, r->question);
    r->question = 0;
    deposit_cancel(&r->deposit);
    key_chain_clear(&r->chain);
    address_clear(&r->address);
    MEM_FREE(r->path);
}

void local_free(struct local **lp)
{
    struct local *l = *lp;

    if (!l)
        return;
    *lp = NULL;
    for (size_t i = 0; i < l->job->rcpt_n; i++)
        rcpt_clear(&l->rcpts[i]);
    loop_later_cancel(l->d->loop, &l->task);
    loop_timer_stop(&l->again);
    loop_reap(l->d->loop, local_destroy, l);
}

static void on_over(void *arg)
{
    struct local *l = arg;
    struct job *j = l->job;

    local_free(&j->delivery);
    job_over(j);
}

static void result(struct local_rcpt *r, const struct job_outcome *o)
{
    struct local *l = r->l;

    job_result(l->job, r->i, o);
    /* From the loop, not under the feet of whoever called us. */
    if (--l->open == 0)
        loop_later(l->d->loop, &l->task);
}

static void result_own(struct local_rcpt *r, enum ipc_outcome outcome, struct status status, const char *step,
                       struct strv text)
{
    struct job_outcome o = {
        .outcome = outcome,
        .status = status,
        .step = step,
        .text = text,
        .relay = SV(r->relay),
    };

    result(r, &o);
}

/* ---- the deposit ---- */

static void on_deposited(void *arg, enum ipc_outcome outcome, struct strv enhanced, struct strv text,
                         bool maybe)
{
    struct local_rcpt *r = arg;
    struct job_outcome o = {
        .outcome = outcome,
        .text = text,
        .relay = SV(r->relay),
        .step = "deposit",
        .maybe = maybe,
    };
    static const uint8_t classes[] = {
        [OUTCOME_DELIVERED] = 2, [OUTCOME_FAILED] = 5, [OUTCOME_DEFERRED] = 4
    };

    if (!status_parse(enhanced, &o.status) || o.status.cls != classes[outcome])
        o.status = STATUS(classes[outcome], 0, 0);
    result(r, &o);
}

/* What a command learns of the address: the user as the mailbox has him, and what stands behind him. */
static void command_values(struct local_rcpt *r, const struct mailbox_place *place)
{
    struct deposit *d = &r->deposit;
    const struct conf_address *ca = r->l->d->conf->address;
    struct strv base = r->address.local, ext = SV("");

    if (ca && *ca->extension)
        address_split_extension(r->address.local, SV(ca->extension), &base, &ext);
    /* A user whose name has the separator in it has no extension. */
    if (place->system_user && strv_ieq(place->user, r->address.local))
        ext = SV("");
    d->user = place->system_user ? place->user : ext.n ? base : r->address.local;
    d->domain = r->address.domain;
    d->extension = ext;
    d->timeout_s = (long)place->mailbox->timeout;
}

static enum deposit_kind kind_of(const struct conf_mailbox *m)
{
    if (conf_mailbox_is_command(m))
        return DEPOSIT_COMMAND;
    return m->method == CONF_METHOD_MBOX ? DEPOSIT_MBOX : DEPOSIT_MAILDIR;
}

static void deposit(struct local_rcpt *r, const struct mailbox_place *place)
{
    struct job *j = r->l->job;
    const struct conf_mailbox *m = place->mailbox;
    struct strv base = place->spool ? SV(m->spool) : place->system_user ? place->home : SV(m->root);

    if (!j->connected)
        j->connected = loop_now(r->l->d->loop);
    r->path = strv_dup(conf_mailbox_is_command(m) ? SV("command") : place->path);
    if (conf_mailbox_is_command(m))
        snprintf(r->relay, sizeof r->relay, "%.250s", m->command.v[0]);
    else
        snprintf(r->relay, sizeof r->relay, "%.*s/%s", (int)(base.n < 180 ? base.n : 180), base.p, r->path);
    r->deposit = (struct deposit){
        .id = j->id,
        .path = SV(r->path),
        .rcpt = j->rcpts[r->i].rcpt,
        .sender = j->sender,
        .body = &j->body,
        .kind = kind_of(m),
        .flags = place->spool ? DEPOSIT_IN_SPOOL : 0,
        .quota = place->quota,
        .done = on_deposited,
        .arg = r,
    };
    if (r->deposit.kind == DEPOSIT_COMMAND)
        command_values(r, place);
    deposit_start(r->l->d->agents, SV(m->head.name), place->user, &r->deposit);
}

/* ---- which mailbox ---- */

static void found(struct local_rcpt *r, const struct maps_answer *answer)
{
    const struct key_item *item = &r->chain.items[answer->index];
    struct mailbox_place place;
    struct err err = { 0 };

    if (mailbox_place_read(item->mailbox, key_chain_key(&r->chain, answer->index), answer->value, &place,
                           &err)) {
        deposit(r, &place);
        return;
    }
    LOG(ERROR, "delivery.mailbox.bad", KS("id", r->l->job->id_text), KV("to", r->l->job->rcpts[r->i].rcpt),
        KV("rule", answer->origin), KS("error", err.text));
    result_own(r, OUTCOME_DEFERRED, STATUS(4, 3, 5), "lookup", SV(err.text));
}

static void absent(struct local_rcpt *r)
{
    struct mailbox_place place;

    /* RFC 5321 4.5.1: always somewhere. */
    if (address_is_postmaster(&r->address) && mailbox_place_postmaster(r->l->d->conf, &place)) {
        deposit(r, &place);
        return;
    }
    if (address_is_root(&r->address) && mailbox_place_root(r->l->d->conf, &place)) {
        deposit(r, &place);
        return;
    }
    result_own(r, OUTCOME_FAILED, STATUS(5, 1, 1), "lookup", SV("no such mailbox here"));
}

/* mapd is being replaced: a matter of seconds. */
static void ask_later(struct local_rcpt *r)
{
    struct local *l = r->l;

    if (loop_now(l->d->loop) - l->began >= l->d->patience_ms) {
        result_own(r, OUTCOME_DEFERRED, STATUS(4, 3, 0), STEP_SERVICE,
                   SV("mailbox look-up: no answer from the own map service"));
        return;
    }
    r->unasked = true;
    if (!loop_timer_is_set(&l->again))
        loop_timer_set(&l->again, SERVICE_AGAIN_MS);
}

static void on_answer(void *arg, const struct maps_answer *answer)
{
    struct local_rcpt *r = arg;
    char text[400];

    r->question = 0;
    switch (answer->answer) {
    case ANSWER_FOUND:
        if (answer->index < r->chain.n && r->chain.items[answer->index].mailbox)
            found(r, answer);
        else
            result_own(r, OUTCOME_DEFERRED, STATUS(4, 3, 0), "lookup", SV("mapd answered another question"));
        return;
    case ANSWER_ABSENT: absent(r); return;
    case ANSWER_FAILED:
        if (answer->lost) {
            ask_later(r);
            return;
        }
        snprintf(text, sizeof text, "mailbox look-up failed: %.*s",
                 (int)(answer->why.n < 300 ? answer->why.n : 300), answer->why.p);
        result_own(r, OUTCOME_DEFERRED, STATUS(4, 3, 0), "lookup", SV(text));
        return;
    }
}

static void ask(struct local_rcpt *r)
{
    struct local *l = r->l;
    const char *why = "";

    key_chain_init(&r->chain);
    if (!address_parse(l->job->rcpts[r->i].rcpt, ADDRESS_UTF8 | ADDRESS_LOCAL_OK, &r->address, &why)) {
        result_own(r, OUTCOME_FAILED, STATUS(5, 1, 3), "lookup", SV(why));
        return;
    }
    keys_for_address(&r->chain, l->d->conf, &r->address, KEYS_MAILBOX | KEYS_OWN);
    if (r->chain.over) {
        result_own(r, OUTCOME_DEFERRED, STATUS(4, 3, 5), "lookup",
                   SV("too many mailbox sections for one address"));
        return;
    }
    r->question = maps_ask(l->d->maps, &r->chain, MAPS_DEADLINE_MS, on_answer, r);
}

static void on_again(void *arg)
{
    struct local *l = arg;

    for (size_t i = 0; i < l->job->rcpt_n; i++) {
        struct local_rcpt *r = &l->rcpts[i];

        if (!r->unasked)
            continue;
        r->unasked = false;
        r->question = maps_ask(l->d->maps, &r->chain, MAPS_DEADLINE_MS, on_answer, r);
    }
}

void local_start(struct job *j)
{
    struct local *l = mem_new(sizeof *l + j->rcpt_n * sizeof *l->rcpts);

    l->job = j;
    l->d = j->d;
    l->open = j->rcpt_n;
    l->began = loop_now(j->d->loop);
    loop_timer_init(&l->again, l->d->loop, on_again, l);
    l->task = (struct loop_task){ .fn = on_over, .arg = l };
    j->delivery = l;
    for (size_t i = 0; i < j->rcpt_n; i++) {
        l->rcpts[i].l = l;
        l->rcpts[i].i = i;
        ask(&l->rcpts[i]);
    }
}
