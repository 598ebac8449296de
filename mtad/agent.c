/* agent.c - processes that act as a recipient: who may be whom, how many, started and reaped
 *
 * deliverd names a mailbox section and, for system users, a user. It is not believed: the section must exist,
 * the user's ids come from mapd (or from the start, for the owner of virtual mailboxes) and must pass
 * uid_min. A deliverd that was taken over can therefore write into mailboxes, which is its job, and become
 * nobody else.
 */
#include "mtad/agent.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/mail/address.h"
#include "common/os/fd.h"
#include "common/proc/frame_io.h"
#include "conf/address.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "conf/processes.h"
#include "maps/client.h"
#include "mtad/agent_alias.h"
#include "mtad/agent_user.h"
#include "mtad/child.h"
#include "mtad/generation.h"
#include "mtad/place.h"
#include "mtad/spawn.h"
#include "mtad/status.h"

#define PASSWD_MAP "passwd"
#define TARGET_MAX 2049u /* with its NUL */

struct agent {
    pid_t pid;
    uid_t uid;
    pid_t asker; /* deliverd, and the number of its request; 0: we ourselves */
    uint64_t txn;
    char mailbox[65];
    struct agent *next;
};

/* Who an agent will be. */
struct who {
    const struct mailbox_root *root;
    char user[65];
    uid_t uid;
    gid_t gid;
    int dirfd;   /* owned: the directory it works in */
    int spoolfd; /* owned: where its mbox file lies, when that is elsewhere; -1 */
    char path[PATH_MAX];
    bool peer_mtad;
    bool command; /* runs a program: the section's, or the user's own */
    enum agent_kind kind;
    const struct conf_address *address; /* of an alias's target: what is permitted */
    char target[TARGET_MAX]; /* the same: "|command" or "/file" */
    pid_t asker;
    uint64_t txn;
};

/* A request that waits for mapd. */
struct request {
    struct child *child;
    pid_t pid; /* of that child: another one may have its slot when the answer comes */
    uint64_t txn;
    const struct mailbox_root *root;
    enum agent_kind kind;
    const struct conf_address *address; /* of the generation that asks, which waits for the answer */
    char target[TARGET_MAX];
    char user[65];
};

static void reply(struct child *c, uint64_t txn, enum ipc_verdict verdict, const char *why, uid_t uid, int fd)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_AGENT_REPLY, txn);
    ipc_put_u64(&o, TAG_VERDICT, verdict);
    if (why)
        ipc_put_clean(&o, TAG_TEXT, SV(why));
    if (fd >= 0) {
        ipc_put_u64(&o, TAG_UID, uid);
        ipc_put_fd(&o, fd);
    }
    channel_send(c->control, &o);
    ipc_out_clear(&o);
}

static void refuse(struct child *c, uint64_t txn, const struct err *err, const char *mailbox,
                   const char *user)
{
    LOG(WARN, "mtad.agent.refused", KS("mailbox", mailbox), KS("user", user[0] ? user : NULL),
        KS("error", err->text));
    reply(c, txn, err->cls == ERR_PERM ? VERDICT_REFUSE : VERDICT_TEMPFAIL, err->text, 0, -1);
}

static bool room_check(const struct host *h, uid_t uid, struct err *err)
{
    unsigned of_user = 0;

    for (const struct agent *a = h->agents; a; a = a->next)
        of_user += a->uid == uid;
    if (h->agent_n >= (uint64_t)h->conf->processes->agents)
        return err_set(err, ERR_LIMIT, "%u agents run (processes.agents)", h->agent_n);
    if (of_user >= (uint64_t)h->conf->processes->agents_per_user)
        return err_set(err, ERR_LIMIT, "%u agents of uid %u run (processes.agents_per_user)", of_user,
                       (unsigned)uid);
    return true;
}

/* The program comes from the configuration alone: deliverd cannot choose it. */
static void command_frame(const struct conf_mailbox *m, struct ipc_out *o)
{
    ipc_begin(o, IPC_A_COMMAND, 0);
    for (size_t i = 0; i < m->command.n; i++)
        ipc_put_text(o, TAG_VALUE, SV(m->command.v[i]));
    ipc_put_u64(o, TAG_DEADLINE, (uint64_t)m->timeout);
    ipc_put_u64(o, TAG_FLAGS, m->from_line ? COMMAND_FROM_LINE : 0);
}

/* A command of the user's own ~/.forward, and his own shell for it: the agent finds it in the file itself. */
static void own_command_frame(const struct conf_mailbox *m, struct ipc_out *o)
{
    ipc_begin(o, IPC_A_COMMAND, 0);
    ipc_put_text(o, TAG_VALUE, SV_LIT("/bin/sh"));
    ipc_put_text(o, TAG_VALUE, SV_LIT("-c"));
    ipc_put_u64(o, TAG_DEADLINE, (uint64_t)m->timeout);
    ipc_put_u64(o, TAG_FLAGS, COMMAND_FROM_LINE | COMMAND_LITERAL | COMMAND_OF_USER);
}

static bool alias_command_frame(const struct who *w, struct ipc_out *o, struct err *err)
{
    struct alias_command command;
    bool ok = alias_command_split(w->address->commands, SV(w->target + 1), &command, err);

    ipc_begin(o, IPC_A_COMMAND, 0);
    for (size_t i = 0; ok && i < command.n; i++)
        ipc_put_text(o, TAG_VALUE, SV(command.text.data + command.at[i]));
    ipc_put_u64(o, TAG_DEADLINE, (uint64_t)w->root->section->timeout);
    ipc_put_u64(o, TAG_FLAGS, COMMAND_FROM_LINE | COMMAND_LITERAL);
    alias_command_clear(&command);
    return ok;
}

static bool any_command_frame(const struct who *w, struct ipc_out *o, struct err *err)
{
    if (w->kind == AGENT_ALIAS_COMMAND)
        return alias_command_frame(w, o, err);
    (w->kind == AGENT_USER_COMMAND ? own_command_frame : command_frame)(w->root->section, o);
    return true;
}

/* What the agent finds on its channel before deliverd can write to it. */
static bool frames_queue(struct host *h, const struct who *w, int fd, struct err *err)
{
    struct setup_frame s = { .role = ROLE_AGENT,
                             .user = w->user,
                             .generation = h->current->number,
                             .uid = w->uid,
                             .gid = w->gid,
                             .group = w->root->group == w->gid || w->address ? 0 : w->root->group,
                             .conf = -1,
                             .jail = -1,
                             .peer_mtad = w->peer_mtad,
                             .spool = w->spoolfd >= 0,
                             .command = w->command,
                             .faults = true };
    struct ipc_out o;
    bool ok;

    ipc_out_init(&o);
    child_setup_frame(h, &s, &o);
    ok = frame_io_send(fd, &o, err);
    if (ok) {
        ipc_begin(&o, IPC_SOURCE, 0);
        ipc_put_u64(&o, TAG_KIND, SOURCE_ROOT);
        ipc_put_text(&o, TAG_NAME, SV(w->root->section->head.name));
        ipc_put_text(&o, TAG_PATH, SV(w->path));
        ipc_put_fd(&o, fcntl(w->dirfd, F_DUPFD_CLOEXEC, 0));
        ok = frame_io_send(fd, &o, err);
    }
    if (ok && w->spoolfd >= 0) {
        ipc_begin(&o, IPC_SOURCE, 0);
        ipc_put_u64(&o, TAG_KIND, SOURCE_ROOT);
        ipc_put_text(&o, TAG_NAME, SV(w->root->section->head.name));
        ipc_put_text(&o, TAG_PATH, SV(w->root->section->spool));
        ipc_put_fd(&o, fcntl(w->spoolfd, F_DUPFD_CLOEXEC, 0));
        ok = frame_io_send(fd, &o, err);
    }
    if (ok && w->command) {
        ok = any_command_frame(w, &o, err) && frame_io_send(fd, &o, err);
    }
    ipc_out_clear(&o);
    return ok;
}

static void agent_remember(struct host *h, const struct who *w, pid_t pid)
{
    struct agent *a = mem_new(sizeof *a);

    a->pid = pid;
    a->uid = w->uid;
    a->asker = w->asker;
    a->txn = w->txn;
    snprintf(a->mailbox, sizeof a->mailbox, "%s", w->root->section->head.name);
    a->next = h->agents;
    h->agents = a;
    h->agent_n++;
}

/* deliverd's end of the channel to a new agent, or -1 with err. Closes w->dirfd. */
static int agent_start_as(struct host *h, struct who *w, struct err *err)
{
    struct spawn s = { .binary = h->binaries[ROLE_AGENT],
                       .devnull = h->devnull,
                       .name = "mansio-agent",
                       .detail = w->user[0] ? w->user : NULL };
    int ends[2] = { -1, -1 };
    pid_t pid = -1;

    if (!room_check(h, w->uid, err)) {
        fd_close(&w->dirfd);
        fd_close(&w->spoolfd);
        return -1;
    }
    if (!fd_seqpacket_pair(ends)) {
        err_sys(err, "socketpair");
    } else if (frames_queue(h, w, ends[0], err)) {
        s.control = ends[1];
        pid = spawn_process(&s, err);
    }
    fd_close(&ends[1]);
    fd_close(&w->dirfd);
    fd_close(&w->spoolfd);
    if (pid < 0) {
        fd_close(&ends[0]);
        return -1;
    }
    agent_remember(h, w, pid);
    LOG(DEBUG, "mtad.agent.started", KI("pid", pid), KS("mailbox", w->root->section->head.name),
        KS("user", w->user), KI("uid", w->uid));
    return ends[0];
}

static void start_and_reply(struct child *c, uint64_t txn, struct who *w, struct err *err)
{
    int fd;

    w->asker = c->pid;
    w->txn = txn;
    fd = agent_start_as(c->host, w, err);
    if (fd >= 0)
        reply(c, txn, VERDICT_ACCEPT, NULL, w->uid, fd);
    else
        refuse(c, txn, err, w->root->section->head.name, w->user);
}

/* A request whose user is known and whose place is being opened. */
struct placing {
    struct child *child;
    struct who who; /* asker: the child's process when it asked */
};

static void on_place(void *arg, struct place *p)
{
    struct placing *g = arg;
    struct child *c = g->child;
    struct who *w = &g->who;

    if (c->control && c->pid == w->asker) {
        w->dirfd = p->dirfd;
        w->spoolfd = p->spoolfd;
        memcpy(w->path, p->path, sizeof w->path);
        p->dirfd = p->spoolfd = -1;
        if (p->err.cls == ERR_OK)
            start_and_reply(c, w->txn, w, &p->err);
        else
            refuse(c, w->txn, &p->err, w->root->section->head.name, w->user);
    }
    if (p->err.cls != ERR_OK) {
        fd_close(&w->dirfd);
        fd_close(&w->spoolfd);
    }
    free(g);
}

static enum place_kind place_of(const struct who *w)
{
    if (w->command)
        return PLACE_COMMAND;
    if (w->kind == AGENT_ALIAS_FILE)
        return PLACE_HOME; /* the directory of the file */
    if (w->root->fd >= 0)
        return PLACE_ROOT;
    return w->root->section->method == CONF_METHOD_MBOX && w->root->section->path[0] == '\0' ? PLACE_SPOOL
                                                                                             : PLACE_HOME;
}

/* Opens where the agent will work, then starts it. */
static void place_and_start(struct child *c, uint64_t txn, const struct who *w, struct strv home)
{
    struct placing *g = mem_new(sizeof *g);
    struct place_wish wish = { .kind = place_of(w),
                               .rootfd = w->root->fd,
                               .root = w->root->section->root,
                               .spool = w->root->section->spool,
                               .user = w->user,
                               .home = home,
                               .uid = w->uid };

    g->child = c;
    g->who = *w;
    g->who.asker = c->pid;
    g->who.txn = txn;
    place_ask(c->host, &wish, on_place, g);
}

static bool who_user(const struct host *h, struct strv value, struct who *w, struct strv *home,
                     struct err *err)
{
    uint64_t uid, gid;

    if (!passwd_value_read(value, &uid, &gid, home))
        return err_set(err, ERR_TEMP, "mapd gave no ids for %s", w->user);
    if (h->privileged) {
        bool pipe = w->root->section->method == CONF_METHOD_PIPE || w->address;

        if (!(pipe ? agent_ids_permitted(SV(w->user), uid, gid, err)
                   : agent_user_permitted(w->root->section, SV(w->user), uid, gid, err)))
            return false;
    } else if (uid != geteuid()) {
        return err_set(err, ERR_TEMP, "without root there are no mailboxes of other users (%s)", w->user);
    }
    w->uid = (uid_t)uid;
    w->gid = (gid_t)gid;
    return true;
}

static struct strv file_directory(const char *path)
{
    size_t at = 0;

    strv_rfind(SV(path), '/', &at);
    return strv_make(path, at ? at : 1);
}

static void on_user(void *arg, const struct maps_answer *a)
{
    struct request *r = arg;
    struct child *c = r->child;
    struct err err = { 0 };

    if (c->control && c->pid == r->pid) {
        struct who w = { .root = r->root, .dirfd = -1, .spoolfd = -1 };
        struct strv home = SV_LIT("");
        bool ok = false;

        w.kind = r->kind;
        w.command = r->kind != AGENT_DEPOSIT && r->kind != AGENT_ALIAS_FILE;
        w.address = r->address;
        memcpy(w.target, r->target, sizeof w.target);
        snprintf(w.user, sizeof w.user, "%s", r->user);
        if (a->answer == ANSWER_FOUND)
            ok = who_user(c->host, a->value, &w, &home, &err);
        else if (a->answer == ANSWER_ABSENT)
            err_set(&err, ERR_PERM, "there is no user %s", r->user);
        else
            err_set(&err, ERR_TEMP, "cannot tell who %s is: %.*s", r->user, (int)a->why.n, a->why.p);
        if (ok && r->kind == AGENT_ALIAS_FILE)
            home = file_directory(r->target);
        if (ok)
            place_and_start(c, r->txn, &w, home);
        else
            refuse(c, r->txn, &err, r->root->section->head.name, r->user);
    }
    free(r);
}

static struct request *request_new(struct child *c, uint64_t txn, const struct mailbox_root *root,
                                   enum agent_kind kind)
{
    struct request *r = mem_new(sizeof *r);

    *r = (struct request){ .child = c, .pid = c->pid, .txn = txn, .root = root, .kind = kind };
    return r;
}

/* Takes r, whose user is set. */
static void user_ask(struct request *r)
{
    const struct conf_mailbox *m = r->root->section;
    struct key_chain chain;

    key_chain_init(&chain);
    key_chain_add(&chain, conf_mailbox_is_system(m) ? m->lookup : PASSWD_MAP, SV(r->user));
    maps_ask(r->child->host->maps, &chain, MAPS_DEADLINE_MS, on_user, r);
    key_chain_clear(&chain);
}

/* ---- commands and files of aliases ---- */

/* The table itself says what is run: whoever asks cannot choose it. */
static void on_alias(void *arg, const struct maps_answer *a)
{
    struct request *r = arg;
    struct child *c = r->child;
    struct alias_command command = { .n = 0 };
    struct err err = { 0 };

    if (!c->control || c->pid != r->pid) {
        free(r);
        return;
    }
    if (a->answer == ANSWER_FAILED)
        err_set(&err, ERR_TEMP, "cannot tell what the alias has: %.*s", (int)a->why.n, a->why.p);
    else if (a->answer == ANSWER_ABSENT || !alias_has_target(a->value, SV(r->target)))
        err_set(&err, ERR_PERM, "the alias has this command or file no more: %.200s", r->target);
    else if (r->target[0] == '|' &&
             !alias_command_split(r->address->commands, SV(r->target + 1), &command, &err))
        err_wrap(&err, "%.*s", (int)a->origin.n, a->origin.p);
    alias_command_clear(&command);
    if (err.cls == ERR_OK) {
        user_ask(r);
        return;
    }
    refuse(c, r->txn, &err, r->root->section->head.name, r->user);
    free(r);
}

static void alias_ask(struct child *c, const struct ipc_in *in, const struct mailbox_root *root,
                      enum agent_kind kind)
{
    struct request *r = request_new(c, in->txn, root, kind);
    struct err err = { 0 };
    struct key_chain chain;
    struct address rcpt;

    r->address = c->gen->conf->address;
    snprintf(r->user, sizeof r->user, "%.64s", r->address->command_user);
    if (!strv_cstr(ipc_get(in, TAG_TARGET), r->target, sizeof r->target) ||
        r->target[0] != (kind == AGENT_ALIAS_COMMAND ? '|' : '/') ||
        strcmp(r->address->commands, "none") == 0 || r->address->aliases[0] == '\0' ||
        !address_parse(ipc_get(in, TAG_RCPT), ADDRESS_UTF8, &rcpt, NULL)) {
        err_set(&err, ERR_PERM, "commands and files of aliases are not permitted (address.commands)");
        refuse(c, in->txn, &err, root->section->head.name, r->user);
        free(r);
        return;
    }
    key_chain_init(&chain);
    keys_for_address(&chain, c->gen->conf, &rcpt, KEYS_ALIASES | KEYS_OWN);
    maps_ask(c->host->maps, &chain, MAPS_DEADLINE_MS, on_alias, r);
    key_chain_clear(&chain);
    address_clear(&rcpt);
}

/* By the configuration that the asking deliverd has. */
static const struct mailbox_root *root_find(const struct generation *g, struct strv label)
{
    for (size_t i = 0; i < g->conf->mailbox_n; i++) {
        if (strv_is(label, g->mailboxes[i].section->head.name))
            return &g->mailboxes[i];
    }
    return NULL;
}

/* What a section's mail may be given to: its own method; files and commands of ~/.forward where they may
   be. */
static bool kind_permitted(const struct conf_mailbox *m, enum agent_kind kind)
{
    bool own = conf_mailbox_is_system(m) && m->forward == CONF_FORWARD_ALL;

    switch (kind) {
    case AGENT_DEPOSIT: return own || !conf_mailbox_is_command(m);
    case AGENT_COMMAND: return conf_mailbox_is_command(m);
    case AGENT_USER_COMMAND: return own;
    case AGENT_ALIAS_COMMAND:
    case AGENT_ALIAS_FILE: break;
    }
    return false;
}

void agent_request(struct child *c, struct ipc_in *in)
{
    struct host *h = c->host;
    const struct mailbox_root *root = root_find(c->gen, ipc_get(in, TAG_MAILBOX));
    struct err err = { 0 };
    char user[65], mailbox[65];
    enum agent_kind kind = (enum agent_kind)ipc_get_u64(in, TAG_KIND);
    struct who w = { .root = root, .dirfd = -1, .spoolfd = -1 };
    struct request *r;

    strv_cstr(ipc_get(in, TAG_USER), user, sizeof user);
    strv_cstr(ipc_get(in, TAG_MAILBOX), mailbox, sizeof mailbox);
    if (h->phase == HOST_STOPPING && c->state != CHILD_READY)
        err_set(&err, ERR_TEMP, "the service stops");
    else if (!root)
        err_set(&err, ERR_PERM, "there is no mailbox section of that name");
    else if (kind < AGENT_ALIAS_COMMAND && !kind_permitted(root->section, kind))
        err_set(&err, ERR_PERM, "the mailbox section is of another kind");
    else if (kind < AGENT_ALIAS_COMMAND && root->section->method == CONF_METHOD_LMTP)
        err_set(&err, ERR_PERM, "a server has these mailboxes");
    else if (kind < AGENT_ALIAS_COMMAND && root->section->method == CONF_METHOD_PIPE &&
             strcmp(user, root->section->user) != 0)
        err_set(&err, ERR_PERM, "the pipe runs as somebody else");
    else if (kind < AGENT_ALIAS_COMMAND && root->fd < 0 && !user[0])
        err_set(&err, ERR_PERM, "whose mailbox?");
    if (err.cls != ERR_OK) {
        refuse(c, in->txn, &err, mailbox, user);
        return;
    }
    if (kind >= AGENT_ALIAS_COMMAND) {
        alias_ask(c, in, root, kind);
        return;
    }
    /* Without root everything is the caller's, whatever the map says. */
    if (root->fd >= 0 && (!user[0] || !h->privileged || strcmp(user, root->section->owner) == 0)) {
        w.uid = root->uid;
        w.gid = root->gid;
        snprintf(w.user, sizeof w.user, "%.64s", root->section->owner);
        place_and_start(c, in->txn, &w, SV_LIT(""));
        return;
    }
    r = request_new(c, in->txn, root, kind);
    memcpy(r->user, user, sizeof r->user);
    user_ask(r);
}

void agent_kill(struct child *c, const struct ipc_in *in)
{
    for (const struct agent *a = c->host->agents; a; a = a->next) {
        if (a->asker != c->pid || a->txn != in->txn)
            continue;
        /* Still in the list: not reaped, so the number is still its own. */
        LOG(WARN, "mtad.agent.killed", KI("pid", a->pid), KS("mailbox", a->mailbox), KI("uid", a->uid));
        kill(a->pid, SIGKILL);
        return;
    }
}

void agent_ended(struct host *h, pid_t pid, int status)
{
    for (struct agent **p = &h->agents; *p; p = &(*p)->next) {
        struct agent *a = *p;
        char why[256];

        if (a->pid != pid)
            continue;
        if (status != 0) {
            status_end_text(status, why, sizeof why);
            LOG(WARN, "mtad.agent.ended", KI("pid", pid), KS("mailbox", a->mailbox), KI("uid", a->uid),
                KS("why", why));
        }
        *p = a->next;
        free(a);
        h->agent_n--;
        return;
    }
}

int agent_for_attempt(struct host *h, struct err *err)
{
    for (size_t i = 0; i < h->conf->mailbox_n; i++) {
        struct who w = { .root = &h->mailboxes[i],
                         .dirfd = -1,
                         .spoolfd = -1,
                         .peer_mtad = true,
                         .uid = h->mailboxes[i].uid,
                         .gid = h->mailboxes[i].gid };

        if (w.root->fd < 0)
            continue;
        snprintf(w.user, sizeof w.user, "%.64s", w.root->section->owner);
        snprintf(w.path, sizeof w.path, "%s", w.root->section->root);
        w.dirfd = openat(w.root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return w.dirfd >= 0 ? agent_start_as(h, &w, err) : (err_sys(err, "mailbox root %s", w.path), -1);
    }
    err_set(err, ERR_CONF, "no mailbox section has a root");
    return -1;
}
