/* test_documents.c - docs/CONFIG.md and etc/mansio.conf say what the tables say */
#include "conf/kinds.h"
#include "conf/top.h"
#include "conf/value.h"
#include "tests/unit/conf/text.h"

#include <stdlib.h>

#define DOCUMENT "docs/CONFIG.md"
#define SAMPLE "etc/mansio.conf"
#define BEGIN "<!-- begin reference -->\n"
#define END "<!-- end reference -->\n"

static void read_text(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s cannot be read", path);
    char *room = buf_reserve(out, 1 << 19);
    buf_commit(out, fread(room, 1, 1 << 19, f));
    fclose(f);
    buf_addc(out, '\0');
    buf_cut(out, out->len - 1);
}

static void examples_parse(void **state)
{
    (void)state;
    struct buf text;
    size_t examples = 0;
    buf_init(&text, 1 << 20);
    read_text(DOCUMENT, &text);
    for (const char *p = buf_cstr(&text); (p = strstr(p, "\n```conf\n")); examples++) {
        const char *start = p + strlen("\n```conf\n"), *end = strstr(start, "\n```\n");
        assert_non_null(end);
        struct conf *conf = conf_of(DOCUMENT, strv_make(start, (size_t)(end + 1 - start)), ROLE_MTAD);
        if (!conf)
            fail_msg("example %zu of %s is wrong", examples + 1, DOCUMENT);
        conf_free(&conf);
        p = end;
    }
    assert_true(examples >= 6);
    buf_clear(&text);
}

/* MANSIO_REGENERATE=1 writes the reference instead of comparing it. */
static void reference_is_current(void **state)
{
    (void)state;
    struct buf text, made;
    buf_init(&text, 1 << 20);
    buf_init(&made, 1 << 20);
    read_text(DOCUMENT, &text);
    const char *begin = strstr(buf_cstr(&text), BEGIN), *end = strstr(buf_cstr(&text), END);
    assert_non_null(begin);
    assert_non_null(end);
    begin += strlen(BEGIN);
    buf_add(&made, text.data, (size_t)(begin - text.data));
    conf_reference(&made);
    buf_adds(&made, end);
    if (getenv("MANSIO_REGENERATE")) {
        FILE *f = fopen(DOCUMENT, "w");
        assert_non_null(f);
        fwrite(made.data, 1, made.len, f);
        fclose(f);
    } else if (!strv_eq(buf_view(&made), buf_view(&text))) {
        fail_msg("%s is not what the tables say; run this test with MANSIO_REGENERATE=1", DOCUMENT);
    }
    buf_clear(&text);
    buf_clear(&made);
}

/* The sample with all settings in force that are commented out ("#name", without a blank). */
static void uncomment(struct strv text, struct buf *out)
{
    struct strv line;
    while (strv_cut(&text, '\n', &line)) {
        struct strv bare = strv_trim(line);
        bool setting = bare.n > 1 && bare.p[0] == '#' && bare.p[1] != ' ';
        buf_addv(out, setting ? strv_from(bare, 1) : bare);
        buf_addc(out, '\n');
    }
}

static struct conf *sample(bool all, struct buf *text)
{
    struct buf raw;
    buf_init(&raw, 1 << 20);
    read_text(SAMPLE, &raw);
    /* What it includes is another matter. */
    char *include = strstr(raw.data, "\ninclude ");
    assert_non_null(include);
    buf_cut(&raw, (size_t)(include + 1 - raw.data));
    if (all)
        uncomment(buf_view(&raw), text);
    else
        buf_addv(text, buf_view(&raw));
    buf_clear(&raw);
    if (!all)
        buf_adds(text, "hostname = mx.example.com\n");
    struct conf *conf = conf_of(SAMPLE, buf_view(text), ROLE_MTAD);
    assert_non_null(conf);
    return conf;
}

static void sample_works(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    struct conf *conf = sample(false, &text);
    assert_int_equal(conf->listen_n, 1);
    assert_int_equal(conf->top->domains.n, 0);
    conf_free(&conf);
    buf_clear(&text);
}

/* Values that the sample sets to something else than the default, as an example. */
static bool is_example(const char *section, const char *field)
{
    static const char *const examples[] = {
        ".hostname",       "relay.from", "address.aliases", "address.virtual",   "address.masquerade",
        "tls.certificate", "tls.key",    "listen.address",  "listen.submission", "listen.tls",
        "listen.auth",     "map.type",   "map.source",      "map.entries",       "auth.users",
        "secret.file",
    };
    char name[64];
    snprintf(name, sizeof(name), "%s.%s", section, field);
    for (size_t i = 0; i < COUNT(examples); i++) {
        if (strcmp(name, examples[i]) == 0)
            return true;
    }
    return false;
}

static void compare_field(const struct conf_kind *kind, size_t index, const struct conf_head *written,
                          const struct conf_head *plain)
{
    const struct conf_field *field = &kind->fields[index];
    struct buf a, b;
    if (field->type == CT_BLOCK || is_example(kind->name, field->name))
        return;
    buf_init(&a, 4096);
    buf_init(&b, 4096);
    conf_value_write(field, (const char *)written + field->offset, &a);
    conf_value_write(field, (const char *)plain + field->offset, &b);
    if (!strv_eq(buf_view(&a), buf_view(&b)))
        fail_msg("%s: %s.%s is %s, the default is %s", SAMPLE, kind->name, field->name, buf_cstr(&a),
                 buf_cstr(&b));
    buf_clear(&a);
    buf_clear(&b);
}

/* Each field stands in the sample, in one of the sections of its kind at least, with its default. */
static void sample_shows_all(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    struct conf *conf = sample(true, &text);
    struct conf *plain =
        conf_must("plain", "hostname = mx.example.com  listen a { address = \"192.0.2.1:25\" }\n"
                  "secret a { file = /a }");
    for (size_t i = 0; conf_kinds[i]; i++) {
        const struct conf_kind *kind = conf_kinds[i];
        for (size_t f = 0; kind->fields[f].name; f++) {
            bool shown = false;
            for (size_t k = 0; k < conf_kind_count(conf, kind); k++) {
                const struct conf_head *head = conf_kind_section(conf, kind, k);
                shown = shown || head->at[f].line > 0;
                if (head->at[f].line > 0)
                    compare_field(kind, f, head, conf_kind_section(plain, kind, 0));
            }
            if (!shown)
                fail_msg("%s does not show %s.%s", SAMPLE, kind->name, kind->fields[f].name);
        }
    }
    conf_free(&conf);
    conf_free(&plain);
    buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_parse),
        cmocka_unit_test(reference_is_current),
        cmocka_unit_test(sample_works),
        cmocka_unit_test(sample_shows_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
