/* secret.h - section `secret NAME`: who we are at a smart host */
#pragma once

#include "conf/types.h"

/* The password itself never stands in a configuration: mtad reads the file and gives it to deliverd. */
struct conf_secret {
    struct conf_head head;
    char *user;                     /* login; "": the file has it */
    char *file;                     /* path; mtad alone */
};

struct conf;

/* NULL when there is none of that name. */
const struct conf_secret *conf_secret_find(const struct conf *conf, struct strv name);
