/* auth.h - section `auth`: how clients prove who they are */
#pragma once

#include "conf/types.h"

struct conf_auth_section {
    struct conf_head head;
    char *users;                    /* name of the map of secrets; "" when there is none */
    char *realm;                    /* what a login without @ is completed with; "" was replaced by hostname */
    struct conf_strings mechanisms; /* as written, any case; known ones */
    char *senders;                  /* name of the map login -> further sender addresses; "" when there is none */
};
