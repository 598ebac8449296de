/* hash.c - CRC-32C, SipHash-2-4, FNV-1a and the kernel's random bytes */
#include "common/base/hash.h"

#include "common/base/err.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <sys/random.h>

#define CRC32C_POLY 0x82f63b78u     /* reflected */

static uint32_t crc_table[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;
static bool crc_hardware;

/* queued's committer may be the first to ask, hence the once. */
static void crc_setup(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ CRC32C_POLY : c >> 1;
        crc_table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int t = 1; t < 8; t++)
            crc_table[t][i] = crc_table[t - 1][i] >> 8 ^ crc_table[0][crc_table[t - 1][i] & 0xff];
    }
#if defined(__x86_64__)
    crc_hardware = __builtin_cpu_supports("sse4.2");
#endif
}

static uint64_t load_le64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

/* Eight bytes per step. */
static uint32_t crc_software(uint32_t c, const uint8_t *p, size_t n)
{
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t v = load_le64(p) ^ c;

        c = 0;
        for (int t = 0; t < 8; t++)
            c ^= crc_table[7 - t][v >> (8 * t) & 0xff];
    }
    for (; n > 0; p++, n--)
        c = c >> 8 ^ crc_table[0][(c ^ *p) & 0xff];
    return c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t c, const uint8_t *p, size_t n)
{
    uint64_t c64 = c;

    for (; n >= 8; p += 8, n -= 8) {
        uint64_t v;

        memcpy(&v, p, 8);
        c64 = __builtin_ia32_crc32di(c64, v);
    }
    c = (uint32_t)c64;
    for (; n > 0; p++, n--)
        c = __builtin_ia32_crc32qi(c, *p);
    return c;
}
#endif

uint32_t hash_crc32c_portable(uint32_t crc, const void *p, size_t n)
{
    pthread_once(&crc_once, crc_setup);
    return ~crc_software(~crc, p, n);
}

uint32_t hash_crc32c(uint32_t crc, const void *p, size_t n)
{
    pthread_once(&crc_once, crc_setup);
#if defined(__x86_64__)
    if (crc_hardware)
        return ~crc_sse42(~crc, p, n);
#endif
    return hash_crc32c_portable(crc, p, n);
}

struct sip {
    uint64_t a, b, c, d;
};

static uint64_t rotl(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(struct sip *s, int rounds)
{
    while (rounds-- > 0) {
        s->a += s->b;
        s->c += s->d;
        s->b = rotl(s->b, 13) ^ s->a;
        s->d = rotl(s->d, 16) ^ s->c;
        s->a = rotl(s->a, 32);
        s->c += s->b;
        s->a += s->d;
        s->b = rotl(s->b, 17) ^ s->c;
        s->d = rotl(s->d, 21) ^ s->a;
        s->c = rotl(s->c, 32);
    }
}

uint64_t hash_sip_key(const uint8_t key[16], struct strv s)
{
    uint64_t k0 = load_le64(key), k1 = load_le64(key + 8);
    struct sip v = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u };
    uint64_t m = 0;
    size_t i = 0;

    for (; s.n - i >= 8; i += 8) {
        m = load_le64((const uint8_t *)s.p + i);
        v.d ^= m;
        sip_round(&v, 2);
        v.a ^= m;
    }
    m = (uint64_t)s.n << 56;
    for (size_t k = 0; i + k < s.n; k++)
        m |= (uint64_t)(uint8_t)s.p[i + k] << (8 * k);
    v.d ^= m;
    sip_round(&v, 2);
    v.a ^= m;
    v.c ^= 0xff;
    sip_round(&v, 4);
    return v.a ^ v.b ^ v.c ^ v.d;
}

static uint8_t sip_key[16];
static pthread_once_t sip_once = PTHREAD_ONCE_INIT;

static void sip_setup(void)
{
    rand_bytes(sip_key, sizeof sip_key);
}

uint64_t hash_sip(struct strv s)
{
    pthread_once(&sip_once, sip_setup);
    return hash_sip_key(sip_key, s);
}

uint64_t hash_stable(struct strv s)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (uint8_t)s.p[i]) * 0x100000001b3u;
    return h;
}

void rand_bytes(void *p, size_t n)
{
    uint8_t *to = p;

    while (n > 0) {
        ssize_t got = getrandom(to, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            die("getrandom failed with error %d", errno);
        to += got;
        n -= (size_t)got;
    }
}

uint64_t rand_u64(void)
{
    uint64_t v;

    rand_bytes(&v, sizeof v);
    return v;
}

uint64_t rand_below(uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, v;

    do {
        v = rand_u64();
    } while (v >= limit);
    return v % n;
}
