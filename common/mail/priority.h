/* priority.h - how urgent a message is: MT-PRIORITY (RFC 6710) and whether it is bulk, in one number (pure)
 *
 * The number stands in frames and in the envelope of the queue. 0: nothing is known. Its low five bits: 10
 * and the level from -9 to 9 that the client gave; PRIORITY_BULK: the header or the configuration says bulk.
 */
#pragma once

#include "common/base/strv.h"

#define PRIORITY_LEVEL_MAX 9
#define PRIORITY_ZERO      10u
#define PRIORITY_LEVELS    31u
#define PRIORITY_BULK      32u
#define PRIORITY_MAX       63u /* the largest number */

static inline uint64_t priority_of_level(int level)
{
    return (uint64_t)((int)PRIORITY_ZERO + level);
}

/* False: the client gave none. */
static inline bool priority_level(uint64_t priority, int *level)
{
    int given = (int)(priority & PRIORITY_LEVELS);

    *level = given - (int)PRIORITY_ZERO;
    return given > 0 && given <= (int)PRIORITY_ZERO + PRIORITY_LEVEL_MAX;
}

enum priority_class { PRIORITY_CLASS_URGENT, PRIORITY_CLASS_NORMAL, PRIORITY_CLASS_BULK };

/* Bulk is bulk, whatever level its sender gave: a mailing does not go before everybody's letters because the
 * program that sends it says so. */
static inline enum priority_class priority_class(uint64_t priority)
{
    int level;

    if (priority & PRIORITY_BULK)
        return PRIORITY_CLASS_BULK;
    if (!priority_level(priority, &level) || level == 0)
        return PRIORITY_CLASS_NORMAL;
    return level > 0 ? PRIORITY_CLASS_URGENT : PRIORITY_CLASS_BULK;
}

/* The value of MT-PRIORITY (RFC 6710 3: "-9" to "9", no sign before 0, no plus). */
bool priority_parse(struct strv value, int *level);

/* Does this field say that the message went to many? Precedence: bulk, list, junk; the fields of mailing
 * lists (RFC 2369, 2919). Auto-Submitted is not among them: an answer to one is one letter. */
bool priority_field_is_bulk(struct strv name, struct strv value);
