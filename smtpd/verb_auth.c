/* verb_auth.c - AUTH (RFC 4954): the exchange, who it was, and what the log may know of it */
#include "common/base/b64.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/mail/command.h"
#include "conf/auth.h"
#include "smtpd/report.h"
#include "smtpd/verbs.h"

#include <stdlib.h>

#define NOTHING strv_make("", 0)

void engine_auth_end(struct engine *e)
{
    if (e->sasl)
        sasl_clear(e->sasl);
    MEM_FREE(e->sasl);
    MEM_FREE(e->account);
}

/* dad is dad@realm; letters of either case are one account. */
static void account_set(struct engine *e)
{
    struct strv login = buf_view(&e->sasl->login);
    struct buf text;

    buf_init(&text, 1024);
    for (size_t i = 0; i < login.n; i++)
        buf_addc(&text, byte_lower(login.p[i]));
    if (!strv_has(login, '@')) {
        buf_addc(&text, '@');
        buf_adds(&text, e->service->conf->auth->realm);
    }
    free(e->account);
    e->account = strv_dup(buf_view(&text));
    buf_clear(&text);
}

static enum engine_step fail(struct engine *e, enum reply_id id, const char *why)
{
    enum engine_step step;

    report_auth(e, false, why);
    e->phase = PH_READY;
    e->wait = AWAIT_NOTHING;
    e->after_auth = true;
    e->line = NOTHING;
    reply_put(e->out, id, NOTHING);
    step = engine_count_error(e, reply_table[id].code);
    engine_auth_end(e);
    return step;
}

static enum engine_step succeed(struct engine *e)
{
    free(e->login);
    e->login = e->account;
    e->account = NULL;
    e->own = true;
    e->phase = PH_READY;
    report_auth(e, true, NULL);
    engine_auth_end(e);
    return engine_reply(e, RE_AUTH_OK);
}

static enum engine_step go_on(struct engine *e, enum sasl_step step)
{
    switch (step) {
    case SASL_CHALLENGE:
        buf_adds(e->out, "334 ");
        b64_encode(buf_view(&e->sasl->challenge), e->out);
        buf_adds(e->out, "\r\n");
        e->phase = PH_AUTH;
        line_init(&e->lines, COMMAND_LINE_MAX);
        return STEP_NEXT;
    case SASL_PASSWORD:
    case SASL_SALT:
    case SASL_PROOF:
        account_set(e);
        e->phase = PH_AUTH;
        e->wait = AWAIT_AUTH;
        e->ops->auth(e->arg, step);
        return STEP_WAIT;
    case SASL_GOOD: return succeed(e);
    case SASL_CANCELLED: return fail(e, RE_AUTH_CANCELLED, "cancelled by the client");
    case SASL_BAD: break;
    }
    return fail(e, RE_AUTH_SYNTAX, "not what the mechanism wants");
}

static bool is_offered(const struct engine *e, enum sasl_mechanism m)
{
    const struct conf_strings *list = &e->service->conf->auth->mechanisms;

    return conf_strings_have(list, SV(sasl_name(m)));
}

enum engine_step verb_auth(struct engine *e, struct strv argument)
{
    struct strv rest = argument, name, initial = { NULL, 0 };
    enum sasl_mechanism m;
    char nonce[33];

    e->after_auth = true;
    if (e->service->listen->auth == CONF_AUTH_NONE || !e->service->conf->auth)
        return engine_refuse(e, RE_NOT_IMPLEMENTED, NOTHING);
    if (!e->tls)
        return engine_refuse(e, RE_AUTH_NEEDS_TLS, NOTHING);
    if (e->login)
        return engine_refuse(e, RE_AUTH_TWICE, NOTHING);
    if (!strv_word(&rest, &name))
        return engine_refuse(e, RE_NO_ARGUMENT, NOTHING);
    if (!sasl_find(name, &m) || !is_offered(e, m))
        return engine_refuse(e, RE_AUTH_MECHANISM, NOTHING);
    if (!strv_word(&rest, &initial))
        initial = strv_make(NULL, 0);
    if (strv_trim(rest).n > 0)
        return engine_refuse(e, RE_AUTH_SYNTAX, NOTHING);
    e->after_auth = false;
    for (size_t i = 0; i < sizeof nonce - 1; i++)
        nonce[i] = (char)('A' + rand_below(26));
    nonce[sizeof nonce - 1] = '\0';
    e->sasl = mem_new(sizeof *e->sasl);
    sasl_init(e->sasl, m, SV(nonce));
    return go_on(e, sasl_begin(e->sasl, initial));
}

enum engine_step auth_input(struct engine *e, struct strv in, size_t *used)
{
    struct strv line;
    enum line_result result = line_next(&e->lines, in, &line, used);

    if (result == LINE_NONE)
        return STEP_READ;
    e->commands_total++;
    e->commands++;
    e->line = NOTHING; /* it is a password, or near to one */
    if (result == LINE_OK)
        return go_on(e, sasl_input(e->sasl, line));
    fail(e, RE_AUTH_SYNTAX, "not a line");
    return engine_close(e, END_PROTOCOL);
}

void engine_auth_answer(struct engine *e, const struct auth_answer *a)
{
    struct sasl *s = e->sasl;
    char why[200];

    if (e->wait != AWAIT_AUTH)
        return;
    e->wait = AWAIT_NOTHING;
    if (a->verdict == AUTH_UNKNOWN) {
        if (!strv_cstr(strv_sub(a->why, 0, sizeof why - 1), why, sizeof why))
            why[0] = '\0';
        fail(e, RE_AUTH_TEMPORARY, why);
    } else if (a->verdict == AUTH_NO) {
        fail(e, RE_AUTH_FAILED, "login or password wrong");
    } else if (s->mechanism != SASL_SCRAM_SHA_256) {
        succeed(e);
    } else if (s->round == 1) {
        go_on(e, sasl_salt(s, a->data, a->iterations));
    } else if (a->data.n == 32) {
        go_on(e, sasl_signature(s, (const uint8_t *)a->data.p));
    } else {
        fail(e, RE_AUTH_TEMPORARY, "mapd gave no signature");
    }
}
