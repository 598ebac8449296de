/* pipeline.c - the table of stages and the walk through it
 *
 * The place of a stage is part of its meaning: what changes a message of own clients stands before what signs
 * it, and nothing stands behind commit. Checks of the sender (SPF, DKIM, DMARC), rewriting and signing have
 * their places between these rows.
 */
#include "cleanup/pipeline.h"

#include "cleanup/service.h"
#include "common/base/log.h"

const struct stage pipeline[] = {
    { "headers", headers_run }, /* hop count, trace field, what own clients left out or must not send */
    { "resolve", resolve_run }, /* waits for recipients still being resolved; their addresses, each once */
    { "commit", commit_run },   /* the only way to a positive reply */
    { NULL, NULL },
};

void pipeline_start(struct txn *t)
{
    t->phase = TXN_STAGES;
    t->stage = 0;
    pipeline[0].run(t);
}

void txn_next(struct txn *t)
{
    pipeline[++t->stage].run(t);
}

void txn_stop(struct txn *t)
{
    LOG(DEBUG, "cleanup.message.refused", KS("id", t->id_text), KS("stage", pipeline[t->stage].name),
        KI("code", t->refused.code), KS("text", t->refused.text), KS("rule", t->refused.rule));
    txn_finish(t);
}
