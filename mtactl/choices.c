/* choices.c - words of a queue command that say how, not which messages (pure) */
#include "mtactl/choices.h"

#include <string.h>

static const char *const sorts[] = { "age", "size", "sender", "recipients", NULL };
static const char *const bys[] = { "destination", "sender", "reason", "age", NULL };

static const struct choice {
    const char *option;
    unsigned bit;
    const char *const *values; /* NULL: a number, or nothing for --yes */
    const char *help;
} choices[] = {
    { "--limit", CHOICE_LIMIT, NULL, "--limit takes a number, 1 or more" },
    { "--sort", CHOICE_SORT, sorts, "--sort is age, size, sender or recipients" },
    { "--by", CHOICE_BY, bys, "--by is destination, sender, reason or age" },
    { "--yes", CHOICE_YES, NULL, NULL },
};

#define CHOICE_N (sizeof choices / sizeof *choices)

static const struct choice *choice_find(struct strv word, unsigned allowed, struct strv *value)
{
    for (size_t i = 0; i < CHOICE_N; i++) {
        struct strv name = SV(choices[i].option);

        *value = strv_make(NULL, 0);
        if (!(choices[i].bit & allowed))
            continue;
        if (strv_eq(word, name))
            return &choices[i];
        if (choices[i].bit != CHOICE_YES && strv_starts(word, name) && word.n > name.n &&
            word.p[name.n] == '=') {
            *value = strv_from(word, name.n + 1);
            return &choices[i];
        }
    }
    return NULL;
}

static bool value_set(struct choices *c, const struct choice *choice, struct strv value, struct err *err)
{
    bool ok = false;

    if (choice->bit == CHOICE_LIMIT)
        ok = strv_u64(value, UINT32_MAX, &c->limit) && c->limit > 0;
    for (size_t i = 0; choice->values && choice->values[i]; i++)
        ok = ok || strv_is(value, choice->values[i]);
    if (choice->bit == CHOICE_SORT)
        c->sort = value;
    if (choice->bit == CHOICE_BY)
        c->by = value;
    return ok || err_set(err, ERR_CONF, "%s", choice->help);
}

/* Options of a selector that have their value in the next word, which is none of ours then. */
static bool has_value(struct strv word)
{
    static const char *const options[] = { "--sender", "--recipient", "--domain", "--reason", "--state",
                                           "--why",    "--older",     "--younger" };

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strv_is(word, options[i]))
            return true;
    return false;
}

bool choices_take(struct choices *c, unsigned allowed, int *argc, char **argv, struct err *err)
{
    int kept = 0;

    *c = (struct choices){ .limit = 0 };
    for (int i = 0; i < *argc; i++) {
        struct strv value;
        const struct choice *choice = choice_find(SV(argv[i]), allowed, &value);

        if (!choice) {
            argv[kept++] = argv[i];
            if (has_value(SV(argv[i])) && i + 1 < *argc) {
                i++;
                argv[kept++] = argv[i];
            }
            continue;
        }
        if (choice->bit == CHOICE_YES) {
            c->yes = true;
            continue;
        }
        if (!value.p && ++i == *argc)
            return err_set(err, ERR_CONF, "%s", choice->help);
        if (!value_set(c, choice, value.p ? value : SV(argv[i]), err))
            return false;
    }
    *argc = kept;
    return true;
}
