/* forward.c - asking queued to send a message on
 *
 * The recipient stays in its job until queued says that the new message is durable; queued then has recorded
 * that it took this recipient's place. What queued did not answer may have happened: asked again, it knows.
 */
#include "deliverd/forward.h"

#include "common/ipc/channel.h"
#include "common/mail/address.h"
#include "conf/address.h"
#include "conf/conf.h"
#include "deliverd/deliverd.h"
#include "deliverd/job.h"

#define ANSWER_MS 300000 /* cleanup resolves, queued commits: each has deadlines of its own below this */

static void forwarding_end(struct forwarding *f)
{
    loop_timer_stop(&f->timer);
    *f->at = f->next;
    if (f->next)
        f->next->at = f->at;
    f->d = NULL;
}

static void lost(struct forwarding *f, const char *why)
{
    forwarding_end(f);
    f->done(f->arg, VERDICT_TEMPFAIL, SV_LIT("4.3.0"), SV(why), true); /* last use */
}

static void on_timer(void *arg)
{
    struct forwarding *f = arg;

    lost(f, f->txn ? "the own queue did not send it on in time" : "the own queue was lost");
}

/* With an extension or in another of our domains the user has the same ~/.forward: obeyed once more for each
   that it names, and for each that those name, a few lines of it would be a million messages. */
static bool is_self(const struct forwarding *f, struct strv target)
{
    const struct conf *conf = f->d->conf;
    struct strv user = SV(f->user), base, ext;
    struct address a;
    bool self;

    if (!user.n || !address_parse(target, ADDRESS_LOCAL_OK | ADDRESS_UTF8, &a, NULL))
        return false;
    base = a.local;
    if (conf->address && conf->address->extension)
        address_split_extension(a.local, SV(conf->address->extension), &base, &ext);
    self = (strv_ieq(a.local, user) || strv_ieq(base, user)) &&
           (a.kind == ADDRESS_LOCAL || (a.kind == ADDRESS_DOMAIN && conf_domain_is_own(conf, a.domain)));
    address_clear(&a);
    return self;
}

static void put_target(const struct forwarding *f, struct strv target, struct ipc_out *o)
{
    struct buf final;

    if (!is_self(f, target)) {
        ipc_put_text(o, TAG_TARGET, target);
        return;
    }
    buf_init(&final, 2 * ADDRESS_MAX);
    buf_addc(&final, '\\');
    buf_addv(&final, target);
    ipc_put_text(o, TAG_TARGET, buf_view(&final));
    buf_clear(&final);
}

void forwarding_start(struct forwarding *f, struct job *j, size_t i, const struct ipc_in *in,
                      struct strv sender)
{
    struct channel *ch = jobs_channel(j->d->jobs);
    struct ipc_out *o = &j->d->out;
    struct strv target;
    size_t at = 0;

    f->d = j->d;
    f->txn = 0;
    f->next = f->d->forwardings;
    f->at = &f->d->forwardings;
    if (f->next)
        f->next->at = &f->next;
    f->d->forwardings = f;
    loop_timer_init(&f->timer, f->d->loop, on_timer, f);
    loop_timer_set(&f->timer, ch ? ANSWER_MS : 1);
    if (!ch)
        return;
    f->txn = jobs_question(j->d->jobs);
    ipc_begin(o, IPC_J_FORWARD, f->txn);
    ipc_put_u64(o, TAG_ID, j->id);
    ipc_put_u64(o, TAG_RCPT_INDEX, j->rcpts[i].index);
    if (sender.p)
        ipc_put_text(o, TAG_SENDER, sender);
    if (in && f->user[0])
        ipc_put_text(o, TAG_USER, SV(f->user));
    if (!in)
        ipc_put_text(o, TAG_TARGET, SV_LIT("@list"));
    while (in && ipc_next(in, TAG_TARGET, &at, &target))
        put_target(f, target, o);
    channel_send(ch, o);
}

void forwarding_cancel(struct forwarding *f)
{
    if (f->d)
        forwarding_end(f);
}

void forwarding_answered(struct deliverd *d, struct ipc_in *in)
{
    enum ipc_verdict verdict = (enum ipc_verdict)ipc_get_u64(in, TAG_VERDICT);
    struct forwarding *f = d->forwardings;

    while (f && f->txn != in->txn)
        f = f->next;
    if (!f)
        return; /* given up */
    forwarding_end(f);
    f->done(f->arg, verdict, ipc_get(in, TAG_ENHANCED), ipc_get(in, TAG_TEXT),
            verdict == VERDICT_TEMPFAIL && !ipc_has(in, TAG_ENHANCED)); /* last use */
}

/* A question to the old queued has no answer; the next one is asked by the next attempt. */
void forwardings_lost(struct deliverd *d)
{
    for (struct forwarding *f = d->forwardings; f; f = f->next) {
        f->txn = 0;
        loop_timer_set(&f->timer, 1);
    }
}
