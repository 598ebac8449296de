/* log.c - one line per event; all escaping of foreign text happens here, once */
#include "common/base/log.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/mem.h"

#define LINE_SIZE 4096
/* Kept free for each field that follows, so that one long value does not push the others out of the line. */
#define FIELD_RESERVE 96

static const char *const level_names[] = {
    [LOG_LV_ERROR] = "ERROR", [LOG_LV_WARN] = "WARN", [LOG_LV_INFO] = "INFO", [LOG_LV_DEBUG] = "DEBUG",
};

static const char *name = "mansio";
static enum log_level level_max = LOG_LV_INFO;

static void sink_stderr(void *arg, enum log_level level, const char *line, size_t len)
{
    char out[LINE_SIZE + 128];
    int n;
    ssize_t written;

    (void)arg;
    n = snprintf(out, sizeof out, "%.40s[%d]: %s %.*s\n", name, (int)getpid(), level_names[level], (int)len,
                 line);
    if (n >= (int)sizeof out)
        n = (int)sizeof out - 1;
    /* There is nobody to tell when stderr is gone. */
    written = write(STDERR_FILENO, out, (size_t)n);
    (void)written;
}

static log_sink *sink_fn = sink_stderr;
static void *sink_arg;
static const struct log_feed *feed;

struct out {
    char *p;
    size_t len, size;       /* size leaves room for the NUL */
};

static bool out_add(struct out *o, const char *p, size_t n)
{
    if (n > o->size - o->len)
        return false;
    memcpy(o->p + o->len, p, n);
    o->len += n;
    return true;
}

static bool byte_is_plain(char c)
{
    return byte_is_print((unsigned char)c) && c != ' ' && c != '"' && c != '\\';
}

static bool value_is_plain(struct strv v)
{
    for (size_t i = 0; i < v.n; i++) {
        if (!byte_is_plain(v.p[i]))
            return false;
    }
    return v.n > 0;
}

/* Text of one byte inside quotes. */
static size_t byte_escape(char c, char dst[5])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char u = (unsigned char)c;

    dst[0] = '\\';
    switch (c) {
    case '\n': dst[1] = 'n'; return 2;
    case '\r': dst[1] = 'r'; return 2;
    case '\t': dst[1] = 't'; return 2;
    case '"':
    case '\\': dst[1] = c; return 2;
    default: break;
    }
    if (byte_is_print(u)) {
        dst[0] = c;
        return 1;
    }
    dst[1] = 'x';
    dst[2] = hex[u >> 4];
    dst[3] = hex[u & 15];
    return 4;
}

/* Adds at most room bytes; a value that does not fit is cut with "...". */
static void value_add(struct out *o, struct strv v, size_t room)
{
    bool plain = value_is_plain(v);
    size_t end = room < o->size - o->len ? o->len + room : o->size;
    size_t tail = plain ? 3 : 4;        /* "..." and the closing quote */
    size_t i;

    if (end - o->len < tail + 1)
        return;
    if (plain && v.n <= end - o->len) {
        out_add(o, v.p, v.n);
        return;
    }
    if (!plain)
        out_add(o, "\"", 1);
    for (i = 0; i < v.n; i++) {
        char e[5];
        size_t n = byte_escape(v.p[i], e);

        if (n > end - o->len - tail)
            break;
        out_add(o, e, n);
    }
    if (i < v.n)
        out_add(o, "...", 3);
    if (!plain)
        out_add(o, "\"", 1);
}

static bool kv_is_absent(const struct kv *kv)
{
    return (kv->kind == KV_STR && !kv->u.s) || (kv->kind == KV_VIEW && !kv->u.v.p);
}

#define NUM_SIZE 24 /* a sign, 19 digits, a point */

/* Numbers from their end, by hand: several in every line. ms: thousandths, with a point. */
static struct strv number_text(int64_t i, bool ms, char num[NUM_SIZE])
{
    uint64_t v = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    size_t at = NUM_SIZE;

    for (unsigned digits = 0; v > 0 || digits < (ms ? 4 : 1); v /= 10) {
        if (ms && digits == 3)
            num[--at] = '.';
        num[--at] = (char)('0' + v % 10);
        digits++;
    }
    if (i < 0)
        num[--at] = '-';
    return strv_make(num + at, NUM_SIZE - at);
}

static struct strv kv_text(const struct kv *kv, char num[NUM_SIZE])
{
    switch (kv->kind) {
    case KV_STR: return SV(kv->u.s);
    case KV_VIEW: return kv->u.v;
    case KV_INT:
    case KV_MS: break;
    }
    return number_text(kv->u.i, kv->kind == KV_MS, num);
}

size_t log_format(char *dst, size_t size, const char *event, const struct kv *kv)
{
    struct out o = { dst, 0, size ? size - 1 : 0 };
    size_t left = 0;

    if (size == 0)
        return 0;
    out_add(&o, "event=", 6);
    value_add(&o, SV(event), SIZE_MAX);
    while (kv && kv[left].key)
        left++;
    for (; kv && kv->key; kv++) {
        char num[NUM_SIZE];
        size_t key_len = strlen(kv->key), used, kept = --left * FIELD_RESERVE, room;

        if (kv_is_absent(kv))
            continue;
        used = o.len + key_len + 2;
        if (used + 8 > o.size)
            break;
        room = o.size - used;
        room = room > kept + FIELD_RESERVE ? room - kept : FIELD_RESERVE;
        out_add(&o, " ", 1);
        out_add(&o, kv->key, key_len);
        out_add(&o, "=", 1);
        value_add(&o, kv_text(kv, num), room);
    }
    dst[o.len] = '\0';
    return o.len;
}

static void emit(enum log_level level, const char *event, const struct kv *kv, bool shown)
{
    bool fed = feed && feed->wants(level, event);
    char line[LINE_SIZE] MEM_UNSET; /* log_format says how much of it is set */
    size_t len;

    if (!shown && !fed)
        return;
    len = log_format(line, sizeof line, event, kv);
    if (shown)
        sink_fn(sink_arg, level, line, len);
    if (fed)
        feed->line(level, line, len);
}

void log_emit_always(enum log_level level, const char *event, const struct kv *kv)
{
    emit(level, event, kv, true);
}

void log_emit(enum log_level level, const char *event, const struct kv *kv)
{
    if (level <= level_max || feed)
        emit(level, event, kv, level <= level_max);
}

void log_set_feed(const struct log_feed *new_feed)
{
    feed = new_feed;
}

void log_set_sink(log_sink *sink, void *arg)
{
    sink_fn = sink ? sink : sink_stderr;
    sink_arg = sink ? arg : NULL;
}

void log_set_name(const char *new_name)
{
    name = new_name;
}

const char *log_name(void)
{
    return name;
}

void log_set_level(enum log_level level)
{
    level_max = level;
}

enum log_level log_get_level(void)
{
    return level_max;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_level_parse(struct strv text, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strv_iis(text, level_names[i])) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}
