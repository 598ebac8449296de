/* dialog.h - reads tests/dialog, the .dlg files (tests/dialog/README.md has the language) */
#pragma once

#include "common/base/buf.h"

enum dialog_kind { DIALOG_SEND, DIALOG_LINE, DIALOG_REPLY, DIALOG_CLOSED };

struct dialog_step {
    enum dialog_kind kind;
    unsigned line;    /* of the file */
    struct buf bytes; /* to send, or the pattern */
};

struct dialog {
    char name[256];
    bool own, sync, crowded;
    struct dialog_step *steps; /* owned */
    size_t count;
};

/* Dies with file and line when the file is no dialog. */
void dialog_read(struct dialog *d, const char *path);
void dialog_clear(struct dialog *d);
/* '*' in pattern is any text. */
bool dialog_match(struct strv text, struct strv pattern);
