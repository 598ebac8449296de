/* fuzz_rowpack.c - any bytes are rows or are refused; rows that were read and packed again read the same */
#include "tests/support/fuzz.h"

#include "common/ipc/rowpack.h"

static bool same(struct rowread *a, struct strv *x, struct rowread *b, struct strv *y)
{
    const char *kind = rowread_begin(a, x), *again = rowread_begin(b, y);
    struct rowread_value v, w;
    enum rowread_step step;

    must(kind && again && strcmp(kind, again) == 0);
    while ((step = rowread_next(a, x, &v)) == ROWREAD_VALUE) {
        must(rowread_next(b, y, &w) == ROWREAD_VALUE);
        must(strcmp(v.name, w.name) == 0 && !v.text.p == !w.text.p && v.number == w.number &&
             strv_eq(v.text, w.text));
    }
    must(step == ROWREAD_END && rowread_next(b, y, &w) == ROWREAD_END);
    return x->n > 0;
}

/* False: not rows, or a row that no frame carries. */
static bool copy(struct rowread *r, struct strv rest, struct rowpack *out)
{
    enum rowread_step step;
    struct rowread_value v;

    while (rest.n > 0) {
        const char *kind = rowread_begin(r, &rest);

        if (!kind)
            return false;
        rowpack_begin(out, kind);
        while ((step = rowread_next(r, &rest, &v)) == ROWREAD_VALUE)
            if (!(v.text.p ? rowpack_text(out, v.name, v.text) : rowpack_number(out, v.name, v.number)))
                return false;
        if (step == ROWREAD_BAD || rowpack_is_full(out))
            return false;
        rowpack_end(out);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv in = strv_make((const char *)data, size), x = in, y;
    struct rowread a, b;
    struct rowpack out;

    rowread_init(&a);
    rowread_init(&b);
    rowpack_init(&out);
    if (size > 0 && size <= ROWPACK_MAX / 2 && copy(&a, in, &out)) {
        rowread_reset(&a);
        y = rowpack_rows(&out);
        while (same(&a, &x, &b, &y))
            ;
        must(y.n == 0);
    }
    rowread_clear(&a);
    rowread_clear(&b);
    rowpack_clear(&out);
    return 0;
}
