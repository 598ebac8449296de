/* keys.h - what a line is found by
 *
 * Ids of messages and sessions, addresses, logins, Message-IDs, clients; of an address also its domain, as
 * `@domain`. All are compared in lower case and without the brackets of a Message-ID, and none says what it
 * is: `a@b` finds the address and the Message-ID.
 */
#pragma once

#include "common/base/strv.h"

#define KEY_TEXT 512u /* bytes of a key that count */
#define KEYS_MAX 24u  /* of one line */

/* The form in which keys are compared, and its hash. Empty: nothing to be found by. */
struct strv key_form(struct strv value, char dst[KEY_TEXT]);
uint32_t key_hash(struct strv form);

/* Hashes of the keys of a line; how many. */
size_t keys_of(struct strv text, uint32_t out[KEYS_MAX]);
/* Whether one of the line's keys is among forms. */
bool keys_match(struct strv text, const struct strv *forms, size_t n);
/* Names of the fields that are keys, NULL at the end; for tests. */
extern const char *const key_names[];
