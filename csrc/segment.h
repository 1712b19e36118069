/* Floor 0: a segment of the journal, which is one file.
 *
 *     segment-0000000000000007
 *     0                8         12      16            32       40         48
 *     | "fastbrkr"     | version | crc   | directory   | number | sequence | 0 ... 64 | record record ... | anything |
 *
 * `directory` is the id of the data directory, which the sums of all records begin with, and then with `number`;
 * `sequence` is that of the first record. A file is filled before it is used, so that writing to it changes nothing but
 * its content: with zeros, or with what another segment has left, of which only the head is gone. The first record of
 * each segment names all that there are: one that is missing is noticed.
 *
 * Version 1 is the same, but that sums of records begin with the directory's id alone. It is read, and not written.
 */
#ifndef FASTBROKER_SEGMENT_H
#define FASTBROKER_SEGMENT_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "csrc/record.h"

#define SEGMENT_MAGIC "fastbrkr"

enum { SEGMENT_FIRST_VERSION = 1, SEGMENT_VERSION = 2, SEGMENT_HEAD = 64, SEGMENT_NAME = 32, DIRECTORY_ID = 16 };

typedef struct SegmentHead {
    char magic[8];
    uint32_t version, crc;
    unsigned char directory[DIRECTORY_ID];
    uint64_t number, sequence;
    char zeros[16];
} SegmentHead;

_Static_assert(sizeof(SegmentHead) == SEGMENT_HEAD, "the head of a segment is as it is drawn");

static inline void segment_name(char *name, uint64_t number) {
    snprintf(name, SEGMENT_NAME, "segment-%016llx", (unsigned long long)number);
}

/* The number of the next one: its lower 16 bits are never 0. */
static inline uint64_t segment_after(uint64_t number) {
    return number + 1 + ((number + 1) % 65536 == 0);
}

/* What the sums of a segment's records begin with; `seed` is the directory's. */
static inline uint32_t segment_seed(uint32_t version, uint32_t seed, uint64_t number) {
    return version == SEGMENT_FIRST_VERSION ? seed : crc32c(seed, (const char *)&number, sizeof(number));
}

static inline uint32_t segment_crc(const SegmentHead *head) {
    return crc32c(0, head->directory, SEGMENT_HEAD - offsetof(SegmentHead, directory));
}

static inline void segment_head(SegmentHead *head, const unsigned char *directory, uint64_t number, uint64_t sequence) {
    memset(head, 0, sizeof(*head));
    memcpy(head->magic, SEGMENT_MAGIC, 8);
    head->version = SEGMENT_VERSION;
    memcpy(head->directory, directory, DIRECTORY_ID);
    head->number = number;
    head->sequence = sequence;
    head->crc = segment_crc(head);
}

/* ---- what is asked of the system: 0, or -1 and errno ---- */

static inline int sync_data(int file) {
#if defined(__APPLE__)
    return fcntl(file, F_FULLFSYNC);
#else
    return fdatasync(file);
#endif
}

/* A file that has `from` bytes gets space for more, which takes no time; an error number, or 0. */
static inline int hold_space(int file, uint64_t from, uint64_t to) {
#if defined(__APPLE__)
    fstore_t space = {F_ALLOCATEALL, F_PEOFPOSMODE, 0, (off_t)(to - from), 0};
    return fcntl(file, F_PREALLOCATE, &space) < 0 || ftruncate(file, (off_t)to) < 0 ? errno : 0;
#else
    return posix_fallocate(file, (off_t)from, (off_t)(to - from));
#endif
}

static inline int write_all(int file, const char *bytes, size_t length, off_t at) {
    while (length) {
        ssize_t written = pwrite(file, bytes, length, at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            if (written == 0)
                errno = ENOSPC;
            return -1;
        }
        bytes += written;
        length -= (size_t)written;
        at += written;
    }
    return 0;
}

#endif
