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
#include "deliverd/forward.h"
#include "deliverd/job.h"
#include "deliverd/lmtp.h"
#include "deliverd/section.h"
#include "maps/client.h"

#include <stdio.h>
#include <stdlib.h>

struct local_rcpt {
    struct local *l;
    size_t i;          /* of the job */
    uint64_t question; /* handle of maps_ask */
    struct key_chain chain;
    bool unasked;           /* mapd is away: to be asked again */
    const struct conf_mailbox *server; /* LMTP: collected, to be handed over with others */
    struct address address; /* owned */
    struct deposit deposit;
    struct forwarding forwarding;
    char *path;      /* owned: where the message goes, for the deposit */
    char relay[300]; /* the same for log and notice */
    const char *section; /* borrowed: whose mailbox it is; NULL: a command, or a file of somebody's own */
};

struct local {
    struct job *job;
    struct deliverd *d;
    size_t open;   /* recipients without a result */
    size_t asking; /* those of whom mapd has not told yet */
    struct lmtp_delivery **servers; /* owned array; NULL: over */
    size_t server_n, servers_open;
    int64_t began; /* loop ms */
    struct loop_timer again;
    struct loop_task task;
    struct local_rcpt rcpts[];
};

/* ---- ends ---- */

static void local_destroy(void *obj)
{
    struct local *l = obj;

    free(l->servers);
    free(l);
}

static void rcpt_clear(struct local_rcpt *r)
{
    maps_cancel(r->l->d->maps, r->question);
    r->question = 0;
    deposit_cancel(&r->deposit);
    forwarding_cancel(&r->forwarding);
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
    for (size_t i = 0; i < l->server_n; i++)
        lmtp_cancel(&l->servers[i]);
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

/* From the loop, not under the feet of whoever called us. */
static void over_if_done(struct local *l)
{
    if (l->open == 0 && l->servers_open == 0)
        loop_later(l->d->loop, &l->task);
}

static void result(struct local_rcpt *r, const struct job_outcome *o)
{
    struct local *l = r->l;

    job_result(l->job, r->i, o);
    l->open--;
    over_if_done(l);
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
    /* What a command says is about its message. */
    if (r->section)
        section_result(r->l->d, r->section, outcome, o.status, text);
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

static void on_forward(void *arg, const struct ipc_in *in);
static void ask(struct local_rcpt *r);

static void deposit_prepare(struct local_rcpt *r, const struct mailbox_place *place)
{
    struct job *j = r->l->job;
    const struct conf_mailbox *m = place->mailbox;
    struct strv base = place->spool ? SV(m->spool) : place->system_user ? place->home : SV(m->root);

    if (!j->connected)
        j->connected = loop_now(r->l->d->loop);
    MEM_FREE(r->path);
    r->section = conf_mailbox_is_command(m) ? NULL : m->head.name;
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
        .agent_kind = conf_mailbox_is_command(m) ? AGENT_COMMAND : AGENT_DEPOSIT,
        .done = on_deposited,
        .forward = on_forward,
        .arg = r,
    };
    if (r->deposit.kind == DEPOSIT_COMMAND)
        command_values(r, place);
}

/* ---- ~/.forward ---- */

static void on_forwarded(void *arg, enum ipc_verdict verdict, struct strv enhanced, struct strv text,
                         bool lost)
{
    static const enum ipc_outcome outcomes[] = { [VERDICT_ACCEPT] = OUTCOME_DELIVERED,
                                                 [VERDICT_REFUSE] = OUTCOME_FAILED,
                                                 [VERDICT_TEMPFAIL] = OUTCOME_DEFERRED };
    static const uint8_t classes[] = { 2, 5, 4 };
    struct local_rcpt *r = arg;
    struct status status;

    if (!status_parse(enhanced, &status) || status.cls != classes[verdict])
        status = STATUS(classes[verdict], 0, 0);
    result_own(r, outcomes[verdict], status, lost ? STEP_SERVICE : "forward", text);
}

/* One target of the user's ~/.forward, which a message of its own brought here. False: it cannot be had, and
   there is a result. */
static bool target_apply(struct local_rcpt *r, const struct mailbox_place *place)
{
    struct strv target = r->l->job->rcpts[r->i].target, text = strv_from(target, 1), file;
    struct deposit *d = &r->deposit;

    d->flags |= DEPOSIT_EXPANDED;
    if (strv_is(target, "\\"))
        return true;
    snprintf(r->relay, sizeof r->relay, "%.*s", (int)(target.n < 250 ? target.n : 250), target.p);
    r->section = NULL; /* what fails is the user's own */
    if (!place->system_user || place->mailbox->forward != CONF_FORWARD_ALL) {
        result_own(r, OUTCOME_FAILED, STATUS(5, 7, 1), "forward",
                   SV("commands and files of a ~/.forward are not permitted here"));
        return false;
    }
    d->flags &= ~(unsigned)DEPOSIT_IN_SPOOL;
    if (strv_starts(text, SV_LIT("|"))) {
        d->kind = DEPOSIT_COMMAND;
        d->agent_kind = AGENT_USER_COMMAND;
        d->target = text;
        command_values(r, place);
        return true;
    }
    file = strv_from(text, place->home.n + 1);
    if (!strv_starts(text, place->home) || text.n <= place->home.n || text.p[place->home.n] != '/') {
        result_own(r, OUTCOME_FAILED, STATUS(5, 7, 1), "forward",
                   SV("a file in a ~/.forward must lie in the home directory"));
        return false;
    }
    free(r->path);
    r->path = strv_dup(file);
    d->path = SV(r->path);
    d->kind = DEPOSIT_MBOX;
    d->agent_kind = AGENT_DEPOSIT;
    d->quota = 0;
    return true;
}

static void deposit(struct local_rcpt *r, const struct mailbox_place *place)
{
    const struct conf_mailbox *m = place->mailbox;

    deposit_prepare(r, place);
    if (place->system_user)
        strv_cstr(place->user, r->forwarding.user, sizeof r->forwarding.user);
    if (r->l->job->rcpts[r->i].target.n) {
        if (!target_apply(r, place))
            return;
    } else if (place->system_user && m->forward != CONF_FORWARD_NO) {
        r->deposit.flags |= DEPOSIT_ASK_FORWARD;
    }
    deposit_start(r->l->d->agents, SV(m->head.name), place->user, &r->deposit);
}

/* A command or file of the alias that the address is: mtad asks the table once more and runs what stands
   there, as the user that is configured for it. */
static void alias_deposit(struct local_rcpt *r)
{
    struct job *j = r->l->job;
    struct strv target = strv_from(j->rcpts[r->i].target, 1), name = target;
    bool command = strv_starts(target, SV_LIT("|"));
    struct mailbox_place place;
    size_t at;

    if (!mailbox_place_postmaster(r->l->d->conf, &place)) {
        result_own(r, OUTCOME_DEFERRED, STATUS(4, 3, 5), "lookup", SV("there is no section postmaster"));
        return;
    }
    deposit_prepare(r, &place);
    r->section = NULL;
    snprintf(r->relay, sizeof r->relay, "%.*s", (int)(target.n < 250 ? target.n : 250), target.p);
    r->deposit.kind = command ? DEPOSIT_COMMAND : DEPOSIT_MBOX;
    r->deposit.agent_kind = command ? AGENT_ALIAS_COMMAND : AGENT_ALIAS_FILE;
    r->deposit.target = target;
    r->deposit.quota = 0;
    if (j->rcpts[r->i].target.p[0] == '=')
        r->deposit.flags |= DEPOSIT_EXPANDED;
    command_values(r, &place);
    if (!command && strv_rfind(target, '/', &at))
        name = strv_from(target, at + 1);
    free(r->path);
    r->path = strv_dup(command ? SV_LIT("command") : name);
    r->deposit.path = SV(r->path);
    deposit_start(r->l->d->agents, SV(place.mailbox->head.name), SV_LIT(""), &r->deposit);
}

/* An alias with an owner: its members get the message from him. A notice stays nobody's. */
static void list_send(struct local_rcpt *r)
{
    struct job *j = r->l->job;
    struct address owner = { .kind = ADDRESS_NULL };
    struct buf local, text;

    buf_init(&local, 2 * ADDRESS_MAX);
    buf_init(&text, 2 * ADDRESS_MAX);
    buf_adds(&local, "owner-");
    buf_addv(&local, r->address.local);
    if (j->sender.n && address_make(buf_view(&local), r->address.domain, ADDRESS_UTF8, &owner, NULL))
        address_format(&owner, &text);
    snprintf(r->relay, sizeof r->relay, "list");
    r->forwarding.done = on_forwarded;
    r->forwarding.arg = r;
    forwarding_start(&r->forwarding, j, r->i, NULL, text.len ? buf_view(&text) : strv_make(NULL, 0));
    address_clear(&owner);
    buf_clear(&local);
    buf_clear(&text);
}

/* The user wants the message elsewhere. What stands here for a command that he has no more is for his
   mailbox: asked again as if it had been named. */
static void on_forward(void *arg, const struct ipc_in *in)
{
    struct local_rcpt *r = arg;
    struct job_rcpt *jr = &r->l->job->rcpts[r->i];

    if (jr->target.n) {
        jr->target = SV_LIT("\\");
        key_chain_clear(&r->chain);
        address_clear(&r->address);
        ask(r);
        return;
    }
    snprintf(r->relay, sizeof r->relay, "forward");
    r->forwarding.done = on_forwarded;
    r->forwarding.arg = r;
    forwarding_start(&r->forwarding, r->l->job, r->i, in, strv_make(NULL, 0));
}

/* ---- LMTP ---- */

static void on_lmtp_result(void *arg, size_t rcpt, const struct job_outcome *o)
{
    struct local *l = arg;

    result(&l->rcpts[rcpt], o);
}

static void on_lmtp_over(void *arg, struct lmtp_delivery *delivery)
{
    struct local *l = arg;

    for (size_t i = 0; i < l->server_n; i++)
        if (l->servers[i] == delivery)
            l->servers[i] = NULL;
    l->servers_open--;
    over_if_done(l);
}

static const struct lmtp_ops lmtp_ops = { .result = on_lmtp_result, .over = on_lmtp_over };

/* One transaction for all recipients that a server has, as soon as they are known. */
static void servers_start(struct local *l)
{
    size_t *same = mem_array(l->job->rcpt_n, sizeof *same);

    for (size_t i = 0; i < l->job->rcpt_n; i++) {
        const struct conf_mailbox *m = l->rcpts[i].server;
        size_t n = 0;

        if (!m)
            continue;
        for (size_t k = i; k < l->job->rcpt_n; k++)
            if (l->rcpts[k].server == m) {
                same[n++] = k;
                l->rcpts[k].server = NULL;
            }
        l->servers = mem_resize(l->servers, l->server_n + 1, sizeof(struct lmtp_delivery *));
        l->servers_open++;
        l->servers[l->server_n++] = NULL;
        l->servers[l->server_n - 1] = lmtp_start(l->job, m, same, n, &lmtp_ops, l);
    }
    free(same);
}

/* ---- which mailbox ---- */

static void found(struct local_rcpt *r, const struct maps_answer *answer)
{
    const struct key_item *item = &r->chain.items[answer->index];
    struct mailbox_place place;
    struct err err = { 0 };

    if (mailbox_place_read(item->mailbox, key_chain_key(&r->chain, answer->index), answer->value, &place,
                           &err)) {
        if (place.mailbox->method == CONF_METHOD_LMTP)
            r->server = place.mailbox;
        else
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

static void use_answer(struct local_rcpt *r, const struct maps_answer *answer)
{
    char text[400];

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

static void on_answer(void *arg, const struct maps_answer *answer)
{
    struct local_rcpt *r = arg;
    struct local *l = r->l;

    r->question = 0;
    use_answer(r, answer);
    if (!r->unasked && --l->asking == 0)
        servers_start(l);
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
    if (strv_is(l->job->rcpts[r->i].target, "@list")) {
        list_send(r);
        return;
    }
    if (strv_starts(l->job->rcpts[r->i].target, SV_LIT("@")) ||
        strv_starts(l->job->rcpts[r->i].target, SV_LIT("="))) {
        alias_deposit(r);
        return;
    }
    keys_for_address(&r->chain, l->d->conf, &r->address, KEYS_MAILBOX | KEYS_OWN);
    if (r->chain.over) {
        result_own(r, OUTCOME_DEFERRED, STATUS(4, 3, 5), "lookup",
                   SV("too many mailbox sections for one address"));
        return;
    }
    l->asking++;
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
