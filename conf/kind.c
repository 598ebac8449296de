/* kind.c - the list of sections, and what is done with any of them by its table */
#include "conf/conf.h"
#include "conf/kinds.h"
#include "conf/value.h"

#include <stdlib.h>

/* In the order of the manual and of the canonical text. */
const struct conf_kind *const conf_kinds[] = {
    &conf_top_kind,     &conf_listen_kind, &conf_relay_kind,     &conf_map_kind, &conf_address_kind,
    &conf_mailbox_kind, &conf_route_kind,  &conf_secret_kind,    &conf_queue_kind,
    &conf_log_kind,     &conf_history_kind, &conf_dns_kind,    &conf_tls_kind,       &conf_auth_kind,
    &conf_users_kind,   &conf_processes_kind, NULL,
};

const struct conf_kind *conf_kind_find(struct strv name)
{
    for (size_t i = 0; conf_kinds[i]; i++) {
        if (strv_is(name, conf_kinds[i]->name))
            return conf_kinds[i];
    }
    return NULL;
}

int conf_field_index(const struct conf_kind *kind, struct strv name)
{
    for (int i = 0; kind->fields[i].name; i++) {
        if (strv_is(name, kind->fields[i].name))
            return i;
    }
    return -1;
}

size_t conf_field_count(const struct conf_kind *kind)
{
    size_t n = 0;
    while (kind->fields[n].name)
        n++;
    return n;
}

bool conf_field_granted(const struct conf_field *field, enum role role)
{
    unsigned roles = field->roles | ROLE_BIT(ROLE_MTAD) | ROLE_BIT(ROLE_MTACTL);
    return (roles & ROLE_BIT(role)) != 0;
}

bool conf_kind_granted(const struct conf_kind *kind, enum role role)
{
    for (const struct conf_field *f = kind->fields; f->name; f++) {
        if (conf_field_granted(f, role))
            return true;
    }
    return false;
}

void conf_section_free(const struct conf_kind *kind, void *section)
{
    struct conf_head *head = section;
    if (!section)
        return;
    for (const struct conf_field *f = kind->fields; f->name; f++) {
        void *slot = (char *)section + f->offset;
        if (f->type == CT_BLOCK)
            conf_section_free(f->block, *(void **)slot);
        else
            conf_value_clear(f, slot);
    }
    free(head->name);
    free(head->at);
    free(section);
}

size_t conf_kind_count(const struct conf *conf, const struct conf_kind *kind)
{
    const char *base = (const char *)conf;
    if (kind->count_offset)
        return *(const size_t *)(const void *)(base + kind->count_offset);
    return *(void *const *)(const void *)(base + kind->offset) ? 1 : 0;
}

void *conf_kind_section(const struct conf *conf, const struct conf_kind *kind, size_t index)
{
    const char *slot = (const char *)conf + kind->offset;
    if (kind->count_offset)
        return (*(void **const *)(const void *)slot)[index];
    return *(void *const *)(const void *)slot;
}
