/* amount.c - numbers with units: sizes, times and plain counts */
#include "conf/amount.h"

#include "common/base/mem.h"

#include <stdio.h>

struct unit {
    char letter;
    int64_t factor;
};

/* Largest first, for writing. k, M and G are powers of 1024, as for every MTA before. */
static const struct unit byte_units[] = {
    {'G',  1LL << 30},
    { 'M', 1LL << 20},
    { 'k', 1LL << 10},
    { 0,   0        }
};
static const struct unit time_units[] = {
    { 'w', 604800 }, { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 }, { 0, 0 },
};
static const struct unit no_units[] = { { 0, 0 } };

static const struct unit *units_of(enum conf_type type)
{
    if (type == CT_BYTES)
        return byte_units;
    return type == CT_SECONDS || type == CT_SECONDS_LIST ? time_units : no_units;
}

static const char *help_of(enum conf_type type)
{
    if (type == CT_BYTES)
        return "a size; write a number with k, M or G, such as 50M";
    if (type == CT_INT)
        return "a number; write digits only";
    return "a time; write a number with s, m, h, d or w, such as 5m";
}

static bool find_unit(const struct unit *units, char letter, int64_t *factor)
{
    for (; units->letter; units++) {
        if (units->letter == letter) {
            *factor = units->factor;
            return true;
        }
    }
    return false;
}

/* The unit that was probably meant: the same letter in the other case, or the first of a word ("4days",
 * "50MB"). */
static char near_unit(const struct unit *units, struct strv word)
{
    char letter = word.n > 0 ? word.p[0] : 0;
    if (strv_iis(word, "ms"))
        return 0;
    for (; units->letter; units++) {
        if (byte_lower(units->letter) == byte_lower(letter))
            return units->letter;
    }
    return 0;
}

static bool refuse_unit(const struct conf_field *field, struct strv number, struct strv unit,
                        struct conf_why *why)
{
    char near = number.n > 0 ? near_unit(units_of(field->type), unit) : 0;
    int length =
        snprintf(why->text, sizeof(why->text), "\"%.*s%.*s\" is not %s", (int)(number.n < 40 ? number.n : 40),
                 number.p, (int)(unit.n < 40 ? unit.n : 40), unit.p, help_of(field->type));
    if (near && length > 0 && (size_t)length < sizeof(why->text))
        snprintf(why->text + length, sizeof(why->text) - (size_t)length, "; did you mean \"%.*s%c\"?",
                 (int)(number.n < 40 ? number.n : 40), number.p, near);
    return false;
}

static bool refuse_range(const struct conf_field *field, struct strv word, struct conf_why *why)
{
    struct buf text;
    buf_init(&text, sizeof(why->text) - 1);
    buf_addf(&text, "\"%.*s\" is out of range; %s goes from ", (int)(word.n < 60 ? word.n : 60), word.p,
             field->name);
    conf_amount_write(field->type, field->min, &text);
    buf_adds(&text, " to ");
    conf_amount_write(field->type, field->max, &text);
    snprintf(why->text, sizeof(why->text), "%s", buf_cstr(&text));
    buf_clear(&text);
    return false;
}

bool conf_amount_parse(const struct conf_field *field, struct strv word, int64_t *out, struct conf_why *why)
{
    size_t digits = 0;
    while (digits < word.n && byte_is_digit((unsigned char)word.p[digits]))
        digits++;
    struct strv number = strv_sub(word, 0, digits), unit = strv_from(word, digits);
    int64_t factor = 1, amount;
    uint64_t count;
    if (digits == 0 || unit.n > 1 || (unit.n == 1 && !find_unit(units_of(field->type), unit.p[0], &factor)))
        return refuse_unit(field, number, unit, why);
    if (!strv_u64(number, INT64_MAX, &count) || __builtin_mul_overflow((int64_t)count, factor, &amount) ||
        amount < field->min || amount > field->max)
        return refuse_range(field, word, why);
    *out = amount;
    return true;
}

void conf_amount_write(enum conf_type type, int64_t amount, struct buf *out)
{
    const struct unit *units = units_of(type);
    for (; amount > 0 && units->letter; units++) {
        if (amount % units->factor == 0) {
            buf_addf(out, "%lld%c", (long long)(amount / units->factor), units->letter);
            return;
        }
    }
    buf_addf(out, "%lld", (long long)amount);
}
