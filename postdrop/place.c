/* place.c - where drop/ is */
#include "postdrop/place.h"

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "common/os/room.h"
#include "conf/amount.h"
#include "conf/error.h"
#include "conf/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

bool place_is_privileged(void)
{
    return getuid() != geteuid() || getgid() != getegid() || getauxval(AT_SECURE) != 0;
}

/* The last one counts; NULL: none is there. */
static const char *queue_word(const struct conf_node *root, const char *name)
{
    const char *found = NULL;

    for (size_t i = 0; i < root->child_n; i++) {
        const struct conf_node *queue = root->children[i], *field;

        if (queue->kind != NODE_BLOCK || strcmp(queue->name, "queue") != 0)
            continue;
        field = conf_node_find(queue, name);
        if (field && field->kind == NODE_VALUE && field->word_n == 1)
            found = field->words[0].text;
    }
    return found;
}

/* What makes no sense is the default, as for everything but the directory. */
static int64_t reserve_of(const struct conf_node *root)
{
    static const struct conf_field field = { .name = "reserve", .type = CT_BYTES, .max = INT64_MAX };
    const char *word = queue_word(root, field.name);
    struct conf_why why;
    int64_t bytes;

    return word && conf_amount_parse(&field, SV(word), &bytes, &why) ? bytes : 0;
}

struct reading {
    struct conf_files *files;
    struct conf_node *root;
    struct conf_parser parser;
    struct conf_errors errs;
    bool ok;
};

static void reading_begin(struct reading *r, const char *conf)
{
    r->files = mem_new(sizeof *r->files);
    r->root = conf_node_new(NODE_BLOCK, "");
    r->parser = (struct conf_parser){ .names = dict_new() };
    conf_errors_init(&r->errs);
    r->parser.errs = &r->errs;
    r->ok = conf_files_read(r->files, &r->parser, conf, r->root);
}

static void reading_end(struct reading *r)
{
    conf_node_free(&r->root);
    conf_files_clear(r->files);
    conf_errors_clear(&r->errs);
    dict_free(&r->parser.names, free);
    free(r->files);
}

bool place_find(const char *conf, struct place *out, struct err *err)
{
    bool known = access(conf, F_OK) < 0 && errno == ENOENT;
    const char *directory;
    struct reading r;

    reading_begin(&r, conf);
    directory = queue_word(r.root, "directory");
    if (directory && directory[0] != '/')
        directory = NULL;
    known |= directory || (r.ok && !r.files->unread);
    snprintf(out->spool, sizeof out->spool, "%s", directory ? directory : PLACE_SPOOL);
    snprintf(out->drop, sizeof out->drop, "%s/drop", out->spool);
    out->reserve = reserve_of(r.root);
    reading_end(&r);
    return known || err_set(err, ERR_TEMP,
                            "where mail is to be put cannot be told: not all of %s can be read by users, or "
                            "makes sense; mtactl check tells more",
                            conf);
}

bool place_has_room(const struct place *p, struct err *err)
{
    struct statvfs v;
    uint64_t available, needed;

    if (statvfs(p->spool, &v) < 0)
        return true; /* what is wrong with it shows when the file is made */
    available = (uint64_t)v.f_bavail * v.f_frsize;
    needed = room_needed(p->reserve, ROOM_SEGMENT, &v);
    if (available >= needed && !room_lacks_inodes(&v))
        return true;
    return err_set(err, ERR_TEMP,
                   "the disk of the mail queue is full (%llu MiB free, %llu stay for mail that is there); "
                   "the message was not taken, try again later",
                   (unsigned long long)(available >> 20), (unsigned long long)(needed >> 20));
}

static bool has_word(const struct conf_node *field, const char *word)
{
    for (size_t i = 0; field && i < field->word_n; i++)
        if (strcmp(field->words[i].text, word) == 0)
            return true;
    return false;
}

bool place_warns_of(const char *conf, const char *user)
{
    bool warns = false, trusted = false;
    struct reading r;

    reading_begin(&r, conf);
    for (size_t i = 0; r.ok && i < r.root->child_n; i++) {
        const struct conf_node *address = r.root->children[i];

        if (address->kind != NODE_BLOCK || strcmp(address->name, "address") != 0)
            continue;
        warns = has_word(conf_node_find(address, "sender_warning"), "yes");
        trusted = has_word(conf_node_find(address, "trusted"), user);
    }
    reading_end(&r);
    return warns && !trusted;
}
