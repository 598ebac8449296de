/* source_conf.c - a configuration from mtad: one role's part, as text in a sealed memfd */
#include "common/proc/source_conf.h"

#include "common/os/fd.h"
#include "common/os/file.h"
#include "common/proc/daemon.h"
#include "conf/conf.h"

#define CONF_MAX (16u * 1024 * 1024)

bool source_conf_read(int fd, enum role role, struct conf **out, struct err *err)
{
    struct conf_errors errs;
    struct buf text, words;
    bool ok;

    if (fd < 0)
        return err_set(err, ERR_PROTO, "mtad sent no configuration");
    buf_init_secret(&text, CONF_MAX);
    ok = file_read_sealed(fd, &text, err);
    fd_close(&fd);
    if (!ok) {
        buf_clear(&text);
        return err_wrap(err, "read the configuration from mtad");
    }
    conf_errors_init(&errs);
    ok = conf_parse_text(buf_view(&text), "configuration from mtad", role, out, &errs);
    if (!ok) {
        buf_init(&words, 4096);
        conf_errors_text(&errs, &words);
        err_set(err, ERR_BUG, "%s", buf_cstr(&words));
        buf_clear(&words);
    }
    conf_errors_clear(&errs);
    buf_clear(&text);
    return ok;
}

struct conf *source_conf_take(struct daemon_source *s, enum role role, struct err *err)
{
    struct conf *conf = NULL;
    int fd = s->fd;

    s->fd = -1;
    err_clear(err);
    if (s->kind != SOURCE_CONF)
        fd_close(&fd);
    else if (!source_conf_read(fd, role, &conf, err))
        conf = NULL;
    return conf;
}
