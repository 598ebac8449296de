/* name.c - values that are names: hosts, domains, paths, users, maps */
#include "conf/name.h"

#include "common/base/mem.h"

#include <limits.h>
#include <stdio.h>
#include <sys/un.h>

/* RFC 1035 2.3.4: 255 octets on the wire are 253 characters of text. */
#define HOST_MAX_BYTES 253u
#define LABEL_MAX_BYTES 63u
/* LOGIN_NAME_MAX of Linux is 256; shadow's useradd stops at 32. */
#define USER_MAX_BYTES 32u

#define SHOWN(s) (int)((s).n < 80 ? (s).n : 80), (s).p

static const char *label_problem(struct strv label)
{
    if (label.n == 0)
        return "two dots in a row, or a dot at an end";
    if (label.n > LABEL_MAX_BYTES)
        return "a part between dots is longer than 63 characters";
    if (label.p[0] == '-' || label.p[label.n - 1] == '-')
        return "a part between dots begins or ends with a hyphen";
    for (size_t i = 0; i < label.n; i++) {
        if ((unsigned char)label.p[i] >= 128)
            return "write an international name in its ASCII form, xn--...";
        /* Underscores are no host names (RFC 952), but live in the DNS and in container networks. */
        if (!byte_is_alnum((unsigned char)label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
            return "only letters, digits, hyphens and dots";
    }
    return NULL;
}

static bool is_number(struct strv label)
{
    uint64_t number;
    return strv_u64(label, UINT64_MAX, &number);
}

bool conf_host_ok(struct strv name, bool full, const char **why)
{
    struct strv rest = name, label = { "", 0 };
    *why = NULL;
    if (name.n > HOST_MAX_BYTES)
        *why = "longer than 253 characters";
    while (!*why && strv_cut(&rest, '.', &label))
        *why = label_problem(label);
    if (!*why && full && !strv_has(name, '.'))
        *why = "it has no dot; the full name is needed, such as mx.example.com";
    /* No top level domain is a number (RFC 3696 2): a mistyped address must not become a name. */
    if (!*why && is_number(label))
        *why = "it looks like an address";
    return !*why;
}

static bool refuse(struct conf_why *why, struct strv word, const char *is_not, const char *reason)
{
    snprintf(why->text, sizeof(why->text), "\"%.*s\" is not %s%s%s", SHOWN(word), is_not, reason ? ": " : "",
             reason ? reason : "");
    return false;
}

static bool host_ok(struct strv word, bool full, const char *is_not, struct conf_why *why)
{
    const char *reason;
    return conf_host_ok(word, full, &reason) || refuse(why, word, is_not, reason);
}

static const char *path_problem(struct strv path)
{
    struct strv rest = path, part;
    if (path.n >= PATH_MAX)
        return "too long";
    while (strv_cut(&rest, '/', &part)) {
        if (strv_is(part, ".."))
            return "\"..\" in it";
    }
    return NULL;
}

static bool path_ok(struct strv word, struct conf_why *why)
{
    if (!strv_starts(word, SV("/")))
        return refuse(why, word, "an absolute path", NULL);
    const char *reason = path_problem(word);
    return !reason || refuse(why, word, "a path that can be used", reason);
}

/* Below a home, or below a root that another field names. */
static bool inner_path_ok(struct strv word, struct conf_why *why)
{
    struct strv inner = strv_starts(word, SV("~/")) ? strv_from(word, 2) : word;
    if (inner.n == 0 || inner.p[0] == '/' || inner.p[0] == '~')
        return refuse(why, word, "a path below the home, such as \"~/Maildir\"", NULL);
    const char *reason = path_problem(inner);
    return !reason || refuse(why, word, "a path that can be used", reason);
}

static bool word_ok(struct strv word, const char *extra, size_t max)
{
    for (size_t i = 0; i < word.n; i++) {
        if (!byte_is_alnum((unsigned char)word.p[i]) && !byte_in_set(word.p[i], extra))
            return false;
    }
    return word.n > 0 && word.n <= max && word.p[0] != '-';
}

static bool may_be_empty(const struct conf_field *field)
{
    return field->empty || (field->def && strcmp(field->def, "\"\"") == 0);
}

bool conf_name_ok(const struct conf_field *field, struct strv word, struct conf_why *why)
{
    if (word.n == 0 && field->type != CT_STRING && may_be_empty(field))
        return true;
    switch (field->type) {
    case CT_HOSTNAME:
        return host_ok(word, true, "a host name", why);
    case CT_DOMAINS:
        return host_ok(word, false, "a domain", why);
    case CT_PATH:
        return path_ok(word, why);
    case CT_HOME_PATH:
        return inner_path_ok(word, why);
    case CT_LOG:
        return strv_is(word, "syslog") || strv_is(word, "stderr") ||
               (strv_starts(word, SV("/")) && path_ok(word, why)) ||
               refuse(why, word, "syslog, stderr or an absolute path", NULL);
    case CT_MAP:
        return word_ok(word, "-_", 64) || refuse(why, word, "the name of a map", NULL);
    case CT_USER:
    case CT_USERS:
        return word_ok(word, "-_.", USER_MAX_BYTES) || refuse(why, word, "a user name", NULL);
    case CT_STRING:
    case CT_STRINGS:
        return true;
    case CT_ENDPOINTS: case CT_ADDRESSES: case CT_NETWORKS: case CT_TARGET: case CT_SERVER: case CT_BYTES:
    case CT_SECONDS: case CT_SECONDS_LIST: case CT_INT: case CT_BOOL: case CT_ENUM: case CT_BLOCK:
        break;
    }
    return refuse(why, word, "text", NULL);
}

char *conf_name_fold(enum conf_type type, struct strv word)
{
    char *copy = strv_dup(word);
    if (type == CT_HOSTNAME || type == CT_DOMAINS) {
        for (size_t i = 0; i < word.n; i++)
            copy[i] = byte_lower(copy[i]);
    }
    return copy;
}

static bool target_port(struct strv text, uint16_t *port)
{
    uint64_t number;
    if (!strv_u64(text, 65535, &number) || number == 0)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* "[192.0.2.1]" or "[192.0.2.1]:25": brackets are needed for IPv6 only, and usual in other MTAs' files for
 * both. */
static bool target_in_brackets(struct strv word, struct conf_target *out)
{
    size_t close;
    uint16_t port = 0;
    if (!strv_starts(word, SV("[")) || !strv_find(word, ']', &close))
        return false;
    struct strv rest = strv_from(word, close + 1);
    if (rest.n > 0 && (rest.p[0] != ':' || !target_port(strv_from(rest, 1), &port)))
        return false;
    if (!netaddr_parse_ip(strv_sub(word, 1, close - 1), &out->addr))
        return false;
    out->port = port;
    return true;
}

bool conf_target_parse(struct strv word, struct conf_target *out, struct conf_why *why)
{
    struct strv host = word;
    size_t colon;
    *out = (struct conf_target){ .addr.family = AF_UNSPEC };
    if (netaddr_parse_ip(word, &out->addr) || target_in_brackets(word, out))
        return true;
    if (netaddr_parse(word, &out->addr, false)) {
        out->port = out->addr.port;
        out->addr.port = 0;
        return true;
    }
    out->addr = (struct netaddr){ .family = AF_UNSPEC };
    if (strv_rfind(word, ':', &colon)) {
        host = strv_sub(word, 0, colon);
        if (!target_port(strv_from(word, colon + 1), &out->port))
            return refuse(why, word, "a host with a port from 1 to 65535, such as \"smtp.example.net:587\"",
                          NULL);
    }
    if (word.n > 0 &&
        !host_ok(host, false, "a host, an address (IPv6 in brackets) or either with a port", why))
        return false;
    out->host = conf_name_fold(CT_HOSTNAME, host);
    return true;
}

bool conf_server_parse(struct strv word, struct conf_target *out, struct conf_why *why)
{
    struct strv path = strv_from(word, 5);
    if (!strv_starts(word, SV("unix:")))
        return conf_target_parse(strv_starts(word, SV("inet:")) ? path : word, out, why);
    *out = (struct conf_target){ .addr.family = AF_UNSPEC };
    if (!path_ok(path, why))
        return false;
    if (path.n >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return refuse(why, word, "the path of a socket", "too long");
    out->path = strv_dup(path);
    return true;
}
