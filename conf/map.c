/* map.c - section `map NAME` */
#include "conf/map.h"

#include "conf/check.h"
#include "conf/kinds.h"

static const struct conf_choice type_choices[] = {
    { "inline", CONF_MAP_INLINE }, { "text", CONF_MAP_TEXT }, { "aliases", CONF_MAP_ALIASES },
    { "lmdb", CONF_MAP_LMDB }, { "passwd", CONF_MAP_PASSWD }, { NULL, 0 },
};

static const struct conf_choice syntax_choices[] = {
    { "text", CONF_SYNTAX_TEXT }, { "aliases", CONF_SYNTAX_ALIASES }, { NULL, 0 },
};

#define READERS (ROLE_BIT(ROLE_MAPD) | ROLE_BIT(ROLE_MAPD_WORKER))

static const struct conf_field fields[] = {
    FIELD(conf_map, type, CT_ENUM, .choices = type_choices, .required = true, .roles = READERS,
          .doc = "`inline`: the entries stand here; `text`: lines \"key value\"; `aliases`: lines \"name: "
                 "value\" as in "
                 "/etc/aliases; `lmdb`: compiled from such a text, for large tables; `passwd`: the system's "
                 "users."),
    FIELD(conf_map, source, CT_PATH, "\"\"", .exists = true, .roles = READERS,
          .doc = "The text to read. Needed by all types but `inline` and `passwd`."),
    FIELD(conf_map, syntax, CT_ENUM, "text", .choices = syntax_choices, .roles = READERS,
          .doc = "How the source of an `lmdb` map is written."),
    FIELD(conf_map, entries, CT_STRINGS, .roles = READERS,
          .doc = "Entries of an `inline` map, each \"key value\"."),
    FIELD_AS("auto", conf_map, autoload, CT_BOOL, "yes", .roles = READERS,
             .doc = "Notice by itself that the source has changed."),
    FIELD_END
};

bool conf_map_same(const struct conf_map *a, const struct conf_map *b)
{
    if (strcmp(a->head.name, b->head.name) != 0 || a->type != b->type || strcmp(a->source, b->source) != 0 ||
        a->syntax != b->syntax || a->autoload != b->autoload || a->entries.n != b->entries.n)
        return false;
    for (size_t i = 0; i < a->entries.n; i++) {
        if (strcmp(a->entries.v[i], b->entries.v[i]) != 0)
            return false;
    }
    return true;
}

static void check_entries(struct conf_check *check, struct conf_map *map)
{
    for (size_t i = 0; i < map->entries.n; i++) {
        struct strv rest = SV(map->entries.v[i]), key;
        if (!strv_word(&rest, &key) || strv_trim(rest).n == 0)
            conf_check_fail(check, map, "entries", i, "\"%.80s\" is not \"key value\"", map->entries.v[i]);
    }
}

static void check_map(struct conf_check *check, void *section)
{
    struct conf_map *map = section;
    bool needs = map->type != CONF_MAP_INLINE && map->type != CONF_MAP_PASSWD;
    if (needs && map->source[0] == '\0')
        conf_check_fail(check, map, NULL, 0, "map \"%s\" needs a source", map->head.name);
    if (!needs && map->source[0] != '\0')
        conf_check_fail(check, map, "source", 0, "a map of this type has no source");
    if (map->type != CONF_MAP_INLINE && map->entries.n > 0)
        conf_check_fail(check, map, "entries", 0, "entries belong to a map of type inline");
    if (map->type != CONF_MAP_LMDB && map->syntax != CONF_SYNTAX_TEXT)
        conf_check_fail(check, map, "syntax", 0, "syntax belongs to a map of type lmdb");
    check_entries(check, map);
}

/* `postmaster` is what section `mailbox postmaster` looks up: nobody, its one mailbox needs no table. */
static const struct conf_builtin builtins[] = {
    { "passwd", "map passwd { type = passwd }" },
    { "postmaster", "map postmaster { type = inline }" },
    { NULL, NULL },
};

const struct conf_kind conf_map_kind = {
    .name = "map", .fields = fields, .size = sizeof(struct conf_map),
    .offset = offsetof(struct conf, maps), .count_offset = offsetof(struct conf, map_n),
    .label = LABEL_REQUIRED, .check = check_map,
    .builtins = builtins,
    .label_doc = "The name by which other sections use the table. `passwd` exists by itself.",
    .doc = "A table, used by the sections that name it.",
};
