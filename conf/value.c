/* value.c - text to typed value and back: one row per field type */
#include "conf/value.h"

#include "common/base/mem.h"
#include "conf/amount.h"
#include "conf/lex.h"
#include "conf/name.h"
#include "conf/suggest.h"

#include <stdio.h>
#include <stdlib.h>

typedef bool parse_fn(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why);
typedef void write_fn(const struct conf_field *field, const void *slot, struct buf *out);
typedef void clear_fn(void *slot);

struct type_ops {
    const char *name;
    bool list;
    parse_fn *parse;
    write_fn *write;
    clear_fn *clear;
};

bool conf_strings_have(const struct conf_strings *list, struct strv s)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strv_ieq(SV(list->v[i]), s))
            return true;
    }
    return false;
}

bool conf_networks_contain(const struct conf_networks *list, const struct netaddr *addr)
{
    for (size_t i = 0; i < list->n; i++) {
        if (netprefix_contains(&list->v[i], addr))
            return true;
    }
    return false;
}

void conf_word_write(struct strv word, struct buf *out)
{
    if (conf_word_is_bare(word)) {
        buf_addv(out, word);
        return;
    }
    buf_addc(out, '"');
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] == '"' || word.p[i] == '\\')
            buf_addc(out, '\\');
        buf_addc(out, word.p[i]);
    }
    buf_addc(out, '"');
}

/* The arrays of lists have room for a power of two; returns where the next element goes. */
static void *grow(void *array, size_t n, size_t size)
{
    if (n & (n - 1))
        return array;
    return mem_resize(array, n ? n * 2 : 1, size);
}

/* char * */

static void set_text(char **slot, char *text)
{
    free(*slot);
    *slot = text;
}

static bool parse_text(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why)
{
    if (field->max > 0 && word.n > (uint64_t)field->max) {
        snprintf(why->text, sizeof(why->text), "%s may have %lld characters at most", field->name,
                 (long long)field->max);
        return false;
    }
    if (!conf_name_ok(field, word, why))
        return false;
    set_text(slot, conf_name_fold(field->type, word));
    return true;
}

static void write_text(const struct conf_field *field, const void *slot, struct buf *out)
{
    (void)field;
    char *const *text = slot;
    conf_word_write(SV(*text), out);
}

static void clear_text(void *slot)
{
    set_text(slot, NULL);
}

/* struct conf_strings */

static bool parse_strings(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why)
{
    struct conf_strings *list = slot;
    if (!conf_name_ok(field, word, why))
        return false;
    list->v = grow(list->v, list->n, sizeof(*list->v));
    list->v[list->n++] = conf_name_fold(field->type, word);
    return true;
}

static void open_list(struct buf *out)
{
    buf_adds(out, "[ ");
}

/* Takes back the last ", "; an empty list is "[ ]". */
static void close_list(struct buf *out)
{
    if (out->len >= 2 && out->data[out->len - 2] == ',') {
        buf_cut(out, out->len - 2);
        buf_addc(out, ' ');
    }
    buf_addc(out, ']');
}

static void write_strings(const struct conf_field *field, const void *slot, struct buf *out)
{
    (void)field;
    const struct conf_strings *list = slot;
    open_list(out);
    for (size_t i = 0; i < list->n; i++) {
        conf_word_write(SV(list->v[i]), out);
        buf_adds(out, ", ");
    }
    close_list(out);
}

static void clear_strings(void *slot)
{
    struct conf_strings *list = slot;
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i]);
    free(list->v);
    *list = (struct conf_strings){ NULL, 0 };
}

/* struct conf_endpoints */

static bool refuse_endpoint(const struct conf_field *field, struct strv word, struct conf_why *why)
{
    struct netaddr addr;
    if (netaddr_parse_ip(word, &addr)) {
        char text[NETADDR_TEXT];
        addr.port = 25;
        netaddr_text(&addr, text, sizeof(text));
        snprintf(why->text, sizeof(why->text), "\"%.*s\" has no port; did you mean \"%s\"?", (int)word.n,
                 word.p, text);
    } else {
        snprintf(why->text, sizeof(why->text),
                 "\"%.*s\" is not an address with a port, such as \"192.0.2.1:%u\" or "
                 "\"[::1]:%u\"%s",
                 (int)(word.n < 80 ? word.n : 80), word.p, field->port ? field->port : 25u,
                 field->port ? field->port : 25u, field->port ? "; the port may be left out" : "");
    }
    return false;
}

static bool parse_endpoint(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why)
{
    struct conf_endpoints *list = slot;
    struct netaddr addr;
    if (field->port && netaddr_parse_ip(word, &addr))
        addr.port = field->port;
    else if (!netaddr_parse(word, &addr, false))
        return refuse_endpoint(field, word, why);
    list->v = grow(list->v, list->n, sizeof(*list->v));
    list->v[list->n++] = addr;
    return true;
}

static void write_endpoints(const struct conf_field *field, const void *slot, struct buf *out)
{
    (void)field;
    const struct conf_endpoints *list = slot;
    open_list(out);
    for (size_t i = 0; i < list->n; i++) {
        char text[NETADDR_TEXT];
        netaddr_text(&list->v[i], text, sizeof(text));
        conf_word_write(SV(text), out);
        buf_adds(out, ", ");
    }
    close_list(out);
}

static void clear_endpoints(void *slot)
{
    struct conf_endpoints *list = slot;
    free(list->v);
    *list = (struct conf_endpoints){ NULL, 0 };
}

static bool parse_address(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why)
{
    (void)field;
    struct conf_endpoints *list = slot;
    struct netaddr addr;
    const char *what = NULL;
    if (netaddr_parse(word, &addr, true))
        what = "an address without a port";
    else if (!netaddr_parse_ip(word, &addr))
        what = "an address, such as 192.0.2.1 or 2001:db8::1";
    if (!what)
        netaddr_unmap(&addr);
    if (!what && !netaddr_is_host(&addr))
        what = "an address that a host can have";
    if (what) {
        snprintf(why->text, sizeof(why->text), "\"%.*s\" is not %s", (int)(word.n < 80 ? word.n : 80), word.p,
                 what);
        return false;
    }
    list->v = grow(list->v, list->n, sizeof(*list->v));
    list->v[list->n++] = addr;
    return true;
}

static void write_addresses(const struct conf_field *field, const void *slot, struct buf *out)
{
    (void)field;
    const struct conf_endpoints *list = slot;
    open_list(out);
    for (size_t i = 0; i < list->n; i++) {
        char text[NETADDR_TEXT];
        netaddr_ip_text(&list->v[i], text, sizeof(text));
        conf_word_write(SV(text), out);
        buf_adds(out, ", ");
    }
    close_list(out);
}

/* struct conf_networks */

static bool parse_network(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why)
{
    (void)field;
    struct conf_networks *list = slot;
    struct netprefix prefix;
    const char *reason = NULL;
    if (!netprefix_parse(word, &prefix, &reason)) {
        snprintf(why->text, sizeof(why->text),
                 "\"%.*s\" is not a network such as 10.0.0.0/8 or \"2001:db8::/32\": %s",
                 (int)(word.n < 80 ? word.n : 80), word.p, reason ? reason : "not an address");
        return false;
    }
    list->v = grow(list->v, list->n, sizeof(*list->v));
    list->v[list->n++] = prefix;
    return true;
}

static void write_networks(const struct conf_field *field, const void *slot, struct buf *out)
{
    (void)field;
    const struct conf_networks *list = slot;
    open_list(out);
    for (size_t i = 0; i < list->n; i++) {
        char text[NETADDR_TEXT];
        netprefix_text(&list->v[i], text, sizeof(text));
        conf_word_write(SV(text), out);
        buf_adds(out, ", ");
    }
    close_list(out);
}

static void clear_networks(void *slot)
{
    struct conf_networks *list = slot;
    free(list->v);
    *list = (struct conf_networks){ NULL, 0 };
}

/* struct conf_target */

static void clear_target(void *slot)
{
    struct conf_target *target = slot;
    free(target->host);
    free(target->path);
    *target = (struct conf_target){ .host = NULL };
}

static bool parse_target(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why)
{
    struct conf_target target;
    (void)field;
    if (!conf_target_parse(word, &target, why))
        return false;
    clear_target(slot);
    *(struct conf_target *)slot = target;
    return true;
}

static bool parse_server(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why)
{
    struct conf_target target;
    (void)field;
    if (!conf_server_parse(word, &target, why))
        return false;
    clear_target(slot);
    *(struct conf_target *)slot = target;
    return true;
}

static void write_target(const struct conf_field *field, const void *slot, struct buf *out)
{
    (void)field;
    const struct conf_target *target = slot;
    struct buf text;
    buf_init(&text, 512);
    if (target->addr.family != AF_UNSPEC) {
        char ip[NETADDR_TEXT];
        netaddr_ip_text(&target->addr, ip, sizeof(ip));
        bool brackets = target->port > 0 && target->addr.family == AF_INET6;
        buf_addf(&text, brackets ? "[%s]" : "%s", ip);
    } else if (target->path) {
        buf_addf(&text, "unix:%s", target->path);
    } else {
        buf_adds(&text, target->host);
    }
    if (target->port > 0)
        buf_addf(&text, ":%u", target->port);
    conf_word_write(buf_view(&text), out);
    buf_clear(&text);
}

/* numbers */

static bool parse_number(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why)
{
    return conf_amount_parse(field, word, slot, why);
}

static void write_number(const struct conf_field *field, const void *slot, struct buf *out)
{
    conf_amount_write(field->type, *(const int64_t *)slot, out);
}

static void clear_number(void *slot)
{
    *(int64_t *)slot = 0;
}

static bool parse_numbers(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why)
{
    struct conf_numbers *list = slot;
    int64_t number;
    if (!conf_amount_parse(field, word, &number, why))
        return false;
    list->v = grow(list->v, list->n, sizeof(*list->v));
    list->v[list->n++] = number;
    return true;
}

static void write_numbers(const struct conf_field *field, const void *slot, struct buf *out)
{
    const struct conf_numbers *list = slot;
    open_list(out);
    for (size_t i = 0; i < list->n; i++) {
        conf_amount_write(field->type, list->v[i], out);
        buf_adds(out, ", ");
    }
    close_list(out);
}

static void clear_numbers(void *slot)
{
    struct conf_numbers *list = slot;
    free(list->v);
    *list = (struct conf_numbers){ NULL, 0 };
}

/* bool and enum */

static const struct conf_choice yes_no[] = { { "yes", 1 }, { "no", 0 }, { NULL, 0 } };

static bool choose(const struct conf_choice *choices, struct strv word, int *value, struct conf_why *why)
{
    struct suggest near;
    struct buf names;
    char hint[128];
    suggest_start(&near, word);
    buf_init(&names, sizeof(why->text) / 2);
    for (const struct conf_choice *c = choices; c->name; c++) {
        if (strv_is(word, c->name)) {
            *value = c->value;
            buf_clear(&names);
            return true;
        }
        suggest_try(&near, SV(c->name));
        buf_addf(&names, "%s%s", names.len == 0 ? "" : c[1].name ? ", " : " or ", c->name);
    }
    snprintf(why->text, sizeof(why->text), "\"%.*s\" is not %s%s", (int)(word.n < 60 ? word.n : 60), word.p,
             buf_cstr(&names), suggest_text(&near, hint, sizeof(hint)));
    buf_clear(&names);
    return false;
}

/* What other programs' files call yes and no. */
static const struct conf_choice foreign_bools[] = {
    { "true", 1 }, { "on", 1 }, { "1", 1 }, { "false", 0 }, { "off", 0 }, { "0", 0 }, { NULL, 0 },
};

static bool parse_bool(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why)
{
    int value;
    (void)field;
    for (const struct conf_choice *c = foreign_bools; c->name; c++) {
        if (!strv_iis(word, c->name))
            continue;
        snprintf(why->text, sizeof(why->text), "\"%.*s\" is not yes or no; did you mean \"%s\"?", (int)word.n,
                 word.p, c->value ? "yes" : "no");
        return false;
    }
    if (!choose(yes_no, word, &value, why))
        return false;
    *(bool *)slot = value != 0;
    return true;
}

static void write_bool(const struct conf_field *field, const void *slot, struct buf *out)
{
    (void)field;
    buf_adds(out, *(const bool *)slot ? "yes" : "no");
}

static void clear_bool(void *slot)
{
    *(bool *)slot = false;
}

static bool parse_enum(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why)
{
    return choose(field->choices, word, slot, why);
}

static void write_enum(const struct conf_field *field, const void *slot, struct buf *out)
{
    for (const struct conf_choice *c = field->choices; c->name; c++) {
        if (c->value == *(const int *)slot) {
            buf_adds(out, c->name);
            return;
        }
    }
}

static void clear_enum(void *slot)
{
    *(int *)slot = 0;
}

static const struct type_ops types[] = {
    [CT_STRING] = { "text", false, parse_text, write_text, clear_text },
    [CT_STRINGS] = { "list of texts", true, parse_strings, write_strings, clear_strings },
    [CT_HOSTNAME] = { "host name", false, parse_text, write_text, clear_text },
    [CT_DOMAINS] = { "list of domains", true, parse_strings, write_strings, clear_strings },
    [CT_ENDPOINTS] = { "list of address:port", true, parse_endpoint, write_endpoints, clear_endpoints },
    [CT_ADDRESSES] = { "list of addresses", true, parse_address, write_addresses, clear_endpoints },
    [CT_NETWORKS] = { "list of networks", true, parse_network, write_networks, clear_networks },
    [CT_TARGET] = { "host or host:port", false, parse_target, write_target, clear_target },
    [CT_SERVER] = { "unix:/path, host or host:port", false, parse_server, write_target, clear_target },
    [CT_BYTES] = { "size", false, parse_number, write_number, clear_number },
    [CT_SECONDS] = { "time", false, parse_number, write_number, clear_number },
    [CT_SECONDS_LIST] = { "list of times", true, parse_numbers, write_numbers, clear_numbers },
    [CT_INT] = { "number", false, parse_number, write_number, clear_number },
    [CT_BOOL] = { "yes or no", false, parse_bool, write_bool, clear_bool },
    [CT_ENUM] = { "word", false, parse_enum, write_enum, clear_enum },
    [CT_PATH] = { "path", false, parse_text, write_text, clear_text },
    [CT_HOME_PATH] = { "path", false, parse_text, write_text, clear_text },
    [CT_LOG] = { "syslog, stderr or a path", false, parse_text, write_text, clear_text },
    [CT_MAP] = { "name of a map", false, parse_text, write_text, clear_text },
    [CT_USER] = { "user name", false, parse_text, write_text, clear_text },
    [CT_USERS] = { "list of user names", true, parse_strings, write_strings, clear_strings },
    [CT_BLOCK] = { "section", false, NULL, NULL, NULL },
};

bool conf_type_is_list(enum conf_type type)
{
    return types[type].list;
}

const char *conf_type_name(enum conf_type type)
{
    return types[type].name;
}

bool conf_value_parse(const struct conf_field *field, struct strv word, void *slot, struct conf_why *why)
{
    return types[field->type].parse(field, word, slot, why);
}

void conf_value_write(const struct conf_field *field, const void *slot, struct buf *out)
{
    types[field->type].write(field, slot, out);
}

void conf_value_clear(const struct conf_field *field, void *slot)
{
    if (types[field->type].clear)
        types[field->type].clear(slot);
}
