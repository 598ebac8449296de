/* log.h - an event name and typed fields; the sink does all escaping. docs/LOGGING.md is the catalogue */
#pragma once

#include "common/base/strv.h"
#include "common/base/err.h"

enum log_level { LOG_LV_ERROR, LOG_LV_WARN, LOG_LV_INFO, LOG_LV_DEBUG };
enum kv_kind { KV_STR, KV_VIEW, KV_INT, KV_MS };

struct kv {
    const char *key;
    enum kv_kind kind;
    union {
        const char *s;          /* NULL: the field is left out */
        struct strv v;          /* p NULL: the field is left out */
        int64_t i;
    } u;
};

#define KS(k, x) (struct kv){ (k), KV_STR,  { .s = (x) } }
#define KV(k, x) (struct kv){ (k), KV_VIEW, { .v = (x) } }
#define KI(k, x) (struct kv){ (k), KV_INT,  { .i = (int64_t)(x) } }
/* milliseconds, printed as seconds: 1.042 */
#define KMS(k, x) (struct kv){ (k), KV_MS,  { .i = (int64_t)(x) } }

/* LOG(INFO, "smtp.rcpt.refused", KS("sid", sid), KV("rcpt", rcpt)) */
#define LOG(level, event, ...) \
    log_emit(LOG_LV_##level, (event), (const struct kv[]){ __VA_ARGS__, { .key = NULL } })
#define LOG0(level, event) log_emit(LOG_LV_##level, (event), NULL)

/* One line per call: `event=NAME key=value ...`; values with anything but printable ASCII without space,
   quote and backslash are quoted and escaped. A line is at most 4096 bytes; longer values are cut with
   "...". */
void log_emit(enum log_level level, const char *event, const struct kv *kv);

/* The same whatever the level: for what an operator asked to see. */
void log_emit_always(enum log_level level, const char *event, const struct kv *kv);

/* Formats the line only (no prefix, no newline), as log_emit would; for tests and sinks. Returns the
   length. */
size_t log_format(char *dst, size_t size, const char *event, const struct kv *kv);

/* Where lines go. The default sink writes "name[pid]: LEVEL line\n" to stderr. A sink must not allocate. */
typedef void log_sink(void *arg, enum log_level level, const char *line, size_t len);
void log_set_sink(log_sink *sink, void *arg);

/* A second reader of some events, whatever level the log has: the history. wants is asked before the line is
   made and must be cheap; both run on any thread. NULL: none. */
struct log_feed {
    bool (*wants)(enum log_level level, const char *event);
    void (*line)(enum log_level level, const char *line, size_t len);
};
void log_set_feed(const struct log_feed *feed); /* borrowed */

void log_set_name(const char *name);            /* borrowed: the daemon's name */
const char *log_name(void);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
const char *log_level_name(enum log_level level);
bool log_level_parse(struct strv name, enum log_level *out);
