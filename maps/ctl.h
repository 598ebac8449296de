/* ctl.h - what an operator may ask of mapd: tables, look-ups, new sources */
#pragma once

struct mapd;

struct map;
/* How a table is, in words. */
const char *mapd_state_word(const struct map *m);
void mapd_ctl_client(struct mapd *md, int fd); /* takes fd */
void mapd_ctl_clear(void);
