/* What a body begins with: sixteen printable characters that say which message it is and when it was meant to be sent.
 *
 *     |sss|nnnnnn|ttttttt|[cccccc]|filler ...
 *      |   |      |         `---- 36 bits of a hash over all the rest, if bodies are verified
 *      |   |      `-------------- 42 bits: tenths of a microsecond since the generator was made
 *      |   `--------------------- 36 bits: number of the message in its stream
 *      `------------------------- 18 bits: stream, a pair of publisher and destination
 *
 * A character holds six bits, most significant first: '0' is 0 and the 63 characters behind it in ASCII follow ('o' is 63).
 * None of them is NUL, LF or CR. Eight characters are read and written as one word, without a loop or a table.
 */
#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define STAMP_SIZE 16
#define HASH_SIZE 6
#define LAST_LETTER 'o'
#define STREAM_BITS 18
#define NUMBER_BITS 36
#define TIME_BITS 42
#define TICK 100 /* ns */

/* The bytes as they stand in memory: the first one is the lowest of the word. */
static inline uint64_t load_text(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline void store_text(char *at, uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(at, &word, sizeof word);
}

/* 48 bits to eight characters: halves, quarters, eighths are moved apart, then all become letters at once. */
static inline uint64_t text_of(uint64_t bits) {
    bits = (bits & UINT64_C(0xffffff000000)) << 8 | (bits & UINT64_C(0xffffff));
    bits = (bits & UINT64_C(0x00fff00000fff000)) << 4 | (bits & UINT64_C(0x00000fff00000fff));
    bits = (bits & UINT64_C(0x0fc00fc00fc00fc0)) << 2 | (bits & UINT64_C(0x003f003f003f003f));
    return __builtin_bswap64(bits + UINT64_C(0x3030303030303030));
}

/* The way back; false when they are not all letters of ours. */
static inline bool bits_of(uint64_t text, uint64_t *bits) {
    uint64_t moved = __builtin_bswap64(text & UINT64_C(0x7f7f7f7f7f7f7f7f)) + UINT64_C(0x1010101010101010);
    if ((text & UINT64_C(0x8080808080808080)) || (moved & UINT64_C(0xc0c0c0c0c0c0c0c0)) != UINT64_C(0x4040404040404040))
        return false;
    moved &= UINT64_C(0x3f3f3f3f3f3f3f3f);
    moved = (moved & UINT64_C(0x3f003f003f003f00)) >> 2 | (moved & UINT64_C(0x003f003f003f003f));
    moved = (moved & UINT64_C(0x0fff00000fff0000)) >> 4 | (moved & UINT64_C(0x00000fff00000fff));
    *bits = (moved & UINT64_C(0x00ffffff00000000)) >> 8 | (moved & UINT64_C(0xffffff));
    return true;
}

typedef struct Stamp {
    uint32_t stream;
    uint64_t number;
    uint64_t time; /* in ticks */
} Stamp;

/* The words of a stamp are cut where the number's last character begins: for 64 messages the first stays as it is. */
static inline uint64_t stamp_head(uint32_t stream, uint64_t number) {
    return text_of((uint64_t)stream << 30 | (number >> 6 & ((UINT64_C(1) << 30) - 1)));
}

static inline uint64_t stamp_tail(uint64_t number, uint64_t time) {
    return text_of((number & 63) << TIME_BITS | (time & ((UINT64_C(1) << TIME_BITS) - 1)));
}

static inline void stamp_write(char *body, uint32_t stream, uint64_t number, uint64_t time) {
    store_text(body, stamp_head(stream, number));
    store_text(body + 8, stamp_tail(number, time));
}

static inline bool stamp_read(const char *body, Stamp *stamp) {
    uint64_t head, tail;
    if (!bits_of(load_text(body), &head) || !bits_of(load_text(body + 8), &tail))
        return false;
    stamp->stream = (uint32_t)(head >> 30);
    stamp->number = (head & ((UINT64_C(1) << 30) - 1)) << 6 | tail >> TIME_BITS;
    stamp->time = tail & ((UINT64_C(1) << TIME_BITS) - 1);
    return true;
}

/* Each step is a bijection, so no change of a single word can get lost before the last cut. */
static inline uint64_t hash_word(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static inline uint64_t hash_bytes(uint64_t hash, const char *at, size_t length) {
    for (; length >= 8; at += 8, length -= 8)
        hash = hash_word(hash, load_text(at));
    for (; length; at++, length--)
        hash = hash_word(hash, (unsigned char)*at);
    return hash;
}

/* Over all of a body but the hash itself. */
static inline uint64_t body_hash(const char *body, size_t size) {
    uint64_t hash = hash_bytes(size, body, STAMP_SIZE);
    hash = hash_bytes(hash, body + STAMP_SIZE + HASH_SIZE, size - STAMP_SIZE - HASH_SIZE);
    return hash >> (64 - NUMBER_BITS);
}

static inline void body_hash_write(char *body, size_t size) {
    uint64_t text = text_of(body_hash(body, size));
    char letters[8];
    store_text(letters, text);
    memcpy(body + STAMP_SIZE, letters + 8 - HASH_SIZE, HASH_SIZE);
}

static inline bool body_hash_fits(const char *body, size_t size) {
    char letters[8];
    store_text(letters, text_of(body_hash(body, size)));
    return memcmp(body + STAMP_SIZE, letters + 8 - HASH_SIZE, HASH_SIZE) == 0;
}

/* Letters that differ from message to message, behind stamp and hash. */
static inline void body_fill(char *body, size_t size, uint32_t stream, uint64_t number) {
    uint64_t state = hash_word(hash_word(1, stream), number);
    char *at = body + STAMP_SIZE + HASH_SIZE, *end = body + size;
    for (; at < end; at += 8) {
        char letters[8];
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        store_text(letters, (state >> 2 & UINT64_C(0x3f3f3f3f3f3f3f3f)) + UINT64_C(0x3030303030303030));
        memcpy(at, letters, end - at < 8 ? (size_t)(end - at) : 8);
    }
}

/* A header must not have ':' or '\' in it, so receipt ids use four bits a character, 'a' to 'p': 32 bits in eight. */
static inline uint64_t plain_text_of(uint32_t bits) {
    uint64_t apart = bits;
    apart = (apart << 16 | apart) & UINT64_C(0x0000ffff0000ffff);
    apart = (apart << 8 | apart) & UINT64_C(0x00ff00ff00ff00ff);
    apart = (apart << 4 | apart) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return __builtin_bswap64(apart + UINT64_C(0x6161616161616161));
}

static inline bool bits_of_plain(uint64_t text, uint32_t *bits) {
    uint64_t apart = __builtin_bswap64(text);
    if ((apart - UINT64_C(0x6161616161616161)) & UINT64_C(0xf0f0f0f0f0f0f0f0))
        return false;
    apart -= UINT64_C(0x6161616161616161);
    apart = (apart >> 4 | apart) & UINT64_C(0x00ff00ff00ff00ff);
    apart = (apart >> 8 | apart) & UINT64_C(0x0000ffff0000ffff);
    *bits = (uint32_t)(apart >> 16 | apart);
    return true;
}

/* |nnnnnnnnnnnn|tttttttttttt|: number and time, 48 bits each, of what a receipt is asked for. */
#define RECEIPT_SIZE 24

static inline void receipt_write(char *at, uint64_t number, uint64_t time) {
    store_text(at, plain_text_of((uint32_t)(number >> 16)));
    store_text(at + 8, plain_text_of((uint32_t)(number << 16 | time >> 32)));
    store_text(at + 16, plain_text_of((uint32_t)time));
}

static inline bool receipt_read(const char *at, uint64_t *number, uint64_t *time) {
    uint32_t first, second, third;
    if (!bits_of_plain(load_text(at), &first) || !bits_of_plain(load_text(at + 8), &second) ||
        !bits_of_plain(load_text(at + 16), &third))
        return false;
    *number = (uint64_t)first << 16 | second >> 16;
    *time = (uint64_t)(second & 0xffff) << 32 | third;
    return true;
}

#endif
