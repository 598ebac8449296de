/* resolve.c - recipients to final addresses: a tree of questions, breadth first, a bounded number at once */
#include "cleanup/resolve_inner.h"

#include "cleanup/target.h"
#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/mail/address.h"
#include "conf/address.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "conf/queue.h"
#include "maps/list.h"

#include <stdio.h>
#include <stdlib.h>

#define AT_ONCE        16 /* questions of one recipient that mapd has at a time */
#define NODES_PER_LEAF 4  /* aliases of aliases: more nodes than this per permitted address is a bomb */
#define NODES_EXTRA    100
#define TARGET_MAX     2000u /* of the frames that carry it */

static void node_free(struct node *n)
{
    address_clear(&n->address);
    free((char *)n->include);
    free((char *)n->target);
    free((char *)n->user);
    free(n);
}

/* ---- growing the tree ---- */

/* The host's contacts are never sent elsewhere, however one comes to them: without own domains, too. */
static bool is_own(const struct resolve *r, const struct address *a)
{
    const struct conf *conf = r->env.conf;

    return a->kind == ADDRESS_DOMAIN && conf->own &&
           (conf_domain_is_own(conf, a->domain) || conf_is_host_contact(conf, a->local, a->domain));
}

static struct node *node_add(struct resolve *r, struct node *parent, unsigned uses)
{
    struct node *n = mem_new(sizeof *n);

    n->r = r;
    n->parent = parent;
    n->depth = parent ? parent->depth + 1 : 0;
    n->uses = uses;
    *r->tail = n;
    r->tail = &n->next;
    if (!r->ask_next)
        r->ask_next = n;
    r->node_n++;
    return n;
}

static void node_key(const struct address *a, const char *include, struct buf *key)
{
    if (include)
        buf_addf(key, ":include:%s", include);
    else
        address_key(a, key);
}

static bool seen_add(struct resolve *r, struct strv key)
{
    if (!r->seen)
        r->seen = dict_new();
    return dict_set(r->seen, key, r) == NULL;
}

static bool is_below_postmaster(const struct node *n)
{
    while (n && !resolve_is_postmaster(n))
        n = n->parent;
    return n != NULL;
}

static bool is_ancestor(const struct node *n, const struct address *a)
{
    for (; n; n = n->parent)
        if (!n->include && address_ieq(&n->address, a))
            return true;
    return false;
}

/* False when this target must not be asked: it is in the tree already. *uses is cut for addresses below
 * themselves. */
static bool admit(struct resolve *r, const struct node *parent, const struct address *a, const char *include,
                  unsigned *uses)
{
    struct buf key;
    bool fresh;

    buf_init(&key, 8192);
    if (!include && is_ancestor(parent, a))
        *uses &= KEYS_MAILBOX;
    /* The same address once for its tables and once for its mailbox are two nodes. */
    buf_addc(&key, (*uses & KEYS_VIRTUAL) ? 'a' : 'm');
    node_key(a, include, &key);
    fresh = seen_add(r, buf_view(&key));
    buf_clear(&key);
    return fresh;
}

static bool room_for_more(struct resolve *r, const struct node *parent)
{
    if ((int64_t)parent->depth + 1 > r->env.conf->address->max_depth) {
        resolve_fail_conf(r, parent, "aliases nested deeper than address.max_depth");
        return false;
    }
    if (r->node_n >= r->leaf_max * NODES_PER_LEAF + NODES_EXTRA) {
        resolve_fail_conf(r, parent, "more targets than address.max_expansion allows");
        return false;
    }
    return true;
}

/* Takes a. */
static void grow_address(struct resolve *r, struct node *parent, struct address *a, unsigned uses)
{
    unsigned asked = uses;
    struct node *n;

    if (!room_for_more(r, parent) || !admit(r, parent, a, NULL, &uses)) {
        address_clear(a);
        return;
    }
    n = node_add(r, parent, uses);
    n->again = uses != asked;
    n->address = *a;
    n->local = is_own(r, a);
}

static void grow_include(struct resolve *r, struct node *parent, struct strv path)
{
    char *text = strv_dup(path);
    unsigned uses = KEYS_ALIASES;
    struct node *n;

    if (!room_for_more(r, parent) || !admit(r, parent, NULL, text, &uses)) {
        free(text);
        return;
    }
    n = node_add(r, parent, uses);
    n->include = text;
    n->local = true;
    /* Bare names in the list are completed with the domain of the address whose alias named it. */
    address_copy(&parent->address, &n->address);
}

static void leaf(struct resolve *r, struct node *n)
{
    n->state = NODE_LEAF;
    if (++r->leaf_n > r->leaf_max)
        resolve_fail_conf(r, n, "more addresses than address.max_expansion allows");
}

/* A command or file of an alias: a recipient of its own, which nobody but the table can name. */
static void grow_program(struct resolve *r, struct node *parent, char kind, struct strv text)
{
    struct buf target, key;
    struct node *n;
    bool fresh;

    if (!room_for_more(r, parent))
        return;
    buf_init(&target, TARGET_MAX);
    buf_init(&key, 16384);
    buf_addc(&target, '@');
    if (kind == '|')
        buf_addc(&target, '|');
    buf_addv(&target, text);
    buf_addc(&key, 't');
    node_key(&parent->address, NULL, &key);
    buf_addc(&key, '\n');
    buf_addv(&key, buf_view(&target));
    if (!buf_ok(&target)) {
        resolve_fail_conf(r, parent, "a command or file is longer than 2000 bytes");
    } else if ((fresh = seen_add(r, buf_view(&key)))) {
        n = node_add(r, parent, 0);
        address_copy(&parent->address, &n->address);
        n->target = mem_str(buf_cstr(&target));
        n->local = true;
        leaf(r, n);
    }
    buf_clear(&target);
    buf_clear(&key);
}

static bool programs_permitted(const struct resolve *r, const struct node *parent, unsigned use)
{
    return use == KEYS_ALIASES && !parent->include && parent->local &&
           strcmp(r->env.conf->address->commands, "none") != 0;
}

static void grow_item(struct resolve *r, struct node *parent, const struct list_item *item, unsigned use)
{
    unsigned uses = item->kind == LIST_FINAL ? KEYS_MAILBOX : KEYS_ALL;
    struct strv extension = SV(r->env.conf->address->extension);
    struct address a;

    if (use != KEYS_VIRTUAL || item->kind != LIST_ADDRESS || !target_is_filled(item->text))
        r->spelled++;
    switch (item->kind) {
    case LIST_ADDRESS:
    case LIST_FINAL:
        if (target_address(item->text, &parent->address, extension, use == KEYS_VIRTUAL, &a))
            grow_address(r, parent, &a, uses);
        else
            resolve_fail_conf(r, parent, "a target is no address");
        return;
    case LIST_INCLUDE: grow_include(r, parent, item->text); return;
    case LIST_DISCARD: r->discards++; return;
    case LIST_COMMAND:
    case LIST_FILE:
        if (programs_permitted(r, parent, use))
            grow_program(r, parent, item->kind == LIST_COMMAND ? '|' : '/', item->text);
        else
            resolve_fail_conf(r, parent,
                              "a target is a command or file, not permitted here (address.commands)");
        return;
    case LIST_BAD: resolve_fail_conf(r, parent, "a target has an unclosed quote or bracket"); return;
    }
}

static void refused(struct resolve *r, const struct list_error *e)
{
    struct strv text = e->text.n ? e->text : SV_LIT("Address refused");

    if (r->refusal_code)
        return;
    r->refusal_code = e->code;
    snprintf(r->refusal_enhanced, sizeof r->refusal_enhanced, "%s", e->enhanced);
    snprintf(r->refusal_text, sizeof r->refusal_text, "%.*s", (int)text.n, text.p);
}

static void ask(struct resolve *r, struct node *n);

static void expand(struct resolve *r, struct node *n, struct strv value, unsigned use)
{
    struct list_item item;
    struct list_error error;
    struct strv rest = value;

    if (list_error_read(value, &error)) {
        refused(r, &error); /* these words count when nobody else is found */
        if (r->env.internal && use == KEYS_VIRTUAL) {
            n->uses &= ~KEYS_VIRTUAL;
            ask(r, n);
            return;
        }
        n->state = NODE_UNKNOWN;
        return;
    }
    n->state = NODE_EXPANDED;
    while (!r->over && list_next(&rest, use == KEYS_VIRTUAL ? LIST_BLANKS : 0, &item))
        grow_item(r, n, &item, use);
}

/* ---- answers ---- */

static void nobody(struct resolve *r, struct node *n)
{
    const struct conf_queue *queue = r->env.conf->queue;
    struct address a;

    resolve_trace_nothing(&r->env, &n->address, n->local);
    if (!n->local) {
        leaf(r, n);
        return;
    }
    /* A circle: whoever can be reached from here is reached already. */
    if (n->again && !address_is_postmaster(&n->address)) {
        n->state = NODE_EXPANDED;
        return;
    }
    /* Notices are from MAILER-DAEMON; who answers one means a human (RFC 3464 2). */
    if (address_is_mailer_daemon(&n->address) &&
        address_make(SV_LIT("postmaster"), n->address.domain, 0, &a, NULL)) {
        n->state = NODE_EXPANDED;
        grow_address(r, n, &a, KEYS_ALL);
        return;
    }
    /* RFC 5321 4.5.1: postmaster is always there. deliverd knows the mailbox that needs no table. */
    if (!address_is_postmaster(&n->address)) {
        /* What cron and the like report must not be lost for want of an alias: root has a mailbox as well.
           What was for postmaster stays his. */
        if (address_is_root(&n->address) && !is_below_postmaster(n))
            leaf(r, n);
        else
            n->state = NODE_UNKNOWN;
        return;
    }
    if (!queue || !*queue->postmaster || !address_parse(SV(queue->postmaster), 0, &a, NULL) ||
        is_ancestor(n, &a)) {
        leaf(r, n);
        return;
    }
    n->state = NODE_EXPANDED;
    grow_address(r, n, &a, KEYS_ALL);
}

static void node_chain(const struct resolve *r, const struct node *n, struct key_chain *chain)
{
    key_chain_reset(chain);
    if (n->include) {
        struct buf key;

        buf_init(&key, 8192);
        node_key(NULL, n->include, &key);
        key_chain_add(chain, r->env.conf->address->aliases, buf_view(&key));
        buf_clear(&key);
        return;
    }
    keys_for_address(chain, r->env.conf, &n->address, n->uses | (n->local ? KEYS_OWN : 0));
}

static void found(struct resolve *r, struct node *n, const struct maps_answer *a)
{
    const struct key_item *item;

    /* The chain is made again rather than kept: most recipients need it once. */
    node_chain(r, n, r->env.chain);
    if (a->index >= r->env.chain->n) {
        resolve_fail_conf(r, n, "mapd answered another question");
        return;
    }
    item = &r->env.chain->items[a->index];
    resolve_trace_found(&r->env, &n->address, n->include, item, a);
    if (!n->include && item->use == KEYS_MAILBOX) {
        if (r->env.internal && item->mailbox && conf_mailbox_is_system(item->mailbox))
            n->user = strv_dup(strv_sub(buf_view(&r->env.chain->text), item->at, item->len));
        leaf(r, n);
        return;
    }
    resolve_set_rule(r, item->map, a->origin);
    if (n == r->first && item->use == KEYS_ALIASES)
        r->result.through_aliases = true;
    expand(r, n, a->value, item->use);
}

static void on_answer(void *arg, const struct maps_answer *a);

static void ask(struct resolve *r, struct node *n)
{
    node_chain(r, n, r->env.chain);
    if (!r->env.chain->n && !r->env.chain->over) {
        nobody(r, n);
        return;
    }
    n->state = NODE_ASKED;
    r->asked++;
    n->handle = r->env.ask(r->env.ctx, r->env.chain, on_answer, n);
}

static void ask_more(struct resolve *r)
{
    while (!r->over && r->ask_next && r->asked < AT_ONCE) {
        struct node *n = r->ask_next;

        r->ask_next = n->next;
        if (!n->target)
            ask(r, n);
    }
    if (!r->over && !r->asked && !r->ask_next)
        resolve_conclude(r);
}

static void on_answer(void *arg, const struct maps_answer *a)
{
    struct node *n = arg;
    struct resolve *r = n->r;

    r->asked--;
    n->state = NODE_UNKNOWN;
    switch (a->answer) {
    case ANSWER_FOUND: found(r, n, a); break;
    case ANSWER_ABSENT:
        if (n->include)
            resolve_fail_conf(r, n, "the :include: list is not loaded");
        else
            nobody(r, n);
        break;
    case ANSWER_FAILED:
        if (a->broken && resolve_is_postmaster(r->first))
            resolve_keep_postmaster_unasked(r, n, a->why);
        else
            resolve_fail(r, n, "4.3.0", "Address lookup failed, please try again later", a->why);
        break;
    }
    ask_more(r);
    if (r->over)
        r->done(r->arg, r); /* last use: r may be gone */
}

enum resolve_step resolve_start(const struct resolve_env *env, const struct address *rcpt, bool local,
                                size_t max, resolve_done *done, void *arg, struct resolve **out)
{
    struct resolve *r = mem_new(sizeof *r);
    struct node *n;

    r->env = *env;
    r->tail = &r->first;
    r->leaf_max = max;
    r->done = done;
    r->arg = arg;
    buf_init(&r->leaf_text, (max + 16) * 1100);
    n = node_add(r, NULL, KEYS_ALL);
    address_copy(rcpt, &n->address);
    n->local = local || is_own(r, rcpt);
    *out = r;
    ask_more(r);
    return r->over ? RESOLVE_NOW : RESOLVE_LATER;
}

const struct resolve_result *resolve_result(const struct resolve *r)
{
    return &r->result;
}

void resolve_free(struct resolve **rp)
{
    struct resolve *r = *rp;

    if (!r)
        return;
    *rp = NULL;
    resolve_cancel(r);
    while (r->first) {
        struct node *n = r->first;

        r->first = n->next;
        node_free(n);
    }
    dict_free(&r->seen, NULL);
    buf_clear(&r->leaf_text);
    free(r->leaves);
    free(r);
}
