/* dsn_fill.c - templates of notices filled in: variables, the list of recipients, wrapped lines */
#include "common/mail/dsn.h"

#include "common/base/clock.h"

#define TEXT_WIDTH     76
#define WORD_MAX       900 /* a longer word is cut: 998 is the line limit of RFC 5322 2.1.1 */
#define LINE_MAX_BYTES 65536u
#define DAY_S          86400

enum dsn_kind dsn_kind_of(const struct dsn *d)
{
    return d->is_double ? DSN_KIND_DOUBLE : (enum dsn_kind)dsn_action(d);
}

/* ---- foreign text ---- */

/* Printable ASCII on one line, whatever it was: nothing in it can begin a line or a field. */
static void add_clean(struct buf *out, struct strv text)
{
    text = strv_trim(text);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char u = (unsigned char)text.p[i];

        buf_addc(out, byte_is_print(u) ? text.p[i] : byte_in_set(text.p[i], "\t\r\n") ? ' ' : '?');
    }
}

static size_t width(struct strv s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static struct strv cut_word(struct strv word)
{
    size_t n = WORD_MAX;

    if (word.n <= n)
        return word;
    while (n > WORD_MAX - 4 && ((unsigned char)word.p[n] & 0xc0) == 0x80)
        n--;
    return strv_sub(word, 0, n);
}

/* One paragraph, wrapped behind an indent. */
static void add_wrapped(struct buf *out, struct strv indent, struct strv text)
{
    struct strv word;
    size_t col = 0;

    while (strv_word(&text, &word)) {
        word = cut_word(word);
        if (col > 0 && col + 1 + width(word) > TEXT_WIDTH) {
            buf_adds(out, "\r\n");
            col = 0;
        }
        buf_addv(out, col == 0 ? indent : SV_LIT(" "));
        col += width(word) + (col == 0 ? indent.n : 1);
        buf_addv(out, word);
    }
    buf_adds(out, "\r\n");
}

static void add_paragraph(struct buf *out, const char *indent, struct strv text)
{
    struct buf clean;

    buf_init(&clean, text.n + 1);
    add_clean(&clean, text);
    add_wrapped(out, SV(indent), buf_view(&clean));
    buf_clear(&clean);
}

/* ---- variables ---- */

static const struct dsn_rcpt *first(const struct dsn *d)
{
    for (size_t i = 0; i < d->rcpt_count; i++)
        if (d->rcpts[i].action == dsn_action(d))
            return &d->rcpts[i];
    return &d->rcpts[0];
}

static void add_time(struct buf *out, int64_t wall_ms)
{
    char text[64];

    if (wall_ms == 0)
        return;
    clock_rfc5322(wall_ms, text, sizeof text);
    buf_adds(out, text);
}

static void fill_hostname(const struct dsn *d, struct buf *out)
{
    add_clean(out, d->hostname);
}

static void fill_postmaster(const struct dsn *d, struct buf *out)
{
    if (d->postmaster.n) {
        add_clean(out, d->postmaster);
        return;
    }
    buf_adds(out, "postmaster@");
    add_clean(out, d->hostname);
}

static void fill_id(const struct dsn *d, struct buf *out)
{
    add_clean(out, d->original_id);
}

static void fill_notice(const struct dsn *d, struct buf *out)
{
    add_clean(out, d->notice_id);
}

static void fill_sender(const struct dsn *d, struct buf *out)
{
    add_clean(out, d->to);
}

static void fill_recipient(const struct dsn *d, struct buf *out)
{
    add_clean(out, first(d)->rcpt);
}

static void fill_count(const struct dsn *d, struct buf *out)
{
    buf_addf(out, "%zu", d->rcpt_count);
}

static void fill_status(const struct dsn *d, struct buf *out)
{
    char text[STATUS_TEXT];

    if (!status_is_set(first(d)->status))
        return;
    status_text(first(d)->status, text);
    buf_adds(out, text);
}

static void fill_reason(const struct dsn *d, struct buf *out)
{
    add_clean(out, first(d)->reason);
}

static void fill_remote_host(const struct dsn *d, struct buf *out)
{
    add_clean(out, first(d)->remote_mta);
}

static void fill_remote_words(const struct dsn *d, struct buf *out)
{
    add_clean(out, first(d)->diagnostic);
}

static void fill_arrival(const struct dsn *d, struct buf *out)
{
    add_time(out, d->arrival_ms);
}

static void fill_now(const struct dsn *d, struct buf *out)
{
    add_time(out, d->now_ms);
}

static void fill_until(const struct dsn *d, struct buf *out)
{
    if (first(d)->action == DSN_DELAYED)
        add_time(out, first(d)->retry_until_ms);
}

static void fill_days(const struct dsn *d, struct buf *out)
{
    if (d->expire_s > 0)
        buf_addf(out, "%lld", (long long)((d->expire_s + DAY_S / 2) / DAY_S));
}

static void fill_hours(const struct dsn *d, struct buf *out)
{
    if (d->arrival_ms > 0 && d->now_ms >= d->arrival_ms)
        buf_addf(out, "%lld", (long long)((d->now_ms - d->arrival_ms) / 3600000));
}

static void fill_addresses(const struct dsn *d, struct buf *out)
{
    for (size_t i = 0; i < d->rcpt_count; i++)
        add_paragraph(out, "", d->rcpts[i].rcpt);
}

static void fill_one(const struct dsn *d, const struct dsn_rcpt *r, struct buf *out)
{
    struct strv host = r->remote_mta;
    struct buf line;

    buf_init(&line, 1024 + r->rcpt.n + host.n);
    buf_addf(&line, "<%.*s>", (int)r->rcpt.n, r->rcpt.p);
    if (r->action != dsn_action(d))
        buf_addf(&line, " (%s)", dsn_action_name(r->action));
    add_paragraph(out, "", buf_view(&line));
    buf_reset(&line);
    if (r->reason.n > 0)
        add_paragraph(out, "    ", r->reason);
    if (r->diagnostic.n > 0 && host.n > 0)
        buf_addf(&line, "%.*s said:", (int)host.n, host.p);
    if (line.len > 0)
        add_paragraph(out, "    ", buf_view(&line));
    if (r->diagnostic.n > 0)
        add_paragraph(out, "    ", r->diagnostic);
    buf_clear(&line);
}

static void fill_recipients(const struct dsn *d, struct buf *out)
{
    for (size_t i = 0; i < d->rcpt_count; i++) {
        if (i > 0)
            buf_adds(out, "\r\n");
        fill_one(d, &d->rcpts[i], out);
    }
}

/* etc/notices.txt says what each is. */
static const struct {
    const char *name;
    void (*fill)(const struct dsn *d, struct buf *out);
    bool several; /* lines, each with its CRLF */
} variables[] = {
    { "hostname", fill_hostname, false },
    { "postmaster", fill_postmaster, false },
    { "id", fill_id, false },
    { "notice", fill_notice, false },
    { "sender", fill_sender, false },
    { "recipient", fill_recipient, false },
    { "count", fill_count, false },
    { "status", fill_status, false },
    { "reason", fill_reason, false },
    { "remote_host", fill_remote_host, false },
    { "remote_words", fill_remote_words, false },
    { "arrival", fill_arrival, false },
    { "now", fill_now, false },
    { "until", fill_until, false },
    { "days", fill_days, false },
    { "hours", fill_hours, false },
    { "addresses", fill_addresses, true },
    { "recipients", fill_recipients, true },
};
#define VARIABLES (sizeof variables / sizeof *variables)

const char *dsn_variable(size_t i)
{
    return i < VARIABLES ? variables[i].name : NULL;
}

static size_t find(struct strv name)
{
    size_t i = 0;

    while (i < VARIABLES && !strv_is(name, variables[i].name))
        i++;
    return i;
}

bool dsn_variable_known(struct strv name, bool *several_lines)
{
    size_t i = find(name);

    *several_lines = i < VARIABLES && variables[i].several;
    return i < VARIABLES;
}

/* ---- filling in ---- */

enum filled { FILLED_NOTHING, FILLED_VALUES, FILLED_EMPTY };

/* What is filled in is never looked at again. */
static enum filled fill(const struct dsn *d, struct strv line, struct buf *out)
{
    enum filled filled = FILLED_NOTHING;
    struct dsn_mark m;
    size_t at = 0;

    for (; dsn_mark_next(line, at, &m); at = m.at + m.n) {
        size_t i = find(m.name), before;

        buf_addv(out, strv_sub(line, at, m.at - at));
        before = out->len;
        if (i < VARIABLES) {
            variables[i].fill(d, out);
            if (filled != FILLED_EMPTY)
                filled = out->len > before ? FILLED_VALUES : FILLED_EMPTY;
        } else {
            buf_adds(out, "${");
        }
    }
    buf_addv(out, strv_from(line, at));
    return filled;
}

static struct strv indent_of(struct strv line)
{
    size_t n = 0;

    while (n < line.n && line.p[n] == ' ')
        n++;
    return strv_sub(line, 0, n < 40 ? n : 40);
}

static void add_line(const struct dsn *d, struct strv line, struct buf *out)
{
    struct strv whole = strv_trim(line);
    struct buf filled;
    struct dsn_mark m;
    bool several = false;
    enum filled how;

    if (dsn_mark_next(whole, 0, &m) && m.n == whole.n && dsn_variable_known(m.name, &several) && several) {
        fill(d, whole, out);
        return;
    }
    buf_init(&filled, LINE_MAX_BYTES);
    how = fill(d, line, &filled);
    if (how == FILLED_VALUES && width(buf_view(&filled)) > TEXT_WIDTH) {
        add_wrapped(out, indent_of(line), buf_view(&filled));
    } else if (how != FILLED_EMPTY) {
        buf_addv(out, buf_view(&filled));
        buf_adds(out, "\r\n");
    }
    buf_clear(&filled);
}

void dsn_text(const struct dsn *d, struct buf *out)
{
    struct strv rest = dsn_words(d->texts, dsn_kind_of(d)).text, line;

    while (strv_cut(&rest, '\n', &line)) {
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (!line.n || line.p[0] != '#')
            add_line(d, line, out);
    }
}

void dsn_subject(const struct dsn *d, struct buf *out)
{
    fill(d, dsn_words(d->texts, dsn_kind_of(d)).subject, out);
}

struct strv dsn_from_name(const struct dsn *d)
{
    return dsn_words(d->texts, dsn_kind_of(d)).from;
}
