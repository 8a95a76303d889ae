/* FNV-1a, 64 bits: a hash that is made byte by byte, for short names. Partitions of outboxes depend on it: it stays as it is. */
#ifndef GEARTRAIN_HASH_H
#define GEARTRAIN_HASH_H

#include <stddef.h>
#include <stdint.h>

static const uint64_t HASH_BEGIN = 14695981039346656037ull;

static inline uint64_t hash_byte(uint64_t hash, unsigned char byte) {
    return (hash ^ byte) * 1099511628211ull;
}

/* The hash of some bytes behind those that `hash` is of; to be folded before its low bits are used. */
static inline uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) hash = hash_byte(hash, (unsigned char)bytes[i]);
    return hash;
}

/* Which of `count` places a hash belongs to. */
static inline size_t hash_place(uint64_t hash, size_t count) {
    return (hash ^ (hash >> 32)) % count;
}

#endif
