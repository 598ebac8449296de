/* source.c - configuration files: who may have written them, how big they may be, what they include */
#include "conf/source.h"

#include "common/base/mem.h"
#include "conf/lex.h"
#include "conf/lists.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void conf_files_clear(struct conf_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        buf_clear(&files->list[i]->data);
        free(files->list[i]);
    }
    files->n = 0;
}

/* Reports at the include statement, or about the file itself when it is the first one. */
static bool fail(struct conf_parser *p, const struct conf_place *from, const char *path, const char *why)
{
    if (from)
        conf_error_at(p->errs, from, "%s: %s", path, why);
    else
        conf_error_file(p->errs, path, "%s", why);
    return false;
}

/* Whoever can write the configuration of a program started by root is root. */
static bool check_owner(struct conf_parser *p, const struct conf_place *from, const char *path,
                        const struct stat *st)
{
    struct buf why;
    buf_init(&why, 8192);
    if (!S_ISREG(st->st_mode))
        buf_adds(&why, "not a regular file");
    else if (st->st_uid != 0 && st->st_uid != geteuid())
        buf_addf(&why, "belongs to uid %u; it must belong to root (or to the caller): chown root %s",
                 (unsigned)st->st_uid, path);
    else if (st->st_mode & (S_IWGRP | S_IWOTH))
        buf_addf(&why, "can be written by others (mode %04o): chmod go-w %s", (unsigned)st->st_mode & 07777u,
                 path);
    else if (st->st_size > (off_t)CONF_FILE_MAX)
        buf_addf(&why, "is larger than %zu MiB; long tables belong into a map", CONF_FILE_MAX >> 20);
    bool ok = why.len == 0;
    if (!ok)
        fail(p, from, path, buf_cstr(&why));
    buf_clear(&why);
    return ok;
}

static bool read_all(int fd, struct buf *data)
{
    for (;;) {
        char *room = buf_reserve(data, 65536);
        if (!room)
            return true;                        /* data->over tells */
        ssize_t n = read(fd, room, 65536);
        if (n == 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            buf_commit(data, (size_t)n);
    }
}

static bool read_file(struct conf_parser *p, const struct conf_place *from, const char *path,
                      struct conf_file *file)
{
    struct stat st;
    /* O_NONBLOCK: a pipe in the place of the file must not hang the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return fail(p, from, path, strerror(error));
    }
    bool ok = check_owner(p, from, path, &st);
    if (ok && !read_all(fd, &file->data))
        ok = fail(p, from, path, strerror(errno));
    else if (ok && !buf_ok(&file->data))
        ok = fail(p, from, path, "grew while it was read");
    close(fd);
    file->dev = st.st_dev;
    file->ino = st.st_ino;
    return ok;
}

static struct conf_file *add_file(struct conf_files *files)
{
    if (files->n == CONF_FILES_MAX)
        return NULL;
    struct conf_file *file = mem_new(sizeof(*file));
    buf_init(&file->data, CONF_FILE_MAX + 65536);
    files->list[files->n++] = file;
    return file;
}

const struct conf_source *conf_files_text(struct conf_files *files, struct conf_parser *p, const char *name,
                                          struct strv text)
{
    struct conf_file *file = add_file(files);
    if (!file)
        return NULL;
    file->source = (struct conf_source){ conf_name_intern(p->names, SV(name)), text };
    return &file->source;
}

const struct conf_source *conf_files_open(struct conf_files *files, struct conf_parser *p,
                                          const struct conf_place *from, const char *path)
{
    struct conf_file *file = add_file(files);
    if (!file) {
        fail(p, from, path, "too many files are included");
        return NULL;
    }
    if (!read_file(p, from, path, file))
        return NULL;
    file->source = (struct conf_source){ conf_name_intern(p->names, SV(path)), buf_view(&file->data) };
    return &file->source;
}

static bool check_chain(struct conf_files *files, struct conf_parser *p, const struct conf_place *from,
                        const char *path, const struct conf_file *file)
{
    for (size_t i = 0; i < files->depth; i++) {
        if (files->open[i]->dev == file->dev && files->open[i]->ino == file->ino)
            return fail(p, from, path, "includes itself");
    }
    if (files->depth == CONF_INCLUDE_DEPTH_MAX)
        return fail(p, from, path, "includes go too deep (8 files in each other)");
    return true;
}

static bool read_one(struct conf_parser *p, const struct conf_place *from, const char *path,
                     struct conf_node *root)
{
    struct conf_files *files = p->arg;
    struct conf_file *file = add_file(files);
    if (!file) {
        files->unread = true;
        return fail(p, from, path, "too many files are included");
    }
    if (!read_file(p, from, path, file) || !check_chain(files, p, from, path, file)) {
        files->unread = true;
        return false;
    }
    file->source = (struct conf_source){ conf_name_intern(p->names, SV(path)), buf_view(&file->data) };
    files->open[files->depth++] = file;
    bool ok = conf_parse(p, &file->source, root);
    files->depth--;
    return ok;
}

/* A relative pattern starts in the directory of the file that includes. */
static char *full_pattern(struct strv pattern, const struct conf_place *place)
{
    struct buf full;
    size_t slash;
    struct strv including = SV(place->source->name);
    buf_init(&full, 8192);
    if (!strv_starts(pattern, SV("/")) && strv_rfind(including, '/', &slash))
        buf_addv(&full, strv_sub(including, 0, slash + 1));
    buf_addv(&full, pattern);
    char *text = buf_ok(&full) ? mem_str(buf_cstr(&full)) : NULL;
    buf_clear(&full);
    return text;
}

/* A directory that is not there has no files; one that cannot be read might have. */
static int on_glob_error(const char *path, int error)
{
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

static bool include(struct conf_parser *p, struct strv pattern, const struct conf_place *place,
                    struct conf_node *root)
{
    char *full = full_pattern(pattern, place);
    if (!full)
        return fail(p, place, "include", "the pattern is too long");
    glob_t found = { 0 };
    int rc = glob(full, 0, on_glob_error, &found);
    bool wild = strpbrk(full, "*?[") != NULL;
    bool ok = true;
    if (rc == GLOB_NOMATCH && !wild)
        ok = fail(p, place, full, strerror(ENOENT));
    else if (rc != 0 && rc != GLOB_NOMATCH)
        ok = fail(p, place, full, rc == GLOB_NOSPACE ? "out of memory" : "a directory cannot be read");
    for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++)
        ok = read_one(p, place, found.gl_pathv[i], root) && ok;
    if (rc == 0)
        globfree(&found);
    free(full);
    if (!ok)
        ((struct conf_files *)p->arg)->unread = true;
    return ok;
}

static bool says_nothing(const struct conf_files *files, const struct conf_node *root)
{
    return root->child_n == 0 && !root->damaged && files->n == 1;
}

bool conf_files_read(struct conf_files *files, struct conf_parser *p, const char *path,
                     struct conf_node *root)
{
    p->include = include;
    p->arg = files;
    if (!read_one(p, NULL, path, root))
        return false;
    if (says_nothing(files, root)) {
        conf_error_file(p->errs, path, "says nothing; at least \"domains = [ example.com ]\" is needed");
        return false;
    }
    conf_lists_read(files, p, root);
    return true;
}
