/* load.c - loading of tables from their sources */
#include "maps/load.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "maps/identity.h"
#include "maps/include.h"
#include "maps/source.h"

#include <stdio.h>
#include <stdlib.h>

struct load {
    struct map *map;
    struct buf text; /* owned: the whole source */
    struct source source;
    struct includes *includes; /* owned: lists that the new table names */
    size_t entries;
    bool over; /* done or failed: nothing to drop */
};

static enum source_syntax syntax_of(const struct conf_map *conf)
{
    bool aliases = conf->type == CONF_MAP_ALIASES ||
                   (conf->type == CONF_MAP_LMDB && conf->syntax == CONF_SYNTAX_ALIASES);

    return aliases ? SYNTAX_ALIASES : SYNTAX_TEXT;
}

/* The format belongs to it: a table made from the same bytes in another one is another. */
#define FORMAT_LEN 4u
static void identity_keep(struct map *m, const struct identity *id)
{
    snprintf(m->identity, sizeof m->identity, "1 %d %s", (int)syntax_of(m->conf), id->text);
}

bool load_is_known(const struct map *m, const struct identity *id)
{
    return m->ready && strlen(m->identity) > FORMAT_LEN && strcmp(m->identity + FORMAT_LEN, id->text) == 0;
}

static bool begin(struct load *l, int fd, struct err *err)
{
    struct map *m = l->map;
    struct identity id;

    buf_init(&l->text, LOAD_BYTES_MAX);
    if (!identity_read(fd, &l->text, &id, err))
        return err_wrap(err, "map %s: %s", m->conf->head.name, m->conf->source);
    identity_keep(m, &id);
    source_init(&l->source, buf_view(&l->text), syntax_of(m->conf), m->conf->source);
    return m->ops->load_begin(m, l->text.len, err);
}

bool load_begin(struct map *m, int fd, struct load **out, struct err *err)
{
    enum source_syntax syntax = syntax_of(m->conf);
    struct identity id;
    struct load *l;
    bool ok;

    *out = NULL;
    if (!identity_of(fd, &id, err)) {
        fd_close(&fd);
        return false;
    }
    if (load_is_known(m, &id)) {
        fd_close(&fd);
        return true;
    }
    identity_keep(m, &id);
    /* Aliases are read each time: which lists they include stands in the source only. */
    if (m->ops->load_again && syntax == SYNTAX_TEXT && m->ops->load_again(m, SV(m->identity))) {
        fd_close(&fd);
        m->ready = true;
        return true;
    }
    l = mem_new(sizeof *l);
    l->map = m;
    ok = begin(l, fd, err);
    fd_close(&fd);
    if (!ok) {
        l->over = true;
        m->identity[0] = '\0';
        load_free(&l);
    }
    *out = l;
    return ok;
}

static bool look_at_targets(struct load *l, struct strv key, struct strv value, struct err *err)
{
    struct source_targets t = source_survey(value);
    const struct source *s = &l->source;

    if (t.bad)
        return err_set(err, ERR_CONF, "%s:%u: unclosed quote or bracket", s->file, s->at);
    if (t.unserved)
        LOG(WARN, "mapd.alias.unserved", KS("map", l->map->conf->head.name), KS("file", s->file),
            KI("line", s->at), KV("key", key),
            KS("why", "commands and files as targets are served only as address.commands permits"));
    if (!t.includes)
        return true;
    if (!l->includes)
        l->includes = includes_new();
    if (!includes_add_value(l->includes, value, err))
        return err_wrap(err, "%s:%u", s->file, s->at);
    return true;
}

static bool entry(struct load *l, struct strv key, struct strv value, struct err *err)
{
    if (l->source.syntax == SYNTAX_ALIASES && !look_at_targets(l, key, value, err))
        return false;
    return l->map->ops->load_entry(l->map, key, value, l->source.at, err);
}

static enum load_step failed(struct load *l)
{
    l->map->ops->load_drop(l->map);
    l->map->identity[0] = '\0';
    l->over = true;
    return LOAD_FAILED;
}

static enum load_step done(struct load *l, struct err *err)
{
    struct map *m = l->map;

    l->over = true;
    if (!m->ops->load_end(m, err)) {
        m->identity[0] = '\0';
        return LOAD_FAILED;
    }
    m->ready = true;
    includes_adopt(l->includes, m->includes);
    includes_free(&m->includes);
    m->includes = l->includes;
    l->includes = NULL;
    return LOAD_DONE;
}

enum load_step load_run(struct load *l, size_t entries, struct err *err)
{
    struct strv key, value;

    while (entries--) {
        switch (source_next(&l->source, &key, &value, err)) {
        case SOURCE_END: return done(l, err);
        case SOURCE_BAD: return failed(l);
        case SOURCE_ENTRY:
            if (!entry(l, key, value, err))
                return failed(l);
            l->entries++;
            break;
        }
    }
    return LOAD_MORE;
}

struct map *load_map(const struct load *l)
{
    return l->map;
}

size_t load_entries(const struct load *l)
{
    return l->entries;
}

void load_free(struct load **lp)
{
    struct load *l = *lp;

    if (!l)
        return;
    *lp = NULL;
    if (!l->over) {
        l->map->ops->load_drop(l->map);
        l->map->identity[0] = '\0';
    }
    source_clear(&l->source);
    includes_free(&l->includes);
    buf_clear(&l->text);
    free(l);
}
