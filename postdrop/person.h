/* person.h - who runs this program */
#pragma once

#include <stddef.h>

struct person {
    char login[64]; /* "uid1234" when nobody knows a name */
    char name[256]; /* full name; may be empty */
};

void person_find(struct person *p);
