/* test_listener.c - accepting: batches, pause, shortage of descriptors, one process woken per connection */
#include "tests/support/unit.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/net/listener.h"
#include "common/net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct world {
    struct loop *loop;
    struct listener *ls;
    int socket;
    struct netaddr at;
    int accepted[4096];
    unsigned count;
    bool free_in_accept;
};

static int64_t now_ms;
static unsigned warnings;

static int64_t fake_mono(void)
{
    return now_ms;
}

static void count_lines(void *arg, enum log_level level, const char *line, size_t n)
{
    (void)arg;
    (void)n;
    if (level == LOG_LV_WARN && strstr(line, "net.listener.rests"))
        warnings++;
}

static void on_accept(void *arg, int fd, const struct netaddr *peer)
{
    struct world *w = arg;

    assert_true(netaddr_is_loopback(peer));
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    w->accepted[w->count++] = fd;
    if (w->free_in_accept)
        listener_free(&w->ls);
}

static int open_socket(struct netaddr *at)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(listen(fd, 1024), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
    assert_true(netaddr_from_sockaddr((struct sockaddr *)&sin, n, at));
    return fd;
}

static int set_up(void **state)
{
    static struct world w;

    memset(&w, 0, sizeof w);
    now_ms = 1000;
    warnings = 0;
    clock_fake(fake_mono, NULL);
    log_set_sink(count_lines, NULL);
    w.loop = loop_new();
    w.socket = open_socket(&w.at);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    listener_free(&w->ls);
    for (unsigned i = 0; i < w->count; i++)
        close(w->accepted[i]);
    loop_once(w->loop, 0);
    loop_free(&w->loop);
    log_set_sink(NULL, NULL);
    clock_fake(NULL, NULL);
    return 0;
}

static int dial(const struct netaddr *at)
{
    struct sockaddr_storage ss;
    socklen_t n = netaddr_to_sockaddr(at, &ss);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&ss, n) != 0)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

static void batches_bound_the_work_of_an_iteration(void **state)
{
    struct world *w = *state;
    int client[10];

    w->ls = listener_new(w->loop, w->socket, 4, on_accept, w);
    for (int i = 0; i < 10; i++)
        client[i] = dial(&w->at);
    loop_once(w->loop, 0);
    assert_int_equal(w->count, 4);
    loop_once(w->loop, 0);
    loop_once(w->loop, 0);
    assert_int_equal(w->count, 10);
    for (int i = 0; i < 10; i++)
        close(client[i]);
}

static void pause_leaves_connections_in_the_queue(void **state)
{
    struct world *w = *state;
    int client;

    w->ls = listener_new(w->loop, w->socket, 4, on_accept, w);
    listener_pause(w->ls);
    client = dial(&w->at);
    loop_once(w->loop, 0);
    assert_int_equal(w->count, 0);
    listener_resume(w->ls);
    loop_once(w->loop, 0);
    assert_int_equal(w->count, 1);
    close(client);
}

static void freeing_inside_accept_is_safe(void **state)
{
    struct world *w = *state;
    int client[2];

    w->ls = listener_new(w->loop, w->socket, 4, on_accept, w);
    w->free_in_accept = true;
    client[0] = dial(&w->at);
    client[1] = dial(&w->at);
    loop_once(w->loop, 0);
    assert_int_equal(w->count, 1);
    close(client[0]);
    close(client[1]);
}

static void shortage_of_descriptors_rests_and_never_spins(void **state)
{
    struct world *w = *state;
    struct rlimit old, tight;
    int client[3], hog[512];
    unsigned hogs = 0;

    w->ls = listener_new(w->loop, w->socket, 4, on_accept, w);
    for (int i = 0; i < 3; i++)
        client[i] = dial(&w->at);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = 256;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    while (hogs < 512 && (hog[hogs] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        hogs++;
    assert_int_equal(errno, EMFILE);
    for (int i = 0; i < 50; i++)
        loop_once(w->loop, 0);
    assert_int_equal(w->count, 0);
    assert_int_equal(warnings, 1);
    /* It tries again by itself, warns no more within the minute, and takes them when there is room. */
    now_ms += 600;
    loop_once(w->loop, 0);
    loop_once(w->loop, 0);
    assert_int_equal(w->count, 0);
    assert_int_equal(warnings, 1);
    for (unsigned i = 0; i < hogs; i++)
        close(hog[i]);
    loop_once(w->loop, 0);
    assert_int_equal(w->count, 0); /* still resting */
    listener_resume(w->ls);        /* a session ended */
    loop_once(w->loop, 0);
    assert_int_equal(w->count, 3);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (int i = 0; i < 3; i++)
        close(client[i]);
}

static void last_descriptors_are_left_for_channels(void **state)
{
    struct world *w = *state;
    struct rlimit old, tight;
    int client[200];
    unsigned clients = 0;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = 128;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    w->ls = listener_new(w->loop, w->socket, 64, on_accept, w);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (; clients < 90; clients++)
        client[clients] = dial(&w->at);
    for (int i = 0; i < 5; i++)
        loop_once(w->loop, 0);
    assert_true(w->count > 0 && w->count < 90);
    assert_int_equal(warnings, 1);
    for (unsigned i = 0; i < clients; i++)
        close(client[i]);
}

/* ---- several processes, one socket ---- */

static unsigned *shared;

static void slow_accept(void *arg, int fd, const struct netaddr *peer)
{
    (void)arg;
    (void)peer;
    close(fd);
    __atomic_fetch_add(&shared[1], 1, __ATOMIC_SEQ_CST);
}

static void on_raw(void *arg, int events)
{
    struct world *w = arg;
    int fd;

    (void)events;
    /* Before it is accepted, a slow process leaves the others all the time in the world to be woken too. */
    __atomic_fetch_add(&shared[0], 1, __ATOMIC_SEQ_CST);
    usleep(2000);
    fd = accept(w->socket, NULL, NULL);
    if (fd >= 0)
        slow_accept(NULL, fd, NULL);
}

static void child(struct world *w)
{
    struct loop_io io;

    clock_fake(NULL, NULL);
    w->loop = loop_new();
    loop_io_init(&io, w->loop, w->socket, on_raw, w);
    loop_io_exclusive(&io);
    loop_io_set(&io, LOOP_READ);
    __atomic_fetch_add(&shared[2], 1, __ATOMIC_SEQ_CST);
    loop_run(w->loop);
}

static void one_connection_wakes_one_process(void **state)
{
    enum { CHILDREN = 4, CONNECTIONS = 40 };
    struct world *w = *state;
    pid_t pid[CHILDREN];

    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    for (int i = 0; i < CHILDREN; i++) {
        pid[i] = fork();
        if (pid[i] == 0)
            child(w);
    }
    while (__atomic_load_n(&shared[2], __ATOMIC_SEQ_CST) < CHILDREN)
        usleep(1000);
    for (unsigned i = 1; i <= CONNECTIONS; i++) {
        int fd = dial(&w->at);

        while (__atomic_load_n(&shared[1], __ATOMIC_SEQ_CST) < i)
            usleep(200);
        close(fd);
    }
    for (int i = 0; i < CHILDREN; i++) {
        kill(pid[i], SIGKILL);
        waitpid(pid[i], NULL, 0);
    }
    /* Without exclusive registration it is four wake-ups per connection; a few extra ones are no fault. */
    if (shared[0] > CONNECTIONS * 3 / 2)
        fail_msg("%u wake-ups for %u connections", shared[0], (unsigned)CONNECTIONS);
    munmap(shared, 4096);
    close(w->socket);
}

#define LISTENER_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTENER_TEST(batches_bound_the_work_of_an_iteration),
        LISTENER_TEST(pause_leaves_connections_in_the_queue),
        LISTENER_TEST(freeing_inside_accept_is_safe),
        LISTENER_TEST(shortage_of_descriptors_rests_and_never_spins),
        LISTENER_TEST(last_descriptors_are_left_for_channels),
        LISTENER_TEST(one_connection_wakes_one_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
