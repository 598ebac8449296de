/* metric.c - what a process counts: the table */
#include "common/base/metric.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

#define CHILDREN                                                                                             \
    (ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_CLEANUP) | ROLE_BIT(ROLE_QUEUED) | ROLE_BIT(ROLE_DELIVERD) |       \
     ROLE_BIT(ROLE_MAPD) | ROLE_BIT(ROLE_MAPD_WORKER) | ROLE_BIT(ROLE_DNSD) | ROLE_BIT(ROLE_HISTORYD))
#define ONLY(role)   ROLE_BIT(ROLE_##role)
#define PROCESSES    (CHILDREN | ONLY(MTAD))
#define COUNTER(...) .type = METRIC_COUNTER, .scale = 1, __VA_ARGS__
#define GAUGE(...)   .type = METRIC_GAUGE, .scale = 1, __VA_ARGS__
#define SECONDS(b)   .type = METRIC_HISTOGRAM, .unit = "seconds", .scale = 1000, .bounds = (b)

static const uint64_t short_ms[] = { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 60000, 0 };
static const uint64_t long_ms[] = { 10,     100,     500,     1000,     2000,     5000,      10000,     30000,
                                    60000,  300000,  1800000, 7200000,  28800000, 86400000,  0 };
static const uint64_t batch[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 0 };

static const char *const auth_results[] = { "ok", "failed", NULL };
static const char *const verdicts[] = { "accepted", "refused", "deferred", NULL };
static const char *const states[] = { "active", "running", "deferred", "held", "damaged", NULL };
static const char *const age_states[] = { "active", "running", "deferred", "held", "damaged", "owed", NULL };
static const char *const drop_states[] = { "waiting", "bad", NULL };
static const char *const outcomes[] = { "delivered", "failed", "deferred", NULL };
static const char *const answers[] = { "found", "absent", "failed", NULL };
static const char *const dns_answers[] = { "ok", "nodata", "nxdomain", "failed", "nullmx", NULL };

const struct metric_info metrics[METRIC_COUNT] = {
    [METRIC_UP] = { "up", GAUGE(.roles = PROCESSES),
                    .help = "1: the process is ready and answered, 0: it is not or did not." },
    [METRIC_START] = { "process_start_time_seconds", GAUGE(.roles = PROCESSES), .unit = "seconds",
                       .help = "When the process was started." },
    [METRIC_RESTARTS] = { "process_restarts", COUNTER(.roles = PROCESSES),
                          .help = "Times that mtad started the process again." },
    [METRIC_CPU] = { "process_cpu_seconds", .type = METRIC_COUNTER, .roles = PROCESSES, .unit = "seconds",
                     .scale = 1000, .help = "Processor time, user and system." },
    [METRIC_MEMORY] = { "process_resident_memory_bytes", GAUGE(.roles = PROCESSES), .unit = "bytes",
                        .help = "Resident memory." },
    [METRIC_IPC_QUEUED] = { "ipc_queued_bytes", GAUGE(.roles = CHILDREN), .unit = "bytes",
                            .help = "Frames that wait to be sent to other daemons." },
    [METRIC_IPC_FRAMES] = { "ipc_frames", COUNTER(.roles = CHILDREN),
                            .help = "Frames given to the channels to other daemons." },
    [METRIC_LOOP_TURN] = { "loop_turn_seconds", SECONDS(short_ms), .roles = CHILDREN,
                           .help = "Time that the event loop works between two waits: what else comes "
                                   "meanwhile has to wait so long." },
    [METRIC_SESSIONS] = { "smtp_sessions", COUNTER(.roles = ONLY(SMTPD)), .help = "Sessions that ended." },
    [METRIC_SESSIONS_OPEN] = { "smtp_sessions_open", GAUGE(.roles = ONLY(SMTPD)),
                               .help = "Sessions that are open." },
    [METRIC_ACCEPTED] = { "smtp_messages_accepted", COUNTER(.roles = ONLY(SMTPD)),
                          .help = "Messages answered with 250: they are in the queue." },
    [METRIC_ACCEPTED_RCPTS] = { "smtp_recipients_accepted", COUNTER(.roles = ONLY(SMTPD)),
                                .help = "Recipients of these messages." },
    [METRIC_ACCEPTED_BYTES] = { "smtp_messages_accepted_bytes", COUNTER(.roles = ONLY(SMTPD)),
                                .unit = "bytes", .help = "Their size." },
    [METRIC_UNSETTLED] = { "smtp_messages_unsettled", COUNTER(.roles = ONLY(SMTPD)),
                           .help = "Sessions ended without an answer, because nobody could tell whether the "
                                   "message is in the queue." },
    [METRIC_REFUSED] = { "smtp_refused", COUNTER(.roles = ONLY(SMTPD)), .label = "rule",
                         .help = "Commands, recipients and messages refused, by what decided (the rule= of "
                                 "the log)." },
    [METRIC_TLS] = { "smtp_tls_sessions", COUNTER(.roles = ONLY(SMTPD)), .label = "version",
                     .help = "Ended sessions that had TLS." },
    [METRIC_TLS_FAILED] = { "smtp_tls_failed", COUNTER(.roles = ONLY(SMTPD)),
                            .help = "TLS handshakes of clients that failed." },
    [METRIC_AUTH] = { "smtp_auth", COUNTER(.roles = ONLY(SMTPD)), .label = "result", .values = auth_results,
                      .help = "Logins." },
    [METRIC_COMMIT_TIME] = { "smtp_commit_seconds", SECONDS(short_ms), .roles = ONLY(SMTPD),
                             .help = "From the end of a message's data to its answer." },
    [METRIC_CROWDED] = { "smtp_listeners_crowded", GAUGE(.roles = ONLY(SMTPD)),
                         .help = "Listeners with four fifths of their sessions taken: silent strangers get "
                                 "less time." },
    [METRIC_HURRIED] = { "smtp_sessions_hurried", COUNTER(.roles = ONLY(SMTPD)),
                         .help = "Sessions of strangers ended for that, before their ordinary time." },
    [METRIC_CLEANUP] = { "cleanup_messages", COUNTER(.roles = ONLY(CLEANUP)), .label = "result",
                         .values = verdicts, .help = "Messages that cleanup gave an answer about." },
    [METRIC_QUEUE_MESSAGES] = { "queue_messages", GAUGE(.roles = ONLY(QUEUED)), .label = "state",
                                .values = states,
                                .help = "Messages in the queue." },
    [METRIC_QUEUE_DESTINATION] = { "queue_destination_messages", GAUGE(.roles = ONLY(QUEUED)),
                                   .label = "destination",
                                   .help = "Messages that have recipients there: the 49 destinations with "
                                           "most of them; \"other\" are all further ones." },
    [METRIC_QUEUE_DESTINATIONS] = { "queue_destinations", GAUGE(.roles = ONLY(QUEUED)),
                                    .help = "Destinations that are remembered." },
    [METRIC_QUEUE_OLDEST] = { "queue_oldest_seconds", GAUGE(.roles = ONLY(QUEUED)), .unit = "seconds",
                              .help = "Age of the oldest message in any state, as of the last sweep." },
    [METRIC_QUEUE_STATE_OLDEST] = { "queue_state_oldest_seconds", GAUGE(.roles = ONLY(QUEUED)),
                                    .unit = "seconds", .label = "state", .values = age_states,
                                    .help = "Age of the oldest message in each state, as of the last sweep; "
                                            "owed: nothing but a notice to its sender is missing." },
    [METRIC_QUEUE_EXPIRE] = { "queue_expire_seconds", GAUGE(.roles = ONLY(QUEUED)), .unit = "seconds",
                              .help = "queue.expire_after: what is neither held nor damaged nor kept by a "
                                      "pause never gets much older." },
    [METRIC_QUEUE_OVERDUE] = { "queue_overdue_messages", GAUGE(.roles = ONLY(QUEUED)), .label = "state",
                               .values = age_states,
                               .help = "Messages older than that, as of the last sweep. What is held or "
                                       "damaged does not expire, what a pause keeps expires after it; "
                                       "anything else here for more than a minute is in mtactl status." },
    [METRIC_QUEUE_JOBS] = { "queue_jobs", GAUGE(.roles = ONLY(QUEUED)), .help = "Deliveries under way." },
    [METRIC_QUEUE_DISK_FREE] = { "queue_disk_free_bytes", GAUGE(.roles = ONLY(QUEUED)), .unit = "bytes",
                                 .help = "Free on the disk of queue.directory." },
    [METRIC_QUEUE_DROP] = { "queue_drop_files", GAUGE(.roles = ONLY(QUEUED)), .label = "state",
                            .values = drop_states,
                            .help = "Local submissions in drop/ that are no messages yet; bad ones need a "
                                    "human." },
    [METRIC_QUEUE_SEGMENTS] = { "queue_segments", GAUGE(.roles = ONLY(QUEUED)),
                                .help = "Files of the spool that hold messages." },
    [METRIC_QUEUE_SEGMENT_BYTES] = { "queue_segment_bytes", GAUGE(.roles = ONLY(QUEUED)), .unit = "bytes",
                                     .help = "What was written into them." },
    [METRIC_QUEUE_LIVE_BYTES] = { "queue_live_bytes", GAUGE(.roles = ONLY(QUEUED)), .unit = "bytes",
                                  .help = "Of that, messages that are not over; compaction keeps it above a "
                                          "fifth." },
    [METRIC_QUEUE_STORED] = { "queue_messages_stored", COUNTER(.roles = ONLY(QUEUED)),
                              .help = "Messages made durable." },
    [METRIC_QUEUE_NOT_STORED] = { "queue_messages_not_stored", COUNTER(.roles = ONLY(QUEUED)),
                                  .help = "Messages that the disk did not take; they were refused for now." },
    [METRIC_RESULTS] = { "delivery_results", COUNTER(.roles = ONLY(QUEUED)), .label = "result",
                         .values = outcomes, .help = "Results of attempts, one for each recipient." },
    [METRIC_DELIVERY_TIME] = { "delivery_time_seconds", SECONDS(long_ms), .roles = ONLY(QUEUED),
                               .help = "From a message's arrival to a recipient's delivery." },
    [METRIC_SYNC_BATCH] = { "queue_sync_messages", .type = METRIC_HISTOGRAM, .scale = 1, .bounds = batch,
                            .roles = ONLY(QUEUED), .help = "Messages made durable by one sync." },
    [METRIC_SYNC_TIME] = { "queue_sync_seconds", SECONDS(short_ms), .roles = ONLY(QUEUED),
                           .help = "Time to write and sync one batch." },
    [METRIC_OUT_SESSIONS] = { "delivery_sessions", COUNTER(.roles = ONLY(DELIVERD)),
                              .help = "SMTP and LMTP sessions with other servers that ended." },
    [METRIC_OUT_FAILED] = { "delivery_hosts_failed", COUNTER(.roles = ONLY(DELIVERD)), .label = "step",
                            .help = "Servers that could not be used, by the step that failed." },
    [METRIC_OUT_TLS] = { "delivery_tls_sessions", COUNTER(.roles = ONLY(DELIVERD)), .label = "version",
                         .help = "Ended sessions with other servers that had TLS." },
    [METRIC_DNS] = { "dns_answers", COUNTER(.roles = ONLY(DNSD)), .label = "answer", .values = dns_answers,
                     .help = "Answers of dnsd to the other daemons." },
    [METRIC_LOOKUPS] = { "map_answers", COUNTER(.roles = ONLY(MAPD)), .label = "answer", .values = answers,
                         .help = "Answers of mapd to the other daemons." },
    [METRIC_HISTORY_LOST] = { "history_lines_lost",
                              COUNTER(.roles = ONLY(SMTPD) | ONLY(CLEANUP) | ONLY(QUEUED) | ONLY(DELIVERD) |
                                               ONLY(HISTORYD)),
                              .help = "Lines that the history did not get, because historyd or its disk was "
                                      "away or slow." },
    [METRIC_HISTORY_LINES] = { "history_lines", COUNTER(.roles = ONLY(HISTORYD)),
                               .help = "Lines that went into the history." },
    [METRIC_HISTORY_BYTES] = { "history_size_bytes", GAUGE(.roles = ONLY(HISTORYD)), .unit = "bytes",
                               .help = "What the history holds." },
    [METRIC_HISTORY_OLDEST] = { "history_oldest_seconds", GAUGE(.roles = ONLY(HISTORYD)), .unit = "seconds",
                                .help = "Age of its oldest line." },
};

uint64_t metric_cells[METRIC_COUNT][METRIC_CELLS];

/* Few metrics have words, and these are few: a list that is searched from its begin is short. */
struct word {
    char text[METRIC_WORD];
    uint64_t n;
};

static struct word *words[METRIC_COUNT]; /* owned; METRIC_WORDS and one for "other" */

unsigned metric_buckets(enum metric m)
{
    unsigned n = 0;

    while (metrics[m].bounds && metrics[m].bounds[n])
        n++;
    return n;
}

unsigned metric_values(enum metric m)
{
    unsigned n = 0;

    if (!metrics[m].label)
        return 1;
    while (metrics[m].values && metrics[m].values[n])
        n++;
    return n;
}

void metric_observe(enum metric m, uint64_t value)
{
    const uint64_t *bounds = metrics[m].bounds;
    unsigned i = 0;

    while (bounds[i] && value > bounds[i])
        i++;
    metric_cells[m][i]++;
    metric_cells[m][METRIC_SUM] += value;
}

static void word_clean(struct strv word, char dst[METRIC_WORD])
{
    size_t n = word.n < METRIC_WORD - 1 ? word.n : METRIC_WORD - 1;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)word.p[i];

        dst[i] = byte_is_alnum(c) || c == '.' || c == '-' ? (char)c : '_';
    }
    dst[n] = '\0';
}

void metric_add_word(enum metric m, struct strv word, uint64_t n)
{
    struct word *w = words[m] ? words[m] : (words[m] = mem_array(METRIC_WORDS + 1, sizeof *w));
    char text[METRIC_WORD];
    unsigned i = 0;

    word_clean(word.n ? word : SV_LIT("none"), text);
    while (i < METRIC_WORDS && w[i].text[0] && strcmp(w[i].text, text) != 0)
        i++;
    if (!w[i].text[0])
        snprintf(w[i].text, sizeof w[i].text, "%s", i < METRIC_WORDS ? text : "other");
    w[i].n += n;
}

void metric_words_clear(enum metric m)
{
    if (words[m])
        memset(words[m], 0, (METRIC_WORDS + 1) * sizeof *words[m]);
}

void metric_each(void (*fn)(void *arg, enum metric m, unsigned cell, struct strv word, uint64_t n),
                 void *arg)
{
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        for (unsigned i = 0; i < METRIC_CELLS; i++)
            if (metric_cells[m][i])
                fn(arg, (enum metric)m, i, SV_LIT(""), metric_cells[m][i]);
        for (unsigned i = 0; words[m] && i <= METRIC_WORDS && words[m][i].text[0]; i++)
            fn(arg, (enum metric)m, 0, SV(words[m][i].text), words[m][i].n);
    }
}
