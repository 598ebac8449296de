/* resolve_end.c - how the resolution of a recipient ends: addresses, a refusal, or "could not tell" */
#include "cleanup/resolve_inner.h"

#include "common/base/log.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

void resolve_cancel(struct resolve *r)
{
    for (struct node *n = r->first; n; n = n->next) {
        if (n->state != NODE_ASKED)
            continue;
        n->state = NODE_UNKNOWN;
        r->env.cancel(r->env.ctx, n->handle);
    }
    r->asked = 0;
    r->ask_next = NULL;
}

static void set_reply(struct resolve *r, int code, const char *enhanced, const char *text)
{
    r->result.code = code;
    snprintf(r->result.enhanced, sizeof r->result.enhanced, "%s", enhanced);
    r->result.verdict = code < 500 ? VERDICT_TEMPFAIL : VERDICT_REFUSE;
    r->result.text = SV(text); /* a literal, or ours */
    r->result.rule = SV(r->rule);
}

void resolve_node_text(const struct node *n, struct buf *out)
{
    if (!n->include)
        address_format(&n->address, out);
    else
        buf_addf(out, ":include:%s", n->include);
}

void resolve_set_rule(struct resolve *r, const char *map, struct strv origin)
{
    snprintf(r->rule, sizeof r->rule, "map %s%s%.*s", map, origin.n ? ", " : "", (int)origin.n, origin.p);
}

static void warn_unknown(const struct resolve *r)
{
    for (const struct node *n = r->first; n; n = n->next) {
        struct buf b;

        if (n->state != NODE_UNKNOWN)
            continue;
        buf_init(&b, 1024);
        resolve_node_text(n, &b);
        LOG(WARN, "cleanup.alias.broken", KS("id", r->env.id), KV("rcpt", buf_view(&b)), KS("rule", r->rule));
        buf_clear(&b);
    }
}

static void collect(struct resolve *r)
{
    size_t count = 0, at = 0, *ends;
    const struct node *n;

    for (n = r->first; n; n = n->next)
        count += n->state == NODE_LEAF || n->state == NODE_UNKNOWN;
    r->leaves = mem_array(count + 1, sizeof *r->leaves);
    ends = mem_array(count + 1, sizeof *ends);
    for (n = r->first; n; n = n->next) {
        if (n->state != NODE_LEAF && n->state != NODE_UNKNOWN)
            continue;
        address_format(&n->address, &r->leaf_text);
        r->leaves[at].local = n->local;
        r->leaves[at].target = n->target ? SV(n->target) : SV_LIT("");
        r->leaves[at].user = n->user ? SV(n->user) : SV_LIT("");
        ends[at++] = r->leaf_text.len;
    }
    for (size_t i = 0; i < at; i++) {
        size_t from = i ? ends[i - 1] : 0;

        r->leaves[i].address = strv_sub(buf_view(&r->leaf_text), from, ends[i] - from);
    }
    free(ends);
    r->result.leaves = r->leaves;
    r->result.leaf_n = at;
    r->result.verdict = VERDICT_ACCEPT;
}

/* Where nothing was found the reason is all there is to tell; smtpd's line has room for the rule alone. */
static void rule_why(struct resolve *r, struct strv why)
{
    size_t n = strlen(r->rule);

    snprintf(r->rule + n, sizeof r->rule - n, "%s%.*s", n ? ": " : "",
             (int)(why.n < 250 ? why.n : 250), why.p);
}

/* Could not tell, or only the administrator can: the whole recipient waits. */
void resolve_fail(struct resolve *r, const struct node *n, const char *enhanced, const char *text,
                 struct strv why)
{
    struct buf b;

    rule_why(r, why);
    buf_init(&b, 1024);
    resolve_node_text(n, &b);
    LOG(WARN, "cleanup.resolve.failed", KS("id", r->env.id), KV("rcpt", buf_view(&b)), KV("why", why),
        KS("rule", r->rule));
    buf_clear(&b);
    resolve_cancel(r);
    r->over = true;
    set_reply(r, 451, enhanced, text);
}

bool resolve_is_postmaster(const struct node *n)
{
    return n->local && !n->include && address_is_postmaster(&n->address);
}

/* RFC 5321 4.5.1: postmaster is always there, and whoever writes to him may want to tell of these very
   tables. His own address, which no table leads further, is delivered to the mailbox that needs no entry. */
static void keep_postmaster(struct resolve *r, const struct node *at, struct node *postmaster,
                            const char *why)
{
    struct buf b;

    buf_init(&b, 1024);
    resolve_node_text(at, &b);
    LOG(WARN, "cleanup.postmaster.kept", KS("id", r->env.id), KV("rcpt", buf_view(&b)), KS("why", why),
        KS("rule", r->rule));
    buf_clear(&b);
    resolve_cancel(r);
    for (struct node *n = r->first; n; n = n->next)
        n->state = NODE_EXPANDED;
    postmaster->state = NODE_LEAF;
    r->over = true;
    collect(r);
}

/* A table that is not there will not be there soon: mail about that must come through. */
void resolve_keep_postmaster_unasked(struct resolve *r, const struct node *at, struct strv why)
{
    rule_why(r, why);
    keep_postmaster(r, at, r->first, "a table or list cannot be read");
}

void resolve_fail_conf(struct resolve *r, const struct node *n, const char *why)
{
    if (resolve_is_postmaster(r->first))
        keep_postmaster(r, n, r->first, why);
    else
        resolve_fail(r, n, "4.3.5", "The address cannot be resolved here at the moment", SV(why));
}

/* Nobody was found. Whoever was sent to postmaster on the way stops there. */
static void conclude_nobody(struct resolve *r)
{
    struct node *n = r->first;

    while (n && !resolve_is_postmaster(n))
        n = n->next;
    if (n) {
        keep_postmaster(r, r->first, n,
                        r->refusal_code ? "the tables refuse postmaster" : "the alias leads to nobody");
    } else if (r->refusal_code) {
        set_reply(r, r->refusal_code, r->refusal_enhanced, r->refusal_text);
    } else if (r->spelled) {
        /* Aliases that lead to nobody, or in a circle: the tables are wrong, not the sender. */
        resolve_fail_conf(r, r->first, "the alias leads to nobody");
    } else {
        snprintf(r->rule, sizeof r->rule, "no virtual, alias or mailbox entry");
        set_reply(r, 550, "5.1.1", "No such mailbox here");
    }
}

void resolve_conclude(struct resolve *r)
{
    r->over = true;
    if (r->leaf_n || r->discards) {
        warn_unknown(r);
        collect(r);
    } else {
        conclude_nobody(r);
    }
}
