/* dsn_text.c - the file of templates: read whole, checked whole, so that filling in cannot fail later */
#include "common/mail/dsn_text.h"

#include "common/base/mem.h"
#include "common/mail/domain.h"
#include "common/mail/dsn_builtin.h"

#include <stdio.h>
#include <stdlib.h>

#define LINE_BYTES_MAX 500u /* with its variables it stays below the 998 of RFC 5322 2.1.1, or is wrapped */
#define NAME_BYTES_MAX 100u
#define SEVERAL_MAX    4u /* of a kind: each can be as long as all replies together */

struct dsn_texts {
    char *file; /* owned; NULL: only the built-in ones */
    struct dsn_words kinds[DSN_KINDS];
};

static const char *const names[DSN_KINDS] = {
    [DSN_KIND_FAILURE] = "failure", [DSN_KIND_DELAY] = "delay",       [DSN_KIND_SUCCESS] = "success",
    [DSN_KIND_RELAYED] = "relayed", [DSN_KIND_EXPANDED] = "expanded", [DSN_KIND_DOUBLE] = "double",
};

const char *dsn_kind_name(enum dsn_kind kind)
{
    return names[kind];
}

bool dsn_kind_find(struct strv name, enum dsn_kind *out)
{
    for (unsigned i = 0; i < DSN_KINDS; i++) {
        if (strv_is(name, names[i])) {
            *out = (enum dsn_kind)i;
            return true;
        }
    }
    return false;
}

bool dsn_mark_next(struct strv line, size_t from, struct dsn_mark *out)
{
    for (size_t i = from; i + 1 < line.n; i++) {
        size_t end;

        if (strv_starts(strv_from(line, i), SV_LIT("$${"))) {
            *out = (struct dsn_mark){ .at = i, .n = 3, .name = SV_LIT("") };
            return true;
        }
        if (line.p[i] != '$' || line.p[i + 1] != '{')
            continue;
        *out = (struct dsn_mark){ .at = i, .n = 2, .open = !strv_find(strv_from(line, i + 2), '}', &end) };
        if (!out->open) {
            out->name = strv_sub(line, i + 2, end);
            out->n = end + 3;
        }
        return true;
    }
    return false;
}

/* ---- reading ---- */

enum place { PLACE_NONE, PLACE_FIELDS, PLACE_TEXT };

struct reader {
    struct dsn_texts *texts;
    dsn_say *say;
    void *arg;
    enum place place;
    enum dsn_kind kind;
    bool seen[DSN_KINDS], bad;
    bool stray; /* told: it may be another file altogether */
    unsigned line, begun; /* begun: where the kind was */
    unsigned several;     /* lines of the kind that stand for several */
    const char *text;     /* first byte of the kind's text */
};

static void complain_of(struct reader *r, enum dsn_unknown unknown, struct strv word, const char *what)
{
    r->bad = true;
    if (r->say)
        r->say(r->arg, r->line, what, unknown, word);
}

static void complain(struct reader *r, const char *what)
{
    complain_of(r, DSN_NOTHING, SV_LIT(""), what);
}

static bool is_clean(struct strv line)
{
    for (size_t i = 0; i < line.n; i++) {
        unsigned char u = (unsigned char)line.p[i];

        if ((u < 32 && u != '\t') || u == 127 ||
            (u == 0xc2 && i + 1 < line.n && (unsigned char)line.p[i + 1] < 0xa0))
            return false;
    }
    return utf8_ok(line);
}

/* Whatever is wrong with the variables of a line. */
static void check_marks(struct reader *r, struct strv line)
{
    struct dsn_mark m;

    for (size_t at = 0; dsn_mark_next(line, at, &m); at = m.at + m.n) {
        bool several = false;
        char what[128];

        if (m.open) {
            complain(r, "\"${\" without \"}\"; $${ stands for \"${\" itself");
            continue;
        }
        if (m.name.n == 0 && m.n == 3 && line.p[m.at + 1] == '$')
            continue;
        if (!dsn_variable_known(m.name, &several)) {
            snprintf(what, sizeof what, "there is no variable \"%.*s\"", (int)(m.name.n < 40 ? m.name.n : 40),
                     m.name.p);
            complain_of(r, DSN_A_VARIABLE, m.name, what);
        } else if (several && (r->place != PLACE_TEXT || strv_trim(line).n != m.n)) {
            snprintf(what, sizeof what, "${%.*s} stands for several lines: only alone on a line of the text",
                     (int)m.name.n, m.name.p);
            complain(r, what);
        } else if (several && ++r->several > SEVERAL_MAX) {
            snprintf(what, sizeof what, "${%.*s}: a kind has up to four lines that stand for several",
                     (int)m.name.n, m.name.p);
            complain(r, what);
        }
    }
}

static void kind_end(struct reader *r, const char *end)
{
    struct strv text = r->text ? strv_make(r->text, (size_t)(end - r->text)) : SV_LIT("");
    unsigned line = r->line;

    if (r->place == PLACE_NONE)
        return;
    while (text.n && byte_in_set(text.p[text.n - 1], " \t\r\n"))
        text.n--;
    while (text.n && byte_in_set(text.p[0], "\r\n"))
        text = strv_from(text, 1);
    if (text.n == 0 && r->place == PLACE_TEXT) {
        r->line = r->begun;
        complain(r, "the kind has no text behind its empty line");
        r->line = line;
    }
    if (text.n)
        r->texts->kinds[r->kind].text = text;
}

static void kind_begin(struct reader *r, struct strv line)
{
    struct strv name = strv_sub(line, 1, line.n - (line.n > 1 ? 2 : 1));
    char what[128];

    kind_end(r, line.p);
    r->place = PLACE_FIELDS;
    r->text = NULL;
    r->several = 0;
    r->begun = r->line;
    if (!strv_ends(line, SV_LIT("]")) || !dsn_kind_find(name, &r->kind)) {
        r->kind = DSN_KIND_FAILURE;
        snprintf(what, sizeof what, "there is no kind of notice \"%.*s\"", (int)(name.n < 40 ? name.n : 40),
                 name.p);
        complain_of(r, DSN_A_KIND, name, what);
        return;
    }
    if (r->seen[r->kind])
        complain(r, "the kind stands twice");
    r->seen[r->kind] = true;
}

/* A display name goes into the header without quotes. */
static bool is_name(struct strv name)
{
    for (size_t i = 0; i < name.n; i++)
        if (byte_in_set(name.p[i], "()<>@,;:\\\"[]=?\t"))
            return false;
    return name.n > 0 && name.n <= NAME_BYTES_MAX;
}

static void field_read(struct reader *r, struct strv line)
{
    struct dsn_words *w = &r->texts->kinds[r->kind];
    struct strv value;
    size_t colon;

    if (!strv_find(line, ':', &colon)) {
        complain(r, "neither Subject nor From; an empty line comes before the text");
        return;
    }
    value = strv_trim(strv_from(line, colon + 1));
    if (strv_iis(strv_sub(line, 0, colon), "Subject")) {
        check_marks(r, value);
        w->subject = value;
        if (value.n == 0)
            complain(r, "Subject is empty");
    } else if (strv_iis(strv_sub(line, 0, colon), "From")) {
        w->from = value;
        if (!is_name(value))
            complain(r,
                     "From is a name for display, up to 100 bytes, without ()<>@,;:\\\"[]=?; the address is "
                     "MAILER-DAEMON");
    } else {
        complain(r, "neither Subject nor From; an empty line comes before the text");
    }
}

static void line_read(struct reader *r, struct strv line)
{
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (!is_clean(line)) {
        complain(r, utf8_ok(line) ? "a control character" : "not UTF-8");
        return;
    }
    if (line.n > LINE_BYTES_MAX)
        complain(r, "the line is longer than 500 bytes");
    if (line.n && line.p[0] == '#')
        return;
    if (line.n && line.p[0] == '[') {
        kind_begin(r, line);
    } else if (r->place == PLACE_TEXT) {
        check_marks(r, line);
    } else if (strv_trim(line).n == 0) {
        r->place = r->place == PLACE_FIELDS ? PLACE_TEXT : PLACE_NONE;
        r->text = line.p + line.n;
    } else if (r->place == PLACE_FIELDS) {
        field_read(r, line);
    } else {
        if (!r->stray)
            complain(r, "before the first kind, such as [failure]");
        r->stray = true;
    }
}

/* False after mistakes. */
static bool file_read_texts(struct dsn_texts *t, struct strv file, dsn_say *say, void *arg)
{
    struct reader r = { .texts = t, .say = say, .arg = arg };
    struct strv rest = file, line;

    if (file.n > DSN_TEXTS_MAX) {
        complain(&r, "the file is too long");
        return false;
    }
    if (strv_starts(rest, SV_LIT("\xef\xbb\xbf")))
        rest = strv_from(rest, 3);
    while (strv_cut(&rest, '\n', &line) && (rest.p || line.n)) {
        r.line++;
        line_read(&r, line);
    }
    kind_end(&r, file.p + file.n);
    return !r.bad;
}

struct dsn_texts *dsn_texts_new(void)
{
    struct dsn_texts *t = mem_new(sizeof *t);

    if (!file_read_texts(t, SV(dsn_builtin), NULL, NULL))
        dsn_texts_free(&t); /* tests see to it that this does not happen */
    return t;
}

struct dsn_texts *dsn_texts_read(struct strv file, dsn_say *say, void *arg)
{
    struct dsn_texts *t = dsn_texts_new();

    t->file = strv_dup(file);
    if (!file_read_texts(t, strv_make(t->file, file.n), say, arg))
        dsn_texts_free(&t);
    return t;
}

void dsn_texts_free(struct dsn_texts **tp)
{
    if (*tp)
        free((*tp)->file);
    MEM_FREE(*tp);
}

struct dsn_words dsn_words(const struct dsn_texts *t, enum dsn_kind kind)
{
    return t->kinds[kind];
}
