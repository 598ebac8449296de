/* id.h - session and message identities: short, unique, sortable text without look-alikes */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/strv.h"

/* 64-bit: 42 bits of milliseconds since 2020-01-01, 22 bits that make it unique (process number and
   counter). Text: 13 characters of Crockford base32 (0-9A-HJKMNP-TV-Z), most significant first, so text
   sorts by time. */
#define ID_TEXT_LEN 13
#define ID_TEXT_SIZE 14

void id_seed(unsigned process);                 /* 0..255: tells apart the processes of one host */
uint64_t id_new(void);                          /* never 0, strictly growing within a process */
void id_text(uint64_t id, char dst[ID_TEXT_SIZE]);
bool id_parse(struct strv s, uint64_t *out);    /* exactly 13 characters, upper case */
int64_t id_wall_ms(uint64_t id);                /* when it was made */
