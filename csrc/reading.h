/* Floor 0: the journal as it is read when a broker starts, group by group, in the order in which it was written.
 *
 *     reading_open    which segments there are, and whether any is missing or foreign
 *     reading_group   the records of the next group that holds
 *     reading_cut     what stands behind the last of these is cut off
 *
 * A record that is damaged is never handed out: it is left out, and counted. What tells damage from a write that a
 * power cut has torn is what stands behind it: where a group follows that was begun when this was on the disk
 * (RECORD_SYNCED), that was durable, and something has gone. What is torn was never promised to outlive that, and is
 * cut off back to the end of the last whole group.
 */
#ifndef FASTBROKER_READING_H
#define FASTBROKER_READING_H

#include <dirent.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "csrc/segment.h"

/* What reading_open says. */
enum {
    READING_OK, READING_OPEN, READING_VERSION, READING_FOREIGN, READING_MISNAMED, READING_MISSING, READING_MEMORY
};

#define ANY_SEQUENCE ((size_t)1 << 35)  /* so many bytes may be skipped where nobody knows what was there */

typedef struct Mapped {
    uint64_t number, sequence;
    uint32_t seed;              /* of its records */
    const char *bytes;
    size_t length;
    int headless;               /* its head is damaged, or was never written */
} Mapped;

typedef struct Spot {
    size_t segment, at;
    uint32_t sequence;
} Spot;

typedef struct Reading {
    int directory;
    unsigned char id[DIRECTORY_ID];
    uint32_t seed;
    Mapped *segments;           /* in their order */
    size_t count;
    uint64_t *unnamed;          /* numbers of those that were about to go */
    size_t unnamed_count;
    Spot next;                  /* what is read next */
    Spot end;                   /* behind the last group that holds */
    uint64_t passed;            /* bytes of the segments in front of `next` */
    const Record **records;     /* of the group that is read */
    size_t record_count, record_room;
    int holes;                  /* where something was left out in it */
    uint64_t damaged;           /* bytes left out so far, ... */
    uint64_t damaged_in;        /* ... the last time in this segment */
    size_t damaged_at;
    uint64_t wrong;             /* the segment that an error is about */
    int error;                  /* and its errno */
} Reading;

/* ---- the files ---- */

static int by_number(const void *a, const void *b) {
    uint64_t first = ((const Mapped *)a)->number, second = ((const Mapped *)b)->number;
    return (first > second) - (first < second);
}

static int add_segment(Reading *reading, uint64_t number) {
    Mapped *segments = (Mapped *)realloc(reading->segments, (reading->count + 1) * sizeof(Mapped));
    if (segments == NULL)
        return READING_MEMORY;
    memset(&segments[reading->count], 0, sizeof(Mapped));
    segments[reading->count++].number = number;
    reading->segments = segments;
    return READING_OK;
}

static int list_segments(Reading *reading) {
    DIR *files = fdopendir(dup(reading->directory));
    const struct dirent *entry;
    unsigned long long number;
    char rest, name[SEGMENT_NAME];
    int status = READING_OK;
    if (files == NULL) {
        reading->error = errno;
        return READING_OPEN;
    }
    rewinddir(files);
    while (status == READING_OK && (entry = readdir(files)) != NULL) {
        if (sscanf(entry->d_name, "segment-%16llx%c", &number, &rest) != 1)
            continue;
        segment_name(name, number);
        if (strcmp(name, entry->d_name) == 0)
            status = add_segment(reading, number);
    }
    closedir(files);
    if (reading->count)
        qsort(reading->segments, reading->count, sizeof(Mapped), by_number);
    return status;
}

/* One whose head is damaged may still have its records. */
static int check_head(const Reading *reading, Mapped *segment) {
    const SegmentHead *head = (const SegmentHead *)segment->bytes;
    int whole = segment->length >= SEGMENT_HEAD && memcmp(head->magic, SEGMENT_MAGIC, 8) == 0;
    if (whole && head->version != SEGMENT_VERSION && head->version != SEGMENT_FIRST_VERSION)
        return READING_VERSION;
    segment->seed = segment_seed(whole ? head->version : SEGMENT_VERSION, reading->seed, segment->number);
    segment->headless = !whole || head->crc != segment_crc(head);
    if (segment->headless)
        return READING_OK;
    segment->sequence = head->sequence;
    if (memcmp(head->directory, reading->id, DIRECTORY_ID) != 0)
        return READING_FOREIGN;
    return head->number == segment->number ? READING_OK : READING_MISNAMED;
}

/* Its content, as memory that only this process sees. */
static int map_segment(Reading *reading, Mapped *segment) {
    char name[SEGMENT_NAME];
    struct stat status;
    void *bytes = NULL;
    int file;
    segment_name(name, segment->number);
    file = openat(reading->directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) < 0)
        bytes = MAP_FAILED;
    else if (status.st_size > 0)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    reading->error = errno;
    if (file >= 0)
        close(file);
    if (bytes == MAP_FAILED)
        return READING_OPEN;
    segment->bytes = (const char *)bytes;
    segment->length = bytes == NULL ? 0 : (size_t)status.st_size;
    if (bytes != NULL)
        madvise(bytes, segment->length, MADV_SEQUENTIAL);
    return check_head(reading, segment);
}

static void reading_close(Reading *reading) {
    size_t i;
    for (i = 0; i < reading->count; i++)
        if (reading->segments[i].bytes != NULL)
            munmap((void *)reading->segments[i].bytes, reading->segments[i].length);
    free(reading->segments);
    free(reading->records);
    free(reading->unnamed);
    reading->segments = NULL;
    reading->unnamed = NULL;
    reading->records = NULL;
    reading->count = 0;
}

/* ---- the records ---- */

static int keep_record(Reading *reading, const Record *record) {
    if (reading->record_count == reading->record_room) {
        size_t room = reading->record_room ? reading->record_room * 2 : 256;
        const Record **records = (const Record **)realloc(reading->records, room * sizeof(*records));
        if (records == NULL)
            return -1;
        reading->records = records;
        reading->record_room = room;
    }
    reading->records[reading->record_count++] = record;
    return 0;
}

/* How far behind its place a record may be counted, where so many bytes are unreadable. */
static inline int follows(uint32_t sequence, uint32_t expected, size_t skipped) {
    return sequence - expected <= (uint32_t)(skipped / RECORD_HEAD);
}

/* The next record in this segment, at or behind `next`; NULL: there is none. What is passed by that is a hole. */
static const Record *find_record(Reading *reading) {
    const Mapped *segment = &reading->segments[reading->next.segment];
    size_t at = reading->next.at, from = at;
    const Record *record;
    for (; at + RECORD_HEAD <= segment->length; at += 8) {
        record = (const Record *)(segment->bytes + at);
        if (!follows(record->sequence, reading->next.sequence, segment->headless ? ANY_SEQUENCE : at - from))
            continue;
        record = record_at(segment->bytes + at, segment->length - at, segment->seed, record->sequence);
        if (record == NULL)
            continue;
        if (at != from) {
            reading->holes++;
            reading->damaged += at - from;
            reading->damaged_in = segment->number;
            reading->damaged_at = from;
        }
        reading->next.at = at + record_size(record->length);
        reading->next.sequence = record->sequence + 1;
        return record;
    }
    return NULL;
}

/* Whether it says which segments there are, of which the one that it stands in is the last. */
static int names_segments(const Record *record, uint64_t number) {
    const uint64_t *named = (const uint64_t *)(record + 1);
    size_t count = record->length / sizeof(uint64_t);
    return record->kind == RECORD_SEGMENTS && count && named[count - 1] == number;
}

/* The last record in that segment which does; NULL: none. */
static const Record *last_named(const Reading *reading, size_t segment) {
    Reading ahead = *reading;
    const Record *record, *found = NULL;
    ahead.next.segment = segment;
    ahead.next.at = SEGMENT_HEAD;
    ahead.next.sequence = (uint32_t)reading->segments[segment].sequence;
    while ((record = find_record(&ahead)) != NULL)
        if (names_segments(record, reading->segments[segment].number))
            found = record;
    return found;
}

/* Those that the newest one names must be there; what it does not name was about to go, and is not read. */
static int check_all_there(Reading *reading) {
    const Record *record = NULL;
    const uint64_t *named;
    size_t i, at = reading->count, to = 0, count;
    while (record == NULL && at > 0)
        record = last_named(reading, --at);
    if (record == NULL)
        return READING_OK;  /* the first one was about to begin */
    named = (const uint64_t *)(record + 1);
    count = record->length / sizeof(uint64_t);
    for (i = 0; i < reading->count; i++) {
        Mapped *segment = &reading->segments[i];
        if (to < count && segment->number > named[to])
            break;
        if (i > at || (to < count && segment->number == named[to])) {
            reading->segments[to++] = *segment;
            continue;
        }
        if (segment->bytes != NULL)
            munmap((void *)segment->bytes, segment->length);
        reading->unnamed[reading->unnamed_count++] = segment->number;
    }
    reading->count = to;
    reading->wrong = to < count ? named[to] : 0;
    return to < count ? READING_MISSING : READING_OK;
}

/* From the beginning, once more. */
static inline void reading_rewind(Reading *reading) {
    reading->next.segment = reading->end.segment = 0;
    reading->next.at = reading->end.at = SEGMENT_HEAD;
    reading->next.sequence = (uint32_t)reading->segments[0].sequence;
    reading->passed = reading->damaged = 0;
}

static inline int reading_open(Reading *reading) {
    size_t i;
    int status = list_segments(reading);
    for (i = 0; i < reading->count && status == READING_OK; i++) {
        reading->wrong = reading->segments[i].number;
        status = map_segment(reading, &reading->segments[i]);
    }
    if (status == READING_OK && reading->count)
        reading->unnamed = (uint64_t *)malloc(reading->count * sizeof(uint64_t));
    if (status == READING_OK && reading->count && reading->unnamed == NULL)
        status = READING_MEMORY;
    if (status == READING_OK)
        status = check_all_there(reading);
    if (status != READING_OK || reading->count == 0)
        return status;
    reading_rewind(reading);
    reading->end.sequence = reading->next.sequence;
    return READING_OK;
}

/* It was looked at, and would count as the process's memory. */
static inline void let_go(const Mapped *segment) {
    if (segment->bytes != NULL)
        madvise((void *)segment->bytes, segment->length, MADV_DONTNEED);
}

/* To the next segment. Where that follows upon this one, it tells whether records at the end of this one have gone. */
static int go_on_to_next(Reading *reading) {
    const Mapped *here = &reading->segments[reading->next.segment], *next = here + 1;
    uint32_t lost;
    if (reading->next.segment + 1 >= reading->count)
        return 0;
    lost = (uint32_t)next->sequence - reading->next.sequence;
    if (!here->headless && !next->headless && next->number == segment_after(here->number) && lost) {
        reading->damaged += (uint64_t)lost * RECORD_HEAD;
        reading->damaged_in = here->number;
        reading->damaged_at = reading->next.at;
    }
    let_go(here);
    reading->passed += here->length;
    reading->next.segment++;
    reading->next.at = SEGMENT_HEAD;
    if (!next->headless)
        reading->next.sequence = (uint32_t)next->sequence;
    return 1;
}

/* What stands aside next to the last group that holds, as what says which segments have gone, is not cut off with what
 * is torn behind it. */
static inline void stays_at_end(Reading *reading) {
    if (reading->record_count == 0 && reading->holes == 0 && reading->next.segment == reading->end.segment)
        reading->end = reading->next;
}

/* Records up to the end of a group, which stands in one segment; whether there was one. */
static int read_to_last(Reading *reading) {
    const Record *record;
    for (;;) {
        record = find_record(reading);
        if (record == NULL && reading->record_count && reading->next.segment + 1 < reading->count)
            return ++reading->holes;    /* its end has gone */
        if (record == NULL && !go_on_to_next(reading))
            return 0;
        if (record == NULL)
            continue;
        if (record->flags & RECORD_ASIDE) {
            stays_at_end(reading);
            continue;
        }
        if (keep_record(reading, record) < 0)
            return -1;
        if (record->flags & RECORD_LAST)
            return 1;
    }
}

/* Whether anything stands behind it that was written when it was on the disk. */
static int is_followed(const Reading *reading) {
    Reading ahead = *reading;
    const Record *record;
    do
        while ((record = find_record(&ahead)) != NULL)
            if (record->flags & RECORD_SYNCED)
                return 1;
    while (go_on_to_next(&ahead));
    return 0;
}

/* The next group that holds is in `records`, as many as are returned; 0: there is none any more; -1: no memory. */
static inline long reading_group(Reading *reading) {
    const Reading before = *reading;
    int complete;
    reading->record_count = 0;
    reading->holes = 0;
    complete = reading->count ? read_to_last(reading) : 0;
    if (complete < 0)
        return -1;
    if (complete && (reading->holes == 0 || is_followed(reading))) {
        reading->end = reading->next;
        return (long)reading->record_count;
    }
    reading->damaged = before.damaged;  /* it was torn */
    reading->damaged_in = before.damaged_in;
    reading->damaged_at = before.damaged_at;
    reading->record_count = 0;
    return 0;
}

/* What stands behind the last group that holds is cut off, and what was about to go goes. 0, or -1 and errno. */
static inline int reading_cut(Reading *reading) {
    char name[SEGMENT_NAME];
    size_t i;
    int file, result;
    for (i = 0; i < reading->unnamed_count; i++) {
        segment_name(name, reading->unnamed[i]);
        if (unlinkat(reading->directory, name, 0) < 0)
            return -1;
    }
    for (i = reading->end.segment + 1; i < reading->count; i++) {
        segment_name(name, reading->segments[i].number);
        if (unlinkat(reading->directory, name, 0) < 0)
            return -1;
    }
    segment_name(name, reading->segments[reading->end.segment].number);
    file = openat(reading->directory, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0)
        return -1;
    result = ftruncate(file, (off_t)reading->end.at) < 0 || fsync(file) < 0 ? -1 : 0;
    close(file);
    return result < 0 ? -1 : fsync(reading->directory);
}

#endif
