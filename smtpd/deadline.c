/* deadline.c - how long a session waits: for the other daemons, for the client, for a stranger in a crowd */
#include "smtpd/deadline.h"

#include "smtpd/session.h"

/* How long the other daemons may think. A verdict about a recipient is a few table look-ups; the end of data
   is a disk that may be busy, and RFC 5321 4.5.3.2.6 gives us ten minutes before the client leaves. */
#define RCPT_WAIT_MS (60 * 1000)
/* The name look-up begins at connect; at MAIL it gets a moment more, then the message goes without a name. */
#define NAME_WAIT_MS (2 * 1000)
/* How long MAIL waits for a new cleanup. mtad tries after 0.1 s and doubles that: by then five tries have
   failed and more are not worth sessions that pile up. A client grants MAIL five minutes (RFC 5321
   4.5.3.2.2). */
#define CLEANUP_WAIT_MS (5 * 1000)
/* A handshake is a few round trips of programs; nobody types in it. */
#define HANDSHAKE_MS (60 * 1000)
/* How often crowded_timeout a stranger has in a crowd whose message has recipients. */
#define PATIENCE 4

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Whoever wants all our sessions opens these by the hundred: strangers of whom nothing is under way. RFC 5321
   4.5.3.2.7 grants five minutes; in a crowd that would leave nothing for those who send. A sender alone is
   said as easily as nothing, and no program thinks behind it. Who named a recipient, or has replies to read,
   may be slow, but not for as long as he likes. INT64_MAX: no limit. */
static int64_t crowd_time(const struct session *s)
{
    const struct engine *e = &s->engine;
    int64_t time = e->service->listen->crowded_timeout * 1000;

    if (!e->service->crowded || e->own || e->login || e->phase == PH_BODY)
        return INT64_MAX;
    return e->phase == PH_RCPT || s->step == STEP_FLUSH ? PATIENCE * time : time;
}

/* The ordinary time since then, or less in a crowd. */
static int64_t due_since(struct session *s, int64_t began, int64_t time)
{
    int64_t soon = crowd_time(s);

    s->hurried = soon < time;
    return began + earlier(time, soon);
}

static int64_t command_time(const struct session *s)
{
    int64_t time = s->engine.service->listen->timeout * 1000;

    return s->shaking ? earlier(time, HANDSHAKE_MS) : time;
}

static void wake_at(struct session *s, int64_t due, int64_t now)
{
    loop_timer_set(&s->timer, due > now ? due - now : 0);
}

static void wait_client(struct session *s, int64_t now)
{
    struct engine *e = &s->engine;
    const struct conf_listen *listen = e->service->listen;
    int64_t due;

    s->hurried = false;
    if (e->phase == PH_BODY) {
        /* Each read counts, and the floor. */
        due = earlier(now + listen->timeout * 1000, rate_deadline(&s->rate));
    } else {
        /* One deadline for one command: dripping bytes into a line moves nothing. */
        if (s->command_began == 0 || s->command_mark != e->commands_total)
            s->command_began = now;
        s->command_mark = e->commands_total;
        due = due_since(s, s->command_began, command_time(s));
    }
    wake_at(s, earlier(due, s->session_due), now);
}

/* He does not read what we answer. */
static void wait_reader(struct session *s, int64_t now)
{
    int64_t due = due_since(s, s->flush_began, s->engine.service->listen->timeout * 1000);

    wake_at(s, earlier(due, s->session_due), now);
}

void deadline_arm(struct session *s)
{
    static const int64_t answers[] = {
        [AWAIT_NOTHING] = 0,
        [AWAIT_NAME] = NAME_WAIT_MS,
        [AWAIT_CLEANUP] = CLEANUP_WAIT_MS,
        [AWAIT_RCPT] = RCPT_WAIT_MS,
        [AWAIT_DONE] = DONE_WAIT_MS,
        [AWAIT_AUTH] = AUTH_WAIT_MS + 5000,
        [AWAIT_SENDER] = AUTH_WAIT_MS + 5000,
    };
    int64_t now = loop_now(s->host->loop);

    switch (s->step) {
    case STEP_READ:
    case STEP_TLS: wait_client(s, now); return;
    case STEP_WAIT:
        s->command_began = 0;
        loop_timer_set(&s->timer, answers[s->engine.wait]);
        return;
    case STEP_STALL: loop_timer_set(&s->timer, DONE_WAIT_MS); return;
    case STEP_FLUSH:
        s->command_began = 0;
        s->flush_began = now;
        wait_reader(s, now);
        return;
    case STEP_NEXT:
    case STEP_CLOSE: return;
    }
}

void deadline_again(struct session *s)
{
    if (s->step == STEP_READ || s->step == STEP_TLS)
        deadline_arm(s);
    else if (s->step == STEP_FLUSH)
        wait_reader(s, loop_now(s->host->loop));
}
