/* parse.c - text to tree: `NAME = value`, `NAME [label] { ... }`, lists, include */
#include "conf/parse.h"

#include "conf/lex.h"

#include <stdlib.h>

/* One file can hold one list of own domains of a large hoster, not a database; that is what maps are for. */
#define WORDS_MAX 200000u

struct run {
    struct conf_parser *p;
    struct conf_lexer lx;
    struct conf_token token;        /* the current one, not consumed yet */
    unsigned depth;
    bool lost;
};

static void next(struct run *r)
{
    conf_lexer_next(&r->lx, &r->token);
}

static bool is_text(const struct conf_token *token)
{
    return token->kind == TOKEN_WORD || token->kind == TOKEN_STRING;
}

/* Goes on with the next line of this block after a mistake was reported. */
static void recover(struct run *r, struct conf_node *parent)
{
    unsigned inner = 0;
    parent->damaged = true;
    for (; r->token.kind != TOKEN_END; next(r)) {
        if (r->token.kind == TOKEN_OPEN)
            inner++;
        else if (r->token.kind == TOKEN_CLOSE && inner == 0)
            return;
        else if (r->token.kind == TOKEN_CLOSE)
            inner--;
        else if (inner == 0 && r->token.first && r->token.kind == TOKEN_WORD)
            return;
    }
    if (inner > 0)
        r->lost = true;
}

/* Reports at the current token, unless the lexer did. */
static void unexpected(struct run *r, const char *wanted)
{
    if (r->token.kind == TOKEN_BAD)
        return;
    if (r->token.kind == TOKEN_END)
        conf_error_at(r->p->errs, &r->token.place, "the file ends where %s was expected", wanted);
    else
        conf_error_at(r->p->errs, &r->token.place, "expected %s before \"%.*s\"", wanted,
                      (int)(r->token.text.n < 60 ? r->token.text.n : 60), r->token.text.p);
}

static void take_word(struct run *r, struct conf_node *node)
{
    conf_node_add_word(node, strv_dup(r->token.text), &r->token.place);
}

/* After a missing comma the list goes on, so that one slip is one message. */
static bool parse_list(struct run *r, struct conf_node *node)
{
    struct conf_place open = r->token.place;
    bool ok = true;
    node->list = true;
    next(r);
    while (r->token.kind != TOKEN_LIST_END) {
        if (r->token.kind == TOKEN_END || r->token.kind == TOKEN_OPEN || r->token.kind == TOKEN_CLOSE ||
            r->token.kind == TOKEN_EQUALS) {
            if (ok)
                conf_error_at(r->p->errs, &open,
                              "this list is not closed; a \"]\" is missing before line %u, "
                              "column %u",
                              r->token.place.line, r->token.place.column);
            return false;
        }
        if (r->token.kind == TOKEN_LIST) {
            conf_error_at(r->p->errs, &r->token.place,
                          "a list cannot stand in a list; an address with brackets must "
                          "stand in double quotes");
            return false;
        }
        if (!is_text(&r->token)) {
            unexpected(r, "a value");
            return false;
        }
        if (node->word_n == WORDS_MAX) {
            conf_error_at(r->p->errs, &r->token.place, "a list holds at most %u values; use a map",
                          WORDS_MAX);
            return false;
        }
        take_word(r, node);
        next(r);
        if (r->token.kind == TOKEN_COMMA) {
            next(r);
        } else if (is_text(&r->token)) {
            if (ok && r->token.first)
                conf_error_at(r->p->errs, &r->token.place,
                              "expected \",\" or \"]\" before \"%.*s\"; the list began at "
                              "line %u",
                              (int)(r->token.text.n < 60 ? r->token.text.n : 60), r->token.text.p, open.line);
            else if (ok)
                unexpected(r, "\",\" or \"]\"");
            ok = false;
        }
    }
    next(r);
    return ok;
}

/* The current token is "=". */
static bool parse_value(struct run *r, struct conf_node *node)
{
    struct conf_place equals = r->token.place;
    next(r);
    node->value_place = r->token.place;
    bool same_line = r->token.place.line == equals.line;
    if (r->token.kind == TOKEN_LIST && same_line)
        return parse_list(r, node);
    if (is_text(&r->token) && same_line) {
        take_word(r, node);
        next(r);
        return true;
    }
    if (r->token.kind != TOKEN_BAD)
        conf_error_at(r->p->errs, &equals, "\"%s\" has no value behind \"=\"", node->name);
    return false;
}

static void parse_statements(struct run *r, struct conf_node *parent, bool top);

/* The current token is "{". Recursion ends at CONF_NESTING_MAX. */
static bool parse_block(struct run *r, struct conf_node *node)
{
    struct conf_place open = r->token.place;
    if (r->depth == CONF_NESTING_MAX) {
        conf_error_at(r->p->errs, &open, "sections stand in each other %u deep; that is too much",
                      r->depth + 1);
        r->lost = true;
        return false;
    }
    next(r);
    r->depth++;
    parse_statements(r, node, false);
    r->depth--;
    if (r->lost)
        return true;
    if (r->token.kind == TOKEN_CLOSE) {
        next(r);
        return true;
    }
    /* After a mistake inside, the "}" may be what was skipped. */
    if (node->damaged)
        r->lost = true;
    else if (node->label)
        conf_error_at(r->p->errs, &open, "section \"%s %s\" is not closed; a \"}\" is missing", node->name,
                      node->label);
    else
        conf_error_at(r->p->errs, &open, "section \"%s\" is not closed; a \"}\" is missing", node->name);
    r->lost = true;
    return true;
}

static bool parse_include(struct run *r, const struct conf_place *place, struct conf_node *parent, bool top)
{
    if (!top) {
        conf_error_at(r->p->errs, place, "include stands outside of sections only");
        return false;
    }
    if (!r->p->include) {
        conf_error_at(r->p->errs, place, "include is not possible here");
        return false;
    }
    struct conf_place at = r->token.place;
    char *pattern = strv_dup(r->token.text);
    next(r);
    if (!r->p->include(r->p, SV(pattern), &at, parent))
        r->lost = true;
    free(pattern);
    return true;
}

/* Behind the name: "=", "{", a label and "{", or a string after include. */
static bool parse_rest(struct run *r, struct conf_node *node, struct conf_node *parent, bool top)
{
    bool same_line = !r->token.first;
    if (r->token.kind == TOKEN_EQUALS) {
        node->kind = NODE_VALUE;
        return parse_value(r, node);
    }
    if (same_line && is_text(&r->token)) {
        if (strcmp(node->name, "include") == 0)
            return parse_include(r, &node->place, parent, top);
        node->label = strv_dup(r->token.text);
        node->label_place = r->token.place;
        next(r);
    }
    if (r->token.kind == TOKEN_OPEN) {
        node->kind = NODE_BLOCK;
        return parse_block(r, node);
    }
    size_t n = strlen(node->name);
    if (r->token.kind == TOKEN_BAD)
        return false;
    if (n > 1 && node->name[n - 1] == ':')
        conf_error_at(r->p->errs, &node->place,
                      "a name is followed by \"=\", not by \":\"; did you mean \"%.*s = ...\"?", (int)n - 1,
                      node->name);
    else if (node->label)
        conf_error_at(r->p->errs, &node->place, "expected \"%s = ...\" or \"%s %s { ... }\"; "
                      "a value with blanks must stand in double quotes", node->name, node->name, node->label);
    else
        conf_error_at(r->p->errs, &node->place, "expected \"%s = ...\" or \"%s { ... }\"", node->name,
                      node->name);
    return false;
}

/* True when the statement was understood; the token is then the one behind it. */
static bool parse_statement(struct run *r, struct conf_node *parent, bool top)
{
    if (r->token.kind != TOKEN_WORD) {
        unexpected(r, "a name");
        return false;
    }
    char *name = strv_dup(r->token.text);
    struct conf_node *node = conf_node_new(NODE_VALUE, name);
    free(name);
    node->place = r->token.place;
    node->where = r->token.where;
    next(r);
    bool included = strcmp(node->name, "include") == 0 && is_text(&r->token);
    bool ok = parse_rest(r, node, parent, top);
    if (ok && !included)
        conf_node_add(parent, node);
    else
        conf_node_free(&node);
    return ok;
}

static void parse_statements(struct run *r, struct conf_node *parent, bool top)
{
    while (!r->lost && r->token.kind != TOKEN_END) {
        if (r->token.kind == TOKEN_CLOSE) {
            if (!top)
                return;
            conf_error_at(r->p->errs, &r->token.place, "\"}\" without a section that it could close");
            r->lost = true;
            return;
        }
        if (parse_statement(r, parent, top) || r->lost)
            continue;
        /* The offending token may itself begin the next statement or end the block. */
        recover(r, parent);
    }
}

bool conf_parse(struct conf_parser *p, const struct conf_source *source, struct conf_node *root)
{
    struct run r = { .p = p };
    conf_lexer_init(&r.lx, source, p->names, p->errs);
    r.lx.marks = p->marks;
    bool ok = conf_lexer_check(&r.lx);
    if (ok) {
        next(&r);
        parse_statements(&r, root, true);
        ok = !r.lost;
    }
    conf_lexer_clear(&r.lx);
    return ok;
}
