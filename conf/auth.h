/* auth.h - section `auth`: how clients prove who they are */
#pragma once

#include "conf/types.h"

struct conf_auth_section {
    struct conf_head head;
    char *users;                    /* name of the map of secrets; "" when there is none */
    char *realm;                    /* completes a login without @; "" was replaced by hostname */
    struct conf_strings mechanisms; /* as written, any case; known ones */
    char *senders;                  /* map: login -> further sender addresses; "" for none */
};
