/* Floor 0: CRC-32C (Castagnoli), the check sum of what lies on disk; with the processor's own instruction where it has
 * one.
 *
 *   crc32c      of so many bytes, going on from the sum of those before them; 0 begins
 */
#ifndef FASTBROKER_CRC_H
#define FASTBROKER_CRC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

#define CRC_POLYNOMIAL 0x82f63b78u

/* Half a byte a step: for machines without the instruction, which need no table of kilobytes for it. */
static uint32_t crc_by_hand(uint32_t crc, const unsigned char *bytes, size_t length) {
    uint32_t table[16], i, bit;
    size_t at;
    for (i = 0; i < 16; i++) {
        table[i] = i;
        for (bit = 0; bit < 4; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? CRC_POLYNOMIAL : 0);
    }
    for (at = 0; at < length; at++) {
        crc ^= bytes[at];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_by_machine(uint32_t crc, const unsigned char *bytes,
                                                                 size_t length) {
    uint64_t sum = crc, word;
    for (; length >= 8; length -= 8, bytes += 8) {
        memcpy(&word, bytes, 8);
        sum = _mm_crc32_u64(sum, word);
    }
    for (; length; length--, bytes++)
        sum = _mm_crc32_u8((uint32_t)sum, *bytes);
    return (uint32_t)sum;
}
#elif defined(__ARM_FEATURE_CRC32)
static uint32_t crc_by_machine(uint32_t crc, const unsigned char *bytes, size_t length) {
    uint64_t word;
    for (; length >= 8; length -= 8, bytes += 8) {
        memcpy(&word, bytes, 8);
        crc = __crc32cd(crc, word);
    }
    for (; length; length--, bytes++)
        crc = __crc32cb(crc, *bytes);
    return crc;
}
#endif

static inline uint32_t crc32c(uint32_t crc, const void *bytes, size_t length) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_by_machine(~crc, (const unsigned char *)bytes, length);
#elif defined(__ARM_FEATURE_CRC32)
    return ~crc_by_machine(~crc, (const unsigned char *)bytes, length);
#endif
    return ~crc_by_hand(~crc, (const unsigned char *)bytes, length);
}

#endif
