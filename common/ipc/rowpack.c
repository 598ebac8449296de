/* rowpack.c - rows of named values, packed behind each other in the bytes of CTL_ROWS frames (pure) */
#include "common/ipc/rowpack.h"

#include "common/base/mem.h"

#include <stdlib.h>

#define NUMBER_MAX 10u /* bytes of the largest */
#define PENDING    (4u * ROWPACK_MAX)

/* ---- names ---- */

static void names_clear(struct rowpack_names *names)
{
    for (unsigned i = 0; i < names->cap; i++)
        free(names->list[i]);
    MEM_FREE(names->list);
    names->n = names->cap = 0;
}

static const struct rowpack_name *name_add(struct rowpack_names *names, const char *text, size_t n)
{
    struct rowpack_name *name;

    if (names->n == names->cap) {
        names->list = mem_resize(names->list, names->cap + 1, sizeof(struct rowpack_name *));
        names->list[names->cap++] = mem_new(sizeof *name);
    }
    name = names->list[names->n++];
    name->n = (uint8_t)n;
    memcpy(name->text, text, n);
    name->text[n] = '\0';
    return name;
}

/* names->n when it did not come yet. Rows are alike: after a name comes the one that did before. */
static unsigned name_find(const struct rowpack_names *names, unsigned guess, const char *text)
{
    if (guess < names->n && strcmp(names->list[guess]->text, text) == 0)
        return guess;
    for (unsigned i = 0; i < names->n; i++)
        if (strcmp(names->list[i]->text, text) == 0)
            return i;
    return names->n;
}

/* ---- writing ---- */

void rowpack_init(struct rowpack *p)
{
    *p = (struct rowpack){ .row_at = 0 };
    buf_init(&p->bytes, PENDING);
}

void rowpack_clear(struct rowpack *p)
{
    buf_clear(&p->bytes);
    names_clear(&p->names);
    p->row_at = 0;
}

void rowpack_reset(struct rowpack *p)
{
    buf_reset(&p->bytes);
    p->names.n = p->guess = 0;
    p->row_at = 0;
}

static char *number_write(char *to, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *to++ = (char)(v | 0x80);
    *to++ = (char)v;
    return to;
}

/* Room for the name, one of names_max, and `size` bytes of value, with the name written; NULL: the row does
   without it. */
static char *name_begin(struct rowpack *p, const char *name, unsigned names_max, unsigned text, size_t size)
{
    size_t n = strlen(name), max = NUMBER_MAX + 1 + n + size;
    unsigned i;
    char *to;

    if (n > ROWPACK_NAME_MAX || p->bytes.len - p->row_at + max + 1 > ROWPACK_MAX)
        return NULL;
    i = name_find(&p->names, p->guess, name);
    to = i < names_max ? buf_reserve(&p->bytes, max) : NULL;
    if (!to)
        return NULL;
    p->guess = i + 1;
    to = number_write(to, 2 * (i + 1) + text);
    if (i == p->names.n) {
        name_add(&p->names, name, n);
        *to++ = (char)n;
        memcpy(to, name, n);
        to += n;
    }
    return to;
}

static char *value_begin(struct rowpack *p, const char *name, unsigned text, size_t size)
{
    return name_begin(p, name, ROWPACK_NAMES, text, size);
}

static void value_end(struct rowpack *p, const char *to)
{
    buf_commit(&p->bytes, (size_t)(to - (p->bytes.data + p->bytes.len)));
}

void rowpack_begin(struct rowpack *p, const char *kind)
{
    char *to = name_begin(p, kind, ROWPACK_NAMES + ROWPACK_KINDS, 0, 0);

    if (to)
        value_end(p, to);
}

bool rowpack_text(struct rowpack *p, const char *name, struct strv value)
{
    char *to = value_begin(p, name, 1, NUMBER_MAX + value.n);

    if (!to)
        return false;
    to = number_write(to, value.n);
    if (value.n)
        memcpy(to, value.p, value.n);
    value_end(p, to + value.n);
    return true;
}

bool rowpack_number(struct rowpack *p, const char *name, uint64_t value)
{
    char *to = value_begin(p, name, 0, NUMBER_MAX);

    if (!to)
        return false;
    value_end(p, number_write(to, value));
    return true;
}

bool rowpack_is_full(const struct rowpack *p)
{
    return p->row_at > 0 && p->bytes.len + 1 > ROWPACK_MAX;
}

void rowpack_end(struct rowpack *p)
{
    buf_addc(&p->bytes, '\0');
    p->guess = 0;
    p->row_at = p->bytes.len;
}

struct strv rowpack_rows(const struct rowpack *p)
{
    return strv_sub(buf_view(&p->bytes), 0, p->row_at);
}

void rowpack_sent(struct rowpack *p)
{
    buf_drop(&p->bytes, p->row_at);
    p->row_at = 0;
}

/* ---- reading: nothing here trusts the bytes ---- */

void rowread_init(struct rowread *r)
{
    *r = (struct rowread){ .names = { .n = 0 } };
}

void rowread_clear(struct rowread *r)
{
    names_clear(&r->names);
}

void rowread_reset(struct rowread *r)
{
    r->names.n = 0;
}

static bool number_read(struct strv *rest, uint64_t *out)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && rest->n > 0; shift += 7) {
        unsigned char byte = (unsigned char)*rest->p++;

        rest->n--;
        if (shift == 63 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return true;
        }
    }
    return false;
}

/* NULL: no name. */
static const char *name_read(struct rowread *r, struct strv *rest, uint64_t head)
{
    uint64_t i = head / 2 - 1;
    size_t n;

    if (head < 2 || i > r->names.n)
        return NULL;
    if (i < r->names.n)
        return r->names.list[i]->text;
    if (i >= ROWPACK_NAMES + ROWPACK_KINDS || rest->n == 0)
        return NULL;
    n = (unsigned char)rest->p[0];
    if (n > ROWPACK_NAME_MAX || n >= rest->n || memchr(rest->p + 1, '\0', n))
        return NULL;
    *rest = strv_make(rest->p + 1 + n, rest->n - 1 - n);
    return name_add(&r->names, rest->p - n, n)->text;
}

const char *rowread_begin(struct rowread *r, struct strv *rest)
{
    uint64_t head;

    return number_read(rest, &head) && head % 2 == 0 ? name_read(r, rest, head) : NULL;
}

enum rowread_step rowread_next(struct rowread *r, struct strv *rest, struct rowread_value *out)
{
    uint64_t head, n;

    if (!number_read(rest, &head))
        return ROWREAD_BAD;
    if (head == 0)
        return ROWREAD_END;
    out->name = name_read(r, rest, head);
    out->text = strv_make(NULL, 0);
    if (!out->name || !number_read(rest, &n))
        return ROWREAD_BAD;
    out->number = head % 2 ? 0 : n;
    if (head % 2 == 0)
        return ROWREAD_VALUE;
    if (n > rest->n)
        return ROWREAD_BAD;
    out->text = strv_make(rest->p, (size_t)n);
    *rest = strv_make(rest->p + n, rest->n - (size_t)n);
    return ROWREAD_VALUE;
}
