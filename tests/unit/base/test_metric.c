/* test_metric.c - counting, and docs/METRICS.md, which is made from the table (UPDATE=1 writes it) */
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/metric.h"

#define DOC "docs/METRICS.md"

static const char intro[] =
    "# Metrics\n"
    "\n"
    "The numbers of a host as [OpenMetrics](https://openmetrics.io) text, which Prometheus and others "
    "read.\n"
    "\n"
    "- `mtactl metrics` prints them, `mtactl metrics --json` gives them as rows, `mtactl top` shows "
    "what moves.\n"
    "- `ctl/metrics.sock` in the runtime directory (a stream socket for root and the group "
    "mansio-admin) gives them to who connects: as HTTP to who sends `GET`, as text alone to who sends "
    "an empty line or nothing. `curl --unix-socket /run/mansio/ctl/metrics.sock "
    "http://mansio/metrics`; for a collector that wants TCP, put a proxy before it (nginx: `proxy_pass "
    "http://unix:/run/mansio/ctl/metrics.sock;`).\n"
    "\n"
    "No file of the spool is touched and no daemon but mtad needed: a process that does not answer "
    "within a second has `mansio_up 0`, and the others' numbers are told all the same. Counters belong "
    "to a process and begin at 0 with it; the labels `daemon` and `index` say which (`sum without "
    "(index)` puts them together). Labels with words of the moment have at most 50 values; what comes "
    "later is counted as `other`.\n"
    "\n"
    "What to watch: `mansio_up == 0`; `mansio_queue_oldest_seconds`; `mansio_queue_overdue_messages > "
    "0` in a state other than held and damaged; the growth of `mansio_queue_messages{state=\"deferred\"}`; "
    "`mansio_queue_disk_free_bytes`; `rate(mansio_queue_messages_not_stored_total[5m]) > 0`.\n"
    "\n"
    "The table is `common/base/metric.c`; this page is made from it.\n"
    "\n"
    "| metric | type | labels beside daemon and index | told by | meaning |\n"
    "|---|---|---|---|---|\n"
    "| `mansio_build` | info | version | mtad | What runs. |\n";

static void document(struct buf *out)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };

    buf_adds(out, intro);
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        const struct metric_info *info = &metrics[m];

        buf_addf(out, "| `mansio_%s` | %s | %s", info->name, types[info->type],
                 info->type == METRIC_HISTOGRAM ? "le" : info->label ? info->label : "");
        for (unsigned i = 0; info->values && info->values[i]; i++)
            buf_addf(out, "%s %s", i ? "," : ":", info->values[i]);
        buf_adds(out, " |");
        if (info->roles & ROLE_BIT(ROLE_MTAD))
            buf_adds(out, " mtad, of every process");
        else if (info->roles & (info->roles - 1))
            buf_adds(out, " every daemon");
        else
            for (unsigned r = 0; r < ROLE_COUNT; r++)
                if (info->roles & ROLE_BIT(r))
                    buf_addf(out, " %s", role_name((enum role)r));
        buf_addf(out, " | %s |\n", info->help);
    }
}

static void test_document(void **state)
{
    static char have[65536];
    struct buf want;
    size_t n = 0;
    FILE *f;

    (void)state;
    buf_init(&want, sizeof have);
    document(&want);
    if (getenv("UPDATE")) {
        f = fopen(DOC, "w");
        assert_non_null(f);
        fputs(buf_cstr(&want), f);
        fclose(f);
    }
    f = fopen(DOC, "r");
    if (f) {
        n = fread(have, 1, sizeof have - 1, f);
        fclose(f);
    }
    have[n] = '\0';
    assert_string_equal(have, buf_cstr(&want));
    buf_clear(&want);
}

static void test_table(void **state)
{
    (void)state;
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        const struct metric_info *info = &metrics[m];
        size_t name = strlen(info->name), unit = info->unit ? strlen(info->unit) : 0;

        assert_true(info->roles && info->scale && info->help[0]);
        assert_true(name > 6 || m == METRIC_UP);
        assert_null(strstr(info->name, "_total"));
        assert_true(unit == 0 || strcmp(info->name + name - unit, info->unit) == 0);
        assert_true(metric_values((enum metric)m) <= METRIC_CELLS);
        assert_true(metric_buckets((enum metric)m) < METRIC_SUM);
        assert_int_equal(info->type == METRIC_HISTOGRAM, info->bounds != NULL);
        for (unsigned i = 1; i < metric_buckets((enum metric)m); i++)
            assert_true(info->bounds[i] > info->bounds[i - 1]);
        for (unsigned k = 0; k < m; k++)
            assert_string_not_equal(info->name, metrics[k].name);
    }
}

struct seen {
    unsigned n, words;
    uint64_t sum, other;
    char last[METRIC_WORD];
};

static void look(void *arg, enum metric m, unsigned cell, struct strv word, uint64_t n)
{
    struct seen *s = arg;

    (void)cell;
    if (m != METRIC_REFUSED)
        return;
    s->n++;
    s->words += word.n > 0;
    s->sum += n;
    if (strv_is(word, "other"))
        s->other = n;
    snprintf(s->last, sizeof s->last, "%.*s", (int)word.n, word.p);
}

static void test_words(void **state)
{
    struct seen s = { 0 };
    char word[80];

    (void)state;
    for (unsigned i = 0; i < METRIC_WORDS + 30; i++) {
        snprintf(word, sizeof word, "rule%u", i);
        metric_add_word(METRIC_REFUSED, SV(word), 2);
        metric_add_word(METRIC_REFUSED, SV(word), 1);
    }
    metric_each(look, &s);
    assert_int_equal(s.words, METRIC_WORDS + 1);
    assert_int_equal(s.n, s.words);
    assert_int_equal(s.sum, 3 * (METRIC_WORDS + 30));
    assert_int_equal(s.other, 90);
    metric_words_clear(METRIC_REFUSED);
    s = (struct seen){ 0 };
    metric_each(look, &s);
    assert_int_equal(s.n, 0);
    metric_add_word(METRIC_REFUSED, SV_LIT("a\"b}\n{\\ c,d=e\xff"), 1);
    metric_each(look, &s);
    assert_string_equal(s.last, "a_b_____c_d_e_");
    s = (struct seen){ 0 };
    metric_words_clear(METRIC_REFUSED);
    memset(word, 'x', sizeof word);
    metric_add_word(METRIC_REFUSED, strv_make(word, sizeof word), 1);
    metric_add_word(METRIC_REFUSED, SV_LIT(""), 1);
    metric_each(look, &s);
    assert_int_equal(s.words, 2);
    assert_string_equal(s.last, "none");
}

static void test_histogram(void **state)
{
    static const struct {
        uint64_t value;
        unsigned cell;
    } cases[] = { { 0, 0 }, { 1, 0 }, { 2, 1 }, { 3, 2 }, { 1024, 10 }, { 1025, 11 } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t before = metric_cells[METRIC_SYNC_BATCH][cases[i].cell];

        metric_observe(METRIC_SYNC_BATCH, cases[i].value);
        assert_int_equal(metric_cells[METRIC_SYNC_BATCH][cases[i].cell], before + 1);
    }
    assert_int_equal(metric_cells[METRIC_SYNC_BATCH][METRIC_SUM], 2055);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_histogram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
