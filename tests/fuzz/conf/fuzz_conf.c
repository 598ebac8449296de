/* fuzz_conf.c - any text: located errors or a configuration that goes round for every role */
#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

/* An error has a place, and what a terminal gets to see holds no control character but line ends and tabs. */
static void check_errors(const struct conf_errors *errs)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    check(errs->n > 0 && errs->total >= errs->n, "refused without an error");
    for (unsigned i = 0; i < errs->n; i++)
        check(strncmp(errs->list[i].text, "fuzz:", 5) == 0, "error without a place");
    conf_errors_text(errs, &text);
    check(buf_ok(&text), "errors too long");
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        check((c >= 32 && c != 127) || c == '\n' || c == '\t', "control character in a message");
    }
    buf_clear(&text);
}

static void check_round(const struct conf *conf, enum role role)
{
    struct conf *part = NULL;
    struct conf_errors errs;
    struct buf once, twice;
    buf_init(&once, 1 << 24);
    buf_init(&twice, 1 << 24);
    conf_errors_init(&errs);
    conf_write(conf, role, &once);
    check(buf_ok(&once), "canonical text too long");
    check(conf_parse_text(buf_view(&once), "again", role, &part, &errs), "canonical text refused");
    conf_write(part, role, &twice);
    check(strv_eq(buf_view(&once), buf_view(&twice)), "round trip differs");
    conf_errors_clear(&errs);
    conf_free(&part);
    buf_clear(&once);
    buf_clear(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *conf = NULL;
    struct conf_errors errs;
    conf_errors_init(&errs);
    if (conf_parse_text(strv_make((const char *)data, size), "fuzz", ROLE_MTAD, &conf, &errs)) {
        check(errs.total == 0, "accepted with errors");
        for (unsigned role = 0; role < ROLE_COUNT; role++)
            check_round(conf, (enum role)role);
        (void)conf_route_for(conf, strv_make((const char *)data, size < 300 ? size : 300));
        (void)conf_domain_is_own(conf, strv_make((const char *)data, size < 300 ? size : 300));
    } else {
        check(conf == NULL, "refused, but something came out");
        check_errors(&errs);
    }
    conf_errors_clear(&errs);
    conf_free(&conf);
    return 0;
}
