/* conf.c - loading, freeing and asking the configuration */
#include "conf/conf.h"

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "conf/check.h"
#include "conf/kinds.h"
#include "conf/lex.h"
#include "conf/listen.h"
#include "conf/override.h"
#include "conf/parse.h"
#include "conf/route.h"
#include "conf/source.h"
#include "conf/top.h"

#include <stdio.h>
#include <stdlib.h>

#define DOMAIN_MAX_BYTES 253u

static struct conf *conf_new(enum role role)
{
    struct conf *conf = mem_new(sizeof(*conf));
    conf->role = role;
    conf->names = dict_new();
    return conf;
}

void conf_free(struct conf **conf)
{
    struct conf *c = *conf;
    *conf = NULL;
    if (!c)
        return;
    for (size_t i = 0; conf_kinds[i]; i++) {
        for (size_t k = 0; k < conf_kind_count(c, conf_kinds[i]); k++)
            conf_section_free(conf_kinds[i], conf_kind_section(c, conf_kinds[i], k));
    }
    free(c->listens);
    free(c->maps);
    free(c->mailboxes);
    free(c->routes);
    free(c->secrets);
    free(c->tls);
    dict_free(&c->own, NULL);
    dict_free(&c->route_index, NULL);
    dict_free(&c->map_index, NULL);
    dict_free(&c->names, free);
    free(c);
}

static bool add_overrides(struct conf_files *files, struct conf_parser *p, const struct conf_options *options,
                          struct conf_node *root)
{
    bool ok = true;
    p->include = NULL;
    for (size_t i = 0; i < options->override_n; i++) {
        char name[32];
        snprintf(name, sizeof(name), "option %zu", i + 1);
        const struct conf_source *source = conf_files_text(files, p, name, SV(options->overrides[i]));
        struct conf_node *overlay = conf_node_new(NODE_BLOCK, "");
        if (!source) {
            conf_error_file(p->errs, name, "too many options and files");
            ok = false;
        } else if (!conf_parse(p, source, overlay)) {
            ok = false;
        }
        conf_override(root, overlay);
        conf_node_free(&overlay);
    }
    return ok;
}

bool conf_load_with(const char *path, const struct conf_options *options, struct conf **out,
                    struct conf_errors *errs)
{
    struct conf *conf = conf_new(ROLE_MTAD);
    struct conf_files *files = mem_new(sizeof(*files));
    struct conf_node *root = conf_node_new(NODE_BLOCK, "");
    struct conf_parser parser = { .errs = errs, .names = conf->names };
    struct conf_check check = { .conf = conf, .errs = errs, .options = *options, .loading = true,
                                .main = { conf_name_intern(conf->names, SV(path)), { "", 0 } } };
    bool ok = conf_files_read(files, &parser, path, root);
    ok = add_overrides(files, &parser, options, root) && ok;
    ok = ok && conf_check(&check, root) && errs->total == 0;
    conf_node_free(&root);
    conf_files_clear(files);
    free(files);
    if (!ok)
        conf_free(&conf);
    *out = conf;
    return ok;
}

bool conf_load(const char *path, struct conf **out, struct conf_errors *errs)
{
    struct conf_options options = { .overrides = NULL };
    return conf_load_with(path, &options, out, errs);
}

bool conf_parse_text(struct strv canonical, const char *name, enum role role, struct conf **out,
                     struct conf_errors *errs)
{
    struct conf *conf = conf_new(role);
    struct conf_node *root = conf_node_new(NODE_BLOCK, "");
    struct conf_source source = { conf_name_intern(conf->names, SV(name)), canonical };
    struct conf_parser parser = { .errs = errs, .names = conf->names, .marks = true };
    struct conf_check check = { .conf = conf, .errs = errs, .main = source };
    bool ok = conf_parse(&parser, &source, root);
    ok = ok && conf_check(&check, root) && errs->total == 0;
    conf_node_free(&root);
    if (!ok)
        conf_free(&conf);
    *out = conf;
    return ok;
}

const struct conf_map *conf_map_find(const struct conf *conf, struct strv name)
{
    return dict_get(conf->map_index, name);
}

const struct conf_listen *conf_listen_find(const struct conf *conf, struct strv name)
{
    for (size_t i = 0; i < conf->listen_n; i++) {
        if (strv_is(name, conf->listens[i]->head.name))
            return conf->listens[i];
    }
    return NULL;
}

static bool fold_domain(struct strv domain, char dst[DOMAIN_MAX_BYTES + 1])
{
    if (!strv_cstr(domain, dst, DOMAIN_MAX_BYTES + 1))
        return false;
    for (char *c = dst; *c; c++)
        *c = byte_lower(*c);
    return true;
}

const struct conf_route *conf_route_for(const struct conf *conf, struct strv domain)
{
    char name[DOMAIN_MAX_BYTES + 1];
    const struct conf_route *route = NULL;
    if (fold_domain(domain, name) && !strv_is(SV(name), "default")) {
        route = dict_get(conf->route_index, SV(name));
        for (char *dot = strchr(name, '.'); dot && !route; dot = strchr(dot + 1, '.'))
            route = dict_get(conf->route_index, SV(dot));
    }
    return route ? route : dict_get(conf->route_index, SV("default"));
}

bool conf_domain_is_own(const struct conf *conf, struct strv domain)
{
    char name[DOMAIN_MAX_BYTES + 1];
    return fold_domain(domain, name) && dict_get(conf->own, SV(name)) != NULL;
}

bool conf_is_host_contact(const struct conf *conf, struct strv local, struct strv domain)
{
    return (strv_iis(local, "postmaster") || strv_iis(local, "mailer-daemon")) &&
           strv_iis(domain, conf->top->hostname) && !conf_domain_is_own(conf, domain);
}

struct conf_where conf_where(const struct conf_head *head, const char *section, const char *field)
{
    const struct conf_kind *kind = conf_kind_find(SV(section));
    int index = kind ? conf_field_index(kind, SV(field)) : -1;
    if (index < 0)
        die("conf_where: no field %s in section %s", field, section);
    return head->at[index];
}

void conf_where_text(struct conf_where where, char *dst, size_t size)
{
    if (where.line == 0)
        snprintf(dst, size, "%s", where.file);
    else
        snprintf(dst, size, "%s:%u", where.file, where.line);
}
