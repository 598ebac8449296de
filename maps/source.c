/* source.c - table sources to entries */
#include "maps/source.h"

#include "maps/keys.h"
#include "maps/list.h"

void source_init(struct source *s, struct strv text, enum source_syntax syntax, const char *file)
{
    *s = (struct source){ .rest = text, .syntax = syntax, .file = file, .line = 1 };
    buf_init(&s->logical, SOURCE_VALUE_MAX + SOURCE_KEY_MAX + 256);
    buf_init(&s->key, 4 * SOURCE_KEY_MAX);
}

void source_clear(struct source *s)
{
    buf_clear(&s->logical);
    buf_clear(&s->key);
}

/* A physical line without its end ("\n" or "\r\n"). */
static bool next_line(struct source *s, struct strv *line)
{
    size_t at;

    if (!s->rest.n)
        return false;
    if (strv_find(s->rest, '\n', &at)) {
        *line = strv_sub(s->rest, 0, at);
        s->rest = strv_from(s->rest, at + 1);
    } else {
        *line = s->rest;
        s->rest = strv_from(s->rest, s->rest.n);
    }
    if (line->n && line->p[line->n - 1] == '\r')
        line->n--;
    s->line++;
    return true;
}

static bool is_nothing(struct strv line)
{
    struct strv t = strv_trim(line);

    return !t.n || t.p[0] == '#';
}

static bool continues(struct strv line)
{
    return line.n && byte_is_blank((unsigned char)line.p[0]);
}

static void drop_backslash(struct buf *b)
{
    if (b->len && b->data[b->len - 1] == '\\')
        buf_cut(b, b->len - 1);
}

/* Collects one logical line; s->at is where it began. sendmail also continues behind a backslash at the end.
 */
static bool next_logical(struct source *s)
{
    struct strv line, ahead;
    bool escaped;

    buf_reset(&s->logical);
    do {
        s->at = s->line;
        if (!next_line(s, &line))
            return false;
    } while (is_nothing(line));
    buf_addv(&s->logical, line);
    for (;;) {
        struct strv rest = s->rest;
        unsigned number = s->line;

        escaped = s->syntax == SYNTAX_ALIASES && strv_ends(line, SV_LIT("\\"));
        if (!next_line(s, &ahead))
            return true;
        if (is_nothing(ahead))
            continue;
        if (s->syntax == SYNTAX_INCLUDE || (!continues(ahead) && !escaped)) {
            s->rest = rest;
            s->line = number;
            return true;
        }
        if (escaped)
            drop_backslash(&s->logical);
        buf_addc(&s->logical, ' ');
        buf_addv(&s->logical, strv_trim(ahead));
        line = ahead;
    }
}

static enum source_step bad(const struct source *s, const char *what, struct err *err)
{
    err_set(err, ERR_CONF, "%s:%u: %s", s->file, s->at, what);
    return SOURCE_BAD;
}

/* A quoted start of the key: up to its closing quote, without the quotes and the backslashes in it. */
static bool take_quoted(struct source *s, struct strv *rest)
{
    size_t i;

    for (i = 1; i < rest->n && rest->p[i] != '"'; i++) {
        if (rest->p[i] == '\\' && i + 1 < rest->n)
            i++;
        buf_addc(&s->key, byte_lower(rest->p[i]));
    }
    if (i == rest->n)
        return false;
    *rest = strv_from(*rest, i + 1);
    return true;
}

/* Key into s->key; *rest moves to what follows it. */
static const char *take_key(struct source *s, struct strv *rest)
{
    bool aliases = s->syntax == SYNTAX_ALIASES;
    size_t n = 0;

    buf_reset(&s->key);
    if (rest->n && rest->p[0] == '"' && !take_quoted(s, rest))
        return "unclosed quote in the key";
    while (n < rest->n && !byte_is_blank((unsigned char)rest->p[n]) && !(aliases && rest->p[n] == ':'))
        n++;
    key_lower(strv_sub(*rest, 0, n), &s->key);
    *rest = strv_from(*rest, n);
    if (!s->key.len)
        return "no key";
    if (s->key.len > SOURCE_KEY_MAX)
        return "the key is longer than 511 bytes";
    if (!aliases)
        return NULL;
    *rest = strv_trim(*rest);
    if (!rest->n || rest->p[0] != ':')
        return "no \":\" behind the name";
    *rest = strv_from(*rest, 1);
    if (strv_has(buf_view(&s->key), '@'))
        return "the name of an alias has no domain (map virtual is for whole addresses)";
    return NULL;
}

static bool has_control(struct strv s)
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < 32 && s.p[i] != '\t') || s.p[i] == 127)
            return true;
    return false;
}

enum source_step source_next(struct source *s, struct strv *key, struct strv *value, struct err *err)
{
    struct strv rest;
    const char *why;

    *key = (struct strv){ "", 0 };
    if (!next_logical(s))
        return SOURCE_END;
    if (!buf_ok(&s->logical))
        return bad(s, "the entry is longer than 48 KiB", err);
    rest = buf_view(&s->logical);
    if (has_control(rest))
        return bad(s, "a control character", err);
    if (s->syntax == SYNTAX_INCLUDE) {
        *value = strv_trim(rest);
        return SOURCE_ENTRY;
    }
    if (continues(rest))
        return bad(s, "begins with a blank, but there is no line before it to continue", err);
    why = take_key(s, &rest);
    if (why)
        return bad(s, why, err);
    *key = buf_view(&s->key);
    *value = strv_trim(rest);
    if (!value->n)
        return bad(s, "a key without a value", err);
    if (value->n > SOURCE_VALUE_MAX)
        return bad(s, "the value is longer than 48 KiB", err);
    return SOURCE_ENTRY;
}

struct source_targets source_survey(struct strv value)
{
    struct source_targets t = { 0 };
    struct list_item item;

    while (list_next(&value, 0, &item)) {
        t.includes += item.kind == LIST_INCLUDE;
        t.unserved += item.kind == LIST_COMMAND || item.kind == LIST_FILE;
        t.bad |= item.kind == LIST_BAD;
    }
    return t;
}
