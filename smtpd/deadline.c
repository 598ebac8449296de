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

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Nobody of ours, and nothing of his is under way: whoever wants all our sessions opens these by the
   hundred. RFC 5321 4.5.3.2.7 grants five minutes; in a crowd that would leave nothing for those who send. */
static bool is_idle_stranger(const struct engine *e)
{
    return !e->own && !e->login && !(e->phase & (PH_MAIL | PH_RCPT | PH_BODY));
}

static int64_t command_time(const struct session *s)
{
    int64_t time = s->engine.service->listen->timeout * 1000;

    return s->shaking ? earlier(time, HANDSHAKE_MS) : time;
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
        due = s->command_began + command_time(s);
        if (e->service->crowded && is_idle_stranger(e)) {
            int64_t soon = s->command_began + listen->crowded_timeout * 1000;

            s->hurried = soon < due;
            due = earlier(due, soon);
        }
    }
    due = earlier(due, s->session_due);
    loop_timer_set(&s->timer, due > now ? due - now : 0);
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
        loop_timer_set(&s->timer, s->engine.service->listen->timeout * 1000);
        return;
    case STEP_NEXT:
    case STEP_CLOSE: return;
    }
}

void deadline_again(struct session *s)
{
    if (s->step == STEP_READ || s->step == STEP_TLS)
        deadline_arm(s);
}
