/* map.c - the types of tables, and what is common to them */
#include "maps/map.h"

#include "common/base/mem.h"
#include "maps/include.h"
#include "maps/keys.h"

#include <stdio.h>
#include <stdlib.h>

static const struct map_ops *const types[] = { &map_inline, &map_text, &map_aliases, &map_lmdb, &map_passwd };

const struct map_ops *map_ops_find(int type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if ((int)types[i]->type == type)
            return types[i];
    return NULL;
}

struct map *map_new(const struct conf_map *conf)
{
    struct map *m = mem_new(sizeof *m);

    m->conf = conf;
    m->ops = map_ops_find(conf->type);
    if (!m->ops)
        die("map %s has a type that this program does not know", conf->head.name);
    snprintf(m->why, sizeof m->why, "map %s is not loaded", conf->head.name);
    return m;
}

void map_free(struct map **mp)
{
    struct map *m = *mp;

    if (!m)
        return;
    *mp = NULL;
    if (m->ops->close)
        m->ops->close(m);
    includes_free(&m->includes);
    free(m);
}

enum ipc_answer map_get(struct map *m, struct strv key, struct map_value *out, struct err *err)
{
    enum ipc_answer answer;

    if (include_is_key(key))
        return includes_get(m->includes, key, out, err);
    if (!m->ready) {
        err_set(err, ERR_CONF, "%s", m->why);
        return ANSWER_FAILED;
    }
    answer = m->ops->get(m, key, out, err);
    if (answer == ANSWER_FAILED)
        err_wrap(err, "map %s", m->conf->head.name);
    return answer;
}

bool map_load_inline(struct map *m, struct err *err)
{
    const struct conf_strings *entries = &m->conf->entries;
    struct buf key;
    bool ok;

    if (!m->ops->load_begin(m, 0, err))
        return false;
    buf_init(&key, 4096);
    ok = true;
    for (size_t i = 0; ok && i < entries->n; i++) {
        struct strv rest = SV(entries->v[i]), word;

        buf_reset(&key);
        ok = strv_word(&rest, &word) || err_set(err, ERR_CONF, "map %s: an empty entry", m->conf->head.name);
        if (!ok)
            break;
        key_lower(word, &key);
        ok = m->ops->load_entry(m, buf_view(&key), strv_trim(rest), 0, err);
    }
    buf_clear(&key);
    if (!ok) {
        m->ops->load_drop(m);
        return false;
    }
    m->ready = m->ops->load_end(m, err);
    return m->ready;
}
