/* include.c - :include: lists */
#include "maps/include.h"

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "maps/identity.h"
#include "maps/list.h"
#include "maps/source.h"

#include <stdio.h>
#include <stdlib.h>

#define PATH_LONGEST 400u /* the key must fit SOURCE_KEY_MAX with its prefix and part */
#define PART_BYTES   (SOURCE_VALUE_MAX - SOURCE_KEY_MAX - 64u)

static const char prefix[] = ":include:";
#define PREFIX_LEN (sizeof prefix - 1)

struct part {
    struct buf text;
    struct part *next;
};

struct list {
    char *path;    /* owned, like the rest */
    char *why;     /* why there is no content; NULL when there is */
    char *trouble; /* of the last try, when that failed */
    struct part *parts;
    char read[sizeof ((struct identity *)0)->text]; /* the file that content came from */
    char seen[sizeof ((struct identity *)0)->text]; /* the file at the last look */
    bool asked;
    struct list *next;
};

struct includes {
    struct dict *by_path; /* owned */
    struct list *first, **tail;
};

bool include_is_key(struct strv key)
{
    return list_is_include(key);
}

struct includes *includes_new(void)
{
    struct includes *in = mem_new(sizeof *in);

    in->by_path = dict_new();
    in->tail = &in->first;
    return in;
}

static void parts_free(struct part **parts)
{
    while (*parts) {
        struct part *p = *parts;

        *parts = p->next;
        buf_clear(&p->text);
        free(p);
    }
}

void includes_free(struct includes **inp)
{
    struct includes *in = *inp;

    if (!in)
        return;
    *inp = NULL;
    while (in->first) {
        struct list *l = in->first;

        in->first = l->next;
        parts_free(&l->parts);
        free(l->path);
        free(l->why);
        free(l->trouble);
        free(l);
    }
    dict_free(&in->by_path, NULL);
    free(in);
}

static bool path_ok(struct strv path)
{
    struct strv rest, part;

    if (path.n < 2 || path.p[0] != '/' || path.n > PATH_LONGEST)
        return false;
    rest = strv_from(path, 1);
    while (strv_cut(&rest, '/', &part))
        if (!part.n || strv_is(part, ".") || strv_is(part, ".."))
            return false;
    return true;
}

bool includes_add(struct includes *in, struct strv path, struct err *err)
{
    struct list *l;

    if (!path_ok(path))
        return err_set(err, ERR_CONF, ":include:%.*s is not an absolute path without . and ..", (int)path.n,
                       path.p);
    if (dict_get(in->by_path, path))
        return true;
    if (dict_count(in->by_path) >= INCLUDES_MAX)
        return err_set(err, ERR_CONF, "more than %u :include: lists", INCLUDES_MAX);
    l = mem_new(sizeof *l);
    l->path = strv_dup(path);
    l->why = mem_str("not read yet");
    *in->tail = l;
    in->tail = &l->next;
    dict_set(in->by_path, path, l);
    return true;
}

bool includes_add_value(struct includes *in, struct strv value, struct err *err)
{
    struct list_item item;

    while (list_next(&value, 0, &item))
        if (item.kind == LIST_INCLUDE && !includes_add(in, item.text, err))
            return false;
    return true;
}

const char *includes_next(struct includes *in)
{
    for (struct list *l = in->first; l; l = l->next)
        if (!l->asked) {
            l->asked = true;
            return l->path;
        }
    return NULL;
}

void includes_again(struct includes *in)
{
    for (struct list *l = in->first; l; l = l->next)
        l->asked = false;
}

static struct buf *part_new(struct list *l)
{
    struct part *p = mem_new(sizeof *p), **at = &l->parts;

    buf_init(&p->text, SOURCE_VALUE_MAX);
    while (*at)
        at = &(*at)->next;
    *at = p;
    return &p->text;
}

/* Appends one line's targets; a full part ends with the name of the next. */
static void add_line(struct list *l, struct buf **part, unsigned *number, struct strv line)
{
    if ((*part)->len && (*part)->len + line.n + 2 > PART_BYTES) {
        buf_addf(*part, ", %s%s//%u", prefix, l->path, ++*number);
        *part = part_new(l);
    }
    if ((*part)->len)
        buf_adds(*part, ", ");
    buf_addv(*part, line);
}

static bool read_lines(struct includes *in, struct list *l, struct strv content, struct err *err)
{
    struct buf *part = part_new(l);
    unsigned number = 1;
    struct source s;
    enum source_step step;
    struct strv key, value;

    source_init(&s, content, SYNTAX_INCLUDE, l->path);
    while ((step = source_next(&s, &key, &value, err)) == SOURCE_ENTRY) {
        if (source_survey(value).bad) {
            err_set(err, ERR_CONF, "%s:%u: unclosed quote or bracket", l->path, s.at);
            step = SOURCE_BAD;
            break;
        }
        if (!includes_add_value(in, value, err)) {
            err_wrap(err, "%s:%u", l->path, s.at);
            step = SOURCE_BAD;
            break;
        }
        add_line(l, &part, &number, value);
    }
    source_clear(&s);
    return step == SOURCE_END;
}

enum include_step includes_look(struct includes *in, struct strv path, const struct identity *now)
{
    struct list *l = dict_get(in->by_path, path);
    bool settled;

    if (!l)
        return INCLUDE_SAME;
    if (!l->why && strcmp(l->read, now->text) == 0) {
        MEM_FREE(l->trouble);
        return INCLUDE_SAME;
    }
    settled = !now->fresh || l->why || strcmp(l->seen, now->text) == 0;
    memcpy(l->seen, now->text, sizeof l->seen);
    return settled ? INCLUDE_READ : INCLUDE_WAIT;
}

bool includes_set(struct includes *in, struct strv path, struct strv content, struct err *err)
{
    struct list *l = dict_get(in->by_path, path);
    struct part *old;

    if (!l)
        return true;
    old = l->parts;
    l->parts = NULL;
    if (!read_lines(in, l, content, err)) {
        parts_free(&l->parts);
        l->parts = old;
        return false;
    }
    parts_free(&old);
    memcpy(l->read, l->seen, sizeof l->read);
    MEM_FREE(l->why);
    MEM_FREE(l->trouble);
    return true;
}

bool includes_fail(struct includes *in, struct strv path, const char *why, bool *kept)
{
    struct list *l = dict_get(in->by_path, path);
    bool news;

    *kept = l && !l->why;
    if (!l)
        return false;
    news = !l->trouble || strcmp(l->trouble, why) != 0;
    free(l->trouble);
    l->trouble = mem_str(why);
    if (*kept)
        return news;
    free(l->why);
    l->why = mem_str(why);
    return news;
}

void includes_adopt(struct includes *in, struct includes *old)
{
    struct err err;

    if (!in || !old)
        return;
    for (struct list *l = in->first; l; l = l->next) {
        struct list *was = dict_get(old->by_path, SV(l->path));

        if (!was || was->why)
            continue;
        l->parts = was->parts;
        was->parts = NULL;
        memcpy(l->read, was->read, sizeof l->read);
        memcpy(l->seen, was->seen, sizeof l->seen);
        MEM_FREE(l->why);
        /* Lists that it names stand behind it now, so this loop reaches them. What may not be named (or is
           the next part of a long list) was told when it was read. */
        for (const struct part *p = l->parts; p; p = p->next)
            if (!includes_add_value(in, buf_view(&p->text), &err))
                continue;
    }
}

/* The key as it was asked: a path in the case in which the table has it; //N names a part. */
enum ipc_answer includes_get(struct includes *in, struct strv key, struct map_value *out, struct err *err)
{
    struct strv path = strv_from(key, PREFIX_LEN);
    uint64_t number = 1;
    struct list *l;
    struct part *p;
    size_t at;

    if (strv_rfind(path, '/', &at) && at > 1 && path.p[at - 1] == '/') {
        if (!strv_u64(strv_from(path, at + 1), UINT32_MAX, &number) || !number)
            return ANSWER_ABSENT;
        path = strv_sub(path, 0, at - 1);
    }
    l = in ? dict_get(in->by_path, path) : NULL;
    if (!l)
        return ANSWER_ABSENT;
    if (l->why) {
        err_set(err, ERR_CONF, ":include:%s: %s", l->path, l->why);
        return ANSWER_FAILED;
    }
    p = l->parts;
    while (p && --number)
        p = p->next;
    if (!p)
        return ANSWER_ABSENT;
    *out = (struct map_value){ .text = buf_view(&p->text) };
    return ANSWER_FOUND;
}

size_t includes_count(const struct includes *in)
{
    return in ? dict_count(in->by_path) : 0;
}
