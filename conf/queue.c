/* queue.c - section `queue` */
#include "conf/queue.h"

#include "conf/check.h"
#include "conf/kinds.h"

#define QUEUED .roles = ROLE_BIT(ROLE_QUEUED)
#define YEAR (366LL * 86400)

static const struct conf_field notices_fields[] = {
    FIELD(conf_notices, success, CT_BOOL, "yes", .roles = ROLE_BIT(ROLE_QUEUED) | ROLE_BIT(ROLE_SMTPD),
          .doc = "Whether senders may ask for notices of success (RFC 3461). `no`: DSN is not announced, and "
                 "no such notice is sent."),
    FIELD(conf_notices, return_size, CT_BYTES, "50k", .min = 0, .max = 1LL << 30, QUEUED,
          .doc = "Messages up to this size are returned whole with a notice of failure unless the sender "
                 "asked for the header only (RET=HDRS); of larger ones the header is returned."),
    FIELD(conf_notices, templates, CT_PATH, "\"\"", .exists = true, .roles = ROLE_BIT(ROLE_CLEANUP),
          .doc = "File of what notices say, UTF-8, several languages in one if you like. "
                 "The sample `notices.txt` shows the built-in texts and every variable; `mtactl notice show` "
                 "shows what comes of it. \"\": the built-in texts."),
    FIELD(conf_notices, double_bounce, CT_STRING, "postmaster", .empty = true, .max = 254, QUEUED,
          .doc = "Who is told, once, of a notice that could not be delivered itself. \"\": nobody, it is "
                 "only logged."),
    FIELD_END
};

static const struct conf_kind notices_kind = {
    .name = "notices",
    .fields = notices_fields,
    .size = sizeof(struct conf_notices),
    .doc = "What senders are told.",
};

bool conf_notices_success(const struct conf_queue *queue)
{
    return !queue || !queue->notices || queue->notices->success;
}

int64_t conf_notices_return_size(const struct conf_queue *queue)
{
    return queue->notices ? queue->notices->return_size : CONF_NOTICES_RETURN_SIZE;
}

const char *conf_notices_templates(const struct conf_queue *queue)
{
    return queue->notices ? queue->notices->templates : "";
}

struct conf_where conf_notices_templates_where(const struct conf_queue *queue)
{
    int index = conf_field_index(&notices_kind, SV_LIT("templates"));

    return queue->notices && index >= 0 ? queue->notices->head.at[index] : queue->head.where;
}

const char *conf_notices_double_bounce(const struct conf_queue *queue)
{
    return queue->notices ? queue->notices->double_bounce : "postmaster";
}

static const struct conf_field fields[] = {
    FIELD(conf_queue, directory, CT_PATH, "/var/spool/mansio", QUEUED, .doc = "The spool."),
    FIELD(conf_queue, retry, CT_SECONDS_LIST, "[ 5m, 10m, 20m, 40m, 80m, 160m, 4h ]", .min = 1,
          .max = 7 * 86400, QUEUED,
          .doc = "Time from one failed attempt to the next (with some jitter); the last one repeats."),
    FIELD(conf_queue, warn_after, CT_SECONDS, "4h", .min = 0, .max = YEAR, QUEUED,
          .doc = "When a sender is told that the message is delayed; 0 is never."),
    FIELD(conf_queue, expire_after, CT_SECONDS, "4d", .min = 1, .max = YEAR,
          .roles = ROLE_BIT(ROLE_QUEUED) | ROLE_BIT(ROLE_CLEANUP),
          .doc = "When a message is given up and returned."),
    FIELD(conf_queue, reserve, CT_BYTES, "0", .min = 0, .max = 1LL << 50, QUEUED,
          .doc = "Free space of the file system below which no new mail is taken; 0 is two segments or one "
                 "percent."),
    FIELD(conf_queue, max_jobs, CT_INT, "500", .min = 1, .max = CONF_JOBS_MAX, QUEUED,
          .doc = "Deliveries at once, to all destinations together. Each takes about 3 KiB of "
                 "deliverd's memory, and its message up to 57 KiB."),
    FIELD(conf_queue, deliver, CT_BOOL, "yes", QUEUED,
          .doc = "`no`: mail is taken and kept, nothing is delivered (to look at it first, to move a "
                 "spool)."),
    FIELD(conf_queue, bulk_senders, CT_STRINGS, .roles = ROLE_BIT(ROLE_CLEANUP),
          .doc = "Senders whose mail is bulk: an address, or `@domain` for all of a domain. Mail that says "
                 "so in its header (`Precedence`, `List-Id`) is bulk in any case. MT-PRIORITY above 0 makes "
                 "neither urgent. At each destination other mail goes first, but each eighth delivery there "
                 "is bulk."),
    FIELD(
        conf_queue, postmaster, CT_STRING, "\"\"", .max = 254,
        .roles = ROLE_BIT(ROLE_QUEUED) | ROLE_BIT(ROLE_CLEANUP) | ROLE_BIT(ROLE_MAPD),
        .doc =
            "Address that gets mail for `postmaster` when no alias and no mailbox has that name. \"\": the "
            "section `mailbox postmaster` says where it goes."),
    FIELD(conf_queue, notices, CT_BLOCK, .block = &notices_kind,
          .roles = ROLE_BIT(ROLE_QUEUED) | ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_CLEANUP),
          .doc = "Section: what senders are told."),
    FIELD_END
};

static void check_bulk(struct conf_check *check, const struct conf_queue *queue, size_t i)
{
    struct strv s = SV(queue->bulk_senders.v[i]);
    size_t at;

    if (!strv_rfind(s, '@', &at) || at + 1 == s.n || s.n > 254)
        conf_check_fail(check, queue, "bulk_senders", i, "\"%.60s\" is neither user@domain nor @domain",
                        queue->bulk_senders.v[i]);
}

/* A whole address, or the name of somebody here. cleanup parses it; this is for what cannot be meant. */
static bool is_somebody(struct strv s)
{
    size_t at;

    for (size_t i = 0; i < s.n; i++)
        if (byte_in_set(s.p[i], " \t<>,;"))
            return false;
    return !strv_rfind(s, '@', &at) || (at > 0 && at + 1 < s.n);
}

static void check_queue(struct conf_check *check, void *section)
{
    struct conf_queue *queue = section;

    if (queue->notices && !is_somebody(SV(queue->notices->double_bounce)))
        conf_check_fail(check, queue->notices, "double_bounce", 0, "\"%.60s\" is no address",
                        queue->notices->double_bounce);
    for (size_t i = 0; i < queue->bulk_senders.n; i++)
        check_bulk(check, queue, i);
    if (!conf_field_granted(&fields[0], check->conf->role))
        return;
    if (queue->retry.n == 0)
        conf_check_fail(check, queue, "retry", 0, "retry needs one time at least");
    if (queue->warn_after >= queue->expire_after)
        conf_check_fail(check, queue, "warn_after", 0, "warn_after is not before expire_after");
}

const struct conf_kind conf_queue_kind = {
    .name = "queue",
    .fields = fields,
    .size = sizeof(struct conf_queue),
    .offset = offsetof(struct conf, queue),
    .check = check_queue,
    .doc = "The spool and its schedule.",
};
