/* source.h - reading table sources: sendmail's and Postfix's line formats, one entry at a time (pure) */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"

/* Bounds of one entry. A key longer than this cannot be asked for (schema.c); LMDB takes 511 bytes. A value
   must fit one answer frame. */
#define SOURCE_KEY_MAX   511u
#define SOURCE_VALUE_MAX 49152u

enum source_syntax {
    SYNTAX_TEXT,    /* Postfix's tables, sendmail's virtusertable: `key value` */
    SYNTAX_ALIASES, /* sendmail's aliases: `name: value, value` */
    SYNTAX_INCLUDE, /* an :include: list: targets, one or several a line; no keys */
};

struct source {
    struct strv rest; /* borrowed text */
    enum source_syntax syntax;
    const char *file;   /* borrowed: for messages */
    unsigned line;      /* of the next line, from 1 */
    unsigned at;        /* first line of the entry last returned */
    struct buf logical; /* owned: one logical line, continuations joined by a blank */
    struct buf key;     /* owned: normalised */
};

enum source_step { SOURCE_END, SOURCE_ENTRY, SOURCE_BAD };

void source_init(struct source *s, struct strv text, enum source_syntax syntax, const char *file);
void source_clear(struct source *s);

/* The next entry: key in lower case (empty with SYNTAX_INCLUDE) and value without outer blanks, both borrowed
   until the next call; s->at is its line. SOURCE_BAD: err says `file:line: what`; the table cannot be used.

   Both formats: lines that begin with a blank continue the line before; lines whose first byte that is no
   blank is
   '#', and empty lines, are no lines at all (they do not end a continued one). A key in quotes is taken
   without them
   ("a b"@x.org is the key `a b@x.org`; "name:with colon": value). */
enum source_step source_next(struct source *s, struct strv *key, struct strv *value, struct err *err);

/* What an aliases value holds that loading must know of. */
struct source_targets {
    unsigned includes, unserved; /* :include: lists; commands and files, which are refused temporarily */
    bool bad;                    /* unclosed quotes */
};
struct source_targets source_survey(struct strv value);
