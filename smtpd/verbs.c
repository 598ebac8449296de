/* verbs.c - what is legal when, in one screen; and the verbs without a file of their own */
#include "smtpd/verbs.h"

static enum engine_step verb_rset(struct engine *e, struct strv argument)
{
    (void)argument;
    engine_reset(e);
    return engine_reply(e, RE_OK);
}

static enum engine_step verb_noop(struct engine *e, struct strv argument)
{
    (void)argument;
    return engine_reply(e, RE_OK);
}

static enum engine_step verb_quit(struct engine *e, struct strv argument)
{
    (void)argument;
    engine_reply(e, RE_BYE);
    return engine_close(e, END_QUIT);
}

/* 252 for everybody and everything: the answer must not tell who has a mailbox (RFC 5321 7.3). */
static enum engine_step verb_vrfy(struct engine *e, struct strv argument)
{
    if (argument.n == 0)
        return engine_refuse(e, RE_NO_ARGUMENT, strv_make("", 0));
    return engine_reply(e, RE_VRFY);
}

#define NOT_OFFERED(name)                                                                                    \
    {                                                                                                        \
        name, PH_COMMANDS, V_IDLE, NULL, RE_NOT_IMPLEMENTED                                                  \
    }
#define HTTP(name)                                                                                           \
    {                                                                                                        \
        name, PH_COMMANDS, V_FATAL, NULL, RE_HTTP                                                            \
    }

/* clang-format off */
const struct verb verb_table[] = {
    /* name    legal in phase                   flags                         handler    when out of order */
    { "EHLO", PH_COMMANDS,                      V_LAST | V_CLEAR_OK | V_IDLE, verb_ehlo, RE_UNKNOWN },
    { "HELO", PH_COMMANDS,                      V_LAST | V_CLEAR_OK | V_IDLE, verb_helo, RE_UNKNOWN },
    { "MAIL", PH_READY,                         0,                            verb_mail, RE_NEED_HELO },
    { "RCPT", PH_MAIL | PH_RCPT,                0,                            verb_rcpt, RE_NEED_MAIL },
    { "DATA", PH_RCPT,                          V_LAST | V_NO_ARGUMENT,       verb_data, RE_NEED_MAIL },
    { "RSET", PH_COMMANDS, V_NO_ARGUMENT | V_CLEAR_OK | V_IDLE,               verb_rset, RE_UNKNOWN },
    { "NOOP", PH_COMMANDS,                      V_CLEAR_OK | V_IDLE,          verb_noop, RE_UNKNOWN },
    { "QUIT", PH_COMMANDS, V_NO_ARGUMENT | V_DRAIN_OK | V_CLEAR_OK,           verb_quit, RE_UNKNOWN },
    { "AUTH", PH_READY, V_LAST | V_SECRET,                                    verb_auth, RE_NESTED_MAIL },
    { "STARTTLS", PH_GREETED | PH_READY, V_LAST | V_NO_ARGUMENT | V_CLEAR_OK, verb_starttls, RE_NESTED_MAIL },
    { "VRFY", PH_COMMANDS,                      V_IDLE,                       verb_vrfy, RE_UNKNOWN },
    NOT_OFFERED("EXPN"), NOT_OFFERED("HELP"), NOT_OFFERED("ETRN"), NOT_OFFERED("TURN"), NOT_OFFERED("SEND"),
    NOT_OFFERED("SOML"), NOT_OFFERED("SAML"),
    { "BDAT", PH_COMMANDS,                      V_FATAL,                      NULL,      RE_BDAT },
    HTTP("GET"), HTTP("POST"), HTTP("HEAD"), HTTP("PUT"), HTTP("DELETE"), HTTP("CONNECT"), HTTP("OPTIONS"),
    HTTP("TRACE"), HTTP("PATCH"),
    { .name = NULL },
};
/* clang-format on */

const struct verb *verb_find(struct strv name)
{
    for (const struct verb *v = verb_table; v->name; v++)
        if (strv_iis(name, v->name))
            return v;
    return NULL;
}

enum reply_id verb_order(const struct verb *v, const struct engine *e)
{
    if (v->run == verb_mail && (e->phase & (PH_MAIL | PH_RCPT)))
        return RE_NESTED_MAIL;
    if (v->run == verb_data && e->phase == PH_MAIL)
        return e->envelope.given > 0 ? RE_NO_RCPT : RE_NEED_RCPT;
    if (e->phase == PH_GREETED)
        return RE_NEED_HELO;
    return v->reply;
}
