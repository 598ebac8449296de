/* source_conf.h - a configuration from mtad: one role's part, as text in a sealed memfd */
#pragma once

#include "common/base/err.h"
#include "common/base/role.h"

struct conf;
struct daemon_source;

/* At the start. Takes fd; *out is freed with conf_free. */
bool source_conf_read(int fd, enum role role, struct conf **out, struct err *err)
    __attribute__((warn_unused_result));
/* Later: what daemon_spec.source got. Takes its descriptor in any case. NULL: err->cls is ERR_OK when the
   source is something else than a configuration, and says what failed when it is one. */
struct conf *source_conf_take(struct daemon_source *s, enum role role, struct err *err)
    __attribute__((warn_unused_result));
