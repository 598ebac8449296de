/* selector.c - which messages are meant: ids, or what they are, as words of a command line (pure) */
#include "mtactl/selector.h"

#include "common/base/id.h"

enum option_kind { OPTION_TEXT, OPTION_AGE, OPTION_FLAG };

static const struct {
    const char *option, *argument;
    enum option_kind kind;
} options[] = {
    { "--sender", "sender", OPTION_TEXT }, { "--recipient", "recipient", OPTION_TEXT },
    { "--domain", "domain", OPTION_TEXT }, { "--reason", "reason", OPTION_TEXT },
    { "--state", "state", OPTION_TEXT },   { "--why", "why", OPTION_TEXT },
    { "--older", "older", OPTION_AGE },    { "--younger", "younger", OPTION_AGE },
    { "--all", "all", OPTION_FLAG },
};

#define OPTION_N (sizeof options / sizeof *options)

bool selector_age(struct strv text, uint64_t *seconds)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
    uint64_t factor = 1, n;

    for (size_t i = 0; text.n > 1 && i < sizeof units / sizeof *units; i++) {
        if (text.p[text.n - 1] != units[i].unit)
            continue;
        factor = units[i].seconds;
        text.n--;
        break;
    }
    if (!strv_u64(text, UINT32_MAX, &n) || n == 0)
        return false;
    *seconds = n * factor;
    return true;
}

static bool value_take(struct ask *a, size_t o, struct strv value, struct err *err)
{
    static const char *const states[] = { "held", "deferred", "running", "active", "damaged" };
    uint64_t seconds;
    bool known = strcmp(options[o].argument, "state") != 0;

    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        known = known || strv_is(value, states[i]);
    if (!known)
        return err_set(err, ERR_CONF, "--state is held, deferred, running, active or damaged");
    /* The null sender as people write it. */
    if (strcmp(options[o].argument, "sender") == 0 &&
        (strv_is(value, "<>") || strv_is(value, "MAILER-DAEMON")))
        value = SV_LIT("");
    if (options[o].kind == OPTION_TEXT)
        return ask_text(a, options[o].argument, value) || err_set(err, ERR_LIMIT, "too many arguments");
    if (!selector_age(value, &seconds))
        return err_set(err, ERR_CONF, "%s takes a time like 90s, 5m, 4h, 2d", options[o].option);
    return ask_number(a, options[o].argument, seconds) || err_set(err, ERR_LIMIT, "too many arguments");
}

static bool option_find(struct strv word, size_t *o, struct strv *value)
{
    for (*o = 0; *o < OPTION_N; ++*o) {
        struct strv name = SV(options[*o].option);

        *value = strv_make(NULL, 0);
        if (strv_eq(word, name))
            return true;
        if (strv_starts(word, name) && word.n > name.n && word.p[name.n] == '=') {
            *value = strv_from(word, name.n + 1);
            return true;
        }
    }
    return false;
}

static bool id_take(struct ask *a, struct strv word, struct err *err)
{
    uint64_t id;

    if (word.n > 1 && word.p[0] == '-')
        return err_set(err, ERR_CONF, "there is no option %.*s", (int)word.n, word.p);
    if (!id_parse(word, &id))
        return err_set(err, ERR_CONF, "%.*s is no message id (13 characters, as in the log)", (int)word.n,
                       word.p);
    return ask_text(a, "id", word) ||
           err_set(err, ERR_LIMIT,
                   "too many ids at once; say what the messages have in common, or in portions");
}

bool selector_parse(struct ask *a, int argc, char **argv, bool *any, struct err *err)
{
    *any = false;
    for (int i = 0; i < argc; i++) {
        struct strv value;
        size_t o;

        if (!option_find(SV(argv[i]), &o, &value)) {
            if (!id_take(a, SV(argv[i]), err))
                return false;
            *any = true;
            continue;
        }
        *any = *any || strcmp(options[o].argument, "why") != 0;
        if (options[o].kind == OPTION_FLAG) {
            ask_number(a, options[o].argument, 1);
            continue;
        }
        if (!value.p && ++i == argc)
            return err_set(err, ERR_CONF, "%s needs a value", options[o].option);
        if (!value_take(a, o, value.p ? value : SV(argv[i]), err))
            return false;
    }
    return true;
}

void selector_words(struct buf *out)
{
    for (size_t i = 0; i < OPTION_N; i++)
        if (strcmp(options[i].option, "--why") != 0)
            buf_addf(out, " %s", options[i].option);
}
