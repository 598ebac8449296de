/* auth.c - who may say that he is who: secrets from the table, hashes in a worker, failures slowed and
   bounded

   INCIDENTS 21: an unknown user, a locked one and a wrong password must look alike, in words and in time. So
   a question about nobody takes the same way with the secret of somebody else (whatever was found last), and
   its result is thrown away. Failures are counted by network (tries.c); a good answer waits less, or one
   wrong telephone would lock a whole office out. */
#include "maps/auth.h"

#include "common/base/b64.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "conf/auth.h"
#include "conf/conf.h"
#include "maps/credential.h"
#include "maps/keys.h"
#include "maps/map.h"
#include "maps/tables.h"
#include "maps/tries.h"
#include "maps/workers.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#define WAITING_MAX 500u   /* questions that wait for a worker */
#define OPEN_MAX    20000u /* with those that wait for their time: they cost memory alone */
#define WORKER_MS   30000  /* a question that no worker took by then is over; its asker waits for a minute */
#define STORED_MAX  1024u

struct request {
    struct request *next, **at;
    struct auths *all;
    struct channel *ch; /* borrowed; NULL: nobody waits any more */
    uint64_t txn;
    struct try try;
    struct buf stored, password; /* until a worker has them */
    bool known;                  /* the login is somebody's */
    bool queued;                 /* for a worker */
    enum ipc_answer answer;
    struct buf data;
    char why[200];
    struct loop_timer timer;
};

struct auths {
    struct loop *loop;
    struct workers *workers;
    struct tries *tries;
    struct request *requests; /* owned list, oldest first */
    size_t open, waiting;
    struct buf sample; /* a secret like those in the table */
    unsigned iterations;
    uint8_t key[AUTH_SALT_KEY]; /* of salts for nobody */
    struct ipc_out out;
};

/* yescrypt of a password that nobody has, with the host's usual cost */
static const char sample[] = "$y$j9T$ZQ8qVzYlKZr5b1V8x5tq91$2WcUFB6XhQeQm6dS3PzGbkVzEJzZJp0nTq1QeX3gXv5";

struct auths *auths_new(struct loop *loop, struct workers *workers)
{
    struct auths *a = mem_new(sizeof *a);

    a->loop = loop;
    a->workers = workers;
    a->tries = tries_new(loop);
    a->iterations = CREDENTIAL_ITERATIONS;
    buf_init_secret(&a->sample, STORED_MAX);
    buf_adds(&a->sample, sample);
    rand_bytes(a->key, sizeof a->key);
    ipc_out_init(&a->out);
    return a;
}

void auths_salts(struct auths *a, const uint8_t key[AUTH_SALT_KEY])
{
    memcpy(a->key, key, sizeof a->key);
}

/* ---- answers ---- */

static void request_free(struct request *r)
{
    try_end(r->all->tries, &r->try);
    r->all->open--;
    r->all->waiting -= r->queued;
    *r->at = r->next;
    if (r->next)
        r->next->at = r->at;
    loop_timer_stop(&r->timer);
    buf_clear(&r->stored);
    buf_clear(&r->password);
    buf_clear(&r->data);
    free(r);
}

static void reply_begin(struct auths *a, uint64_t txn, enum ipc_answer answer, const char *why)
{
    ipc_begin(&a->out, IPC_AUTH_ANSWER, txn);
    ipc_put_u64(&a->out, TAG_ANSWER, answer);
    if (answer == ANSWER_FAILED)
        ipc_put_clean(&a->out, TAG_ERROR, SV(why));
}

static void taken(struct request *r)
{
    r->queued = false;
    r->all->waiting--;
    buf_clear(&r->password);
}

static void on_time(void *arg)
{
    struct request *r = arg;
    struct auths *a = r->all;

    if (r->queued) {
        taken(r);
        r->answer = ANSWER_FAILED;
        snprintf(r->why, sizeof r->why, "no worker was free in time");
    }
    if (r->ch) {
        reply_begin(a, r->txn, r->answer, r->why);
        if (r->data.len)
            ipc_put_bytes(&a->out, TAG_DATA, buf_view(&r->data));
        channel_send(r->ch, &a->out);
    }
    request_free(r);
}

/* The result is there; when it is told depends on what this network did before. */
static void request_end(struct request *r, enum ipc_answer answer)
{
    r->answer = answer == ANSWER_FOUND && !r->known ? ANSWER_ABSENT : answer;
    loop_timer_set(&r->timer, try_result(r->all->tries, &r->try, r->answer == ANSWER_FOUND,
                                         r->answer == ANSWER_ABSENT));
}

static void queue_run(struct auths *a);

/* What somebody's check costs, nobody's is to cost, too. A secret that no worker can use is no measure. */
static void sample_take(struct auths *a, const struct request *r, enum ipc_answer answer)
{
    if (!r->known || answer == ANSWER_FAILED)
        return;
    buf_reset(&a->sample);
    buf_addv(&a->sample, buf_view(&r->stored));
}

static void on_checked(void *arg, struct ipc_in *in)
{
    struct request *r = arg;
    struct auths *a = r->all;

    sample_take(a, r, in ? (enum ipc_answer)ipc_get_u64(in, TAG_ANSWER) : ANSWER_FAILED);
    buf_clear(&r->stored);
    if (in && ipc_get_u64(in, TAG_ANSWER) == ANSWER_FAILED)
        strv_cstr(strv_sub(ipc_get(in, TAG_ERROR), 0, sizeof r->why - 1), r->why, sizeof r->why);
    else if (!in)
        snprintf(r->why, sizeof r->why, "the worker is gone or late");
    request_end(r, in ? (enum ipc_answer)ipc_get_u64(in, TAG_ANSWER) : ANSWER_FAILED);
    queue_run(a);
}

static void queue_run(struct auths *a)
{
    for (struct request *r = a->requests, *next; r; r = next) {
        next = r->next;
        if (!r->queued)
            continue;
        if (!workers_check(a->workers, buf_view(&r->stored), buf_view(&r->password), on_checked, r)) {
            if (workers_any(a->workers))
                return;
            snprintf(r->why, sizeof r->why, "no worker is there");
            taken(r);
            request_end(r, ANSWER_FAILED);
            continue;
        }
        taken(r);
        loop_timer_stop(&r->timer);
    }
}

/* ---- questions ---- */

/* The account's secret: under login@realm, or under the login alone where the realm is ours. */
static enum ipc_answer stored_find(const struct conf_auth_section *conf, struct tables *tables,
                                   struct strv login, struct buf *out, struct err *err)
{
    struct map *map = conf ? tables_find(tables, SV(conf->users)) : NULL;
    struct map_value value;
    enum ipc_answer answer;
    struct buf key;
    size_t at;

    if (!map || map->ops->worker) {
        err_set(err, ERR_CONF, "there is no table of users");
        return ANSWER_FAILED;
    }
    buf_init(&key, 1024);
    key_lower(login, &key);
    answer = map_get(map, buf_view(&key), &value, err);
    if (answer == ANSWER_ABSENT && strv_rfind(buf_view(&key), '@', &at) &&
        strv_ieq(strv_from(buf_view(&key), at + 1), SV(conf->realm))) {
        buf_cut(&key, at);
        answer = map_get(map, buf_view(&key), &value, err);
    }
    buf_clear(&key);
    if (answer == ANSWER_FOUND)
        buf_addv(out, strv_trim(value.text));
    return answer;
}

static struct request *request_new(struct auths *a, struct channel *ch, struct ipc_in *in)
{
    struct request *r = mem_new(sizeof *r), **at = &a->requests;

    r->all = a;
    r->ch = ch;
    r->txn = in->txn;
    buf_init_secret(&r->stored, STORED_MAX);
    buf_init_secret(&r->password, STORED_MAX);
    buf_init(&r->data, 64);
    loop_timer_init(&r->timer, a->loop, on_time, r);
    while (*at)
        at = &(*at)->next;
    *at = r;
    r->at = at;
    a->open++;
    try_begin(a->tries, ipc_get(in, TAG_CLIENT), ipc_get(in, TAG_LOGIN), &r->try);
    return r;
}

/* An account without a SCRAM secret, and nobody's, have a salt, too: the same whenever it is asked for. */
static void salt_for_nobody(struct auths *a, struct strv login, struct buf *out)
{
    uint8_t mac[32];
    unsigned n = sizeof mac;

    if (!HMAC(EVP_sha256(), a->key, sizeof a->key, (const unsigned char *)login.p, login.n, mac, &n))
        die("HMAC does not work");
    b64_encode(strv_make((const char *)mac, 16), out);
}

static void salt_answer(struct auths *a, struct channel *ch, struct ipc_in *in, struct strv stored)
{
    struct credential_scram c;
    struct buf salt;

    buf_init(&salt, 512);
    if (credential_scram_read(stored, &c)) {
        a->iterations = c.iterations;
        buf_addv(&salt, c.salt);
    } else {
        salt_for_nobody(a, ipc_get(in, TAG_LOGIN), &salt);
    }
    reply_begin(a, in->txn, ANSWER_FOUND, NULL);
    ipc_put_bytes(&a->out, TAG_DATA, buf_view(&salt));
    ipc_put_u64(&a->out, TAG_COUNT, a->iterations);
    channel_send(ch, &a->out);
    buf_clear(&salt);
}

static void proof_check(struct request *r, struct ipc_in *in, struct strv stored)
{
    struct strv proof = ipc_get(in, TAG_VALUE);
    struct credential_scram c = { 0 };
    uint8_t signature[32];
    bool good;

    r->known = credential_scram_read(stored, &c);
    good = proof.n == 32 &&
           credential_scram_verify(&c, ipc_get(in, TAG_DATA), (const uint8_t *)proof.p, signature) &&
           r->known;
    if (good)
        buf_add(&r->data, signature, sizeof signature);
    request_end(r, good ? ANSWER_FOUND : ANSWER_ABSENT);
}

static void password_check(struct auths *a, struct request *r, struct ipc_in *in, const struct buf *stored)
{
    r->known = credential_is_usable(buf_view(stored));
    buf_addv(&r->stored, r->known ? buf_view(stored) : buf_view(&a->sample));
    buf_addv(&r->password, ipc_get(in, TAG_DATA));
    r->queued = true;
    a->waiting++;
    loop_timer_set(&r->timer, WORKER_MS);
    queue_run(a);
}

void auths_query(struct auths *a, const struct conf *conf, struct tables *tables, struct channel *ch,
                 struct ipc_in *in)
{
    enum ipc_auth kind = (enum ipc_auth)ipc_get_u64(in, TAG_KIND);
    struct err err = { 0 };
    struct buf stored;
    struct request *r;

    buf_init_secret(&stored, STORED_MAX);
    if (a->open >= OPEN_MAX || a->waiting >= WAITING_MAX ||
        !tries_have_room(a->tries, ipc_get(in, TAG_CLIENT), ipc_get(in, TAG_LOGIN)))
        err_set(&err, ERR_LIMIT, "too many checks of passwords wait");
    else if (stored_find(conf->auth, tables, ipc_get(in, TAG_LOGIN), &stored, &err) == ANSWER_FAILED ||
             !buf_ok(&stored))
        err_wrap(&err, "users");
    if (err.cls != ERR_OK) {
        reply_begin(a, in->txn, ANSWER_FAILED, err.text);
        channel_send(ch, &a->out);
        buf_clear(&stored);
        return;
    }
    if (kind == AUTH_SALT) {
        salt_answer(a, ch, in, buf_view(&stored));
    } else {
        r = request_new(a, ch, in);
        if (kind == AUTH_PROOF)
            proof_check(r, in, buf_view(&stored));
        else
            password_check(a, r, in, &stored);
    }
    buf_clear(&stored);
}

void auths_retry(struct auths *a)
{
    queue_run(a);
}

void auths_forget(struct auths *a, const struct channel *ch)
{
    for (struct request *r = a->requests; r; r = r->next)
        if (r->ch == ch)
            r->ch = NULL;
}

void auths_free(struct auths **ap)
{
    struct auths *a = *ap;

    if (!a)
        return;
    *ap = NULL;
    while (a->requests)
        request_free(a->requests);
    tries_free(&a->tries);
    buf_clear(&a->sample);
    ipc_out_clear(&a->out);
    free(a);
}
