/* lmdb.c - is an LMDB file all there */
#include "common/os/lmdb.h"

#include <lmdb.h>
#include <stdint.h>
#include <sys/stat.h>

bool lmdb_is_whole(MDB_env *env)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat st;
    int fd;

    if (mdb_env_info(env, &info) || mdb_env_stat(env, &stat) || mdb_env_get_fd(env, &fd) || fstat(fd, &st))
        return false;
    return (uint64_t)st.st_size / stat.ms_psize > info.me_last_pgno;
}
