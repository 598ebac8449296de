/* sandbox_table.c - which role may call what: the whole policy on one page */
#include "common/os/sandbox_table.h"

#include <seccomp.h>

#include "common/os/sandbox.h"

#define B(role)  ROLE_BIT(ROLE_##role)
#define ALL      (B(SMTPD) | B(CLEANUP) | B(QUEUED) | B(DELIVERD) | B(MAPD) | B(MAPD_WORKER) | B(DNSD) | B(AGENT))
/* Those that work on files below their jail: the spool, the compiled maps, the mailbox, and NSS. */
#define FILES    (B(QUEUED) | B(MAPD) | B(AGENT) | B(MAPD_WORKER))
#define WRITERS  (B(QUEUED) | B(MAPD) | B(AGENT))
#define NSS      B(MAPD_WORKER)
#define NET      (B(DELIVERD) | B(DNSD) | B(SMTPD))
#define CALL(name, roles)             { SCMP_SYS(name), (roles), ARGS_ANY }
#define CALL_ARGS(name, roles, check) { SCMP_SYS(name), (roles), ARGS_##check }

const struct sandbox_rule sandbox_allowed[] = {
    /* Bytes through descriptors that mtad or an allowed call gave. */
    CALL(read, ALL), CALL(readv, ALL), CALL(write, ALL), CALL(writev, ALL), CALL(close, ALL),
    CALL(pread64, ALL),                                 /* sealed configuration, big bodies by descriptor */
    CALL(recvfrom, ALL), CALL(recvmsg, ALL), CALL(recvmmsg, ALL), CALL(sendmsg, ALL), CALL(sendmmsg, ALL),
    CALL_ARGS(sendto, ALL & ~(B(DNSD) | NSS), NO_ADDRESS), CALL(sendto, B(DNSD) | NSS),
    CALL(shutdown, ALL), CALL(lseek, ALL), CALL(fstat, ALL),
    CALL_ARGS(newfstatat, ALL & ~FILES, EMPTY_PATH), CALL(newfstatat, FILES),
    CALL_ARGS(fcntl, ALL & ~(B(QUEUED) | B(MAPD)), FCNTL), CALL_ARGS(fcntl, B(QUEUED) | B(MAPD), FCNTL_LOCK),
    CALL_ARGS(ioctl, ALL, FIONREAD),
    CALL(getsockopt, ALL), CALL(setsockopt, NET | NSS), CALL(getsockname, NET | NSS), CALL(getpeername, NET | NSS),

    /* Waiting and time. */
    CALL(epoll_create1, ALL), CALL(epoll_ctl, ALL), CALL(epoll_wait, ALL), CALL(epoll_pwait, ALL),
    CALL(epoll_pwait2, ALL), CALL(poll, ALL), CALL(ppoll, ALL), CALL(nanosleep, ALL), CALL(clock_nanosleep, ALL),
    CALL(clock_gettime, ALL), CALL(clock_getres, ALL), CALL(gettimeofday, ALL), CALL(time, ALL),
    CALL(restart_syscall, ALL), CALL(futex, ALL), CALL(sched_yield, ALL), CALL(eventfd2, ALL),
    CALL(pipe2, ALL), CALL(pipe, ALL),                  /* libevent's, to itself, for signals */

    /* Memory. */
    CALL(brk, ALL), CALL_ARGS(mmap, ALL, NO_EXEC), CALL_ARGS(mprotect, ALL, NO_EXEC), CALL(munmap, ALL),
    CALL(mremap, ALL), CALL(madvise, ALL), CALL(getrandom, ALL),
    CALL(sysinfo, ALL),                                 /* qsort asks how much memory there is */
    CALL(membarrier, ALL), CALL(rseq, ALL), CALL(set_robust_list, ALL),

    /* Ourselves. */
    CALL(rt_sigreturn, ALL), CALL(rt_sigprocmask, ALL), CALL(rt_sigaction, ALL), CALL(sigaltstack, ALL),
    CALL(exit, ALL), CALL(exit_group, ALL), CALL(getpid, ALL), CALL(gettid, ALL), CALL(getppid, ALL),
    CALL(getuid, ALL), CALL(geteuid, ALL), CALL(getgid, ALL), CALL(getegid, ALL), CALL(getgroups, ALL),
    CALL(getresuid, ALL), CALL(getresgid, ALL), CALL(getrusage, ALL), CALL(uname, ALL), CALL(umask, ALL),
    CALL_ARGS(tgkill, ALL, SELF), CALL_ARGS(prctl, ALL, SET_NAME), CALL_ARGS(prlimit64, ALL, READ_LIMIT),

    /* smtpd: clients. */
    CALL(accept4, B(SMTPD)),
    /* deliverd: relaying. dnsd: questions over UDP, long answers over TCP. mapd-worker: nscd and the like. */
    CALL_ARGS(socket, B(DELIVERD), TCP), CALL_ARGS(socket, B(DNSD), TCP_UDP), CALL(socket, NSS),
    CALL(connect, B(DELIVERD) | B(DNSD) | NSS),
    CALL(bind, B(DNSD)),                                /* c-ares binds its own source port */

    /* Files below the jail, always by descriptor of a directory. */
    CALL(openat, WRITERS), CALL_ARGS(openat, NSS, READ_ONLY), CALL(getdents64, FILES), CALL(statx, FILES), CALL(fstatfs, FILES),
    CALL(faccessat, FILES), CALL(faccessat2, FILES),
    CALL(unlinkat, WRITERS), CALL(renameat, WRITERS), CALL(renameat2, WRITERS), CALL(mkdirat, WRITERS),
    CALL(linkat, B(AGENT)),                             /* tmp/ to new/ without overwriting */
    CALL(ftruncate, WRITERS), CALL(fallocate, WRITERS), CALL(fsync, WRITERS), CALL(fdatasync, WRITERS),
    CALL(pwrite64, WRITERS), CALL(pwritev, WRITERS), CALL(preadv, WRITERS), CALL(fadvise64, WRITERS),
    CALL(flock, WRITERS), CALL(sync_file_range, B(QUEUED)), CALL(copy_file_range, B(QUEUED)),
    CALL(msync, B(MAPD)), CALL(mincore, B(MAPD)),
    CALL(open, B(MAPD)), CALL_ARGS(open, NSS, READ_ONLY_OPEN), CALL(stat, B(MAPD) | NSS), CALL(unlink, B(MAPD)), CALL(rename, B(MAPD)),
    CALL(memfd_create, B(MAPD) | NSS),
    CALL(lstat, NSS), CALL(access, NSS), CALL(readlink, NSS), CALL(readlinkat, NSS), CALL(dup, NSS),
    CALL(socketpair, NSS), CALL(getcwd, NSS),
#ifdef MANSIO_SANITIZE
    /* The wider rules of the sanitizer build: its runtime looks at itself when it reports. */
    CALL(sched_getaffinity, ALL), CALL(getrlimit, ALL), CALL(getcwd, ALL & ~NSS),
    CALL(readlink, ALL & ~NSS), CALL(dup, ALL & ~NSS),
#endif
    { .roles = 0 },
};

const int sandbox_refused[] = {
    /* programs and processes */
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(clone), SCMP_SYS(kill),
    SCMP_SYS(tkill), SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo), SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise), SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_send_signal), SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp), SCMP_SYS(wait4), SCMP_SYS(waitid),
    SCMP_SYS(setpriority), SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(setsid), SCMP_SYS(setpgid), SCMP_SYS(setrlimit), SCMP_SYS(getrlimit), SCMP_SYS(capget),
    /* identity */
    SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid),
    SCMP_SYS(setresgid), SCMP_SYS(setgroups), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid), SCMP_SYS(capset),
    SCMP_SYS(personality), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key),
    /* the view of the file system */
    SCMP_SYS(chroot), SCMP_SYS(pivot_root), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(move_mount),
    SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsmount), SCMP_SYS(fsconfig), SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(chdir), SCMP_SYS(fchdir),
    SCMP_SYS(getcwd), SCMP_SYS(statfs), SCMP_SYS(fstatfs),
    /* files */
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(creat), SCMP_SYS(name_to_handle_at),
    SCMP_SYS(open_by_handle_at), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(access),
    SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
    SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2),
    SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(symlink), SCMP_SYS(symlinkat), SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(chmod), SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat), SCMP_SYS(chown), SCMP_SYS(fchown), SCMP_SYS(lchown), SCMP_SYS(fchownat),
    SCMP_SYS(truncate), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(utimensat), SCMP_SYS(setxattr),
    SCMP_SYS(fsetxattr), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(memfd_create), SCMP_SYS(fsync),
    SCMP_SYS(fdatasync), SCMP_SYS(inotify_init1), SCMP_SYS(fanotify_init), SCMP_SYS(dup), SCMP_SYS(dup2),
    SCMP_SYS(dup3), SCMP_SYS(pipe), SCMP_SYS(pipe2),
    /* sockets */
    SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen),
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    /* the kernel's wide doors */
    SCMP_SYS(bpf), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
    SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(seccomp), SCMP_SYS(shmget), SCMP_SYS(shmat),
    SCMP_SYS(msgget), SCMP_SYS(semget), SCMP_SYS(mq_open), SCMP_SYS(init_module), SCMP_SYS(finit_module),
    SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(reboot), SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime), SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(swapon),
    SCMP_SYS(syslog), SCMP_SYS(acct), SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(modify_ldt),
    -1,
};

/* Not here, because an agent's program may need it with its user's rights: set-id calls, sockets, files, signals. */
const int sandbox_master_refused[] = {
    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp), SCMP_SYS(bpf), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(keyctl),
    SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(personality), SCMP_SYS(mount), SCMP_SYS(umount2),
    SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsmount), SCMP_SYS(fsconfig),
    SCMP_SYS(fspick), SCMP_SYS(mount_setattr), SCMP_SYS(pivot_root), SCMP_SYS(unshare), SCMP_SYS(setns),
    SCMP_SYS(open_by_handle_at), SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(syslog), SCMP_SYS(acct),
    SCMP_SYS(quotactl), SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(modify_ldt), SCMP_SYS(lookup_dcookie),
    SCMP_SYS(vhangup), SCMP_SYS(fanotify_init), SCMP_SYS(mknod), SCMP_SYS(mknodat),
    -1,
};

bool sandbox_opens_files(enum role role)
{
    return ROLE_BIT(role) & FILES;
}

bool sandbox_makes_sockets(enum role role, int family, int type)
{
    bool inet = family == 2 || family == 10;    /* AF_INET, AF_INET6 */

    if (role == ROLE_MAPD_WORKER)
        return true;
    if (role == ROLE_DELIVERD)
        return inet && type == 1;               /* SOCK_STREAM */
    return role == ROLE_DNSD && inet && (type == 1 || type == 2);
}
