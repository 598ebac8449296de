/* resolve_trace.c - the steps of a resolution in words, for an operator who asks */
#include "cleanup/resolve.h"
#include "common/base/buf.h"
#include "common/mail/address.h"
#include "conf/mailbox.h"

static void tell(const struct resolve_env *env, const struct address *a, const char *include,
                 struct resolve_trace *step)
{
    struct buf b;

    buf_init(&b, 8192);
    if (include)
        buf_addf(&b, ":include:%s", include);
    else
        address_format(a, &b);
    step->address = buf_view(&b);
    env->trace(env->trace_ctx, step);
    buf_clear(&b);
}

void resolve_trace_found(const struct resolve_env *env, const struct address *a, const char *include,
                         const struct key_item *item, const struct maps_answer *answer)
{
    struct resolve_trace step = {
        .by = "aliases", .map = item->map, .origin = answer->origin, .value = answer->value
    };

    if (!env->trace)
        return;
    if (!include && item->use == KEYS_MAILBOX) {
        step.by = "mailbox";
        step.forward = conf_mailbox_is_system(item->mailbox) && item->mailbox->forward != CONF_FORWARD_NO;
    } else if (!include && item->use == KEYS_VIRTUAL) {
        step.by = "virtual";
    }
    tell(env, a, include, &step);
}

void resolve_trace_nothing(const struct resolve_env *env, const struct address *a, bool local)
{
    struct resolve_trace step = { .by = "nothing", .map = "" };

    if (!env->trace)
        return;
    if (!local)
        step.by = "route";
    else if (address_is_postmaster(a))
        step.by = "postmaster";
    tell(env, a, NULL, &step);
}
