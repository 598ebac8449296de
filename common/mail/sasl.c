/* sasl.c - the server's side of AUTH */
#include "common/mail/sasl.h"

#include "common/base/b64.h"
#include "common/base/mem.h"

#define LINE_MAX_BYTES 4096u

static const char *const names[SASL__COUNT] = {
    [SASL_PLAIN] = "PLAIN",
    [SASL_LOGIN] = "LOGIN",
    [SASL_SCRAM_SHA_256] = "SCRAM-SHA-256",
};

bool sasl_find(struct strv name, enum sasl_mechanism *out)
{
    for (int m = 0; m < SASL__COUNT; m++)
        if (strv_iis(name, names[m])) {
            *out = (enum sasl_mechanism)m;
            return true;
        }
    return false;
}

const char *sasl_name(enum sasl_mechanism m)
{
    return names[m];
}

void sasl_init(struct sasl *s, enum sasl_mechanism m, struct strv nonce)
{
    memset(s, 0, sizeof *s);
    s->mechanism = m;
    buf_init(&s->login, SASL_LOGIN_MAX);
    buf_init_secret(&s->secret, SASL_PASSWORD_MAX);
    buf_init(&s->challenge, SASL_TEXT_MAX);
    buf_init(&s->first, SASL_TEXT_MAX);
    buf_init(&s->second, SASL_TEXT_MAX);
    buf_init(&s->header, SASL_TEXT_MAX);
    buf_init(&s->nonce, 2 * SASL_NONCE_MAX);
    buf_init(&s->text, 4 * SASL_TEXT_MAX);
    buf_addv(&s->secret, nonce); /* until the client's part is known */
}

void sasl_clear(struct sasl *s)
{
    buf_clear(&s->login);
    buf_clear(&s->secret);
    buf_clear(&s->challenge);
    buf_clear(&s->first);
    buf_clear(&s->second);
    buf_clear(&s->header);
    buf_clear(&s->nonce);
    buf_clear(&s->text);
    mem_wipe(s->proof, sizeof s->proof);
}

/* A name that can stand in a question, a log line and a header: no control bytes, not endless. */
static bool login_take(struct sasl *s, struct strv login)
{
    if (login.n == 0 || login.n > SASL_LOGIN_MAX)
        return false;
    for (size_t i = 0; i < login.n; i++) {
        unsigned char c = (unsigned char)login.p[i];

        if (c < 32 || c == 127)
            return false;
    }
    buf_reset(&s->login);
    buf_addv(&s->login, login);
    return true;
}

static enum sasl_step password_take(struct sasl *s, struct strv password)
{
    if (password.n == 0 || password.n > SASL_PASSWORD_MAX || memchr(password.p, '\0', password.n))
        return SASL_BAD;
    buf_clear(&s->secret);
    buf_addv(&s->secret, password);
    return SASL_PASSWORD;
}

static enum sasl_step challenge(struct sasl *s, struct strv text)
{
    buf_reset(&s->challenge);
    buf_addv(&s->challenge, text);
    return buf_ok(&s->challenge) ? SASL_CHALLENGE : SASL_BAD;
}

/* ---- PLAIN: authzid NUL authcid NUL password ---- */

static enum sasl_step plain_take(struct sasl *s, struct strv in)
{
    struct strv rest = in, authzid, authcid;

    if (!strv_cut(&rest, '\0', &authzid) || !rest.p || !strv_cut(&rest, '\0', &authcid) || !rest.p)
        return SASL_BAD;
    /* To act as somebody else is not offered. */
    if ((authzid.n > 0 && !strv_eq(authzid, authcid)) || !login_take(s, authcid))
        return SASL_BAD;
    return password_take(s, rest);
}

/* ---- SCRAM ---- */

/* "x=value"; the rest of the list stays in *rest (p NULL at its end). */
static bool attribute(struct strv *rest, char name, struct strv *value)
{
    struct strv part;

    if (!rest->p || !strv_cut(rest, ',', &part) || part.n < 2 || part.p[0] != name || part.p[1] != '=')
        return false;
    *value = strv_from(part, 2);
    return true;
}

/* =2C is a comma, =3D an equals sign, nothing else may follow "=". */
static bool saslname(struct strv in, struct buf *out)
{
    buf_reset(out);
    for (size_t i = 0; i < in.n; i++) {
        struct strv code = strv_sub(in, i, 3);

        if (in.p[i] != '=') {
            buf_addc(out, in.p[i]);
            continue;
        }
        if (!strv_is(code, "=2C") && !strv_is(code, "=3D"))
            return false;
        buf_addc(out, code.p[1] == '2' ? ',' : '=');
        i += 2;
    }
    return buf_ok(out) && out->len > 0;
}

static bool nonce_ok(struct strv nonce)
{
    if (nonce.n == 0 || nonce.n > SASL_NONCE_MAX)
        return false;
    for (size_t i = 0; i < nonce.n; i++)
        if (nonce.p[i] <= 32 || nonce.p[i] == 127 || nonce.p[i] == ',')
            return false;
    return true;
}

/* gs2-header: "n,," or "y,," (the client could bind channels; we do not offer it), perhaps with a=login. */
static bool header_take(struct sasl *s, struct strv *rest, struct strv *authzid)
{
    struct strv all = *rest, flag, who;

    if (!strv_cut(rest, ',', &flag) || !rest->p || (!strv_is(flag, "n") && !strv_is(flag, "y")))
        return false;
    if (!strv_cut(rest, ',', &who) || !rest->p)
        return false;
    if (who.n > 0 && !strv_starts(who, SV_LIT("a=")))
        return false;
    *authzid = strv_from(who, who.n > 0 ? 2 : 0);
    buf_addv(&s->header, strv_sub(all, 0, (size_t)(rest->p - all.p)));
    return true;
}

static enum sasl_step scram_first(struct sasl *s, struct strv in)
{
    struct strv rest = in, bare, authzid, name, nonce;
    struct buf login;
    bool ok;

    if (memchr(in.p, '\0', in.n) || !header_take(s, &rest, &authzid))
        return SASL_BAD;
    bare = rest;
    if (!attribute(&rest, 'n', &name) || !attribute(&rest, 'r', &nonce) || !nonce_ok(nonce))
        return SASL_BAD;
    if (authzid.n > 0 && !strv_eq(authzid, name))
        return SASL_BAD;
    buf_init(&login, SASL_LOGIN_MAX);
    ok = saslname(name, &login) && login_take(s, buf_view(&login));
    buf_clear(&login);
    buf_addv(&s->first, bare);
    buf_addv(&s->nonce, nonce);
    buf_addv(&s->nonce, buf_view(&s->secret));
    return ok && buf_ok(&s->first) && buf_ok(&s->nonce) ? SASL_SALT : SASL_BAD;
}

enum sasl_step sasl_salt(struct sasl *s, struct strv salt, unsigned iterations)
{
    buf_addf(&s->second, "r=%s,s=%.*s,i=%u", buf_cstr(&s->nonce), (int)salt.n, salt.p, iterations);
    return buf_ok(&s->second) ? challenge(s, buf_view(&s->second)) : SASL_BAD;
}

static bool proof_take(struct sasl *s, struct strv b64)
{
    struct buf raw;
    bool ok;

    buf_init(&raw, sizeof s->proof);
    ok = b64_decode(b64, &raw) && raw.len == sizeof s->proof;
    if (ok)
        memcpy(s->proof, raw.data, sizeof s->proof);
    buf_clear(&raw);
    return ok;
}

/* The binding repeats the header of the first message, so nobody on the way can have changed it. */
static bool binding_ok(const struct sasl *s, struct strv b64)
{
    struct buf raw;
    bool ok;

    buf_init(&raw, SASL_TEXT_MAX);
    ok = b64_decode(b64, &raw) && strv_eq(buf_view(&raw), buf_view(&s->header));
    buf_clear(&raw);
    return ok;
}

static enum sasl_step scram_final(struct sasl *s, struct strv in)
{
    struct strv rest = in, binding, nonce, proof;
    size_t at;

    if (memchr(in.p, '\0', in.n) || !attribute(&rest, 'c', &binding) || !attribute(&rest, 'r', &nonce))
        return SASL_BAD;
    if (!binding_ok(s, binding) || !strv_eq(nonce, buf_view(&s->nonce)))
        return SASL_BAD;
    /* Extensions may stand before the proof, which is the last. */
    if (!strv_rfind(in, ',', &at) || !strv_starts(strv_from(in, at + 1), SV_LIT("p=")))
        return SASL_BAD;
    proof = strv_from(in, at + 3);
    buf_addv(&s->text, buf_view(&s->first));
    buf_addc(&s->text, ',');
    buf_addv(&s->text, buf_view(&s->second));
    buf_addc(&s->text, ',');
    buf_addv(&s->text, strv_sub(in, 0, at));
    return buf_ok(&s->text) && proof_take(s, proof) ? SASL_PROOF : SASL_BAD;
}

enum sasl_step sasl_signature(struct sasl *s, const uint8_t signature[32])
{
    buf_reset(&s->challenge);
    buf_adds(&s->challenge, "v=");
    b64_encode(strv_make((const char *)signature, 32), &s->challenge);
    return SASL_CHALLENGE;
}

/* ---- lines ---- */

static enum sasl_step response(struct sasl *s, struct strv in)
{
    unsigned round = s->round++;

    switch (s->mechanism) {
    case SASL_PLAIN: return round == 0 ? plain_take(s, in) : SASL_BAD;
    case SASL_LOGIN:
        if (round == 0)
            return login_take(s, in) ? challenge(s, SV_LIT("Password:")) : SASL_BAD;
        return round == 1 ? password_take(s, in) : SASL_BAD;
    case SASL_SCRAM_SHA_256:
        if (round == 0)
            return scram_first(s, in);
        if (round == 1)
            return scram_final(s, in);
        return round == 2 && in.n == 0 ? SASL_GOOD : SASL_BAD;
    case SASL__COUNT: break;
    }
    return SASL_BAD;
}

static enum sasl_step encoded(struct sasl *s, struct strv b64)
{
    struct buf raw;
    enum sasl_step step = SASL_BAD;

    buf_init_secret(&raw, LINE_MAX_BYTES);
    if (b64_decode(b64, &raw))
        step = response(s, buf_view(&raw));
    buf_clear(&raw);
    return step;
}

enum sasl_step sasl_begin(struct sasl *s, struct strv initial)
{
    if (!initial.p)
        return challenge(s, s->mechanism == SASL_LOGIN ? SV_LIT("Username:") : SV_LIT(""));
    return strv_is(initial, "=") ? response(s, SV_LIT("")) : encoded(s, initial);
}

enum sasl_step sasl_input(struct sasl *s, struct strv line)
{
    return strv_is(line, "*") ? SASL_CANCELLED : encoded(s, line);
}
