/* fuzz_command.c - a command stream through line reader, verb, path and parameters; trickled equals whole */
#include "common/mail/command.h"
#include "common/mail/line.h"
#include "common/mail/params.h"
#include "common/mail/path.h"
#include "tests/support/fuzz.h"

static void parameters(struct strv rest, struct buf *out)
{
    struct param p;
    enum param_step step;

    while ((step = param_next(&rest, &p)) == PARAM_OK) {
        struct buf decoded, again, second;
        enum param_body body;
        uint64_t n;

        must(p.keyword.n > 0 && (!p.has_value || p.value.n > 0));
        buf_addf(out, "(%.*s=%.*s)", (int)p.keyword.n, p.keyword.p, (int)p.value.n, p.value.p);
        if (param_size(p.value, &n))
            must(p.value.n <= 20);
        if (param_body(p.value, &body))
            must(strv_iis(p.value, param_body_name(body)));
        buf_init(&decoded, 1 << 22);
        buf_init(&again, 1 << 22);
        buf_init(&second, 1 << 22);
        if (xtext_decode(p.value, &decoded)) {
            xtext_encode(buf_view(&decoded), &again);
            must(xtext_decode(buf_view(&again), &second) && strv_eq(buf_view(&decoded), buf_view(&second)));
        }
        buf_clear(&decoded);
        buf_clear(&again);
        buf_clear(&second);
    }
    buf_adds(out, step == PARAM_BAD ? "!" : ".");
}

static void command(struct strv line, struct buf *out)
{
    struct strv verb, argument, rest;
    struct path path;

    if (!command_split(line, &verb, &argument)) {
        buf_adds(out, "?");
        return;
    }
    must(verb.n > 0 && verb.n <= COMMAND_VERB_MAX);
    must(argument.n == 0 || !byte_is_blank((unsigned char)argument.p[argument.n - 1]));
    buf_addv(out, verb);
    for (int kind = PATH_REVERSE; kind <= PATH_FORWARD; kind++) {
        if (!path_parse((enum path_kind)kind, argument, 0, &path, &rest, NULL))
            continue;
        address_format_path(&path.address, out);
        parameters(rest, out);
        path_clear(&path);
    }
}

static void transcript(struct strv in, size_t chunk, struct buf *out)
{
    struct line_reader r;
    struct buf pending;
    size_t fed = 0;

    buf_init(&pending, 1 << 22);
    line_init(&r, 512);
    for (;;) {
        struct strv line, piece;
        size_t consumed;
        enum line_result result = line_next(&r, buf_view(&pending), &line, &consumed);

        if (result == LINE_OK)
            command(line, out);
        else if (result != LINE_NONE)
            buf_addf(out, "[%d]", (int)result);
        buf_drop(&pending, consumed);
        if (result == LINE_FLOOD || (result == LINE_NONE && fed == in.n))
            break;
        if (result != LINE_NONE)
            continue;
        piece = strv_sub(in, fed, chunk);
        buf_addv(&pending, piece);
        fed += piece.n;
    }
    buf_clear(&pending);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t chunk;
    struct strv in = fuzz_input(data, size, &chunk);
    struct buf whole, cut;

    buf_init(&whole, 1 << 24);
    buf_init(&cut, 1 << 24);
    transcript(in, SIZE_MAX, &whole);
    transcript(in, chunk, &cut);
    must(strv_eq(buf_view(&whole), buf_view(&cut)));
    buf_clear(&whole);
    buf_clear(&cut);
    return 0;
}
