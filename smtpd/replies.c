/* replies.c - the table of smtpd's replies and their way onto the wire */
#include "smtpd/replies.h"

#include "common/mail/reply.h"

/* Why these codes where RFC 5321 leaves a choice: 554 rather than 503 at DATA when every RCPT was refused
   tells the client that its commands were in order (RFC 5321 3.3 names both). A message with bare CR or LF
   is 5.5.2, the registered code for "the bytes are not what the protocol says"; 5.6.11, which one other
   server uses, is not in the registry. */
const struct reply_def reply_table[RE__COUNT] = {
    [RE_GREETING] = { "greeting", 220, NULL, "%", "connection accepted: host name, ESMTP, banner" },
    [RE_HELO] = { "helo", 250, NULL, "%", "HELO accepted: host name (EHLO lists the extensions)" },
    [RE_OK] = { "ok", 250, "2.0.0", "Ok", "RSET, NOOP" },
    [RE_SENDER_OK] = { "sender-ok", 250, "2.1.0", "Sender ok", "MAIL accepted" },
    [RE_SENDER_LOWERED] = { "sender-lowered", 250, "2.3.6", "Sender ok, the priority was changed to 0",
                            "MAIL accepted with MT-PRIORITY above 0 of a stranger (RFC 6710)" },
    [RE_RCPT_OK] = { "recipient-ok", 250, "2.1.5", "Recipient ok", "RCPT accepted" },
    [RE_DATA_GO] = { "data-go", 354, NULL, "End data with <CR><LF>.<CR><LF>", "DATA: the message, please" },
    [RE_QUEUED] = { "queued", 250, "2.0.0", "Ok: queued as %",
                    "the message is durable; % is its id in all logs" },
    [RE_BYE] = { "bye", 221, "2.0.0", "Bye", "QUIT" },
    [RE_VRFY] = { "vrfy", 252, "2.0.0", "Cannot verify, but will take mail and try to deliver it", "VRFY" },
    [RE_AUTH_OK] = { "auth-ok", 235, "2.7.0", "Authenticated", "AUTH succeeded" },
    [RE_TLS_GO] = { "tls-go", 220, "2.0.0", "Ready to start TLS", "STARTTLS accepted" },

    [RE_UNKNOWN] = { "unknown-command", 500, "5.5.1", "Command unknown", "a verb that is not in RFC 5321" },
    [RE_SYNTAX] = { "syntax", 500, "5.5.2", "Syntax error", "a line that does not begin with a verb" },
    [RE_BARE_LF] = { "bare-lf", 500, "5.5.2",
                     "Line ends in a bare LF; SMTP lines end in CR LF (RFC 5321 2.3.8). Closing",
                     "a command line with LF but without CR; the session ends" },
    [RE_BARE_CR] = { "bare-cr", 500, "5.5.2",
                     "Line holds a bare CR; SMTP lines end in CR LF (RFC 5321 2.3.8). Closing",
                     "a command line with CR but without LF; the session ends" },
    [RE_LINE_LONG] = { "line-too-long", 500, "5.5.2", "Line too long", "a command line over 2048 bytes" },
    [RE_LINE_NUL] = { "nul-in-line", 500, "5.5.2", "NUL in a command line",
                      "a command line with a NUL byte" },
    [RE_LINE_FLOOD] = { "endless-line", 500, "5.5.2", "Line without an end. Closing",
                        "64 KiB without a line end; the session ends" },
    [RE_NOT_IMPLEMENTED] = { "not-implemented", 502, "5.5.1", "Command not implemented",
                             "EXPN, HELP, ETRN, TURN, SEND, SOML, SAML; AUTH, STARTTLS where not offered" },
    [RE_HTTP] = { "http", 502, "5.5.1", "This is a mail server. Closing",
                  "an HTTP request (cross-protocol attack); the session ends" },
    [RE_BDAT] = { "bdat", 502, "5.5.1", "CHUNKING is not offered. Closing",
                  "BDAT: what follows are data and not commands, so the session ends" },
    [RE_HELO_SYNTAX] = { "helo-syntax", 501, NULL, "HELO and EHLO need a host name or an address literal",
                         "HELO, EHLO without a usable argument" },
    [RE_ARGUMENT] = { "argument", 501, "5.5.4", "This command takes no argument",
                      "DATA, RSET, QUIT with one" },
    [RE_NO_ARGUMENT] = { "no-argument", 501, "5.5.4", "This command needs an argument", "VRFY without one" },
    [RE_NEED_HELO] = { "need-helo", 503, "5.5.1", "Say EHLO or HELO first", "MAIL before EHLO or HELO" },
    [RE_NESTED_MAIL] = { "nested-mail", 503, "5.5.1", "A transaction is open; RSET or DATA first",
                         "MAIL inside a transaction" },
    [RE_NEED_MAIL] = { "need-mail", 503, "5.5.1", "MAIL first", "RCPT or DATA outside a transaction" },
    [RE_NEED_RCPT] = { "need-rcpt", 503, "5.5.1", "RCPT first", "DATA without any RCPT" },
    [RE_NO_RCPT] = { "no-valid-recipients", 554, "5.5.1", "No valid recipients",
                     "DATA after every RCPT was refused" },
    [RE_BAD_SENDER] = { "sender-syntax", 501, "5.1.7", "Bad sender address: %", "MAIL with a bad path" },
    [RE_BAD_RCPT] = { "recipient-syntax", 501, "5.1.3", "Bad recipient address: %",
                      "RCPT with a bad path, or <>" },
    [RE_BAD_PARAM] = { "parameter-syntax", 501, "5.5.4", "Bad or repeated parameter: %", "MAIL, RCPT" },
    [RE_UNKNOWN_PARAM] = { "unknown-parameter", 555, "5.5.4", "Parameter not supported: %", "MAIL, RCPT" },
    [RE_SYNC] = { "synchronization", 554, "5.5.0", "You must wait for this reply (RFC 2920 3.1). Closing",
                  "more input behind EHLO, HELO, DATA, STARTTLS or AUTH; the session ends" },
    [RE_EARLY] = { "early-talker", 554, "5.5.0", "You must wait for the greeting. Closing",
                   "input before the greeting; the session ends" },

    [RE_TLS_TWICE] = { "tls-twice", 503, "5.5.1", "TLS is on already", "STARTTLS under TLS" },
    [RE_NEED_TLS] = { "need-tls", 530, "5.7.0", "Say STARTTLS first",
                      "all but EHLO, HELO, NOOP, QUIT and STARTTLS before TLS where `tls = require`" },

    [RE_AUTH_NEEDS_TLS] = { "auth-needs-tls", 538, "5.7.11",
                            "Passwords travel under TLS only; say STARTTLS first", "AUTH in the clear" },
    [RE_AUTH_TWICE] = { "auth-twice", 503, "5.5.1", "Authenticated already", "a second AUTH" },
    [RE_AUTH_MECHANISM] = { "auth-mechanism", 504, "5.5.4", "This mechanism is not offered", "AUTH" },
    [RE_AUTH_SYNTAX] = { "auth-syntax", 501, "5.5.2", "Not what this mechanism wants",
                         "AUTH: bad base64 or contents" },
    [RE_AUTH_CANCELLED] = { "auth-cancelled", 501, "5.7.0", "Authentication cancelled",
                            "AUTH: the client sent *" },
    [RE_AUTH_FAILED] = { "auth-failed", 535, "5.7.8", "Authentication failed",
                         "wrong password, unknown or locked user: told apart nowhere" },
    [RE_AUTH_TEMPORARY] = { "auth-temporary", 454, "4.7.0",
                            "Temporary failure of authentication, try again later",
                            "the password could not be checked, or too many checks wait" },
    [RE_NEED_AUTH] = { "need-auth", 530, "5.7.0", "Authentication required", "MAIL where `auth = require`" },
    [RE_NOT_YOUR_SENDER] = { "sender-login", 553, "5.7.1", "This sender address is not yours",
                             "MAIL of an authenticated user where `submission = yes`" },

    [RE_RELAY_DENIED] = { "relay", 550, "5.7.1", "Relaying denied",
                          "RCPT for a foreign domain from a stranger, or a local part that asks to be routed "
                          "on" },
    [RE_TOO_BIG] = { "size", 552, "5.3.4", "Message too big, the limit is % bytes",
                     "MAIL with SIZE over the limit, or a message over it" },
    [RE_TOO_MANY_RCPT] = { "max-recipients", 452, "4.5.3", "Too many recipients, send the rest separately",
                           "RCPT over the limit of one transaction" },
    [RE_BARE_DATA] = { "bare-newline", 550, "5.5.2",
                       "Message holds a bare CR or LF; SMTP lines end in CR LF (RFC 5321 2.3.8)",
                       "end of data of a message that two servers could cut differently (smuggling)" },
    [RE_NUL_DATA] = { "nul-in-message", 550, "5.6.0", "Message holds a NUL byte", "end of data" },
    [RE_TOO_MANY_ERRORS] = { "max-errors", 421, "4.7.0", "Too many errors. Closing",
                             "the error budget is used up" },
    [RE_TOO_MANY_COMMANDS] = { "max-commands", 421, "4.7.0", "Too many commands. Closing",
                               "the command budget is used up" },
    [RE_IDLE_COMMANDS] = { "crowded-commands", 421, "4.7.0", "Too many commands without a message. Closing",
                           "the eleventh NOOP, RSET, VRFY, EXPN, HELP, ETRN or further EHLO or HELO since "
                           "the last accepted message, of a stranger while four fifths of the sessions "
                           "are taken" },
    [RE_TIMEOUT] = { "timeout", 421, "4.4.2", "Timeout. Closing",
                     "nothing came for the time of one command" },
    [RE_TOO_SLOW] = { "min-rate", 421, "4.4.2", "Data come too slowly. Closing",
                      "below the throughput floor" },
    [RE_SESSION_TIME] = { "session-timeout", 421, "4.4.2", "The session lasted too long. Closing",
                          "the time of a whole session is over" },
    [RE_BUSY] = { "max-sessions", 421, "4.3.2", "Too many connections, try again later", "greeting" },
    [RE_BUSY_CLIENT] = { "max-sessions-per-client", 421, "4.7.0", "Too many connections from your address",
                         "greeting" },

    [RE_TEMPORARY] = { "temporary-failure", 451, "4.3.0", "Temporary failure here, try again later",
                       "a part of this server could not answer" },
    [RE_SHUTDOWN] = { "shutdown", 421, "4.3.2", "Service is restarting, try again. Closing",
                      "the first command outside a transaction while this process ends" },
    [RE_NOT_HERE] = { "not-available", 421, "4.3.2", "Service not available",
                      "greeting of a listener that demands what is not configured" },
};

void reply_put(struct buf *out, enum reply_id id, struct strv detail)
{
    const struct reply_def *d = &reply_table[id];
    const char *at = strchr(d->text, '%');

    if (!at)
        reply_write(out, d->code, d->enhanced, d->text);
    else
        reply_writef(out, d->code, d->enhanced, "%.*s%.*s%s", (int)(at - d->text), d->text, (int)detail.n,
                     detail.p, at + 1);
}

void replies_document(struct buf *out)
{
    buf_adds(out, "| reply | rule | when |\n|---|---|---|\n");
    for (int i = 0; i < RE__COUNT; i++) {
        const struct reply_def *d = &reply_table[i];

        buf_addf(out, "| `%d%s%s %s` | %s | %s |\n", d->code, d->enhanced ? " " : "",
                 d->enhanced ? d->enhanced : "", d->text, d->name, d->when);
    }
}
