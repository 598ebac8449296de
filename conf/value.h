/* value.h - text to typed value and back, per field type */
#pragma once

#include "conf/field.h"

#define CONF_WHY_SIZE 480

/* Why a value was refused, for the message; names its suggestion itself. */
struct conf_why {
    char text[CONF_WHY_SIZE];
};

bool conf_type_is_list(enum conf_type type);
/* For the manual: "size", "list of networks". */
const char *conf_type_name(enum conf_type type);

/* Sets the field's slot (lists: appends to it). On failure the slot is as before. */
bool conf_value_parse(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why);
/* As the language writes it, quotes and brackets included; never over more than one line. */
void conf_value_write(const struct conf_field *field, const void *slot, struct buf *out);
void conf_value_clear(const struct conf_field *field, void *slot);

/* Writes a word, quoted when it must be. */
void conf_word_write(struct strv word, struct buf *out);
/* A number with the largest unit that holds it exactly: "50M", "4h". */
void conf_amount_write(enum conf_type type, int64_t amount, struct buf *out);

/* Letter-digit-hyphen labels, at least two of them when full, at most 253 octets. why is static text. */
bool conf_host_ok(struct strv name, bool full, const char **why);
