/* lmdb.h - is an LMDB file all there */
#pragma once

#include <stdbool.h>

struct MDB_env;

/* The open file is as long as its newest meta page says. To be asked before the first transaction: a file cut
   by a crash of the machine or by hand ends the process with SIGBUS at the first look beyond its end. */
bool lmdb_is_whole(struct MDB_env *env);
