/* check.c - a table's source looked through without being used */
#include "maps/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "maps/list.h"
#include "maps/source.h"

#define DEPTH_MAX  20u /* of aliases of aliases; cleanup gives up before (address.max_depth) */
#define ERRORS_MAX 10u

struct alias {
    unsigned line;
    char *key, *value; /* owned */
    enum { FRESH, OPEN, DONE } state;
};

struct work {
    struct map_check *c;
    struct dict *keys;   /* -> struct alias */
    struct alias **list; /* borrowed, in the order of the source */
    size_t n;
};

__attribute__((format(printf, 4, 5))) static void say(struct map_check *c, enum check_level level,
                                                      unsigned line, const char *fmt, ...)
{
    char text[1200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->errors += level == CHECK_ERROR;
    c->faults += level == CHECK_FAULT;
    c->say(c->arg, level, line, text);
}

static void alias_free(void *value)
{
    struct alias *a = value;

    free(a->key);
    free(a->value);
    free(a);
}

/* ---- loops ---- */

static bool follow(struct work *w, struct alias *a, unsigned depth);

/* `a: a` keeps the address, as `\a` does, and is no loop. */
static bool target(struct work *w, struct alias *from, const struct list_item *item, unsigned depth)
{
    char name[SOURCE_KEY_MAX + 1];
    struct alias *a;
    size_t at;

    if (item->kind != LIST_ADDRESS || strv_find(item->text, '@', &at) ||
        !strv_cstr(item->text, name, sizeof name))
        return true;
    for (char *p = name; *p; p++)
        *p = byte_lower(*p);
    a = dict_get(w->keys, SV(name));
    if (!a || a == from)
        return true;
    if (a->state == OPEN || depth == DEPTH_MAX) {
        say(w->c, CHECK_FAULT, from->line, "%s: %s -> %s closes a loop that begins in line %u", from->key,
            from->key, a->key, a->line);
        return false;
    }
    return a->state == DONE || follow(w, a, depth + 1);
}

static bool follow(struct work *w, struct alias *a, unsigned depth)
{
    struct strv rest = SV(a->value);
    struct list_item item;
    bool ok = true;

    a->state = OPEN;
    while (ok && list_next(&rest, 0, &item))
        ok = target(w, a, &item, depth);
    a->state = DONE;
    return ok;
}

/* ---- entries ---- */

static void alias_look(struct map_check *c, const struct alias *a)
{
    struct source_targets t = source_survey(SV(a->value));
    struct strv rest = SV(a->value);
    struct list_item item;
    size_t targets = 0;

    if (t.bad)
        say(c, CHECK_ERROR, a->line, "%s: unclosed quote or bracket", a->key);
    while (!t.bad && list_next(&rest, 0, &item))
        targets++;
    if (!t.bad && targets == 0)
        say(c, CHECK_FAULT, a->line, "%s: names nobody; for mail that is to be dropped write /dev/null",
            a->key);
}

static void entry(struct work *w, const struct source *s, struct strv key, struct strv value)
{
    struct map_check *c = w->c;
    const struct alias *first = dict_get(w->keys, key);
    struct alias *a;

    c->entries++;
    if (first) {
        c->duplicates++;
        say(c, CHECK_FAULT, s->at, "%s: stands already in line %u; this entry is never used", first->key,
            first->line);
        return;
    }
    a = mem_new(sizeof *a);
    *a = (struct alias){ .line = s->at, .key = strv_dup(key), .value = strv_dup(value) };
    dict_set(w->keys, key, a);
    if ((w->n & (w->n - 1)) == 0)
        w->list = mem_resize(w->list, w->n ? w->n * 2 : 1, sizeof(*w->list));
    w->list[w->n++] = a;
    if (c->aliases)
        alias_look(c, a);
    else if (value.n == 0)
        say(c, CHECK_ADVICE, s->at, "%s: has an empty value", a->key);
}

/* Behind a mistake the next line is tried: an operator wants all of them at once. */
static void read_all(struct work *w, struct source *s)
{
    struct strv key, value;

    for (;;) {
        struct err err = { 0 };
        const char *text = err.text;
        size_t left = s->rest.n;
        char where[600];

        switch (source_next(s, &key, &value, &err)) {
        case SOURCE_END: return;
        case SOURCE_ENTRY: entry(w, s, key, value); continue;
        case SOURCE_BAD: break;
        }
        snprintf(where, sizeof where, "%s:%u: ", s->file, s->at);
        if (strncmp(text, where, strlen(where)) == 0)
            text += strlen(where);
        say(w->c, CHECK_ERROR, s->at, "%s", text);
        if (w->c->errors >= ERRORS_MAX || s->rest.n >= left)
            return;
    }
}

void map_check_text(struct map_check *c, struct strv text)
{
    struct work w = { .c = c, .keys = dict_new() };
    struct source s;

    source_init(&s, text, c->aliases ? SYNTAX_ALIASES : SYNTAX_TEXT, c->file);
    read_all(&w, &s);
    for (size_t i = 0; c->aliases && i < w.n; i++) {
        if (w.list[i]->state == FRESH)
            follow(&w, w.list[i], 0);
    }
    source_clear(&s);
    free(w.list);
    dict_free(&w.keys, alias_free);
}

bool map_check_is_aliases(struct strv text)
{
    struct strv line;

    while (strv_cut(&text, '\n', &line)) {
        size_t colon, blank;

        line = strv_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        blank = 0;
        while (blank < line.n && line.p[blank] != ' ' && line.p[blank] != '\t')
            blank++;
        return strv_find(line, ':', &colon) && colon <= blank;
    }
    return false;
}
