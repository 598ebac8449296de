/* hash.h - checksums, keyed hashing and random bytes */
#pragma once

#include "common/base/strv.h"

/* CRC-32C (Castagnoli), RFC 3720 B.4; crc 0 starts. Uses the processor's instruction where there is one. */
uint32_t hash_crc32c(uint32_t crc, const void *p, size_t n);
/* The same without that instruction, so that tests reach what other processors run. */
uint32_t hash_crc32c_portable(uint32_t crc, const void *p, size_t n);

/* SipHash-2-4 with the process's random key: for tables fed by strangers. Not stable between processes. */
uint64_t hash_sip(struct strv s);
/* The same with a given 16-byte key. */
uint64_t hash_sip_key(const uint8_t key[16], struct strv s);

/* FNV-1a 64: stable between processes and versions; for routing, never for tables fed by strangers. */
uint64_t hash_stable(struct strv s);

/* Bytes of the kernel's generator; dies when that fails. */
void rand_bytes(void *p, size_t n);
uint64_t rand_u64(void);
uint64_t rand_below(uint64_t n);                /* uniform in [0, n); n > 0 */
