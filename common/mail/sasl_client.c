/* sasl_client.c - the client's side of AUTH */
#include "common/mail/sasl_client.h"

#include "common/base/b64.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/mail/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define SALT_MAX 256u

void sasl_secret_init(struct sasl_secret *s, struct strv login, struct strv password)
{
    memset(s, 0, sizeof *s);
    buf_init(&s->login, SASL_LOGIN_MAX);
    buf_init_secret(&s->password, SASL_PASSWORD_MAX);
    buf_init(&s->salt, SALT_MAX);
    buf_addv(&s->login, login);
    buf_addv(&s->password, password);
}

static bool has_control(struct strv s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
            return true;
    return false;
}

bool sasl_secret_read(struct sasl_secret *s, struct strv user, struct strv text, const char **why)
{
    struct strv line = strv_make("", 0);

    (void)strv_cut(&text, '\n', &line);
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    *why = "the first line is neither a password nor login:password";
    if (user.n == 0 && (!strv_cut(&line, ':', &user) || !line.p))
        line.n = user.n = 0;
    sasl_secret_init(s, user, line);
    if (user.n == 0 || line.n == 0)
        return false;
    *why = "login or password is too long or holds control characters";
    return buf_ok(&s->login) && buf_ok(&s->password) && !has_control(user) && !has_control(line);
}

void sasl_secret_clear(struct sasl_secret *s)
{
    buf_clear(&s->login);
    buf_clear(&s->password);
    buf_clear(&s->salt);
    mem_wipe(s, sizeof *s);
}

void sasl_client_init(struct sasl_client *c, enum sasl_mechanism m, struct sasl_secret *secret,
                      struct strv nonce)
{
    *c = (struct sasl_client){ .mechanism = m, .secret = secret, .why = "" };
    buf_init_secret(&c->answer, 4 * SASL_TEXT_MAX);
    buf_init(&c->first, SASL_TEXT_MAX);
    buf_init(&c->nonce, SASL_NONCE_MAX);
    buf_addv(&c->nonce, nonce);
}

void sasl_client_clear(struct sasl_client *c)
{
    buf_clear(&c->answer);
    buf_clear(&c->first);
    buf_clear(&c->nonce);
    mem_wipe(c->signature, sizeof c->signature);
}

static bool bad(struct sasl_client *c, const char *why)
{
    c->why = why;
    buf_clear(&c->answer);
    return false;
}

static bool say(struct sasl_client *c, struct strv text)
{
    buf_clear(&c->answer);
    buf_addv(&c->answer, text);
    return true;
}

/* ---- PLAIN ---- */

static void plain(struct sasl_client *c)
{
    buf_clear(&c->answer);
    buf_addc(&c->answer, '\0');
    buf_addv(&c->answer, buf_view(&c->secret->login));
    buf_addc(&c->answer, '\0');
    buf_addv(&c->answer, buf_view(&c->secret->password));
}

/* ---- SCRAM ---- */

/* Commas and equals signs have a meaning in there. */
static void scram_first(struct sasl_client *c)
{
    struct strv login = buf_view(&c->secret->login);

    buf_reset(&c->first);
    buf_adds(&c->first, "n=");
    for (size_t i = 0; i < login.n; i++) {
        if (login.p[i] == ',')
            buf_adds(&c->first, "=2C");
        else if (login.p[i] == '=')
            buf_adds(&c->first, "=3D");
        else
            buf_addc(&c->first, login.p[i]);
    }
    buf_adds(&c->first, ",r=");
    buf_addv(&c->first, buf_view(&c->nonce));
    buf_clear(&c->answer);
    /* "n": we bind to no channel. */
    buf_adds(&c->answer, "n,,");
    buf_addv(&c->answer, buf_view(&c->first));
}

static bool attribute(struct strv *rest, char name, struct strv *value)
{
    struct strv part;

    if (!rest->p || !strv_cut(rest, ',', &part) || part.n < 2 || part.p[0] != name || part.p[1] != '=')
        return false;
    *value = strv_from(part, 2);
    return value->n > 0;
}

static bool is_printable(struct strv s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!byte_is_print((unsigned char)s.p[i]))
            return false;
    return true;
}

static bool keys_are_known(const struct sasl_secret *s, struct strv salt, unsigned iterations)
{
    return s->keys_known && s->iterations == iterations && strv_eq(buf_view(&s->salt), salt);
}

static bool keys_make(struct sasl_secret *s, struct strv salt, unsigned iterations)
{
    uint8_t salted[32];

    if (keys_are_known(s, salt, iterations))
        return true;
    if (PKCS5_PBKDF2_HMAC(buf_cstr(&s->password), (int)s->password.len, (const unsigned char *)salt.p,
                          (int)salt.n, (int)iterations, EVP_sha256(), 32, salted) != 1)
        return false;
    scram_hmac(salted, SV_LIT("Client Key"), s->client_key);
    scram_hmac(salted, SV_LIT("Server Key"), s->server_key);
    mem_wipe(salted, sizeof salted);
    buf_reset(&s->salt);
    buf_addv(&s->salt, salt);
    s->iterations = iterations;
    s->keys_known = true;
    return true;
}

/* Our proof, and what the server's must be, from the three messages (RFC 5802 3). */
static void prove(struct sasl_client *c, struct strv server_first, struct strv final, uint8_t proof[32])
{
    struct sasl_secret *s = c->secret;
    uint8_t stored[32], signature[32];
    struct buf text;

    buf_init(&text, 4 * SASL_TEXT_MAX);
    buf_addv(&text, buf_view(&c->first));
    buf_addc(&text, ',');
    buf_addv(&text, server_first);
    buf_addc(&text, ',');
    buf_addv(&text, final);
    scram_hash(s->client_key, stored);
    scram_hmac(stored, buf_view(&text), signature);
    for (size_t i = 0; i < 32; i++)
        proof[i] = s->client_key[i] ^ signature[i];
    scram_hmac(s->server_key, buf_view(&text), c->signature);
    buf_clear(&text);
    mem_wipe(stored, sizeof stored);
    mem_wipe(signature, sizeof signature);
}

static bool scram_keys(struct sasl_client *c, struct strv salt, struct strv iterations)
{
    struct buf raw;
    uint64_t n = 0;
    bool ok;

    buf_init(&raw, SALT_MAX);
    ok = b64_decode(salt, &raw) && raw.len > 0 && strv_u64(iterations, UINT32_MAX, &n);
    if (!ok)
        bad(c, "its challenge makes no sense");
    else if (n < SASL_ITERATIONS_MIN || n > SASL_ITERATIONS_MAX)
        ok = bad(c, n < SASL_ITERATIONS_MIN ? "it wants too few iterations to be safe"
                                            : "it wants too many iterations");
    else if (!keys_make(c->secret, buf_view(&raw), (unsigned)n))
        ok = bad(c, "the keys cannot be computed");
    buf_clear(&raw);
    return ok;
}

static bool scram_final(struct sasl_client *c, struct strv in)
{
    struct strv rest = in, nonce, salt, iterations, ours = buf_view(&c->nonce);
    uint8_t proof[32];
    struct buf final;

    if (in.n > SASL_TEXT_MAX || !is_printable(in) || !attribute(&rest, 'r', &nonce) ||
        !attribute(&rest, 's', &salt) || !attribute(&rest, 'i', &iterations))
        return bad(c, "its challenge makes no sense");
    /* Somebody else's exchange, or one without a part of the server's own. */
    if (!strv_starts(nonce, ours) || nonce.n == ours.n)
        return bad(c, "its nonce does not go on from ours");
    if (!scram_keys(c, salt, iterations))
        return false;
    buf_init(&final, SASL_TEXT_MAX + 16);
    buf_adds(&final, "c=biws,r="); /* "n,,": what our first message began with */
    buf_addv(&final, nonce);
    prove(c, in, buf_view(&final), proof);
    say(c, buf_view(&final));
    buf_adds(&c->answer, ",p=");
    b64_encode(strv_make((const char *)proof, sizeof proof), &c->answer);
    buf_clear(&final);
    return true;
}

static bool scram_verify(struct sasl_client *c, struct strv in)
{
    struct strv rest = in, value;
    struct buf raw;

    buf_init(&raw, 64);
    c->proved = attribute(&rest, 'v', &value) && b64_decode(value, &raw) && raw.len == 32 &&
                CRYPTO_memcmp(raw.data, c->signature, 32) == 0;
    buf_clear(&raw);
    return c->proved ? say(c, SV_LIT("")) : bad(c, "it does not prove that it knows the password");
}

/* ---- both ways ---- */

bool sasl_client_initial(struct sasl_client *c)
{
    switch (c->mechanism) {
    case SASL_PLAIN: plain(c); break;
    case SASL_SCRAM_SHA_256: scram_first(c); break;
    case SASL_LOGIN:
    case SASL__COUNT: return false;
    }
    c->round = 1;
    return true;
}

bool sasl_client_answer(struct sasl_client *c, struct strv challenge)
{
    unsigned round = c->round++;

    switch (c->mechanism) {
    case SASL_PLAIN:
        if (round > 0)
            break;
        plain(c);
        return true;
    /* What it asks for is not standardised, the order is. */
    case SASL_LOGIN:
        if (round > 1)
            break;
        return say(c, buf_view(round == 0 ? &c->secret->login : &c->secret->password));
    case SASL_SCRAM_SHA_256:
        if (round == 0) {
            scram_first(c);
            return true;
        }
        if (round == 1)
            return scram_final(c, challenge);
        if (round == 2)
            return scram_verify(c, challenge);
        break;
    case SASL__COUNT: break;
    }
    return bad(c, "it asks more than the mechanism has");
}

bool sasl_client_is_done(const struct sasl_client *c)
{
    switch (c->mechanism) {
    case SASL_PLAIN: return c->round > 0;
    case SASL_LOGIN: return c->round > 1;
    case SASL_SCRAM_SHA_256: return c->proved;
    case SASL__COUNT: break;
    }
    return false;
}
