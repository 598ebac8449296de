/* health.c - what of the queue does not work, for the operator's status */
#include "queued/health.h"

#include <stdio.h>

#include "conf/queue.h"
#include "queued/drop.h"
#include "queued/mailq.h"
#include "queued/measure.h"

static void say(struct mailq *q, bool bad, const char *what, const char *text, const char *advice)
{
    q->trouble(q, what, bad ? text : NULL, advice);
}

static void look_at_damage(struct mailq *q)
{
    unsigned damaged = q->ledger.standings[STANDING_DAMAGED];
    char text[160];

    snprintf(text, sizeof text, "%u places of the spool are damaged, %u messages cannot be read", q->damages,
             damaged);
    say(q, q->damages + damaged > 0, "spool", text,
        "restore the spool from a backup, or see mtactl queue list --state damaged and docs/QUEUE.md; look "
        "at "
        "the disk (dmesg)");
}

static void look_at_disk(struct mailq *q)
{
    char text[400], advice[400];
    bool bad = !store_has_room(q->store, q->conf->reserve);

    snprintf(text, sizeof text, "%llu MiB are free, below queue.reserve%s: new mail is refused with 452",
             (unsigned long long)(store_disk_free(q->store) >> 20),
             bad && store_lacks_inodes(q->store) ? ", or, as here, too few inodes (df -i)" : "");
    snprintf(advice, sizeof advice, "make room on the disk of %.300s", q->conf->directory);
    say(q, bad, "disk", text, advice);
    say(q, store_journal_is_down(q->store), "journal", "the state of the queue cannot be written",
        "look at the disk of queue.directory (dmesg, df); it is tried again all the time");
    snprintf(text, sizeof text, "mail cannot be stored: %.150s", q->commit_error);
    say(q, q->commit_error[0] != '\0', "store", text,
        "look at the disk of queue.directory (dmesg, df); senders hear 451 and come again");
}

static void look_at_expiry(struct mailq *q)
{
    const struct late *late = measure_late();
    char text[200], id[ID_TEXT_SIZE];

    id_text(late->id, id);
    snprintf(text, sizeof text,
             "%llu messages are older than queue.expire_after; the oldest, %s, by %lld minutes%s",
             (unsigned long long)late->messages, id, (long long)(late->over_ms / 60000),
             late->owed ? ": its sender could not be told yet" : "");
    say(q, late->messages > 0, "expiry", text,
        late->owed ? "look why cleanup makes no notice (mtactl status, the log of cleanup)"
                   : "look at it (mtactl queue show ID); mtactl queue bounce ID gives it back");
}

void health_look(struct mailq *q)
{
    const char *drop;
    char text[160];

    if (!q->trouble || !q->started)
        return;
    look_at_damage(q);
    look_at_disk(q);
    look_at_expiry(q);
    drop = drops_trouble(q);
    say(q, drop != NULL, "drop", drop,
        "look at queue.directory/drop; mtactl check --install repairs its mode");
    snprintf(text, sizeof text, "%zu files of local submission are of no use and lie in drop/bad",
             drops_bad(q));
    say(q, drops_bad(q) > 0, "drop-bad", text,
        "the log says why (queue.drop.bad); remove them, or move one back into drop/ to have it tried again");
    say(q, q->ledger.paused, "delivery", "delivery is paused",
        "look why (the log says queue.paused or queue.delivery.paused); mtactl resume out");
    say(q, q->ledger.paused_in, "acceptance", "no mail is accepted: paused", "mtactl resume in");
    say(q, q->awaited_since && loop_now(q->loop) - q->awaited_since > 2000, "inventory",
        "a deliverd has not said yet what it works on: nothing is dispatched",
        "wait; if it lasts, kill that deliverd");
}

void health_commit(struct mailq *q, const struct commit *c)
{
    if (c->ok)
        q->commit_error[0] = '\0';
    else if (c->err.cls != ERR_LIMIT)
        snprintf(q->commit_error, sizeof q->commit_error, "%.150s", c->err.text);
}
