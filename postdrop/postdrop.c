/* postdrop.c - set-gid mansio-drop: writes one checked submission into drop/
 *
 * The caller chooses the arguments, the environment, the descriptors, the limits, the signals and the bytes;
 * none of them is believed. There is no signal handler: a submission that is killed leaves a hidden file,
 * which queued removes after a day.
 */
#include "common/base/buf.h"
#include "common/mail/dropfile.h"
#include "postdrop/chunk.h"
#include "postdrop/file.h"
#include "postdrop/place.h"
#include "postdrop/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#ifdef MANSIO_SANITIZE
/* The search for leaks traces the process, which nobody may when it is set-gid. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

#define WARNING_MAX 512u

static int complain(int status, const char *text)
{
    fprintf(stderr, "postdrop: %s\n", text);
    return status;
}

/* What execve handed over is put in order before anything else is done. */
static void be_ourselves(void)
{
    const struct rlimit none = { 0, 0 };
    sigset_t empty;

    clearenv();
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(EX_OSERR);
    close_range(3, ~0u, 0);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* EFBIG instead */
    sigemptyset(&empty);
    sigprocmask(SIG_SETMASK, &empty, NULL);
    alarm(0);
    umask(0);
    setrlimit(RLIMIT_CORE, &none);
}

static const char *conf_choose(int argc, char **argv)
{
    if (argc == 1)
        return PLACE_CONF;
    if (argc != 3 || strcmp(argv[1], "-C") != 0)
        return NULL;
    if (place_is_privileged() && getuid() != 0) {
        complain(0, "-C is for root; the configuration of the host is used");
        return PLACE_CONF;
    }
    return argv[2];
}

struct input {
    struct buf head; /* what came until the head was complete */
    struct drop_head fields;
    size_t head_size;
    char chunk[CHUNK_MAX];
};

static int head_read(struct input *in)
{
    struct err err = { .cls = ERR_OK };

    while (!drop_head_parse(buf_view(&in->head), &in->fields, &in->head_size, &err)) {
        ssize_t n = err.cls == ERR_OK ? chunk_read(0, in->chunk) : 0;

        if (err.cls != ERR_OK)
            return complain(EX_DATAERR, err.text);
        if (n <= 0)
            return complain(EX_IOERR, "the submission was broken off");
        buf_add(&in->head, in->chunk, (size_t)n);
        if (!buf_ok(&in->head))
            return complain(EX_DATAERR, "the envelope is too large");
    }
    return EX_OK;
}

/* w: NULL, or to be begun before queued can see the file. */
static int copy(struct input *in, struct file *f, struct watch *w, struct err *err)
{
    struct strv first = strv_from(buf_view(&in->head), in->head_size);
    size_t size = first.n;
    ssize_t n;

    if (!file_add(f, first, err))
        return file_status(err);
    while ((n = chunk_read(0, in->chunk)) > 0) {
        size += (size_t)n;
        if (size > DROP_MESSAGE_MAX) {
            err_set(err, ERR_PERM, "the message is larger than %u bytes", DROP_MESSAGE_MAX);
            return EX_DATAERR;
        }
        if (!file_add(f, strv_make(in->chunk, (size_t)n), err))
            return file_status(err);
    }
    if (n < 0) {
        err_set(err, ERR_PERM, "the submission was broken off");
        return EX_IOERR;
    }
    if (w)
        watch_begin(w, f);
    return file_commit(f, err) ? EX_OK : file_status(err);
}

/* Who runs this is known here for sure, what he calls himself is not. The null sender is nobody else. */
static void warn(const char *conf, struct drop_head *head, char text[WARNING_MAX])
{
    struct strv sender = head->sender, local = sender;
    const struct passwd *pw;
    char login[64];
    size_t at;

    head->warning = SV_LIT("");
    /* The user database may be slow, and its modules are code of others: not asked for nothing. */
    if (getuid() == 0 || sender.n == 0 || !place_warns_of(conf, ""))
        return;
    pw = getpwuid(getuid());
    if (pw && strlen(pw->pw_name) < sizeof login)
        snprintf(login, sizeof login, "%s", pw->pw_name);
    else
        snprintf(login, sizeof login, "uid %u", (unsigned)getuid());
    if (strv_find(sender, '@', &at))
        local = strv_sub(sender, 0, at);
    if (strv_is(local, login) || !place_warns_of(conf, login))
        return;
    snprintf(text, WARNING_MAX, "%s set sender to %.*s using -f", login,
             (int)(sender.n < 400 ? sender.n : 400), sender.p);
    head->warning = SV(text);
}

static int store(struct input *in, const char *directory)
{
    struct file f = { .dir = -1, .fd = -1 };
    struct watch w = { .fd = -1 };
    bool watched = in->fields.verbose != 0;
    struct err err = { .cls = ERR_OK };
    struct buf head;
    int status;

    buf_init(&head, DROP_HEAD_MAX + 4096);
    if (!drop_head_print(&in->fields, &head, &err))
        status = EX_DATAERR;
    else if (!file_begin(&f, directory, watched, &err) || !file_add(&f, buf_view(&head), &err))
        status = file_status(&err);
    else
        status = copy(in, &f, watched ? &w : NULL, &err);
    if (watched && status == EX_OK)
        watch_show(&w, 1);
    watch_end(&w);
    file_end(&f);
    buf_clear(&head);
    return status == EX_OK ? EX_OK : complain(status, err.text);
}

int main(int argc, char **argv)
{
    static struct input in;
    char warning[WARNING_MAX];
    static struct place place;
    const char *conf;
    struct err err;
    int status;

    be_ourselves();
    conf = conf_choose(argc, argv);
    if (!conf)
        return complain(EX_USAGE, "this program is run by sendmail and takes no arguments");
    buf_init(&in.head, DROP_HEAD_MAX + CHUNK_MAX);
    status = place_find(conf, &place, &err) && place_has_room(&place, &err) ? head_read(&in)
                                                                            : complain(EX_TEMPFAIL, err.text);
    if (status == EX_OK)
        warn(conf, &in.fields, warning);
    if (status == EX_OK)
        status = store(&in, place.drop);
    drop_head_clear(&in.fields);
    buf_clear(&in.head);
    return status;
}
