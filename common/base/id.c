/* id.c - identities: 42 bits of time, 8 of process, 14 of a counter */
#include "common/base/id.h"

#include "common/base/clock.h"
#include "common/base/hash.h"

#include <unistd.h>

#define ID_EPOCH_MS  1577836800000 /* 2020-01-01 00:00:00 UTC */
#define COUNTER_BITS 14
#define PROCESS_BITS 8
#define TIME_BITS    42
#define COUNTER_MAX  ((1u << COUNTER_BITS) - 1)

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static struct {
    bool seeded;
    unsigned process;
    unsigned first; /* where the counter of each millisecond starts */
    unsigned counter;
    int64_t ms;
} state;

/* A random start makes a repetition unlikely when a process is replaced while the clock is set back. */
void id_seed(unsigned process)
{
    state.seeded = true;
    state.process = process & ((1u << PROCESS_BITS) - 1);
    state.first = (unsigned)rand_below(COUNTER_MAX / 2) + 1;
}

uint64_t id_new(void)
{
    int64_t ms = clock_wall_ms() - ID_EPOCH_MS;

    if (!state.seeded)
        id_seed((unsigned)getpid());
    if (ms < 0)
        ms = 0;
    if (ms > state.ms) {
        state.ms = ms;
        state.counter = state.first;
    } else if (state.counter == COUNTER_MAX || state.counter == 0) {
        /* More than the counter holds in one millisecond, or a clock that stands: borrow from the next one.
         */
        state.ms++;
        state.counter = state.first;
    } else {
        state.counter++;
    }
    return ((uint64_t)state.ms & (((uint64_t)1 << TIME_BITS) - 1)) << (PROCESS_BITS + COUNTER_BITS) |
           (uint64_t)state.process << COUNTER_BITS | state.counter;
}

void id_text(uint64_t id, char dst[ID_TEXT_SIZE])
{
    for (int i = ID_TEXT_LEN - 1; i >= 0; i--) {
        dst[i] = alphabet[id & 31];
        id >>= 5;
    }
    dst[ID_TEXT_LEN] = '\0';
}

/* The value of a character plus 1; 0: none. A start reads millions of ids. */
static const uint8_t values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    ['G'] = 17, ['H'] = 18, ['J'] = 19, ['K'] = 20, ['M'] = 21, ['N'] = 22, ['P'] = 23, ['Q'] = 24,
    ['R'] = 25, ['S'] = 26, ['T'] = 27, ['V'] = 28, ['W'] = 29, ['X'] = 30, ['Y'] = 31, ['Z'] = 32,
};

bool id_parse(struct strv s, uint64_t *out)
{
    uint64_t v = 0;

    /* 13 characters hold 65 bits: the first one is at most F */
    if (s.n != ID_TEXT_LEN || values[(uint8_t)s.p[0]] > 16)
        return false;
    for (size_t i = 0; i < ID_TEXT_LEN; i++) {
        unsigned value = values[(uint8_t)s.p[i]];

        if (value == 0)
            return false;
        v = v << 5 | (value - 1);
    }
    *out = v;
    return true;
}

int64_t id_wall_ms(uint64_t id)
{
    return (int64_t)(id >> (PROCESS_BITS + COUNTER_BITS)) + ID_EPOCH_MS;
}
