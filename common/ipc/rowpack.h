/* rowpack.h - rows of named values, packed behind each other in the bytes of CTL_ROWS frames (pure)
 *
 *   row   = name value* 00                 the first name is the row's kind
 *   name  = number                         2 * (1 + i): the i-th name that came; +1: its value is a text
 *         | number length(1) bytes         i is how many came: a new one
 *   value = number | length bytes
 *   numbers and lengths: LEB128, seven bits a byte, the lowest first
 *
 * The names of one call (of one portion of it) are counted through all its frames, so a list of a million
 * rows names its columns once in a portion. A row is never split over two frames.
 */
#pragma once

#include "common/base/buf.h"

#define ROWPACK_NAMES    1000u /* of one call; what has a further one is left out */
#define ROWPACK_KINDS    16u   /* beyond them, for kinds alone: a row without one would be nonsense */
#define ROWPACK_NAME_MAX 63u
#define ROWPACK_MAX      61440u /* bytes of a frame, of a row too */

struct rowpack_name {
    uint8_t n;
    char text[ROWPACK_NAME_MAX + 1]; /* with a NUL */
};

struct rowpack_names {
    struct rowpack_name **list; /* owned, and what it points to: names stay where they are */
    unsigned n, cap;            /* cap: allocated ones, kept for the next call */
};

/* ---- writing ---- */

struct rowpack {
    struct buf bytes; /* whole rows, and behind them the one that is being made */
    size_t row_at;    /* where that one begins */
    struct rowpack_names names;
    unsigned guess; /* the name that is likely to come next */
};

void rowpack_init(struct rowpack *p);
void rowpack_clear(struct rowpack *p);
void rowpack_reset(struct rowpack *p); /* another call: no bytes, no names */
void rowpack_begin(struct rowpack *p, const char *kind);
/* False: the row would become larger than a frame can carry, so it does without this value. */
bool rowpack_text(struct rowpack *p, const char *name, struct strv value);
bool rowpack_number(struct rowpack *p, const char *name, uint64_t value);
/* True: with the row that is being made there would be more than one frame carries; the rows before it must
   be sent now. */
bool rowpack_is_full(const struct rowpack *p);
void rowpack_end(struct rowpack *p);
struct strv rowpack_rows(const struct rowpack *p); /* whole rows that are to be sent */
void rowpack_sent(struct rowpack *p);              /* these were */

/* ---- reading ---- */

struct rowread {
    struct rowpack_names names;
};

enum rowread_step { ROWREAD_VALUE, ROWREAD_END, ROWREAD_BAD };

struct rowread_value {
    const char *name;
    struct strv text; /* p NULL: a number; a view of the frame */
    uint64_t number;
};

void rowread_init(struct rowread *r);
void rowread_clear(struct rowread *r);
void rowread_reset(struct rowread *r); /* another call */
/* The kind of the row at the start of *rest, which moves on. NULL: what stands there is no row. Names and
   kinds are good until rowread_reset. */
const char *rowread_begin(struct rowread *r, struct strv *rest);
enum rowread_step rowread_next(struct rowread *r, struct strv *rest, struct rowread_value *out);
