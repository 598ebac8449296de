/* smtp.c - sendmail -bs: SMTP on standard input and output, each message a submission of its own
 *
 * The client is the user's own mail reader, so there is no policy here; what it may not do postdrop refuses.
 * Lines may end in LF alone, as such readers write them.
 */
#include "postdrop/smtp.h"

#include "common/mail/path.h"
#include "postdrop/person.h"
#include "postdrop/submit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

struct smtp {
    const char *conf;
    const struct person *who;
    bool has_sender;
    struct buf sender, rcpts; /* rcpts: a line each */
    size_t rcpt_n;
    char *line; /* owned; getline's */
    size_t line_cap;
};

static void say(const char *reply)
{
    printf("%s\r\n", reply);
    fflush(stdout);
}

/* Without its end; false at the end of the input. */
static bool read_line(struct smtp *s, struct strv *out)
{
    ssize_t n = getline(&s->line, &s->line_cap, stdin);

    if (n <= 0)
        return false;
    if (s->line[n - 1] == '\n')
        n--;
    if (n > 0 && s->line[n - 1] == '\r')
        n--;
    *out = strv_make(s->line, (size_t)n);
    return true;
}

static void reset(struct smtp *s)
{
    s->has_sender = false;
    s->rcpt_n = 0;
    buf_reset(&s->sender);
    buf_reset(&s->rcpts);
}

/* Parameters that change nothing for a submission; others were not announced. */
static bool params_ok(struct strv rest)
{
    struct strv word;

    while (strv_word(&rest, &word))
        if (!strv_istarts(word, SV_LIT("BODY=")) && !strv_istarts(word, SV_LIT("SIZE=")))
            return false;
    return true;
}

static void do_path(struct smtp *s, enum path_kind kind, struct strv argument)
{
    struct strv rest;
    struct path path;
    const char *why;

    if (kind == PATH_FORWARD ? !s->has_sender : s->has_sender) {
        say("503 5.5.1 Bad sequence of commands");
        return;
    }
    if (!path_parse(kind, argument, ADDRESS_LOCAL_OK, &path, &rest, &why)) {
        printf("501 5.1.%d %s\r\n", kind == PATH_FORWARD ? 3 : 7, why);
        fflush(stdout);
        return;
    }
    if (!params_ok(rest)) {
        say("555 5.5.4 Parameter not recognized");
    } else if (kind == PATH_REVERSE) {
        s->has_sender = true;
        address_format(&path.address, &s->sender);
        say("250 2.1.0 Ok");
    } else if (s->rcpt_n >= DROP_RCPTS_MAX) {
        say("452 4.5.3 Too many recipients");
    } else {
        address_format(&path.address, &s->rcpts);
        buf_addc(&s->rcpts, '\n');
        s->rcpt_n++;
        say("250 2.1.5 Ok");
    }
    path_clear(&path);
}

static bool submission_begin(struct smtp *s, struct submit *sub, struct err *err)
{
    struct drop_head head = { .sender = buf_view(&s->sender),
                              .name = SV(s->who->name),
                              .login = SV(s->who->login) };
    struct strv rest = buf_view(&s->rcpts), one;
    bool ok;

    while (strv_cut(&rest, '\n', &one))
        if (one.n)
            drop_head_rcpt(&head, one);
    ok = submit_begin(sub, s->conf, &head, err);
    drop_head_clear(&head);
    return ok;
}

/* False when the input ended before the message did: nothing of it counts. */
static bool do_data(struct smtp *s)
{
    struct submit sub;
    struct err err;
    struct strv line;
    int status;

    if (s->rcpt_n == 0) {
        say("503 5.5.1 Need MAIL and RCPT first");
        return true;
    }
    if (!submission_begin(s, &sub, &err)) {
        say("451 4.3.0 Could not start the submission");
        return true;
    }
    say("354 End data with <CR><LF>.<CR><LF>");
    for (;;) {
        if (!read_line(s, &line)) {
            submit_abort(&sub);
            return false;
        }
        if (strv_is(line, "."))
            break;
        if (strv_starts(line, SV_LIT(".")))
            line = strv_from(line, 1);
        submit_data(&sub, line);
        submit_data(&sub, SV_LIT("\n"));
    }
    status = submit_end(&sub);
    reset(s);
    if (status == EX_OK)
        say("250 2.0.0 Ok: submitted");
    else
        say(status == EX_DATAERR ? "554 5.6.0 The message was refused"
                                 : "451 4.3.0 The message could not be stored, please try again later");
    return true;
}

static void do_ehlo(struct smtp *s, bool extended)
{
    reset(s);
    say(extended ? "250-localhost\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n250 SIZE "
                   "52428800"
                 : "250 localhost");
}

/* False at the end of the session. */
static bool command(struct smtp *s, struct strv line)
{
    struct strv argument = line, verb;

    if (!strv_word(&argument, &verb))
        verb = argument;
    argument = strv_trim(argument);
    if (strv_iis(verb, "EHLO") || strv_iis(verb, "HELO")) {
        do_ehlo(s, byte_lower(verb.p[0]) == 'e');
    } else if (strv_iis(verb, "MAIL")) {
        do_path(s, PATH_REVERSE, argument);
    } else if (strv_iis(verb, "RCPT")) {
        do_path(s, PATH_FORWARD, argument);
    } else if (strv_iis(verb, "DATA")) {
        return do_data(s);
    } else if (strv_iis(verb, "RSET")) {
        reset(s);
        say("250 2.0.0 Ok");
    } else if (strv_iis(verb, "NOOP")) {
        say("250 2.0.0 Ok");
    } else if (strv_iis(verb, "QUIT")) {
        say("221 2.0.0 Bye");
        return false;
    } else {
        say("502 5.5.2 Command not recognized");
    }
    return true;
}

int smtp_run(const char *conf, const struct person *who)
{
    struct smtp s = { .conf = conf, .who = who };
    struct strv line;

    buf_init(&s.sender, 1024);
    buf_init(&s.rcpts, DROP_HEAD_MAX);
    say("220 localhost ESMTP Mansio");
    while (read_line(&s, &line) && command(&s, line))
        continue;
    buf_clear(&s.sender);
    buf_clear(&s.rcpts);
    free(s.line);
    return EX_OK;
}
