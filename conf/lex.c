/* lex.c - words of the configuration language, with their places */
#include "conf/lex.h"

#include "common/base/dict.h"
#include "conf/utf8.h"

#include <limits.h>

#define STRING_MAX_BYTES (64u * 1024)

static bool is_bare(char c)
{
    return byte_is_alnum((unsigned char)c) || byte_in_set(c, "_-./:@~+%*$!?&|^");
}

bool conf_word_is_bare(struct strv text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (!is_bare(text.p[i]))
            return false;
    }
    return text.n > 0;
}

const char *conf_name_intern(struct dict *names, struct strv name)
{
    char *known = dict_get(names, name);
    if (known)
        return known;
    char *copy = strv_dup(name);
    for (size_t i = 0; i < name.n; i++) {
        if ((unsigned char)copy[i] < 32 || copy[i] == 127)
            copy[i] = '?';
    }
    dict_set(names, name, copy);
    return copy;
}

void conf_lexer_init(struct conf_lexer *lx, const struct conf_source *source, struct dict *names,
                     struct conf_errors *errs)
{
    *lx = (struct conf_lexer){ .source = source, .errs = errs, .names = names, .line = 1, .column = 1,
                               .fresh = true };
    buf_init(&lx->string, STRING_MAX_BYTES);
}

void conf_lexer_clear(struct conf_lexer *lx)
{
    buf_clear(&lx->string);
}

static int peek(const struct conf_lexer *lx, size_t ahead)
{
    struct strv text = lx->source->text;
    return ahead < text.n - lx->at ? (unsigned char)text.p[lx->at + ahead] : -1;
}

static void advance(struct conf_lexer *lx)
{
    int c = peek(lx, 0);
    lx->at++;
    if (c == '\n') {
        lx->line++;
        lx->column = 1;
        lx->line_start = lx->at;
        lx->fresh = true;
    } else if ((c & 0xc0) != 0x80) {
        lx->column++;
    }
}

static struct conf_place here(const struct conf_lexer *lx)
{
    return (struct conf_place){ .source = lx->source, .line_start = lx->line_start, .line = lx->line,
                                .column = lx->column, .width = 1 };
}

bool conf_lexer_check(struct conf_lexer *lx)
{
    struct conf_lexer scan = *lx;
    struct strv text = lx->source->text;
    if (strv_starts(text, SV("\xef\xbb\xbf"))) {
        struct conf_place place = here(&scan);
        conf_error_at(lx->errs, &place, "the file begins with a byte order mark; save it without one");
        return false;
    }
    while (scan.at < text.n) {
        size_t n = utf8_length(strv_from(text, scan.at));
        bool control = utf8_is_control(strv_sub(text, scan.at, n));
        if (n == 0 || control) {
            struct conf_place place = here(&scan);
            unsigned char c = (unsigned char)text.p[scan.at];
            if (control)
                conf_error_at(lx->errs, &place, "control character U+%04X",
                              (unsigned char)text.p[scan.at + 1]);
            else if (c == 0)
                conf_error_at(lx->errs, &place, "NUL byte; is this a text file?");
            else
                conf_error_at(lx->errs, &place, "byte 0x%02x is not valid UTF-8", c);
            return false;
        }
        for (; n > 0; n--)
            advance(&scan);
    }
    return true;
}

/* `#@ LINE:COLUMN FILE` or `#@ default`. Anything else is a comment like any other. */
static void read_mark(struct conf_lexer *lx, struct strv comment)
{
    struct strv number, line, file = comment;
    uint64_t l, c;
    if (strv_is(comment, "@ default")) {
        lx->mark = (struct conf_where){ "default", 0, 0 };
        lx->marked = true;
        return;
    }
    if (!strv_starts(comment, SV("@ ")))
        return;
    file = strv_from(file, 2);
    if (!strv_cut(&file, ' ', &number) || !file.p || file.n == 0 || !strv_cut(&number, ':', &line) ||
        !number.p)
        return;
    if (!strv_u64(line, UINT_MAX, &l) || !strv_u64(number, UINT_MAX, &c))
        return;
    lx->mark = (struct conf_where){ conf_name_intern(lx->names, file), (unsigned)l, (unsigned)c };
    lx->marked = true;
}

static void skip_comment(struct conf_lexer *lx)
{
    advance(lx);
    size_t start = lx->at;
    while (peek(lx, 0) >= 0 && peek(lx, 0) != '\n')
        advance(lx);
    if (lx->marks)
        read_mark(lx, strv_sub(lx->source->text, start, lx->at - start));
}

static void skip_blanks(struct conf_lexer *lx)
{
    for (;;) {
        int c = peek(lx, 0);
        if (c == '#')
            skip_comment(lx);
        else if (c == ' ' || c == '\t' || c == '\n' || (c == '\r' && peek(lx, 1) == '\n'))
            advance(lx);
        else
            return;
    }
}

static void finish(const struct conf_lexer *lx, struct conf_token *token)
{
    if (lx->column > token->place.column)
        token->place.width = lx->column - token->place.column;
}

static void bad(struct conf_lexer *lx, struct conf_token *token, const struct conf_place *place,
                const char *what)
{
    conf_error_at(lx->errs, place, "%s", what);
    token->kind = TOKEN_BAD;
}

static void lex_string(struct conf_lexer *lx, struct conf_token *token)
{
    buf_reset(&lx->string);
    token->kind = TOKEN_STRING;
    advance(lx);
    for (;;) {
        int c = peek(lx, 0);
        struct conf_place place = here(lx);
        if (c < 0 || c == '\n' || (c == '\r' && peek(lx, 1) == '\n')) {
            if (token->kind != TOKEN_BAD)
                bad(lx, token, &token->place,
                    "this string is not closed; a \" is missing before the end of the line");
            break;
        }
        advance(lx);
        if (c == '"')
            break;
        if (c == '\\') {
            c = peek(lx, 0);
            if (c != '"' && c != '\\') {
                if (token->kind != TOKEN_BAD)
                    bad(lx, token, &place, "unknown escape; a string knows \\\" and \\\\ only");
                continue;
            }
            advance(lx);
        } else if ((c < 32 && c != '\t') || c == 127) {
            if (token->kind != TOKEN_BAD)
                bad(lx, token, &place, "control character in a string");
        }
        buf_addc(&lx->string, (char)c);
    }
    if (!buf_ok(&lx->string) && token->kind != TOKEN_BAD)
        bad(lx, token, &token->place, "this string is too long");
    token->text = buf_view(&lx->string);
    finish(lx, token);
}

static void lex_word(struct conf_lexer *lx, struct conf_token *token)
{
    size_t start = lx->at;
    while (peek(lx, 0) >= 0 && is_bare((char)peek(lx, 0)))
        advance(lx);
    token->kind = TOKEN_WORD;
    token->text = strv_sub(lx->source->text, start, lx->at - start);
    finish(lx, token);
}

/* What stands in single quotes belongs to one mistake. */
static void skip_quoted(struct conf_lexer *lx)
{
    struct strv line = strv_from(lx->source->text, lx->at);
    size_t end, quote;
    if (strv_find(line, '\n', &end))
        line.n = end;
    if (!strv_find(line, '\'', &quote))
        return;
    for (size_t i = 0; i <= quote; i++)
        advance(lx);
}

static void lex_odd(struct conf_lexer *lx, struct conf_token *token, int c)
{
    do
        advance(lx);
    while (peek(lx, 0) >= 0 && (peek(lx, 0) & 0xc0) == 0x80);
    if (c == '\'')
        skip_quoted(lx);
    finish(lx, token);
    token->kind = TOKEN_BAD;
    if (c == ';')
        conf_error_at(lx->errs, &token->place, "unexpected \";\"; statements need no separator");
    else if (c == '\'')
        conf_error_at(lx->errs, &token->place, "unexpected \"'\"; strings stand in double quotes");
    else if (byte_is_print((unsigned char)c))
        conf_error_at(lx->errs, &token->place,
                      "unexpected \"%c\"; a value with it must stand in double quotes", c);
    else if (c >= 128)
        conf_error_at(lx->errs, &token->place, "a word outside of ASCII must stand in double quotes");
    else
        conf_error_at(lx->errs, &token->place, "unexpected control character 0x%02x", (unsigned)c);
}

void conf_lexer_next(struct conf_lexer *lx, struct conf_token *token)
{
    static const struct { char c; enum conf_token_kind kind; } signs[] = {
        { '=', TOKEN_EQUALS }, { '{', TOKEN_OPEN }, { '}', TOKEN_CLOSE }, { '[', TOKEN_LIST },
        { ']', TOKEN_LIST_END }, { ',', TOKEN_COMMA },
    };
    skip_blanks(lx);
    *token = (struct conf_token){
        .kind = TOKEN_END, .text = {"", 0},
             .place = here(lx), .first = lx->fresh
    };
    lx->fresh = false;
    token->where = (struct conf_where){ lx->source->name, lx->line, lx->column };
    if (lx->marked)
        token->where = lx->mark;
    int c = peek(lx, 0);
    if (c < 0) {
        token->first = true;
        return;
    }
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (c == signs[i].c) {
            token->kind = signs[i].kind;
            token->text = strv_sub(lx->source->text, lx->at, 1);
            advance(lx);
            return;
        }
    }
    if (c == '"')
        lex_string(lx, token);
    else if (is_bare((char)c))
        lex_word(lx, token);
    else
        lex_odd(lx, token, c);
}
