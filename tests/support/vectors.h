/* vectors.h - the shared test vectors (JSON) and the table of argued exceptions */
#pragma once

#include "tests/support/unit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A vector whose verdict is not ours, and why. */
struct vector_exception {
    const char *file, *input, *reason;
    unsigned used;
};

/* The parsed file below SHARED_DATA, or NULL when the folder is absent (said on stderr; the caller skips). */
static inline json_t *vectors_load(const char *file)
{
    char path[1024];
    json_error_t error;
    json_t *root;

    snprintf(path, sizeof path, "%s/%s", SHARED_DATA, file);
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "vectors: %s is not there, its cases are skipped\n", path);
        return NULL;
    }
    root = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!root)
        fail_msg("%s: %s", path, error.text);
    return root;
}

/* The text of a member: a string, or {"hex": ...} for bytes that are not UTF-8. The caller clears *out. */
static inline bool vectors_text(const json_t *object, const char *key, struct buf *out)
{
    const json_t *v = json_object_get(object, key);

    buf_init(out, 1 << 20);
    if (json_is_string(v)) {
        buf_add(out, json_string_value(v), json_string_length(v));
        return true;
    }
    if (json_is_object(v)) {
        struct strv hex = SV(json_string_value(json_object_get(v, "hex")));
        char *to = buf_reserve(out, hex.n / 2 + 1);

        if (!strv_hex(hex, (uint8_t *)to, hex.n / 2))
            fail_msg("bad hex in a vector");
        buf_commit(out, hex.n / 2);
        return true;
    }
    return false;
}

/* Compares our verdict with the vector's. A difference must be in the table; and, by vectors_finish, every
   line of the table must be a difference. */
static inline void vectors_judge(struct vector_exception *table, const char *file, struct strv input,
                                 bool ours, bool theirs)
{
    if (ours == theirs)
        return;
    for (; table->file; table++) {
        if (strcmp(table->file, file) == 0 && strv_is(input, table->input)) {
            table->used++;
            return;
        }
    }
    fail_msg("%s: \"%.*s\" is %s for us", file, (int)input.n, input.p, ours ? "valid" : "invalid");
}

static inline void vectors_finish(const struct vector_exception *table, const char *file)
{
    for (; table->file; table++) {
        if (strcmp(table->file, file) == 0 && table->used == 0)
            fail_msg("%s: the exception for \"%s\" is none", file, table->input);
    }
}
