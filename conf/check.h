/* check.h - what the checks of sections can use while a configuration is being built */
#pragma once

#include "conf/conf.h"
#include "conf/field.h"
#include "conf/place.h"
#include "conf/tree.h"

struct conf_check {
    struct conf *conf;
    struct conf_errors *errs;
    struct conf_options options;
    struct conf_source main;        /* named when a mistake has no better place */
    bool loading; /* from the operator's files: defaults of the system count, files must exist */
    bool root_damaged;              /* statements were lost: what seems undefined may have been there */
};

/* Builds conf from root: sections, defaults, references, checks. False when any mistake was found. */
bool conf_check(struct conf_check *check, struct conf_node *root);

/* A mistake at value number index of a field; at the section when the field was not written (or field is
 * NULL). */
void conf_check_fail(struct conf_check *check, const void *section, const char *field, size_t index,
                     const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Whether mistakes were found inside of it, so that more of them would only confuse. */
bool conf_section_damaged(const void *section);

/* That path can be found (a directory, or anything else): reports with the nearest name otherwise. Does
   nothing unless loading. */
void conf_check_exists(struct conf_check *check, const void *section, const char *field, const char *path,
                       bool directory);
