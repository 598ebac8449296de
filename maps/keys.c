/* keys.c - key precedence for addresses, and what the values of mailbox look-ups mean */
#include "maps/keys.h"

#include "common/base/mem.h"
#include "common/mail/address.h"
#include "conf/address.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "maps/list.h"

#include <stdlib.h>

#define KEY_TEXT_MAX (64u * 1024u) /* an address and its shorter forms, plus what key_chain_add brings */
#define QUOTA_MAX    (1ull << 50)

void key_chain_init(struct key_chain *c)
{
    *c = (struct key_chain){ 0 };
    buf_init(&c->text, KEY_TEXT_MAX);
}

void key_chain_reset(struct key_chain *c)
{
    buf_reset(&c->text);
    c->n = 0;
    c->over = false;
}

void key_chain_clear(struct key_chain *c)
{
    buf_clear(&c->text);
    MEM_FREE(c->items);
    c->n = c->cap = 0;
}

struct strv key_chain_key(const struct key_chain *c, size_t i)
{
    return strv_sub(buf_view(&c->text), c->items[i].at, c->items[i].len);
}

static struct key_item *chain_item(struct key_chain *c, const char *map, size_t at, size_t len, unsigned use)
{
    if (c->n == KEY_CHAIN_MAX) {
        c->over = true;
        return NULL;
    }
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 8;
        c->items = mem_resize(c->items, c->cap, sizeof *c->items);
    }
    c->items[c->n] = (struct key_item){ .map = map, .at = at, .len = len, .use = use };
    return &c->items[c->n++];
}

void key_chain_add(struct key_chain *c, const char *map, struct strv key)
{
    size_t at = c->text.len;

    buf_addv(&c->text, key);
    if (!buf_ok(&c->text)) {
        c->over = true;
        return;
    }
    chain_item(c, map, at, key.n, 0);
}

void key_lower(struct strv s, struct buf *out)
{
    char *to = buf_reserve(out, s.n);

    if (!to)
        return;
    for (size_t i = 0; i < s.n; i++)
        to[i] = byte_lower(s.p[i]);
    buf_commit(out, s.n);
}

/* The forms of one address, as ranges of the chain's text: written once, shared by all items. */
struct forms {
    size_t full, full_len; /* local+ext@domain */
    size_t base, base_len; /* local@domain; length 0 without an extension */
    size_t any, any_len;   /* local+*@domain; the same */
    size_t local_len;      /* local+ext, at the start of full */
    size_t short_len;      /* local, at the start of full; 0 without an extension */
    size_t domain_len;     /* @domain, at the end of full */
};

static bool forms_make(struct key_chain *c, const char *separators, const struct address *a, struct forms *f)
{
    struct strv base, ext;

    *f = (struct forms){ .full = c->text.len };
    address_key(a, &c->text);
    f->full_len = c->text.len - f->full;
    f->domain_len = a->domain.n + 1;
    f->local_len = f->full_len - f->domain_len;
    if (*separators && address_split_extension(a->local, SV(separators), &base, &ext)) {
        f->short_len = base.n;
        f->base = c->text.len;
        key_lower(base, &c->text);
        buf_addc(&c->text, '@');
        key_lower(a->domain, &c->text);
        f->base_len = c->text.len - f->base;
        f->any = c->text.len;
        key_lower(strv_sub(a->local, 0, base.n + 1), &c->text);
        buf_adds(&c->text, "*@");
        key_lower(a->domain, &c->text);
        f->any_len = c->text.len - f->any;
    }
    return buf_ok(&c->text);
}

static void add_catching(struct key_chain *c, const char *map, size_t at, size_t len)
{
    struct key_item *item = chain_item(c, map, at, len, KEYS_VIRTUAL);

    if (item)
        item->catch_all = true;
}

static void add_catch_all(struct key_chain *c, const char *map, const struct forms *f)
{
    add_catching(c, map, f->full + f->local_len, f->domain_len);
}

/* With sendmail's forms for any detail (cf/README, virtusertable). */
static void add_virtual(struct key_chain *c, const char *map, const struct forms *f)
{
    chain_item(c, map, f->full, f->full_len, KEYS_VIRTUAL);
    if (f->base_len) {
        chain_item(c, map, f->any, f->any_len, KEYS_VIRTUAL);
        chain_item(c, map, f->base, f->base_len, KEYS_VIRTUAL);
        add_catching(c, map, f->any + f->short_len, f->any_len - f->short_len);
    }
    add_catch_all(c, map, f);
}

/* The local part alone: aliases and the system's users. */
static void add_local(struct key_chain *c, const char *map, const struct forms *f, unsigned use,
                      const struct conf_mailbox *mailbox)
{
    struct key_item *item = chain_item(c, map, f->full, f->local_len, use);

    if (item)
        item->mailbox = mailbox;
    item = f->short_len ? chain_item(c, map, f->full, f->short_len, use) : NULL;
    if (item)
        item->mailbox = mailbox;
}

static void add_mailbox(struct key_chain *c, const struct forms *f, const struct conf_mailbox *m)
{
    struct key_item *item;

    if (conf_mailbox_is_system(m) || strcmp(m->lookup, "passwd") == 0) {
        add_local(c, m->lookup, f, KEYS_MAILBOX, m);
        return;
    }
    item = chain_item(c, m->lookup, f->full, f->full_len, KEYS_MAILBOX);
    if (item)
        item->mailbox = m;
    item = f->base_len ? chain_item(c, m->lookup, f->base, f->base_len, KEYS_MAILBOX) : NULL;
    if (item)
        item->mailbox = m;
}

void keys_for_address(struct key_chain *c, const struct conf *conf, const struct address *a, unsigned uses)
{
    const struct conf_address *ca = conf->address;
    struct forms f;
    bool own;

    if (a->kind != ADDRESS_DOMAIN && a->kind != ADDRESS_LITERAL)
        return;
    if (!forms_make(c, ca ? ca->extension : "", a, &f)) {
        c->over = true;
        return;
    }
    /* `":include:/etc/staff"@own.test` is a valid address, and its forms would be the keys of lists. */
    if (list_is_include(a->local)) {
        if ((uses & KEYS_VIRTUAL) && ca && ca->virtual_map && *ca->virtual_map)
            add_catch_all(c, ca->virtual_map, &f);
        return;
    }
    own = a->kind == ADDRESS_DOMAIN &&
          ((uses & KEYS_OWN) || (conf->own && conf_domain_is_own(conf, a->domain)));
    if ((uses & KEYS_VIRTUAL) && ca && ca->virtual_map && *ca->virtual_map)
        add_virtual(c, ca->virtual_map, &f);
    if ((uses & KEYS_ALIASES) && own && ca && ca->aliases && *ca->aliases)
        add_local(c, ca->aliases, &f, KEYS_ALIASES, NULL);
    if (!(uses & KEYS_MAILBOX) || !own)
        return;
    for (size_t i = 0; i < conf->mailbox_n; i++) {
        const struct conf_mailbox *m = conf->mailboxes[i];

        if (!m->domains.n || conf_strings_have(&m->domains, a->domain))
            add_mailbox(c, &f, m);
    }
}

/* Below the root and nowhere else: an entry must not climb, whatever a table says. */
static bool path_ok(struct strv path)
{
    struct strv rest = path, part;

    if (!path.n || path.p[0] == '/')
        return false;
    while (strv_cut(&rest, '/', &part)) {
        if (!part.n || strv_is(part, ".") || strv_is(part, ".."))
            return false;
        for (size_t i = 0; i < part.n; i++)
            if ((unsigned char)part.p[i] < 32 || part.p[i] == 127)
                return false;
    }
    return true;
}

static bool quota_read(struct strv s, uint64_t *out)
{
    unsigned shift = 0;
    uint64_t n;

    if (s.n && !byte_is_digit((unsigned char)s.p[s.n - 1])) {
        switch (byte_lower(s.p[--s.n])) {
        case 'k': shift = 10; break;
        case 'm': shift = 20; break;
        case 'g': shift = 30; break;
        default: return false;
        }
    }
    if (!strv_u64(s, QUOTA_MAX >> shift, &n))
        return false;
    *out = n << shift;
    return true;
}

bool passwd_value_read(struct strv value, uint64_t *uid, uint64_t *gid, struct strv *home)
{
    struct strv rest = value, u, g;

    /* 2^32 - 1 is "no id" to the kernel: setresuid would keep the id it has. */
    if (!strv_cut(&rest, ':', &u) || !strv_cut(&rest, ':', &g) || !rest.p)
        return false;
    if (!strv_u64(u, UINT32_MAX - 1u, uid) || !strv_u64(g, UINT32_MAX - 1u, gid))
        return false;
    *home = rest;
    return rest.n > 0 && rest.p[0] == '/';
}

static struct strv without_slashes(struct strv path)
{
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

static bool read_system_user(struct strv key, struct strv value, struct mailbox_place *out, struct err *err)
{
    struct strv path = SV(out->mailbox->path);

    if (!passwd_value_read(value, &out->uid, &out->gid, &out->home))
        return err_set(err, ERR_CONF, "user %.*s: the value is not uid:gid:home", (int)key.n, key.p);
    out->system_user = true;
    out->user = key;
    if (path.n == 0) {
        out->spool = out->mailbox->method == CONF_METHOD_MBOX;
        out->path = key;
        return path_ok(key) && !strv_has(key, '/')
                   ? true
                   : err_set(err, ERR_CONF, "user %.*s: not a file name", (int)key.n, key.p);
    }
    if (strv_starts(path, SV_LIT("~/")))
        path = strv_from(path, 2);
    out->path = without_slashes(path);
    if (!path_ok(out->path))
        return err_set(err, ERR_CONF, "mailbox path %s is not below the home", out->mailbox->path);
    return true;
}

bool mailbox_place_read(const struct conf_mailbox *mailbox, struct strv key, struct strv value,
                        struct mailbox_place *out, struct err *err)
{
    struct strv rest = value, word;

    *out = (struct mailbox_place){ .mailbox = mailbox };
    if (conf_mailbox_is_system(mailbox))
        return read_system_user(key, value, out, err);
    if (conf_mailbox_is_list(mailbox)) {
        out->user = SV(mailbox->user);
        return true;
    }
    if (!strv_word(&rest, &word))
        return err_set(err, ERR_CONF, "mailbox %.*s: no path", (int)key.n, key.p);
    out->path = without_slashes(word);
    if (!path_ok(out->path))
        return err_set(err, ERR_CONF, "mailbox %.*s: path %.*s is not below the root", (int)key.n, key.p,
                       (int)word.n, word.p);
    out->user = SV(mailbox->owner);
    while (strv_word(&rest, &word)) {
        if (strv_starts(word, SV_LIT("owner=")) && word.n > 6)
            out->user = strv_from(word, 6);
        else if (!strv_starts(word, SV_LIT("quota=")) || !quota_read(strv_from(word, 6), &out->quota))
            return err_set(err, ERR_CONF, "mailbox %.*s: `%.*s` is neither owner=USER nor quota=N",
                           (int)key.n, key.p, (int)word.n, word.p);
    }
    return true;
}

bool mailbox_place_postmaster(const struct conf *conf, struct mailbox_place *out)
{
    for (size_t i = 0; i < conf->mailbox_n; i++) {
        const struct conf_mailbox *m = conf->mailboxes[i];

        if (strcmp(m->head.name, "postmaster") != 0 || !*m->root)
            continue;
        *out = (struct mailbox_place){ .mailbox = m,
                                       .user = SV(m->owner),
                                       .path = without_slashes(SV(m->path)) };
        return path_ok(out->path);
    }
    return false;
}

bool mailbox_place_root(const struct conf *conf, struct mailbox_place *out)
{
    if (!mailbox_place_postmaster(conf, out))
        return false;
    out->path = SV_LIT("root");
    return true;
}
