/* body.h - the bytes of one message: in memory, in chunks still coming, or in a descriptor */
#pragma once

#include "common/base/buf.h"
#include "deliverd/client_engine.h"

#define BODY_RAM_MAX (1024u * 1024u * 1024u) /* of one message; queued sends large bodies as descriptors */

struct body {
    uint64_t size;     /* all of it */
    uint64_t fd_size;  /* the end of it that stands in fd */
    int fd;            /* owned; -1 when none */
    struct strv first; /* borrowed: came with the first frame */
    struct buf more;   /* owned: came in chunks */
};

/* Takes fd (-1: none). False (fd closed): the sizes contradict each other, or more memory is wanted than we
 * give. */
bool body_init(struct body *b, uint64_t size, uint64_t fd_size, struct strv first, int fd);
void body_clear(struct body *b);
/* False: more than was announced. */
bool body_add(struct body *b, struct strv bytes);
/* Everything that must come in frames is here. */
bool body_is_complete(const struct body *b);
size_t body_ram_size(const struct body *b);
/* The piece of memory at offset at (< body_ram_size), at most max bytes. */
struct strv body_ram(const struct body *b, uint64_t at, size_t max);

/* Bytes from *at on, at most max; moves *at. The piece lives until the next call for any body. BROKEN: the
   descriptor is shorter than announced, or cannot be read. */
enum client_body body_read(const struct body *b, uint64_t *at, size_t max, struct strv *piece);
