/* memory.c - tables held in memory: inline, text, aliases */
#include "maps/map.h"

#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <stdlib.h>

struct entry {
    unsigned line;
    size_t n;
    char text[];
};

struct tables {
    struct dict *now, *next; /* key -> struct entry; owned */
};

static struct tables *tables_of(struct map *m)
{
    if (!m->state)
        m->state = mem_new(sizeof(struct tables));
    return m->state;
}

static bool memory_begin(struct map *m, size_t source_bytes, struct err *err)
{
    (void)source_bytes;
    (void)err;
    tables_of(m)->next = dict_new();
    return true;
}

static bool memory_entry(struct map *m, struct strv key, struct strv value, unsigned line, struct err *err)
{
    struct tables *t = tables_of(m);
    struct entry *first = dict_get(t->next, key), *e;

    (void)err;
    if (first) {
        /* postmap and newaliases say so too and keep the first: a second entry never took effect anywhere. */
        LOG(WARN, "mapd.map.duplicate", KS("map", m->conf->head.name), KS("file", m->conf->source),
            KI("line", line), KV("key", key), KI("first", first->line));
        return true;
    }
    e = mem_new(sizeof *e + value.n);
    e->line = line;
    e->n = value.n;
    memcpy(e->text, value.p, value.n);
    dict_set(t->next, key, e);
    return true;
}

static bool memory_end(struct map *m, struct err *err)
{
    struct tables *t = tables_of(m);

    (void)err;
    dict_free(&t->now, free);
    t->now = t->next;
    t->next = NULL;
    return true;
}

static void memory_drop(struct map *m)
{
    dict_free(&tables_of(m)->next, free);
}

static enum ipc_answer memory_get(struct map *m, struct strv key, struct map_value *out, struct err *err)
{
    struct tables *t = m->state;
    const struct entry *e = dict_get(t->now, key);

    (void)err;
    if (!e)
        return ANSWER_ABSENT;
    *out = (struct map_value){ .text = { e->text, e->n }, .line = e->line };
    return ANSWER_FOUND;
}

struct walk {
    size_t at, from, to;
    map_walk_fn *fn;
    void *arg;
};

static void on_entry(void *arg, struct strv key, void *value)
{
    const struct entry *e = value;
    struct walk *w = arg;
    struct map_value v = { .text = { e->text, e->n }, .line = e->line };
    size_t at = w->at++;

    if (at >= w->from && at < w->to)
        w->fn(w->arg, key, &v);
}

static bool memory_walk(struct map *m, size_t from, size_t max, map_walk_fn *fn, void *arg)
{
    struct walk w = { .from = from, .to = from + max, .fn = fn, .arg = arg };
    struct tables *t = m->state;

    if (t && t->now)
        dict_each(t->now, on_entry, &w);
    return w.at > w.to;
}

static void memory_close(struct map *m)
{
    struct tables *t = m->state;

    if (!t)
        return;
    dict_free(&t->now, free);
    dict_free(&t->next, free);
    MEM_FREE(m->state);
}

#define MEMORY(type_, name_)                                                                                 \
    {                                                                                                        \
        .type = (type_), .name = (name_), .load_begin = memory_begin, .load_entry = memory_entry,            \
        .load_end = memory_end, .load_drop = memory_drop, .get = memory_get, .walk = memory_walk,            \
        .close = memory_close                                                                                \
    }

const struct map_ops map_inline = MEMORY(CONF_MAP_INLINE, "inline");
const struct map_ops map_text = MEMORY(CONF_MAP_TEXT, "text");
const struct map_ops map_aliases = MEMORY(CONF_MAP_ALIASES, "aliases");
