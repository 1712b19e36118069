/* Bytes that grow at the end and are taken from the front. */
#ifndef BENCH_BUFFER_H
#define BENCH_BUFFER_H

#include <stddef.h>

#include "../os.h"

typedef struct {
    char *data;
    size_t length;
    size_t capacity;
} buffer;

static inline void buffer_append(buffer *b, const char *data, size_t length)
{
    if (b->capacity - b->length < length) {
        b->capacity = 2 * b->capacity + length;
        b->data = must_alloc(realloc(b->data, b->capacity));
    }
    if (length)
        memcpy(b->data + b->length, data, length);
    b->length += length;
}

static inline void buffer_append_text(buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text));
}

static inline void buffer_take(buffer *b, size_t length)
{
    b->length -= length;
    memmove(b->data, b->data + length, b->length);
}

#endif
