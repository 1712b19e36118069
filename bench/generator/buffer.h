/* Bytes that grow at the end and are used up from the start.
 *
 *     bytes |...used up...|#### waiting ####|....free....|
 *           0           start              end       capacity
 *
 * A buffer that got no memory is `broken` and stays so: whoever appends need not look, whoever sends does.
 */
#ifndef BENCH_BUFFER_H
#define BENCH_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Buffer {
    char *bytes;
    size_t start, end, capacity;
    bool broken;
} Buffer;

static inline size_t buffer_length(const Buffer *buffer) {
    return buffer->end - buffer->start;
}

static inline char *buffer_front(const Buffer *buffer) {
    return buffer->bytes + buffer->start;
}

static inline void buffer_free(Buffer *buffer) {
    free(buffer->bytes);
    *buffer = (Buffer){0};
}

static inline void buffer_clear(Buffer *buffer) {
    buffer->start = buffer->end = 0;
}

/* Room for so many bytes behind the end, or NULL. */
static inline char *buffer_room(Buffer *buffer, size_t needed) {
    size_t waiting = buffer_length(buffer);
    if (buffer->capacity - buffer->end >= needed)
        return buffer->bytes + buffer->end;
    if (buffer->capacity - waiting < needed || waiting > buffer->start) {
        size_t capacity = 2 * waiting + needed;
        char *bytes = realloc(buffer->bytes, buffer->capacity < capacity ? capacity : buffer->capacity);
        buffer->broken = buffer->broken || bytes == NULL;
        if (bytes == NULL)
            return NULL;
        buffer->bytes = bytes;
        buffer->capacity = buffer->capacity < capacity ? capacity : buffer->capacity;
    }
    if (waiting)
        memmove(buffer->bytes, buffer_front(buffer), waiting);
    buffer->start = 0;
    buffer->end = waiting;
    return buffer->bytes + waiting;
}

static inline void buffer_append(Buffer *buffer, const void *bytes, size_t length) {
    char *room = length ? buffer_room(buffer, length) : NULL;
    if (room == NULL)
        return;
    memcpy(room, bytes, length);
    buffer->end += length;
}

static inline void buffer_text(Buffer *buffer, const char *text) {
    buffer_append(buffer, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static inline void buffer_format(Buffer *buffer, const char *format, ...) {
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    buffer_append(buffer, text, (size_t)length);
}

static inline void buffer_take(Buffer *buffer, size_t length) {
    buffer->start += length;
    if (buffer->start == buffer->end)
        buffer_clear(buffer);
}

#endif
