/* forbidden_acts.c - check build: the table of acts, each with a way to try it */
#include "common/proc/forbidden.h"

#ifdef MANSIO_CHECK

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define B(role) ROLE_BIT(ROLE_##role)

static int refused(long rc)
{
    return rc < 0 ? errno : 0;
}

static int refused_fd(int fd)
{
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int act_open_passwd(const char *path)
{
    (void)path;
    return refused_fd(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int act_open_shadow(const char *path)
{
    (void)path;
    return refused_fd(open("/etc/shadow", O_RDONLY | O_CLOEXEC));
}

/* Out of the jail by the one thing that a jail does not hold: a relative path from a descriptor. */
static int act_open_above(const char *path)
{
    static const char up[] = "../../../../../../../../etc/passwd";

    (void)path;
    for (int fd = 0; fd < 64; fd++) {
        int got = openat(fd, up, O_RDONLY | O_CLOEXEC);

        if (got >= 0)
            return refused_fd(got);
    }
    return refused_fd(open(up, O_RDONLY | O_CLOEXEC));
}

static int act_open_proc(const char *path)
{
    (void)path;
    return refused_fd(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
}

static int act_spool_write(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0)
        unlink(path);
    return refused_fd(fd);
}

static int act_spool_unlink(const char *path)
{
    return refused(unlink(path));
}

static int act_tmp_write(const char *path)
{
    (void)path;
    return refused_fd(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

static int act_execve(const char *path)
{
    char name[] = "true";
    char *argv[] = { name, NULL };

    (void)path;
    return refused(execve("/bin/true", argv, NULL));
}

static int act_execveat(const char *path)
{
    char name[] = "true";
    char *argv[] = { name, NULL };

    (void)path;
    return refused(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, NULL, 0));
}

static int child_refused(long pid)
{
    if (pid == 0)
        _exit(0);
    if (pid < 0)
        return errno;
    waitpid((pid_t)pid, NULL, 0);
    return 0;
}

static int act_fork(const char *path)
{
    (void)path;
    return child_refused(syscall(SYS_fork));
}

static int act_clone(const char *path)
{
    (void)path;
    return child_refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int act_clone3(const char *path)
{
    unsigned long long args[11] = { [4] = SIGCHLD };

    (void)path;
    return child_refused(syscall(SYS_clone3, args, sizeof args));
}

static int act_socket_unix(const char *path)
{
    (void)path;
    return refused_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int act_socket_unix_dgram(const char *path)
{
    (void)path;
    return refused_fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int act_socketpair(const char *path)
{
    int ends[2];

    (void)path;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return errno;
    close(ends[0]);
    return refused_fd(ends[1]);
}

static int act_socket_tcp(const char *path)
{
    (void)path;
    return refused_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int act_socket_tcp6(const char *path)
{
    (void)path;
    return refused_fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int act_socket_udp(const char *path)
{
    (void)path;
    return refused_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int act_socket_raw(const char *path)
{
    (void)path;
    return refused_fd(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
}

static int act_socket_ping(const char *path)
{
    (void)path;
    return refused_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP));
}

static int act_socket_packet(const char *path)
{
    (void)path;
    return refused_fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int act_socket_netlink(const char *path)
{
    (void)path;
    return refused_fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
}

static socklen_t abstract_address(struct sockaddr_un *sun, const char *name)
{
    size_t n = strlen(name);

    memset(sun, 0, sizeof *sun);
    sun->sun_family = AF_UNIX;
    if (n > sizeof sun->sun_path - 1)
        n = sizeof sun->sun_path - 1;
    memcpy(sun->sun_path + 1, name, n);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
}

/* With every descriptor that the process holds: a socket that mtad gave must not become one to somebody else.
   The path is the name of an abstract socket that listens. */
static int act_connect_abstract(const char *path)
{
    struct sockaddr_un sun;
    socklen_t len = abstract_address(&sun, path);
    int first = 0;

    for (int fd = 0; fd < 128; fd++) {
        if (connect(fd, (struct sockaddr *)&sun, len) == 0)
            return 0;
        if (!first)
            first = errno;
    }
    return first;
}

static int act_bind(const char *path)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int sys;

    (void)path;
    if (fd < 0)
        return errno;
    sys = bind(fd, (struct sockaddr *)&sin, sizeof sin) < 0 || listen(fd, 1) < 0 ? errno : 0;
    close(fd);
    return sys;
}

static int act_bind_port(const char *path)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET,
        .sin_port = htons(47025),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int sys;

    (void)path;
    if (fd < 0)
        return errno;
    sys = refused(bind(fd, (struct sockaddr *)&sin, sizeof sin));
    close(fd);
    return sys;
}

/* Without bind(2) the kernel would choose the port. */
static int act_listen_anywhere(const char *path)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int sys;

    (void)path;
    if (fd < 0)
        return errno;
    sys = refused(listen(fd, 1));
    close(fd);
    return sys;
}

static int act_kill_parent(const char *path)
{
    (void)path;
    return refused(kill(getppid(), SIGCONT));
}

static int act_kill_init(const char *path)
{
    (void)path;
    return refused(kill(1, 0));
}

static int act_kill_all(const char *path)
{
    (void)path;
    return refused(kill(-1, 0));
}

static int act_tgkill_parent(const char *path)
{
    (void)path;
    return refused(syscall(SYS_tgkill, getppid(), getppid(), SIGCONT));
}

static int act_pidfd_parent(const char *path)
{
    (void)path;
    return refused_fd((int)syscall(SYS_pidfd_open, getppid(), 0));
}

static int act_ptrace_parent(const char *path)
{
    (void)path;
    return refused(ptrace(PTRACE_SEIZE, getppid(), 0, 0));
}

static int act_process_vm(const char *path)
{
    char byte;
    struct iovec iov = { &byte, 1 };

    (void)path;
    return refused(process_vm_readv(getppid(), &iov, 1, &iov, 1, 0));
}

static int act_setuid(const char *path)
{
    (void)path;
    return refused(setuid(0));
}

static int act_setresuid(const char *path)
{
    (void)path;
    return refused(setresuid(0, 0, 0));
}

static int act_setresgid(const char *path)
{
    (void)path;
    return refused(setresgid(0, 0, 0));
}

static int act_setgroups(const char *path)
{
    gid_t none = 0;

    (void)path;
    return refused(syscall(SYS_setgroups, 1, &none));
}

static int act_capset(const char *path)
{
    unsigned head[2] = { 0x20080522u, 0 };
    unsigned data[6] = { 1, 1, 0, 0, 0, 0 };

    (void)path;
    return refused(syscall(SYS_capset, head, data));
}

static int act_chroot(const char *path)
{
    (void)path;
    return refused(chroot("."));
}

static int act_chdir(const char *path)
{
    (void)path;
    return refused(chdir(".."));
}

static int act_mount(const char *path)
{
    (void)path;
    return refused(mount("none", "/", "tmpfs", 0, NULL));
}

static int act_unshare(const char *path)
{
    (void)path;
    return refused(unshare(CLONE_NEWUSER));
}

static int act_mknod(const char *path)
{
    (void)path;
    return refused(mknod("device", S_IFCHR | 0600, 0x0101));
}

static int act_chmod(const char *path)
{
    (void)path;
    return refused(chmod(".", 04777));
}

static int act_symlink(const char *path)
{
    (void)path;
    return refused(symlink("/etc/passwd", "link"));
}

static int act_bpf(const char *path)
{
    (void)path;
    return refused(syscall(SYS_bpf, 0, NULL, 0));
}

static int act_io_uring(const char *path)
{
    char params[256] = { 0 };

    (void)path;
    return refused_fd((int)syscall(SYS_io_uring_setup, 1, params));
}

static int act_keyctl(const char *path)
{
    (void)path;
    return refused(syscall(SYS_keyctl, 0, -3, 1, 0, 0));
}

static int act_perf(const char *path)
{
    char attr[128] = { 0 };

    (void)path;
    return refused_fd((int)syscall(SYS_perf_event_open, attr, 0, -1, -1, 0));
}

static int act_userfaultfd(const char *path)
{
    (void)path;
    return refused_fd((int)syscall(SYS_userfaultfd, 1));
}

static int act_personality(const char *path)
{
    (void)path;
    return refused(syscall(SYS_personality, 0x0040000));
}

static int act_dumpable(const char *path)
{
    (void)path;
    return refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int act_exec_memory(const char *path)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)path;
    if (p == MAP_FAILED)
        return errno;
    munmap(p, 4096);
    return 0;
}

#define RELAYS B(DELIVERD) | B(DNSD) | B(MAPD_WORKER)

#define ACT(name, run)                                                                                       \
    {                                                                                                        \
        (name), (run), 0, NULL                                                                               \
    }
/* With the roles that may, and why. */
#define MAY(name, run, roles, why)                                                                           \
    {                                                                                                        \
        (name), (run), (roles), (why)                                                                        \
    }
#define NSS_MAY "name services: files, nscd, sssd, directories"

const struct forbidden_act forbidden_acts[] = {
    MAY("open-passwd", act_open_passwd, B(MAPD_WORKER), NSS_MAY),
    ACT("open-shadow", act_open_shadow),
    MAY("open-above", act_open_above, B(MAPD_WORKER), NSS_MAY),
    ACT("open-proc-mem", act_open_proc),
    ACT("spool-write", act_spool_write),
    ACT("spool-unlink", act_spool_unlink),
    ACT("tmp-write", act_tmp_write),
    ACT("execve", act_execve),
    ACT("execveat", act_execveat),
    ACT("fork", act_fork),
    ACT("clone", act_clone),
    ACT("clone3", act_clone3),
    MAY("socket-unix", act_socket_unix, B(MAPD_WORKER), NSS_MAY),
    MAY("socket-unix-dgram", act_socket_unix_dgram, B(MAPD_WORKER), NSS_MAY),
    MAY("socketpair", act_socketpair, B(MAPD_WORKER), NSS_MAY),
    MAY("socket-tcp", act_socket_tcp, RELAYS, "relaying, long DNS answers, directories"),
    MAY("socket-tcp6", act_socket_tcp6, RELAYS, "relaying, long DNS answers, directories"),
    MAY("socket-udp", act_socket_udp, B(DNSD) | B(MAPD_WORKER), "DNS questions, directories"),
    ACT("socket-raw", act_socket_raw),
    ACT("socket-ping", act_socket_ping),
    ACT("socket-packet", act_socket_packet),
    MAY("socket-netlink", act_socket_netlink, B(MAPD_WORKER), NSS_MAY),
    ACT("connect-abstract", act_connect_abstract),
    ACT("listen", act_bind),
    ACT("listen-anywhere", act_listen_anywhere),
    MAY("bind-port", act_bind_port, B(DELIVERD) | B(DNSD), "addresses of ours, where Landlock has no say"),
    ACT("kill-parent", act_kill_parent),
    ACT("kill-init", act_kill_init),
    ACT("kill-all", act_kill_all),
    ACT("tgkill-parent", act_tgkill_parent),
    ACT("pidfd-parent", act_pidfd_parent),
    ACT("ptrace-parent", act_ptrace_parent),
    ACT("process-vm-read", act_process_vm),
    ACT("setuid", act_setuid),
    ACT("setresuid", act_setresuid),
    ACT("setresgid", act_setresgid),
    ACT("setgroups", act_setgroups),
    ACT("capset", act_capset),
    ACT("chroot", act_chroot),
    ACT("chdir-above", act_chdir),
    ACT("mount", act_mount),
    ACT("unshare", act_unshare),
    ACT("mknod", act_mknod),
    ACT("chmod", act_chmod),
    ACT("symlink", act_symlink),
    ACT("bpf", act_bpf),
    ACT("io-uring", act_io_uring),
    ACT("keyctl", act_keyctl),
    ACT("perf-event", act_perf),
    ACT("userfaultfd", act_userfaultfd),
    ACT("personality", act_personality),
    ACT("dumpable", act_dumpable),
    ACT("exec-memory", act_exec_memory),
    { .name = NULL },
};

#endif
