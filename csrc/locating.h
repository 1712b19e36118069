/* Floor 0: where the messages of one segment stand, and their records at such places.
 *
 *     locate_records     id, queue -> place, for each message that came into a queue there, in the order of ids
 *     fetch_records      the payloads of the records at some places
 *
 * A place is that of a record's head in its segment, in 8 bytes. Where a message came into several queues, all find the
 * one record that has its content.
 */
#ifndef FASTBROKER_LOCATING_H
#define FASTBROKER_LOCATING_H

#include "csrc/reading.h"

enum { PLACE_UNIT = 8, FETCH_WINDOW = 1 << 18, QUEUE_IN_ADDED = 16, QUEUE_IN_SHARED = 16 };

typedef struct Located {
    uint64_t id;
    uint32_t queue;
    uint32_t place;
} Located;

typedef struct Buffer {
    char *bytes;
    size_t length, room;
} Buffer;

static int buffer_reserve(Buffer *buffer, size_t more) {
    size_t room = buffer->room ? buffer->room : 1 << 17;
    char *bytes;
    if (buffer->length + more <= buffer->room)
        return 0;
    while (room < buffer->length + more)
        room *= 2;
    bytes = (char *)realloc(buffer->bytes, room);
    if (bytes == NULL)
        return -1;
    buffer->bytes = bytes;
    buffer->room = room;
    return 0;
}

static void buffer_free(Buffer *buffer) {
    free(buffer->bytes);
    memset(buffer, 0, sizeof(*buffer));
}

/* ---- a segment, read from its beginning ---- */

static int open_segment(Reading *reading, int directory, const unsigned char *id, uint32_t seed, uint64_t number) {
    int status;
    memset(reading, 0, sizeof(*reading));
    reading->directory = directory;
    reading->seed = seed;
    memcpy(reading->id, id, DIRECTORY_ID);
    status = add_segment(reading, number);
    if (status == READING_OK)
        status = map_segment(reading, &reading->segments[0]);
    reading->next.at = SEGMENT_HEAD;
    reading->next.sequence = reading->count ? (uint32_t)reading->segments[0].sequence : 0;
    return status;
}

static int by_id(const void *a, const void *b) {
    const Located *first = (const Located *)a, *second = (const Located *)b;
    if (first->id != second->id)
        return first->id < second->id ? -1 : 1;
    return (first->queue > second->queue) - (first->queue < second->queue);
}

/* The payload of a record, without what a transaction puts in front of it. */
static const char *payload_of(const Record *record) {
    return (const char *)(record + 1) + (record->flags & RECORD_IN_TRANSACTION ? 8 : 0);
}

static int add_located(Buffer *all, const Record *record, uint32_t place) {
    Located one;
    const char *payload = payload_of(record);
    memcpy(&one.id, payload, sizeof(one.id));
    memcpy(&one.queue, payload + QUEUE_IN_ADDED, sizeof(one.queue));
    one.place = place;
    if (buffer_reserve(all, sizeof(one)) < 0)
        return -1;
    memcpy(all->bytes + all->length, &one, sizeof(one));
    all->length += sizeof(one);
    return 0;
}

/* One that shares the content of another, which is in the same group, and mostly the last one. */
static uint32_t place_shared(const Buffer *all, size_t group, const Record *record) {
    const Located *located = (const Located *)(void *)all->bytes;
    size_t i = all->length / sizeof(Located);
    uint64_t id;
    memcpy(&id, payload_of(record), sizeof(id));
    while (i-- > group)
        if (located[i].id == id)
            return located[i].place;
    return 0;
}

/* No bytes where there is no memory, or nothing can be read. */
static void locate_records(int directory, const unsigned char *id, uint32_t seed, uint64_t number, Buffer *all) {
    Reading reading;
    const Record *record;
    size_t group = 0;
    uint32_t place;
    int status = open_segment(&reading, directory, id, seed, number);
    while (status == READING_OK && (record = find_record(&reading)) != NULL) {
        place = (uint32_t)(((const char *)record - reading.segments[0].bytes) / PLACE_UNIT);
        if (record->kind == RECORD_SHARED)
            place = place_shared(all, group, record);
        if ((record->kind == RECORD_ADDED || record->kind == RECORD_SHARED) && place
                && add_located(all, record, place) < 0)
            status = READING_MEMORY;
        if (record->flags & RECORD_LAST)
            group = all->length / sizeof(Located);
    }
    reading_close(&reading);
    if (status != READING_OK)
        buffer_free(all);
    if (all->length)
        qsort(all->bytes, all->length / sizeof(Located), sizeof(Located), by_id);
}

/* ---- records at places ---- */

typedef struct Window {
    int file;
    uint32_t seed;              /* of the segment's records */
    char *bytes;
    size_t length;
    off_t start;
} Window;

/* What the window has from that offset on, if that is a whole record, perhaps. */
static const Record *in_window(const Window *window, off_t at, size_t *left) {
    const Record *record;
    if (at < window->start || at + RECORD_HEAD > window->start + (off_t)window->length)
        return NULL;
    *left = window->length - (size_t)(at - window->start);
    record = (const Record *)(void *)(window->bytes + (at - window->start));
    return record->length <= RECORD_MOST && record_size(record->length) <= *left ? record : NULL;
}

static void move_window(Window *window, off_t at, size_t length) {
    ssize_t got;
    do
        got = pread(window->file, window->bytes, length, at);
    while (got < 0 && errno == EINTR);
    window->start = at;
    window->length = got < 0 ? 0 : (size_t)got;
}

/* The record at that offset, or NULL if it cannot be read or is damaged. What is read once is used for all near it. */
static const Record *record_in(Window *window, off_t at) {
    size_t left = 0;
    const Record *record = in_window(window, at, &left);
    if (record == NULL) {
        move_window(window, at, FETCH_WINDOW);
        record = in_window(window, at, &left);
    }
    return record == NULL ? NULL : record_at((const char *)record, left, window->seed, record->sequence);
}

/* Onto that segment; 0, or -1. */
static int open_window(Window *window, int directory, uint32_t seed, uint64_t number) {
    char name[SEGMENT_NAME];
    const SegmentHead *head;
    memset(window, 0, sizeof(*window));
    segment_name(name, number);
    window->bytes = (char *)malloc(FETCH_WINDOW);
    window->file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (window->bytes == NULL || window->file < 0)
        return -1;
    head = (const SegmentHead *)(void *)window->bytes;
    move_window(window, 0, SEGMENT_HEAD);
    window->seed = segment_seed(window->length == SEGMENT_HEAD ? head->version : SEGMENT_VERSION, seed, number);
    return 0;
}

static void close_window(Window *window) {
    if (window->file >= 0)
        close(window->file);
    free(window->bytes);
}

/* The payload of one and of those in which it goes on, behind 8 bytes that say how long it is. 0; -1: no memory. */
static int fetch_one(Window *window, off_t at, Buffer *fetched) {
    const Record *record = record_in(window, at);
    size_t head = fetched->length, begin = head + 8, skip;
    uint32_t says[2] = {0, 0};
    int found = record != NULL && record->kind == RECORD_ADDED;
    if (buffer_reserve(fetched, 8) < 0)
        return -1;
    fetched->length += 8;
    while (found && record != NULL) {
        skip = record->flags & RECORD_IN_TRANSACTION && fetched->length == begin ? 8 : 0;
        if (buffer_reserve(fetched, record->length + 8) < 0)
            return -1;
        memcpy(fetched->bytes + fetched->length, (const char *)(record + 1) + skip, record->length - skip);
        fetched->length += record->length - skip;
        at += (off_t)record_size(record->length);
        if (record->length < RECORD_MOST)
            break;
        record = record_in(window, at);     /* where that is damaged, the payload is too short for what it says */
        if (record != NULL && record->kind != RECORD_MORE)
            break;
    }
    if (found) {
        says[0] = (uint32_t)(fetched->length - begin);
        says[1] = 1;
    } else
        fetched->length = begin;
    memcpy(fetched->bytes + head, says, sizeof(says));
    fetched->length = (fetched->length + 7) & ~(size_t)7;
    return 0;
}

/* All of them; where there is no memory, or no descriptor for the file, `fetched` has no bytes. */
static void fetch_records(int directory, uint32_t seed, uint64_t number, const uint32_t *places, size_t count,
                          Buffer *fetched) {
    Window window;
    size_t i;
    int result = open_window(&window, directory, seed, number);
    for (i = 0; i < count && result == 0; i++)
        result = fetch_one(&window, (off_t)places[i] * PLACE_UNIT, fetched);
    close_window(&window);
    if (result < 0)
        buffer_free(fetched);
}

#endif
