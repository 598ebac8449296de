/* strv.h - borrowed views of bytes: never freed, no NUL promised, valid until the underlying buffer changes
   */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct strv {
    const char *p;
    size_t n;
};

#define SV_LIT(s) ((struct strv){ "" s, sizeof(s) - 1 })

static inline struct strv strv_make(const char *p, size_t n)
{
    return (struct strv){ p, n };
}

/* View of a C string; NULL gives the empty view. */
static inline struct strv SV(const char *s)
{
    return (struct strv){ s ? s : "", s ? strlen(s) : 0 };
}

static inline bool strv_eq(struct strv a, struct strv b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool strv_is(struct strv a, const char *s);              /* equal to a C string */
bool strv_ieq(struct strv a, struct strv b);             /* equal, ASCII case ignored */
bool strv_iis(struct strv a, const char *ascii);         /* equal to a C string, ASCII case ignored */
int  strv_cmp(struct strv a, struct strv b);             /* byte order, as memcmp then length */
bool strv_starts(struct strv a, struct strv prefix);
bool strv_istarts(struct strv a, struct strv prefix);
bool strv_ends(struct strv a, struct strv suffix);
bool strv_iends(struct strv a, struct strv suffix);
bool strv_find(struct strv a, char c, size_t *at);       /* first c; *at is set only when found */
bool strv_rfind(struct strv a, char c, size_t *at);      /* last c */
bool strv_has(struct strv a, char c);
struct strv strv_sub(struct strv a, size_t from, size_t n);   /* clamped to a */
struct strv strv_from(struct strv a, size_t from);            /* clamped to a */
struct strv strv_trim(struct strv a);                    /* without leading and trailing SP, HT, CR, LF */

/* Takes the part of *rest before sep into *head and moves *rest behind sep; the last part leaves rest->p
   NULL. False when *rest was already used up. "a,,b" gives "a", "", "b"; "" gives one empty part. */
bool strv_cut(struct strv *rest, char sep, struct strv *head);

/* Takes the next run of non-blanks (SP, HT) into *word; false at the end. */
bool strv_word(struct strv *rest, struct strv *word);

/* Decimal digits only (no sign, no blanks), at most max. */
bool strv_u64(struct strv s, uint64_t max, uint64_t *out);

/* Hex digits only, exactly out_n * 2 of them. */
bool strv_hex(struct strv s, uint8_t *out, size_t out_n);

/* Copies into dst with a NUL; false (and dst empty) when it does not fit or holds a NUL. */
bool strv_cstr(struct strv s, char *dst, size_t dst_size);

/* A heap copy with a NUL behind it; the caller frees. Dies when memory is out. */
char *strv_dup(struct strv s);

/* ASCII class helpers: never locale dependent, never confused by byte 0. */
static inline bool byte_is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
static inline bool byte_is_upper(unsigned char c) { return c >= 'A' && c <= 'Z'; }
static inline bool byte_is_lower(unsigned char c) { return c >= 'a' && c <= 'z'; }
static inline bool byte_is_alpha(unsigned char c) { return byte_is_upper(c) || byte_is_lower(c); }
static inline bool byte_is_alnum(unsigned char c) { return byte_is_alpha(c) || byte_is_digit(c); }
static inline bool byte_is_blank(unsigned char c) { return c == ' ' || c == '\t'; }
static inline bool byte_is_print(unsigned char c) { return c >= 32 && c < 127; }
static inline char byte_lower(char c) { return (char)(byte_is_upper((unsigned char)c) ? c + 32 : c); }

bool byte_in_set(char c, const char *set);               /* '\0' is never in a set */
