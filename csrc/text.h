/* Floor 0: bytes that grow at the end and are used up from the start.
 *
 *     bytes |...used up...|#### waiting ####|....free....|
 *           0           start              end       capacity (+ SCAN_SLACK, never filled)
 *
 * Input that a read cut off, frames parked for later, header lines put together for one message.
 */
#ifndef FASTBROKER_TEXT_H
#define FASTBROKER_TEXT_H

#include <stdint.h>
#include <stdlib.h>

#include "csrc/wire.h"

typedef struct Text {
    char *bytes;
    size_t start, end, capacity;
    int64_t *counted; /* where the memory is added up, or NULL */
} Text;

static inline size_t text_length(const Text *text) {
    return text->end - text->start;
}

static inline void text_free(Text *text) {
    if (text->counted != NULL)
        *text->counted -= (int64_t)text->capacity;
    free(text->bytes);
    text->bytes = NULL;
    text->start = text->end = text->capacity = 0;
}

/* By doubling, so by what has been received and never by what a length field promises. */
static char *text_grow(Text *text, size_t needed) {
    size_t live = text_length(text), capacity = text->capacity ? text->capacity : 256;
    char *bytes;
    while (capacity - live < needed)
        capacity *= 2;
    bytes = (char *)malloc(capacity + SCAN_SLACK);
    if (bytes == NULL)
        return NULL;
    if (live)
        memcpy(bytes, text->bytes + text->start, live);
    text_free(text);
    if (text->counted != NULL)
        *text->counted += (int64_t)capacity;
    text->bytes = bytes;
    text->capacity = capacity;
    text->end = live;
    return bytes + live;
}

/* Room for so many bytes at the end; NULL when there is no memory. */
static inline char *text_reserve(Text *text, size_t needed) {
    if (text->capacity - text->end >= needed && text->bytes != NULL)
        return text->bytes + text->end;
    return text_grow(text, needed);
}

/* 0, or -1 when there is no memory. */
static inline int text_put(Text *text, const char *bytes, size_t length) {
    char *room = text_reserve(text, length);
    if (room == NULL)
        return -1;
    if (length)
        memcpy(room, bytes, length);
    text->end += length;
    return 0;
}

static inline void text_use(Text *text, size_t length) {
    text->start += length;
    if (text->start == text->end)
        text_free(text);
}

#endif
