/* metrics_text.c - numbers as OpenMetrics text (pure) */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "mtad/metrics.h"

void metric_part_put(struct metric_part *p, enum metric m, unsigned cell, struct strv word, uint64_t n)
{
    struct metric_sample *s;

    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->samples = mem_resize(p->samples, p->cap, sizeof *p->samples);
    }
    s = &p->samples[p->n++];
    *s = (struct metric_sample){ .metric = m, .cell = cell, .n = n };
    if (word.n)
        snprintf(s->word, sizeof s->word, "%.*s", (int)word.n, word.p);
}

static uint64_t cell(const struct metric_part *p, enum metric m, unsigned i)
{
    for (size_t k = 0; k < p->n; k++)
        if (p->samples[k].metric == m && p->samples[k].cell == i && !p->samples[k].word[0])
            return p->samples[k].n;
    return 0;
}

/* "0.002", "5.0": a bound must look like a fraction, a count need not. */
static void number(struct buf *out, uint64_t n, unsigned scale, bool fraction)
{
    buf_addf(out, "%" PRIu64, n / scale);
    if (scale == 1000 && (n % 1000 || fraction)) {
        char digits[8];
        size_t len = 3;

        snprintf(digits, sizeof digits, "%03u", (unsigned)(n % 1000));
        while (len > 1 && digits[len - 1] == '0')
            len--;
        buf_addf(out, ".%.*s", (int)len, digits);
    } else if (fraction) {
        buf_adds(out, ".0");
    }
}

static void sample(struct buf *out, const struct metric_part *p, const char *name, const char *suffix)
{
    buf_addf(out, "mansio_%s%s{daemon=\"%s\",index=\"%u\"", name, suffix, role_name(p->role), p->index);
}

static void one(struct buf *out, const struct metric_part *p, enum metric m, const char *value, uint64_t n)
{
    const struct metric_info *info = &metrics[m];

    sample(out, p, info->name, info->type == METRIC_COUNTER ? "_total" : "");
    if (value)
        buf_addf(out, ",%s=\"%s\"", info->label, value);
    buf_adds(out, "} ");
    number(out, n, info->scale, false);
    buf_addc(out, '\n');
}

static void histogram(struct buf *out, const struct metric_part *p, enum metric m)
{
    const struct metric_info *info = &metrics[m];
    unsigned buckets = metric_buckets(m);
    uint64_t total = 0;

    for (unsigned i = 0; i <= buckets; i++) {
        total += cell(p, m, i);
        sample(out, p, info->name, "_bucket");
        buf_adds(out, ",le=\"");
        if (i < buckets)
            number(out, info->bounds[i], info->scale, true);
        else
            buf_adds(out, "+Inf");
        buf_addf(out, "\"} %" PRIu64 "\n", total);
    }
    sample(out, p, info->name, "_count");
    buf_addf(out, "} %" PRIu64 "\n", total);
    sample(out, p, info->name, "_sum");
    buf_adds(out, "} ");
    number(out, cell(p, m, METRIC_SUM), info->scale, false);
    buf_addc(out, '\n');
}

static void part_text(struct buf *out, const struct metric_part *p, enum metric m)
{
    const struct metric_info *info = &metrics[m];

    if (info->type == METRIC_HISTOGRAM) {
        histogram(out, p, m);
        return;
    }
    for (unsigned i = 0; i < metric_values(m); i++)
        one(out, p, m, info->values ? info->values[i] : NULL, cell(p, m, i));
    for (size_t k = 0; info->label && !info->values && k < p->n; k++)
        if (p->samples[k].metric == m && p->samples[k].word[0])
            one(out, p, m, p->samples[k].word, p->samples[k].n);
}

/* What mtad knows is told of those that do not answer, too. */
static bool is_told(const struct metric_part *p, enum metric m)
{
    return metrics[m].roles & ROLE_BIT(p->role) && (p->answered || m <= METRIC_MEMORY);
}

void metrics_text(const struct metric_part *parts, size_t n, struct buf *out)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"
    };

    buf_adds(out, "# TYPE mansio_build info\n# HELP mansio_build What runs.\n");
    buf_addf(out, "mansio_build_info{version=\"%s\"} 1\n", MANSIO_VERSION);
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        const struct metric_info *info = &metrics[m];

        buf_addf(out, "# TYPE mansio_%s %s\n", info->name, types[info->type]);
        if (info->unit)
            buf_addf(out, "# UNIT mansio_%s %s\n", info->name, info->unit);
        buf_addf(out, "# HELP mansio_%s ", info->name);
        for (const char *c = info->help; *c; c++)
            buf_addf(out, *c == '"' ? "\\%c" : "%c", *c);
        buf_addc(out, '\n');
        for (size_t i = 0; i < n; i++)
            if (is_told(&parts[i], (enum metric)m))
                part_text(out, &parts[i], (enum metric)m);
    }
    buf_adds(out, "# EOF\n");
}
