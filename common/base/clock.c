/* clock.c - the two clocks and their texts */
#include "common/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t (*fake_mono)(void);
static int64_t (*fake_wall)(void);

static int64_t clock_read(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
    return fake_mono ? fake_mono() : clock_read(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
    return fake_wall ? fake_wall() : clock_read(CLOCK_REALTIME);
}

void clock_fake(int64_t (*mono)(void), int64_t (*wall)(void))
{
    fake_mono = mono;
    fake_wall = wall;
}

/* Own names: strftime's follow the locale, RFC 5322 section 3.3 does not. */
static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const months[] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
};

/* Whole seconds, rounded down also before 1970. */
static time_t seconds_of(int64_t wall_ms)
{
    return (time_t)(wall_ms / 1000 - (wall_ms % 1000 < 0));
}

void clock_rfc5322(int64_t wall_ms, char *dst, size_t size)
{
    time_t t = seconds_of(wall_ms);
    struct tm tm = { 0 };
    long off, abs_off;

    localtime_r(&t, &tm);
    off = tm.tm_gmtoff / 60;
    abs_off = labs(off);
    snprintf(dst, size, "%s, %02d %s %04d %02d:%02d:%02d %c%02ld%02ld", days[tm.tm_wday % 7], tm.tm_mday,
             months[tm.tm_mon % 12], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, off < 0 ? '-' : '+',
             abs_off / 60, abs_off % 60);
}

void clock_rfc3339(int64_t wall_ms, char *dst, size_t size)
{
    time_t t = seconds_of(wall_ms);
    struct tm tm = { 0 };

    gmtime_r(&t, &tm);
    snprintf(dst, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall_ms - (int64_t)t * 1000));
}
