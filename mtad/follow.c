/* follow.c - whose dialogue the operator follows: kept here until it ends, told to smtpd and deliverd */
#include "mtad/follow.h"

#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/ctl.h"
#include "common/proc/follow.h"
#include "mtad/child.h"
#include "mtad/host.h"

#define FOR_MAX_S (24u * 3600) /* forgotten ones fill the log */

/* Not in a file: a restart ends them all. */
static struct {
    enum follow_kind kind;
    char text[FOLLOW_TEXT];
    int64_t until_ms;
} follows[FOLLOW_MAX];

static const char *const words[] = { [FOLLOW_PEER] = "peer", [FOLLOW_DOMAIN] = "domain" };

static void send_one(struct child *c, unsigned i)
{
    int64_t left = follows[i].until_ms - clock_mono_ms();
    struct ipc_out o;

    if (left <= 0 || !c->control || (c->role != ROLE_SMTPD && c->role != ROLE_DELIVERD))
        return;
    ipc_out_init(&o);
    ipc_begin(&o, IPC_LOG_FOLLOW, 0);
    ipc_put_u64(&o, TAG_KIND, follows[i].kind);
    ipc_put_clean(&o, TAG_TEXT, SV(follows[i].text));
    ipc_put_u64(&o, TAG_DEADLINE, (uint64_t)left);
    channel_send(c->control, &o);
    ipc_out_clear(&o);
}

void follow_tell(struct child *c)
{
    for (unsigned i = 0; i < FOLLOW_MAX; i++)
        send_one(c, i);
}

void follow_rows(struct ctl_call *call)
{
    int64_t now = clock_mono_ms();

    for (unsigned i = 0; i < FOLLOW_MAX; i++) {
        if (follows[i].until_ms <= now)
            continue;
        ctl_row(call, "follow");
        ctl_put(call, "what", SV(words[follows[i].kind]));
        ctl_put(call, "name", SV(follows[i].text));
        ctl_put_u64(call, "left", (uint64_t)(follows[i].until_ms - now) / 1000);
        ctl_row_end(call);
    }
}

/* The place of the same one, or a free one; FOLLOW_MAX: none. */
static unsigned place_of(enum follow_kind kind, struct strv text)
{
    int64_t now = clock_mono_ms();
    unsigned found = FOLLOW_MAX;

    for (unsigned i = 0; i < FOLLOW_MAX; i++) {
        if (follows[i].until_ms > now && follows[i].kind == kind && strv_ieq(text, SV(follows[i].text)))
            return i;
        if (follows[i].until_ms <= now && found == FOLLOW_MAX)
            found = i;
    }
    return found;
}

static void follow_begin(struct host *h, struct ctl_call *call, enum follow_kind kind, struct strv text)
{
    uint64_t seconds = 600;
    unsigned i;

    ctl_number(call, "for", &seconds);
    if (!follow_is_valid(kind, text)) {
        ctl_done(call, EX_USAGE,
                 kind == FOLLOW_PEER ? "--peer takes an address, a network or a host name"
                                     : "--domain takes a domain");
        return;
    }
    if (seconds == 0 || seconds > FOR_MAX_S) {
        ctl_done(call, EX_USAGE, "--for takes a time of a day at most");
        return;
    }
    i = place_of(kind, text);
    if (i == FOLLOW_MAX) {
        ctl_done(call, EX_TEMPFAIL, "%u are followed already; mtactl log lists them, they end by themselves",
                 FOLLOW_MAX);
        return;
    }
    follows[i].kind = kind;
    strv_cstr(text, follows[i].text, sizeof follows[i].text);
    follows[i].until_ms = clock_mono_ms() + (int64_t)seconds * 1000;
    for (size_t c = 0; c < h->child_n; c++)
        send_one(&h->children[c], i);
    ctl_done(call, 0, "the dialogue with %s %s is logged for %llu s", words[kind], follows[i].text,
             (unsigned long long)seconds);
}

bool follow_call(struct host *h, struct ctl_call *call)
{
    struct strv peer = ctl_text(call, "peer"), domain = ctl_text(call, "domain");

    if (peer.p) {
        follow_begin(h, call, FOLLOW_PEER, peer);
    } else if (domain.p) {
        follow_begin(h, call, FOLLOW_DOMAIN, domain);
    } else if (!ctl_text(call, "level").p) {
        ctl_row(call, "log");
        ctl_put(call, "level", SV(log_level_name(log_get_level())));
        ctl_row_end(call);
        follow_rows(call);
        ctl_done(call, 0, NULL);
    } else {
        return false;
    }
    return true;
}
