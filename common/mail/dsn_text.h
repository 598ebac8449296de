/* dsn_text.h - what notices say to humans: templates of subject and text, their file, and filling them in
 *
 * The file is UTF-8. "[failure]" begins a kind; "Subject:" and "From:" (a name for display) may follow, then,
 * behind an empty line, the text up to the next kind. A line that begins with "#" is a comment. ${name} is a
 * variable, $${ stands for "${". What a variable holds is never looked at for further ones, is printable
 * ASCII and stays on its line; only those that stand for several lines are different, and alone on theirs,
 * four of them in a kind. A line of the text of which a variable has no value is left out.
 */
#pragma once

#include "common/base/buf.h"

struct dsn;

enum dsn_kind {
    DSN_KIND_FAILURE, /* the first five in the order of enum dsn_action */
    DSN_KIND_DELAY,
    DSN_KIND_SUCCESS,
    DSN_KIND_RELAYED,
    DSN_KIND_EXPANDED,
    DSN_KIND_DOUBLE, /* to the postmaster: a notice that could not be delivered */
    DSN_KINDS
};

#define DSN_TEXTS_MAX (256u * 1024u) /* of a file */

struct dsn_texts;

/* Of one kind: borrowed from the texts. */
struct dsn_words {
    struct strv subject, from, text; /* text: lines as they stand in the file, comments too */
};

enum dsn_unknown { DSN_NOTHING, DSN_A_VARIABLE, DSN_A_KIND };

/* A mistake in a file. `unknown` says what the word was meant to be, so that a better one can be proposed. */
typedef void dsn_say(void *arg, unsigned line, const char *what, enum dsn_unknown unknown, struct strv word);

struct dsn_texts *dsn_texts_new(void); /* the built-in ones */
/* Those of a file; kinds that it leaves out, and fields, are the built-in ones. NULL after mistakes, each of
   which was told (say may be NULL). */
struct dsn_texts *dsn_texts_read(struct strv file, dsn_say *say, void *arg);
void dsn_texts_free(struct dsn_texts **t);

const char *dsn_kind_name(enum dsn_kind kind);
bool dsn_kind_find(struct strv name, enum dsn_kind *out);
struct dsn_words dsn_words(const struct dsn_texts *t, enum dsn_kind kind);

/* Finds the next variable or "$${" in a line. False: none. open: "${" without its end. */
struct dsn_mark {
    size_t at, n;     /* what stands in the line */
    struct strv name; /* empty: "$${" */
    bool open;
};
bool dsn_mark_next(struct strv line, size_t from, struct dsn_mark *out);

const char *dsn_variable(size_t i); /* names of all; NULL behind the last */
bool dsn_variable_known(struct strv name, bool *several_lines);
enum dsn_kind dsn_kind_of(const struct dsn *d);

/* UTF-8 on one line, without the field's name: for header_encode. */
void dsn_subject(const struct dsn *d, struct buf *out);
struct strv dsn_from_name(const struct dsn *d);
/* The text part: UTF-8, lines of at most 998 bytes with CRLF. */
void dsn_text(const struct dsn *d, struct buf *out);
