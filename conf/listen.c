/* listen.c - section `listen NAME` */
#include "conf/listen.h"

#include "conf/auth.h"
#include "conf/check.h"
#include "conf/kinds.h"
#include "conf/tls.h"

const struct conf_choice conf_tls_choices[] = {
    { "none", CONF_TLS_NONE }, { "offer", CONF_TLS_OFFER }, { "require", CONF_TLS_REQUIRE }, { NULL, 0 },
};

const struct conf_choice conf_auth_choices[] = {
    { "none", CONF_AUTH_NONE }, { "offer", CONF_AUTH_OFFER }, { "require", CONF_AUTH_REQUIRE }, { NULL, 0 },
};

static const struct conf_choice listen_tls_choices[] = {
    { "none", CONF_TLS_NONE }, { "offer", CONF_TLS_OFFER }, { "require", CONF_TLS_REQUIRE },
    { "implicit", CONF_TLS_IMPLICIT }, { NULL, 0 },
};

#define SMTPD .roles = ROLE_BIT(ROLE_SMTPD)
#define GIB (1LL << 30)

static const struct conf_field fields[] = {
    /* deliverd must know where mail would come back to us. */
    FIELD(conf_listen, address, CT_ENDPOINTS, .required = true,
          .roles = ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_DELIVERD),
          .doc = "Addresses with ports to listen on. `\"0.0.0.0:25\"` is every IPv4 address, `\"[::]:25\"` "
                 "every IPv6 one."),
    FIELD(conf_listen, tls, CT_ENUM, "none", .choices = listen_tls_choices, SMTPD,
          .doc = "`offer`: STARTTLS may be used; `require`: it must be used before mail; `implicit`: TLS "
                 "from the first "
                 "byte (submissions, port 465). All but `none` need a certificate in section `tls`."),
    FIELD(conf_listen, auth, CT_ENUM, "none", .choices = conf_auth_choices, SMTPD,
          .doc = "Whether clients may or must name a user and a password."),
    FIELD(conf_listen, submission, CT_BOOL, "no", SMTPD,
          .doc =
              "This is a service for the own users' programs (RFC 6409): what they send may be completed."),
    FIELD(conf_listen, banner, CT_STRING, "\"\"", .max = 200, SMTPD,
          .doc = "Text behind the host name in the greeting."),
    FIELD(conf_listen, max_message_size, CT_BYTES, "50M", .min = 65536, .max = 4 * GIB, SMTPD,
          .doc = "Largest message taken; announced as SIZE."),
    FIELD(conf_listen, max_sessions, CT_INT, "1000", .min = 1, .max = 100000, SMTPD,
          .doc = "Sessions at once in each smtpd process, of this section; further clients get 421. A "
                 "connection counts until it is closed."),
    FIELD(conf_listen, max_sessions_per_client, CT_INT, "100", .min = 1, .max = 100000, SMTPD,
          .doc = "Sessions at once from one network (IPv4 address, IPv6 /64), in each smtpd process and of "
                 "this section: with `processes.smtpd` processes a client may have that many times more."),
    FIELD(conf_listen, max_recipients, CT_INT, "1000", .min = 100, .max = 100000, SMTPD,
          .doc = "Recipients of one message; RFC 5321 wants 100 at least."),
    FIELD(conf_listen, max_commands, CT_INT, "10000", .min = 100, .max = 10000000, SMTPD,
          .doc = "Commands in one session."),
    FIELD(conf_listen, max_errors, CT_INT, "20", .min = 3, .max = 10000, SMTPD,
          .doc = "Unknown or refused commands in one session."),
    FIELD(conf_listen, timeout, CT_SECONDS, "5m", .min = 1, .max = 3600, SMTPD,
          .doc = "How long a client may be silent."),
    FIELD(conf_listen, crowded_timeout, CT_SECONDS, "30s", .min = 1, .max = 3600, SMTPD,
          .doc = "How long a client that neither logged in nor is in `relay.from` may be silent between "
                 "messages and behind MAIL, or take for TLS, while four fifths of `max_sessions` are taken "
                 "(until less than seven tenths are); four times that behind RCPT, and for reading replies; "
                 "never longer than `timeout`. Then such a client also gets 421 at the eleventh command "
                 "since its last message that brings none nearer (NOOP, RSET, VRFY, HELO again). A TLS "
                 "handshake gets a minute at most in any case."),
    FIELD(conf_listen, session_timeout, CT_SECONDS, "4h", .min = 10, .max = 604800, SMTPD,
          .doc = "How long a session may last."),
    FIELD(conf_listen, min_rate, CT_BYTES, "50", .min = 0, .max = GIB, SMTPD,
          .doc = "Bytes per second that a client must keep up on average while it sends a message; 0 is off. "
                 "The first "
                 "minutes are free, so that a person who types is not cut off."),
    FIELD_END
};

static bool certificate_is_missing(const struct conf *conf)
{
    for (size_t i = 0; i < conf->tls_n; i++) {
        if (conf_section_damaged(conf->tls[i]) || conf->tls[i]->certificate[0] != '\0')
            return false;
    }
    return conf->tls_n > 0;
}

static void check_listen(struct conf_check *check, void *section)
{
    struct conf_listen *listen = section;
    const struct conf_auth_section *auth = check->conf->auth;
    if (listen->tls != CONF_TLS_NONE && certificate_is_missing(check->conf))
        conf_check_fail(check, listen, "tls", 0, "TLS needs a certificate; add a section: "
                        "tls { certificate = /path/cert.pem  key = /path/key.pem }");
    if (listen->auth != CONF_AUTH_NONE && auth && !conf_section_damaged(auth) && auth->users[0] == '\0')
        conf_check_fail(check, listen, "auth", 0, "AUTH needs the passwords of users; add a section: "
                        "auth { users = NAME_OF_A_MAP }");
    if (listen->auth != CONF_AUTH_NONE && listen->tls == CONF_TLS_NONE)
        conf_check_fail(check, listen, "auth", 0,
                        "passwords travel under TLS only; add: tls = require (or implicit, for port 465)");
    if (listen->session_timeout < listen->timeout)
        conf_check_fail(check, listen, "session_timeout", 0, "session_timeout is shorter than timeout");
    if (listen->address.n == 0)
        conf_check_fail(check, listen, "address", 0, "address names nothing to listen on");
}

const struct conf_kind conf_listen_kind = {
    .name = "listen", .fields = fields, .size = sizeof(struct conf_listen),
    .offset = offsetof(struct conf, listens), .count_offset = offsetof(struct conf, listen_n),
    .label = LABEL_REQUIRED, .check = check_listen,
    .label_doc = "A name for this listener; it stands in the log.",
    .doc = "Where clients connect. With no `listen` at all, only mail of local users is taken.",
};
