/* mistakes.h - tables of texts that must be refused, with the whole message */
#pragma once

#include "conf/conf.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <unistd.h>

struct mistake {
    const char *name;
    const char *text;
    const char *message;
};

static char mistakes_dir[] = "/tmp/mansio-conf-XXXXXX";
static char mistakes_home[4096];

/* Messages name the file as it was given, so that a relative name keeps the tables readable. */
static inline int mistakes_setup(void **state)
{
    (void)state;
    return getcwd(mistakes_home, sizeof(mistakes_home)) && mkdtemp(mistakes_dir) ? chdir(mistakes_dir) : -1;
}

static inline int mistakes_teardown(void **state)
{
    (void)state;
    unlink("m.conf");
    return chdir(mistakes_home) == 0 ? rmdir(mistakes_dir) : -1;
}

static inline bool mistakes_load(struct strv text, struct buf *message)
{
    struct conf *conf = NULL;
    struct conf_errors errs;
    struct conf_options options = { .system_name = "mx.example.com", .cores = 2, .resolv_conf = "" };
    FILE *f = fopen("m.conf", "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
    fclose(f);
    conf_errors_init(&errs);
    bool ok = conf_load_with("m.conf", &options, &conf, &errs);
    assert_true(ok == (conf != NULL));
    assert_true(ok == (errs.total == 0));
    conf_errors_text(&errs, message);
    conf_errors_clear(&errs);
    conf_free(&conf);
    return ok;
}

static inline void expect_mistakes(const struct mistake *list, size_t n)
{
    struct buf got;
    buf_init(&got, 1 << 16);
    for (size_t i = 0; i < n; i++) {
        buf_reset(&got);
        expect_bool(list[i].name, mistakes_load(SV(list[i].text), &got), false);
        expect_text(list[i].name, buf_view(&got), list[i].message);
    }
    buf_clear(&got);
}
