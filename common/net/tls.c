/* tls.c - one TLS session over a descriptor that does not block */
#include "common/net/tls_inner.h"

#include "common/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct tls {
    struct tls_context *context; /* counted */
    SSL *ssl;                    /* owned */
    bool named;                  /* client: the certificate is held against a name */
    bool more;                   /* the last read filled its memory */
    bool read_wants_write;
    bool dead; /* the library forbids everything but freeing */
    int late;  /* an end that tls_read met behind bytes: the next call tells it; late_sys its errno */
    int late_sys;
    char why[200];
    char peer[256], sni[256];
};

static bool is_ip(const char *name)
{
    unsigned char a[16];

    return inet_pton(AF_INET, name, a) == 1 || inet_pton(AF_INET6, name, a) == 1;
}

static bool name_set(struct tls *t, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);

    t->named = true;
    if (is_ip(name))
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(t->ssl, name) == 1 && X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

struct tls *tls_new(struct tls_context *c, int fd, const char *name, struct err *err)
{
    struct tls *t = mem_new(sizeof *t);
    bool ok;

    ERR_clear_error();
    t->context = tls_context_ref(c);
    t->ssl = SSL_new(c->ctx[0]);
    ok = t->ssl && SSL_set_fd(t->ssl, fd) == 1;
    if (ok && c->server)
        SSL_set_accept_state(t->ssl);
    else if (ok)
        SSL_set_connect_state(t->ssl);
    if (ok && !c->server && name && *name)
        ok = name_set(t, name);
    /* A name is what a certificate is held against: without one it proves nothing. */
    if (ok && c->verify == TLS_VERIFY_REQUIRE && !t->named) {
        err_set(err, ERR_BUG, "a verified session needs a name");
        tls_free(&t, false);
    } else if (!ok) {
        err_set(err, ERR_TEMP, "TLS session: %s", tls_library_error(t->why, sizeof t->why));
        tls_free(&t, false);
    }
    return t;
}

void tls_free(struct tls **tp, bool good)
{
    struct tls *t = *tp;

    if (!t)
        return;
    *tp = NULL;
    ERR_clear_error();
    /* One attempt: a peer that takes nothing does not hear it. */
    if (good && !t->dead && SSL_is_init_finished(t->ssl))
        (void)SSL_shutdown(t->ssl);
    SSL_free(t->ssl);
    ERR_clear_error();
    tls_context_unref(&t->context);
    free(t);
}

/* The library's code behind a call that did not work; errno is meant for the stream's owner. */
static int failure(struct tls *t, int result)
{
    int sys = errno, code = SSL_get_error(t->ssl, result);

    if (code != SSL_ERROR_SYSCALL && code != SSL_ERROR_SSL)
        return code;
    t->dead = true;
    if (code == SSL_ERROR_SYSCALL) {
        snprintf(t->why, sizeof t->why, "%s", sys ? strerror(sys) : "connection closed");
        errno = sys ? sys : ECONNRESET;
        return code;
    }
    /* Many clients close without saying goodbye; SMTP has its own ends, so nothing can be cut off unseen. */
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        snprintf(t->why, sizeof t->why, "connection closed");
        ERR_clear_error();
        return SSL_ERROR_ZERO_RETURN;
    }
    tls_library_error(t->why, sizeof t->why);
    errno = EPROTO;
    return code;
}

enum transfer tls_handshake(struct tls *t, bool *writing)
{
    int result, code;
    long verify;

    ERR_clear_error();
    errno = 0;
    result = SSL_do_handshake(t->ssl);
    if (result == 1) {
        /* What the peer sent right behind its last message of the handshake was read along with that. */
        t->more = SSL_has_pending(t->ssl);
        return TRANSFER_DONE;
    }
    code = failure(t, result);
    *writing = code == SSL_ERROR_WANT_WRITE;
    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE)
        return TRANSFER_WAIT;
    t->dead = true;
    verify = SSL_get_verify_result(t->ssl);
    if (t->context->verify == TLS_VERIFY_REQUIRE && verify != X509_V_OK)
        snprintf(t->why, sizeof t->why, "certificate: %s", X509_verify_cert_error_string(verify));
    if (code == SSL_ERROR_ZERO_RETURN)
        errno = ECONNRESET;
    return TRANSFER_ERROR;
}

static enum transfer read_end(struct tls *t, int code)
{
    t->read_wants_write = code == SSL_ERROR_WANT_WRITE;
    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE)
        return TRANSFER_WAIT;
    return code == SSL_ERROR_ZERO_RETURN ? TRANSFER_EOF : TRANSFER_ERROR;
}

enum transfer tls_read(struct tls *t, void *p, size_t n, size_t *done)
{
    int code = t->late;
    size_t got;

    *done = 0;
    t->more = false;
    errno = t->late_sys;
    if (code != SSL_ERROR_NONE)
        return read_end(t, code);
    do {
        int result;

        ERR_clear_error();
        errno = 0;
        result = SSL_read_ex(t->ssl, (char *)p + *done, n - *done, &got);
        if (result != 1) {
            code = failure(t, result);
            break;
        }
        *done += got;
    } while (*done < n && SSL_has_pending(t->ssl));
    if (*done == 0)
        return read_end(t, code);
    t->more = code == SSL_ERROR_NONE && SSL_has_pending(t->ssl);
    t->read_wants_write = code == SSL_ERROR_WANT_WRITE;
    if (code == SSL_ERROR_ZERO_RETURN || code == SSL_ERROR_SYSCALL || code == SSL_ERROR_SSL) {
        t->late = code;
        t->late_sys = errno;
        t->more = true;
    }
    return TRANSFER_DONE;
}

/* A record at a time leaves the library; the rest must come again, as much or more of it. */
enum transfer tls_write(struct tls *t, const void *p, size_t n, size_t *done)
{
    *done = 0;
    while (*done < n) {
        size_t put;
        int result, code;

        ERR_clear_error();
        errno = 0;
        result = SSL_write_ex(t->ssl, (const char *)p + *done, n - *done, &put);
        if (result == 1) {
            *done += put;
            continue;
        }
        code = failure(t, result);
        if (code == SSL_ERROR_WANT_WRITE)
            return *done > 0 ? TRANSFER_DONE : TRANSFER_WAIT;
        /* To read first is asked for by a renegotiation only, and there is none. */
        if (code != SSL_ERROR_SYSCALL && code != SSL_ERROR_SSL)
            errno = code == SSL_ERROR_ZERO_RETURN ? EPIPE : EPROTO;
        return TRANSFER_ERROR;
    }
    return TRANSFER_DONE;
}

bool tls_has_more(const struct tls *t)
{
    return t->more;
}

bool tls_read_wants_write(const struct tls *t)
{
    return t->read_wants_write;
}

const char *tls_why(const struct tls *t)
{
    return t->why;
}

static void clean(char *dst, size_t size, const char *src)
{
    size_t n = 0;

    for (; src && *src && n + 1 < size; src++)
        dst[n++] = byte_is_print((unsigned char)*src) ? *src : '?';
    dst[n] = '\0';
}

void tls_describe(struct tls *t, struct tls_info *out)
{
    X509 *x = SSL_get0_peer_certificate(t->ssl);
    long verify = SSL_get_verify_result(t->ssl);
    char name[256] = "";

    if (x && X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof name) < 0)
        name[0] = '\0';
    clean(t->peer, sizeof t->peer, name);
    clean(t->sni, sizeof t->sni,
          t->context->server ? SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name) : "");
    ERR_clear_error();
    *out = (struct tls_info){
        .protocol = SSL_get_version(t->ssl),
        .cipher = SSL_get_cipher_name(t->ssl),
        .bits = SSL_get_cipher_bits(t->ssl, NULL),
        .peer = t->peer,
        .sni = t->sni,
        .verified = x && t->named && t->context->verify != TLS_VERIFY_NONE && verify == X509_V_OK,
        .verify = !x || !t->named       ? "no name to verify"
                  : verify == X509_V_OK ? "ok"
                                        : X509_verify_cert_error_string(verify),
        .resumed = SSL_session_reused(t->ssl) == 1,
    };
}
