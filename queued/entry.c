/* entry.c - one line of the state journal (pure) */
#include "queued/entry.h"

#include "common/base/hash.h"
#include "common/base/id.h"
#include "queued/digits.h"
#include "queued/envelope.h"

#define CRC_LEN 8u

/* One letter per word: i id, l list, t time, a attempts, d due, n notice, s segment, o offset, f flags, x
   text, w the four words enhanced, remote, relay, reply. */
static const struct format {
    enum entry_kind kind;
    const char *words;
} formats[] = {
    { ENTRY_DELIVERED, "ilt" }, { ENTRY_FAILED, "iltw" },
    { ENTRY_DROPPED, "ilt" },   { ENTRY_DEFERRED, "iltadw" },
    { ENTRY_NOTICE, "iln" },    { ENTRY_HOLD, "ix" },
    { ENTRY_RELEASE, "i" },     { ENTRY_VOID, "so" },
    { ENTRY_PAUSE, "f" },       { ENTRY_BEGIN, "s" },
    { ENTRY_MESSAGE, "if" },    { ENTRY_SEGMENT, "so" },
    { ENTRY_END, "" },          { ENTRY_SYNCED, "o" },
    { ENTRY_FREEZE, "fx" },       { ENTRY_SUCCEEDED, "iltfw" },
};

static const char *format_find(char kind)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].kind == (enum entry_kind)kind)
            return formats[i].words;
    return NULL;
}

static void word_text(struct buf *out, struct strv s)
{
    if (s.n == 0)
        buf_addc(out, '-');
    else if (strv_is(s, "-"))
        buf_adds(out, "%2D");
    else
        envelope_escape(s, true, out);
}

static void word_number(struct buf *out, uint64_t v)
{
    char text[DIGITS_MAX];

    buf_add(out, text, digits_u64(text, v));
}

static uint64_t *number_of(struct entry *e, char code)
{
    switch (code) {
    case 't': return &e->time;
    case 'a': return &e->attempts;
    case 'd': return &e->due;
    case 'n': return &e->notice;
    case 's': return &e->segment;
    case 'o': return &e->offset;
    case 'f': return &e->flags;
    default: return NULL;
    }
}

static void word_print(struct entry *e, char code, struct buf *out)
{
    char id[ID_TEXT_SIZE];

    switch (code) {
    case 'i':
        id_text(e->id, id);
        buf_add(out, id, ID_TEXT_LEN);
        break;
    case 'l': buf_addv(out, e->list); break;
    case 'x': word_text(out, e->text); break;
    case 'w':
        word_text(out, e->enhanced);
        buf_adds(out, e->remote ? " 1 " : " 0 ");
        word_text(out, e->relay);
        buf_addc(out, ' ');
        word_text(out, e->reply);
        break;
    default: word_number(out, *number_of(e, code));
    }
}

static uint32_t line_crc(const char *nonce, const char *body, size_t n)
{
    return hash_crc32c(hash_crc32c(0, nonce, ENTRY_NONCE_LEN), body, n);
}

void entry_print(const struct entry *entry, const char *nonce, struct buf *out)
{
    struct entry e = *entry;
    const char *words = format_find((char)e.kind);
    size_t start = out->len;

    buf_add(out, "........ ", CRC_LEN + 1);
    buf_addc(out, (char)e.kind);
    for (; words && *words; words++) {
        buf_addc(out, ' ');
        word_print(&e, *words, out);
    }
    if (buf_ok(out)) {
        size_t body = start + CRC_LEN + 1;

        digits_hex32(out->data + start, line_crc(nonce, out->data + body, out->len - body));
    }
    buf_addc(out, '\n');
}

static bool take_text(struct strv word, struct strv *out)
{
    size_t n = word.n;

    *out = SV_LIT("");
    if (strv_is(word, "-"))
        return true;
    /* The view is of the caller's own line, which is not const. */
    if (!envelope_unescape((char *)(uintptr_t)word.p, &n))
        return false;
    *out = strv_make(word.p, n);
    return n > 0;
}

static bool next_word(struct strv *rest, struct strv *word)
{
    return rest->p && strv_cut(rest, ' ', word) && word->n > 0;
}

static bool take_words(struct entry *e, struct strv *rest)
{
    struct strv w[4];

    for (int i = 0; i < 4; i++)
        if (!next_word(rest, &w[i]))
            return false;
    e->remote = strv_is(w[1], "1");
    return (e->remote || strv_is(w[1], "0")) && take_text(w[0], &e->enhanced) && take_text(w[2], &e->relay) &&
           take_text(w[3], &e->reply);
}

static bool word_take(struct entry *e, char code, struct strv *rest)
{
    struct strv word;

    if (code == 'w')
        return take_words(e, rest);
    if (!next_word(rest, &word))
        return false;
    switch (code) {
    case 'i': return id_parse(word, &e->id);
    case 'x': return take_text(word, &e->text);
    case 'l': e->list = word; return list_valid(word);
    default: return strv_u64(word, INT64_MAX, number_of(e, code));
    }
}

bool entry_parse(char *line, size_t n, const char *nonce, struct entry *out)
{
    struct strv rest, word;
    const char *words;
    uint32_t want;

    if (n < CRC_LEN + 2 || line[CRC_LEN] != ' ' || !digits_hex32_read(line, &want))
        return false;
    if (line_crc(nonce, line + CRC_LEN + 1, n - CRC_LEN - 1) != want)
        return false;
    rest = strv_make(line + CRC_LEN + 1, n - CRC_LEN - 1);
    memset(out, 0, sizeof *out);
    if (!next_word(&rest, &word) || word.n != 1 || !(words = format_find(word.p[0])))
        return false;
    out->kind = (enum entry_kind)word.p[0];
    for (; *words; words++)
        if (!word_take(out, *words, &rest))
            return false;
    return rest.p == NULL;
}

void list_finish(struct list_writer *w)
{
    if (!w->open)
        return;
    if (w->any)
        buf_addc(w->out, ',');
    word_number(w->out, w->first);
    if (w->last > w->first) {
        buf_addc(w->out, '-');
        word_number(w->out, w->last);
    }
    w->open = false;
    w->any = true;
}

void list_write(struct list_writer *w, uint32_t index)
{
    if (w->open && index == w->last + 1) {
        w->last = index;
        return;
    }
    list_finish(w);
    w->open = true;
    w->first = w->last = index;
}

bool ranges_next(struct strv *rest, uint32_t *first, uint32_t *last)
{
    struct strv part, low;
    uint64_t a, b;

    if (!rest->p || !strv_cut(rest, ',', &part) || !strv_cut(&part, '-', &low) ||
        !strv_u64(low, UINT32_MAX - 1, &a))
        return false;
    b = a;
    if (part.p && !strv_u64(part, UINT32_MAX - 1, &b))
        return false;
    *first = (uint32_t)a;
    *last = (uint32_t)b;
    return a <= b;
}

bool list_valid(struct strv list)
{
    uint32_t first, last, after = 0;
    bool any = false;

    while (list.p) {
        if (!ranges_next(&list, &first, &last) || (any && first <= after))
            return false;
        after = last;
        any = true;
    }
    return any;
}
