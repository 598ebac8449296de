/* deposit.c - one message into one mailbox: from its first bytes to "durable", or why not */
#include "deliverd/agent/deposit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/os/fault.h"
#include "common/os/fd.h"

#define PIECE (64u * 1024u)

/* ---- results ---- */

static void box_discard(struct deposit *d)
{
    maildir_discard(&d->box, &d->file);
    mbox_discard(&d->mbox);
    fd_close(&d->memory_fd);
}

static const char *box_shown(const struct deposit *d)
{
    switch (d->kind) {
    case DEPOSIT_MBOX: return d->mbox.shown;
    case DEPOSIT_COMMAND: return d->command ? d->command->argv[0] : "";
    case DEPOSIT_MAILDIR: break;
    }
    return d->box.shown;
}

static enum deposit_state done(struct deposit *d, enum ipc_outcome outcome, const char *enhanced,
                               const char *text)
{
    if (outcome != OUTCOME_DELIVERED)
        box_discard(d);
    fd_close(&d->body_fd);
    d->result.outcome = outcome;
    d->result.forward = false;
    snprintf(d->result.enhanced, sizeof d->result.enhanced, "%s", enhanced);
    snprintf(d->result.text, sizeof d->result.text, "%s", text);
    d->state = DEPOSIT_DONE;
    return d->state;
}

/* RFC 3463: 4.2.x is this mailbox, 4.3.x the host. All of it is tried again: somebody makes room, repairs a
   directory or the configuration, and no mail is lost meanwhile. */
static const char *status_of(const struct err *err)
{
    switch (err->sys) {
    case EDQUOT: return "4.2.2";
    case ENOSPC:
    case EFBIG: return "4.3.1";
    case EACCES:
    case EAGAIN:
    case EPERM:
    case EEXIST:
    case EXDEV:
    case ENOENT:
    case ENAMETOOLONG: return "4.2.0";
    case 0: return err->cls == ERR_CONF ? "4.3.5" : err->cls == ERR_PERM ? "4.2.0" : "4.3.0";
    default: return "4.3.0";
    }
}

static enum deposit_state deferred(struct deposit *d, const struct err *err)
{
    return done(d, OUTCOME_DEFERRED, status_of(err), err->text);
}

void deposit_result_make(struct deposit_result *r, const struct err *err, const char *shown)
{
    r->outcome = err ? OUTCOME_DEFERRED : OUTCOME_DELIVERED;
    r->forward = false;
    snprintf(r->enhanced, sizeof r->enhanced, "%s", err ? status_of(err) : "2.0.0");
    if (err)
        snprintf(r->text, sizeof r->text, "%s", err->text);
    else
        snprintf(r->text, sizeof r->text, "delivered to maildir %s", shown);
}

static enum deposit_state write_failed(struct deposit *d)
{
    struct err err = { 0 };
    int sys = errno;

    err_set(&err, ERR_TEMP, "write the %s: %s (mailbox %s)",
            d->kind == DEPOSIT_MAILDIR ? "file in tmp" : "file", strerror(sys), box_shown(d));
    err.sys = sys;
    return deferred(d, &err);
}

static enum deposit_state incomplete(struct deposit *d, const char *what, uint64_t is, uint64_t should)
{
    struct err err = { 0 };

    err_set(&err, ERR_TEMP, "internal error: %s has %llu bytes instead of %llu", what, (unsigned long long)is,
            (unsigned long long)should);
    return deferred(d, &err);
}

/* The end of the message's last line, when it has none, and the empty line that ends a message in an mbox. */
static bool mbox_last_line(struct deposit *d)
{
    bool open = d->text.cr || d->text.match > 0 || !d->text.line_start;

    return (!open || text_message(&d->text, SV_LIT("\r\n"))) && text_message(&d->text, SV_LIT("\r\n"));
}

static enum deposit_state commit_command(struct deposit *d)
{
    struct command_values v = { SV(d->user), SV(d->domain), SV(d->extension), SV(d->sender), SV(d->rcpt) };
    struct command_result r = { .outcome = OUTCOME_DEFERRED };
    struct command c = *d->command;

    if (!text_end(&d->text))
        return write_failed(d);
    if (c.of_user) {
        size_t n = 0;

        while (n + 1 < COMMAND_ARGS_MAX && c.argv[n])
            n++;
        c.argv[n] = d->target + 1; /* behind the bar */
        c.argv[n + 1] = NULL;
        c.shown = "of ~/.forward"; /* what it is called is nothing for a notice to strangers */
    }
    command_run(&c, &v, d->memory_fd, &r);
    fd_close(&d->memory_fd);
    return done(d, r.outcome, r.enhanced, r.text);
}

static enum deposit_state commit(struct deposit *d)
{
    struct err err = { 0 };
    char text[sizeof d->result.text];

    loop_scan_end(&d->loop);
    if (d->loop.found && !d->expanded) {
        snprintf(text, sizeof text, "mail forwarding loop for %.300s", d->rcpt);
        return done(d, OUTCOME_FAILED, "5.4.6", text);
    }
    if (d->kind == DEPOSIT_COMMAND)
        return commit_command(d);
    if ((d->kind == DEPOSIT_MBOX && !mbox_last_line(d)) || !text_end(&d->text))
        return write_failed(d);
    if (d->later && d->kind == DEPOSIT_MAILDIR) {
        fd_close(&d->body_fd);
        d->state = DEPOSIT_WRITTEN;
        return d->state;
    }
    if (d->kind == DEPOSIT_MBOX ? !mbox_commit(&d->mbox, &err)
                                : !maildir_commit(&d->box, &d->file, d->text.written, &err))
        return deferred(d, &err);
    snprintf(text, sizeof text, "delivered to %s %s", d->kind == DEPOSIT_MBOX ? "mbox" : "maildir",
             box_shown(d));
    return done(d, OUTCOME_DELIVERED, "2.0.0", text);
}

/* ---- bytes ---- */

static bool take(struct deposit *d, struct strv bytes)
{
    d->got += bytes.n;
    loop_scan_feed(&d->loop, bytes);
    return text_message(&d->text, bytes);
}

static enum deposit_state body_copy(struct deposit *d)
{
    static char piece[PIECE];
    uint64_t at = 0;

    while (at < d->body_size) {
        uint64_t left = d->body_size - at;
        size_t want = left < sizeof piece ? (size_t)left : sizeof piece;
        ssize_t n;

        errno = FAULT_POINT("agent.body.read");
        n = errno ? -1 : fd_pread_full(d->body_fd, piece, want, (off_t)at);
        if (n < 0) {
            struct err err = { 0 };

            err_sys(&err, "read the body from the queue");
            err.sys = 0; /* not the mailbox's fault, whatever it is */
            return deferred(d, &err);
        }
        if ((size_t)n != want)
            return incomplete(d, "the queue's body file", at + (uint64_t)n, d->body_size);
        if (!take(d, strv_make(piece, want)))
            return write_failed(d);
        at += want;
    }
    return DEPOSIT_TAKING;
}

/* Everything came: the descriptor's bytes end the message. */
static enum deposit_state finish(struct deposit *d)
{
    if (d->got + d->body_size != d->size)
        return incomplete(d, "the message", d->got + d->body_size, d->size);
    if (d->body_size > 0 && body_copy(d) == DEPOSIT_DONE)
        return d->state;
    return commit(d);
}

/* ---- the beginning ---- */

static bool quota_check(struct deposit *d, const struct deposit_request *r, struct err *err)
{
    uint64_t used;

    if (r->quota == 0)
        return true;
    if (d->kind == DEPOSIT_MBOX)
        used = d->mbox.old_size;
    else if (!maildir_usage(&d->box, &used, err))
        return false;
    if (r->size <= r->quota && used <= r->quota - r->size)
        return true;
    err_set(err, ERR_TEMP, "mailbox full: %llu of %llu bytes used, %llu more wanted (mailbox %s)",
            (unsigned long long)used, (unsigned long long)r->quota, (unsigned long long)r->size,
            box_shown(d));
    err->sys = EDQUOT;
    return false;
}

static bool body_check(const struct deposit_request *r, struct err *err)
{
    struct stat st;

    if (r->body_fd < 0)
        return r->body_size == 0 ||
               err_set(err, ERR_TEMP, "internal error: the body's descriptor is missing");
    if (fstat(r->body_fd, &st) < 0)
        return err_set(err, ERR_TEMP, "stat the body from the queue: %s", strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size != r->body_size)
        return err_set(err, ERR_TEMP, "internal error: the queue's body file has %lld bytes instead of %llu",
                       (long long)st.st_size, (unsigned long long)r->body_size);
    return true;
}

/* The message waits in memory that only this process has: the program gets all of it or does not start. */
static bool command_open(struct deposit *d, const struct deposit_request *r, struct err *err)
{
    if (!d->command || d->command->of_user != (r->target.n > 0))
        return err_set(err, ERR_CONF, "internal error: this agent does not run such commands");
    if (!strv_cstr(r->sender, d->sender, sizeof d->sender) || !strv_cstr(r->user, d->user, sizeof d->user) ||
        !strv_cstr(r->domain, d->domain, sizeof d->domain) ||
        !strv_cstr(r->extension, d->extension, sizeof d->extension))
        return err_set(err, ERR_CONF, "not an address for a command");
    d->memory_fd = memfd_create("message", MFD_CLOEXEC);
    return d->memory_fd >= 0 || err_sys(err, "memory for the message");
}

/* Who has no home works in the spool directory alone (mtad's place.c). A path that is meant below his home,
   as his ~/.forward names it, would there be a mailbox of somebody else's. */
static bool home_is_there(const struct deposit *d, struct err *err)
{
    struct stat home, spool;

    if (d->spool.root_fd < 0)
        return true;
    if (fstat(d->place.root_fd, &home) < 0 || fstat(d->spool.root_fd, &spool) < 0)
        return err_sys(err, "stat the home directory");
    if (home.st_dev != spool.st_dev || home.st_ino != spool.st_ino)
        return true;
    return err_set(err, ERR_PERM, "the home directory is not there, or others may write it");
}

static bool open_all(struct deposit *d, const struct deposit_request *r, struct err *err)
{
    if (!strv_cstr(r->rcpt, d->rcpt, sizeof d->rcpt))
        return err_set(err, ERR_CONF, "not an address to deliver to");
    if (r->kind > DEPOSIT_COMMAND || !strv_cstr(r->target, d->target, sizeof d->target))
        return err_set(err, ERR_CONF, "mailboxes of kind %llu are not available",
                       (unsigned long long)r->kind);
    if (r->spool && d->spool.root_fd < 0)
        return err_set(err, ERR_CONF, "internal error: this agent was given no spool directory");
    d->kind = (enum deposit_kind)r->kind;
    if (!body_check(r, err))
        return false;
    if (d->kind == DEPOSIT_COMMAND)
        return command_open(d, r, err);
    if (!r->spool && !home_is_there(d, err))
        return false;
    if (d->kind == DEPOSIT_MBOX)
        return mbox_open(&d->mbox, r->spool ? &d->spool : &d->place, r->path, err) && quota_check(d, r, err);
    return maildir_open(&d->box, &d->place, r->path, err) && quota_check(d, r, err) &&
           maildir_create(&d->box, &d->file, err);
}

/* The line that separates messages in an mbox, and that some programs want: the sender as one word, and the
   time as asctime writes it. */
static bool from_line(struct deposit *d, struct strv sender)
{
    char word[1025], line[1200], date[64];
    time_t now = time(NULL);
    struct tm tm;
    size_t n = 0;

    for (size_t i = 0; i < sender.n && n + 1 < sizeof word; i++)
        word[n++] = (unsigned char)sender.p[i] <= ' ' || sender.p[i] == 127 ? '_' : sender.p[i];
    word[n] = '\0';
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &tm);
    if (d->kind == DEPOSIT_MBOX && (d->mbox.needs_end || d->mbox.needs_line) &&
        !text_raw(&d->text, d->mbox.needs_end ? SV_LIT("\n\n") : SV_LIT("\n")))
        return false;
    snprintf(line, sizeof line, "From %s  %s\n", n ? word : "MAILER-DAEMON", date);
    return text_raw(&d->text, SV(line));
}

/* RFC 5321 4.4 for Return-Path. IPC text holds no line breaks, so neither becomes a second field. */
static bool own_fields(struct deposit *d, struct strv sender)
{
    return text_raw(&d->text, SV("Return-Path: <")) && text_raw(&d->text, sender) &&
           text_raw(&d->text, SV(">\n")) &&
           (d->expanded || (text_raw(&d->text, SV("Delivered-To: ")) && text_raw(&d->text, SV(d->rcpt)) &&
                            text_raw(&d->text, SV("\n"))));
}

static int box_fd(const struct deposit *d)
{
    switch (d->kind) {
    case DEPOSIT_MBOX: return d->mbox.fd;
    case DEPOSIT_COMMAND: return d->memory_fd;
    case DEPOSIT_MAILDIR: break;
    }
    return d->file.fd;
}

/* ---- ~/.forward ---- */

static void forward_ignored(const struct deposit *d, const struct err *err)
{
    char path[512];

    snprintf(path, sizeof path, "%.*s/%s", 480, d->place.root_path, DOTFORWARD_NAME);
    LOG(WARN, "agent.forward.ignored", KS("path", path), KS("rcpt", d->rcpt), KS("error", err->text));
}

static enum deposit_state forward_result(struct deposit *d, const char *text)
{
    done(d, OUTCOME_DELIVERED, "2.0.0", text);
    d->result.forward = true;
    return d->state;
}

/* True: there is a result, and nothing is stored. */
static bool forward_asked(struct deposit *d, const struct deposit_request *r)
{
    struct err err = { 0 };

    strv_cstr(strv_sub(r->rcpt, 0, sizeof d->rcpt - 1), d->rcpt, sizeof d->rcpt);
    switch (dotforward_read(d->place.root_fd, d->place.uid, &d->forward, &err)) {
    case DOTFORWARD_NONE: return false;
    case DOTFORWARD_FOUND: forward_result(d, "to be forwarded"); return true;
    case DOTFORWARD_IGNORED: forward_ignored(d, &err); return false;
    case DOTFORWARD_FAILED: break;
    }
    err_wrap(&err, "%.200s/%s", d->place.root_path, DOTFORWARD_NAME);
    deferred(d, &err);
    return true;
}

/* A command that the user himself wrote, or none: deliverd is not believed, and who mended or removed it
   since gets the message into the mailbox. True: there is a result. */
static bool command_denied(struct deposit *d, const struct deposit_request *r)
{
    struct err err = { 0 };
    enum dotforward_answer answer = dotforward_read(d->place.root_fd, d->place.uid, &d->forward, &err);

    if (answer == DOTFORWARD_FOUND && r->target.n > 1 && r->target.p[0] == '|' &&
        dotforward_has(&d->forward, r->target))
        return false;
    if (answer == DOTFORWARD_FAILED) {
        deferred(d, &err);
        return true;
    }
    if (answer == DOTFORWARD_IGNORED)
        forward_ignored(d, &err);
    dotforward_parse(SV_LIT("/dev/null"), &d->forward, &err);
    forward_result(d, "the command is no longer in ~/.forward");
    return true;
}

enum deposit_state deposit_begin(struct deposit *d, const struct deposit_request *r)
{
    struct err err = { 0 };

    deposit_abort(d);
    d->size = r->size;
    d->got = 0;
    d->body_size = r->body_size;
    d->body_fd = r->body_fd;
    d->path_hash = hash_sip(r->path);
    d->kind = DEPOSIT_MAILDIR;
    d->state = DEPOSIT_TAKING;
    d->expanded = r->expanded;
    if (r->ask_forward && forward_asked(d, r))
        return d->state;
    if (r->kind == DEPOSIT_COMMAND && d->command && d->command->of_user && command_denied(d, r))
        return d->state;
    if (!open_all(d, r, &err))
        return deferred(d, &err);
    text_init(&d->text, box_fd(d));
    loop_scan_init(&d->loop, SV(d->rcpt));
    if (d->kind == DEPOSIT_MBOX)
        text_quote(&d->text);
    if ((d->kind == DEPOSIT_MBOX || (d->kind == DEPOSIT_COMMAND && d->command->from_line)) &&
        !from_line(d, r->sender))
        return write_failed(d);
    if (!own_fields(d, r->sender) || !take(d, r->data))
        return write_failed(d);
    if (d->got > d->size || d->size - d->got <= d->body_size)
        return finish(d);
    return d->state;
}

enum deposit_state deposit_chunk(struct deposit *d, struct strv bytes)
{
    if (d->state != DEPOSIT_TAKING)
        return d->state;
    if (bytes.n > d->size - d->got || d->size - d->got - bytes.n < d->body_size)
        return incomplete(d, "the message", d->got + bytes.n + d->body_size, d->size);
    return take(d, bytes) ? d->state : write_failed(d);
}

enum deposit_state deposit_end(struct deposit *d)
{
    return d->state == DEPOSIT_TAKING ? finish(d) : d->state;
}

/* ---- life ---- */

void deposit_init(struct deposit *d, const struct maildir_place *place)
{
    d->place = *place;
    d->state = DEPOSIT_IDLE;
    d->box = (struct maildir){ .dir_fd = -1, .tmp_fd = -1, .new_fd = -1 };
    d->spool = (struct maildir_place){ .root_fd = -1 };
    d->mbox.fd = d->memory_fd = -1;
    d->command = NULL;
    d->later = false;
    dotforward_init(&d->forward);
    d->kind = DEPOSIT_MAILDIR;
    d->file.fd = -1;
    d->body_fd = -1;
    d->cleaned_n = 0;
}

void deposit_abort(struct deposit *d)
{
    box_discard(d);
    maildir_close(&d->box);
    fd_close(&d->body_fd);
    d->state = DEPOSIT_IDLE;
}

static bool clean_is_due(struct deposit *d)
{
    for (unsigned i = 0; i < d->cleaned_n; i++) {
        if (d->cleaned[i] == d->path_hash)
            return false;
    }
    if (d->cleaned_n == DEPOSIT_CLEANED_MAX)
        return false;
    d->cleaned[d->cleaned_n++] = d->path_hash;
    return true;
}

void deposit_clean(struct deposit *d)
{
    if (d->box.tmp_fd >= 0 && clean_is_due(d)) {
        unsigned n = maildir_clean(&d->box, (int64_t)time(NULL));

        if (n > 0)
            LOG(INFO, "agent.tmp.cleaned", KS("mailbox", d->box.shown), KI("files", n));
    }
}

void deposit_tidy(struct deposit *d)
{
    if (d->state == DEPOSIT_TAKING)
        return;
    deposit_clean(d);
    maildir_close(&d->box);
}
