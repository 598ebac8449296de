/* lex.h - words of the configuration language */
#pragma once

#include "common/base/buf.h"
#include "conf/place.h"

struct dict;

enum conf_token_kind {
    TOKEN_WORD, TOKEN_STRING, TOKEN_EQUALS, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_LIST, TOKEN_LIST_END, TOKEN_COMMA,
    TOKEN_END,
    TOKEN_BAD,                      /* already reported */
};

struct conf_token {
    enum conf_token_kind kind;
    struct strv text;               /* decoded; valid until the next token */
    struct conf_place place;
    struct conf_where where;        /* as place, or what the last origin mark said */
    bool first;                     /* nothing stands before it on its line */
};

struct conf_lexer {
    const struct conf_source *source;
    struct conf_errors *errs;       /* borrowed */
    struct dict *names;             /* borrowed: interned names of files */
    bool marks;                     /* `#@` comments tell origins: only in text that mtad wrote */
    size_t at;
    size_t line_start;
    unsigned line, column;
    bool fresh;                     /* nothing but blanks seen on this line */
    bool marked;
    struct conf_where mark;
    struct buf string;              /* decoded text of a quoted string */
};

void conf_lexer_init(struct conf_lexer *lx, const struct conf_source *source, struct dict *names,
                     struct conf_errors *errs);
void conf_lexer_clear(struct conf_lexer *lx);
/* Refuses NUL, bad UTF-8, and a byte order mark, with the place of the first. */
bool conf_lexer_check(struct conf_lexer *lx);
void conf_lexer_next(struct conf_lexer *lx, struct conf_token *token);

/* The one copy of a file name that lives as long as names does; control bytes become '?'. */
const char *conf_name_intern(struct dict *names, struct strv name);

/* Whether text can be written without quotes. */
bool conf_word_is_bare(struct strv text);
