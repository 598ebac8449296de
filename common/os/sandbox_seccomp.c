/* sandbox_seccomp.c - the tables as a filter on every thread */
#include "common/os/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/os/sandbox_table.h"

#define REFUSE    SCMP_ACT_ERRNO(EPERM)
#define WRITING   ((unsigned)(O_ACCMODE | O_CREAT | O_TRUNC)) /* O_TMPFILE needs a writing mode */
#define FAMILIES  46                                          /* AF_MAX of current kernels */
#define TYPE_MASK 0xfu /* the type without SOCK_NONBLOCK, SOCK_CLOEXEC */

struct filter {
    scmp_filter_ctx ctx;
    int rc; /* first failure, negative errno */
};

/* SCMP_CMP without its second datum, which only SCMP_CMP_MASKED_EQ has. */
static struct scmp_arg_cmp compare(unsigned arg, enum scmp_compare op, uint64_t value)
{
    return (struct scmp_arg_cmp){ .arg = arg, .op = op, .datum_a = value };
}

static void rule(struct filter *f, uint32_t action, int call, unsigned n, const struct scmp_arg_cmp *args)
{
    int rc;

    if (f->rc < 0)
        return;
    rc = seccomp_rule_add_array(f->ctx, action, call, n, args);
    /* A rule that equals the default action is not an error, it is just not needed. */
    if (rc < 0 && rc != -EACCES)
        f->rc = rc;
}

static void rule_1(struct filter *f, uint32_t action, int call, struct scmp_arg_cmp arg)
{
    rule(f, action, call, 1, &arg);
}

static void allow_values(struct filter *f, int call, unsigned arg, const int *values, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        rule_1(f, SCMP_ACT_ALLOW, call, compare(arg, SCMP_CMP_EQ, (unsigned)values[i]));
}

/* One value is allowed, all others are refused. */
static void allow_one(struct filter *f, int call, unsigned arg, uint64_t value)
{
    rule_1(f, SCMP_ACT_ALLOW, call, compare(arg, SCMP_CMP_EQ, value));
    rule_1(f, REFUSE, call, compare(arg, SCMP_CMP_NE, value));
}

/* The bits of mask must be `value`; for masks of one bit everything else is refused. */
static void allow_bit(struct filter *f, int call, unsigned arg, uint64_t mask, uint64_t value)
{
    rule_1(f, SCMP_ACT_ALLOW, call, SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, mask, value));
    rule_1(f, REFUSE, call, SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, mask, value ^ mask));
}

/* One type of a family with protocol 0 or its own one; all other protocols are refused. */
static void socket_kind(struct filter *f, unsigned family, unsigned type, unsigned protocol, bool allowed)
{
    for (unsigned p = 0; p <= protocol + 1; p++) {
        struct scmp_arg_cmp args[] = {
            compare(0, SCMP_CMP_EQ, family),
            SCMP_CMP(1, SCMP_CMP_MASKED_EQ, TYPE_MASK, type),
            compare(2, p > protocol ? SCMP_CMP_GT : SCMP_CMP_EQ, p > protocol ? protocol : p),
        };

        rule(f, allowed && (p == 0 || p == protocol) ? SCMP_ACT_ALLOW : REFUSE, SCMP_SYS(socket), 3, args);
    }
}

static void sockets_of_family(struct filter *f, unsigned family, bool udp)
{
    socket_kind(f, family, SOCK_STREAM, IPPROTO_TCP, true);
    socket_kind(f, family, SOCK_DGRAM, IPPROTO_UDP, udp);
    for (unsigned type = 0; type <= TYPE_MASK; type++) {
        struct scmp_arg_cmp args[] = {
            compare(0, SCMP_CMP_EQ, family),
            SCMP_CMP(1, SCMP_CMP_MASKED_EQ, TYPE_MASK, type),
        };

        if (type != SOCK_STREAM && type != SOCK_DGRAM)
            rule(f, REFUSE, SCMP_SYS(socket), 2, args);
    }
}

static void allow_sockets(struct filter *f, bool udp)
{
    for (unsigned family = 0; family < FAMILIES; family++) {
        if (family == AF_INET || family == AF_INET6)
            sockets_of_family(f, family, udp);
        else
            rule_1(f, REFUSE, SCMP_SYS(socket), compare(0, SCMP_CMP_EQ, family));
    }
}

static void allow(struct filter *f, const struct sandbox_rule *r)
{
    static const int fcntls[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GET_SEALS };
    static const int locks[] = { F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW };
    const unsigned fcntl_n = sizeof fcntls / sizeof *fcntls;

    switch (r->args) {
    case ARGS_ANY: rule(f, SCMP_ACT_ALLOW, r->call, 0, NULL); break;
    case ARGS_NO_EXEC: allow_bit(f, r->call, 2, PROT_EXEC, 0); break;
    case ARGS_FCNTL: allow_values(f, r->call, 1, fcntls, fcntl_n); break;
    case ARGS_FCNTL_LOCK:
        allow_values(f, r->call, 1, fcntls, fcntl_n);
        allow_values(f, r->call, 1, locks, sizeof locks / sizeof *locks);
        break;
    /* TCGETS and the like: stdio looks whether it writes to a terminal */
    case ARGS_FIONREAD: allow_one(f, r->call, 1, FIONREAD); break;
    case ARGS_SET_NAME: allow_one(f, r->call, 0, PR_SET_NAME); break;
    case ARGS_SELF: allow_one(f, r->call, 0, (uint64_t)getpid()); break;
    case ARGS_EMPTY_PATH: allow_bit(f, r->call, 3, AT_EMPTY_PATH, AT_EMPTY_PATH); break;
    case ARGS_NO_ADDRESS: allow_one(f, r->call, 4, 0); break;
    case ARGS_TCP: allow_sockets(f, false); break;
    case ARGS_TCP_UDP: allow_sockets(f, true); break;
    case ARGS_READ_ONLY:
        rule_1(f, SCMP_ACT_ALLOW, r->call, SCMP_CMP(2, SCMP_CMP_MASKED_EQ, WRITING, 0));
        break;
    case ARGS_READ_ONLY_OPEN:
        rule_1(f, SCMP_ACT_ALLOW, r->call, SCMP_CMP(1, SCMP_CMP_MASKED_EQ, WRITING, 0));
        break;
    case ARGS_READ_LIMIT: allow_one(f, r->call, 2, 0); break;
    }
}

static bool role_is_allowed(enum role role, int call)
{
    for (const struct sandbox_rule *r = sandbox_allowed; r->roles; r++) {
        if (r->call == call && (r->roles & ROLE_BIT(role)))
            return true;
    }
    return false;
}

/* What no rule names. Name services load foreign code into mapd-worker: a call that we did not foresee must
   be an answer "could not tell", not a dead worker. The sanitizers' runtime is as unforeseeable. */
static uint32_t default_action(enum role role)
{
#ifdef MANSIO_SANITIZE
    (void)role;
    return REFUSE;
#else
    return role == ROLE_MAPD_WORKER ? REFUSE : SCMP_ACT_KILL_PROCESS;
#endif
}

static bool filter_load(struct filter *f, struct err *err)
{
    /* A binary tree over the call numbers: the hot calls cost the same as the others, about ten comparisons.
     */
    if (f->rc == 0)
        f->rc = seccomp_attr_set(f->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (f->rc == 0)
        f->rc = seccomp_attr_set(f->ctx, SCMP_FLTATR_CTL_TSYNC, 1);
    if (f->rc == 0)
        f->rc = seccomp_load(f->ctx);
    seccomp_release(f->ctx);
    if (f->rc == 0)
        return true;
    errno = -f->rc;
    return err_sys(err, "load the system call filter");
}

bool sandbox_seccomp(enum role role, struct err *err)
{
    struct filter f = { .ctx = seccomp_init(default_action(role)) };

    if (!f.ctx)
        return err_set(err, ERR_TEMP, "no memory for the system call filter");
    for (const struct sandbox_rule *r = sandbox_allowed; r->roles; r++) {
        if (r->roles & ROLE_BIT(role))
            allow(&f, r);
    }
    for (const int *call = sandbox_refused; *call != -1; call++) {
        if (!role_is_allowed(role, *call))
            rule(&f, REFUSE, *call, 0, NULL);
    }
    /* ENOSYS makes libc fall back to clone, which is refused: without it a thread start looks like a broken
     * kernel. */
    rule(&f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL);
    return filter_load(&f, err);
}

bool sandbox_seccomp_master(bool privileged, struct err *err)
{
    struct filter f = { .ctx = seccomp_init(SCMP_ACT_ALLOW) };

    if (!f.ctx)
        return err_set(err, ERR_TEMP, "no memory for the system call filter");
    /* As root without no_new_privs: an agent's program may be set-id (procmail, postdrop). */
    f.rc = seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_NNP, privileged ? 0 : 1);
    for (const int *call = sandbox_master_refused; *call != -1; call++)
        rule(&f, REFUSE, *call, 0, NULL);
    return filter_load(&f, err);
}
