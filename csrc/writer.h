/* Floor 0: the journal's two threads, which never ask for the interpreter's lock, and what the loop has to do with
 * them.
 *
 *     the loop     fills a run of records | writer_give  --run-->  the writer    writes it, syncs it
 *                  fills the next run     |               <--pipe-- has done so: writer_durable
 *                                                                   the preparer  makes files, and deletes them
 *
 * There is one run under way, and one that is filled meanwhile: whatever comes while the disk is busy is the next
 * group. The loop says which run begins a new segment; the files for these are made ready before they are needed.
 *
 *     spare-0 ...        become segments: filled with zeros, or a segment once that nobody needs any more
 *     reserve            space that is only held, as much as the loop says it takes to end all that there is
 *                        (writer_reserve)
 *
 * When there is no space for either, the store is `full`, and what is held is for what ends something: the loop takes
 * no messages any more. Spares are then made of what the reserve gives up. The preparer tries again every second. That
 * there is no space is never a failure: what was not written is written when there is some.
 *
 * After another write or a sync has failed nothing is ever written again, and nothing more is durable: what the kernel
 * did with the pages nobody can know, and that a second try succeeds means nothing.
 */
#ifndef FASTBROKER_WRITER_H
#define FASTBROKER_WRITER_H

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>

#include "csrc/picking.h"

enum { SPARES = 2, SPARES_MOST = 3, SEGMENTS_MOST = RECORD_MOST / 8, ZEROS = 1 << 18 };
enum { RETRY = 1000, SYNC_LATER = 100 };  /* milliseconds */

#define RESERVE "reserve"

typedef struct Writer {
    int directory;              /* descriptor */
    unsigned char id[DIRECTORY_ID];
    uint32_t seed;              /* the directory's, that all sums begin with */
    size_t segment_bytes;
    int told[2];                /* a pipe: a byte comes when anything below has changed that the loop waits for */
    pthread_t writing, preparing;
    pthread_mutex_t lock;
    pthread_cond_t given;       /* the writer has something to do */
    pthread_cond_t changed;     /* of the spares and the reserve */
    int threads;                /* how many run */
    /* Under the lock. */
    char *run;                  /* of records, that the writer has; NULL: it waits for one */
    size_t run_length;
    int sync;                   /* whether it must be on the disk before anybody hears of it */
    uint64_t number;            /* the last group that was given, ... */
    uint64_t written, durable;  /* ... that the system has, and that is on the disk */
    int failure;                /* errno of what failed; 0: nothing has */
    int full;                   /* errno of why there is no space for another spare, or the reserve; 0: there is */
    unsigned made, taken;       /* spares so far; those between are ready */
    int starved;                /* the writer waits for one */
    uint64_t wanted;            /* bytes that the reserve should have, ... */
    uint64_t reserved;          /* ... and those that it has */
    int squeezed;               /* the writer has found no space, and waits */
    int stopping;               /* 1: the writer has to end, when all is written; 2: and the preparer */
    uint64_t *segments;         /* that there are, the one that is written last; room for SEGMENTS_MOST */
    size_t segment_count;
    uint64_t *gone;             /* that nobody needs, and whose files are still there; room for as many */
    size_t gone_count;
    int fresh;                  /* the run begins a new one */
    size_t at;                  /* how far the last one is written */
    uint64_t *forgotten;        /* segments that go when the run is on the disk */
    size_t forgotten_count;
    /* The writer's own. */
    int file;
    uint32_t file_seed;         /* that the sums in it begin with */
    uint32_t sequence;
    int dirty;                  /* something was written since the last sync, ... */
    uint64_t dirty_since;       /* ... the first of it then, in milliseconds of a clock that nobody sets */
} Writer;

static inline void spare_name(char *name, unsigned which) {
    snprintf(name, SEGMENT_NAME, "spare-%u", which % SPARES_MOST);
}

static inline int is_no_space(int error) {
    return error == ENOSPC || error == EDQUOT;
}

static inline uint64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void writer_tell(Writer *writer) {
    ssize_t ignored = write(writer->told[1], "", 1);   /* a pipe that is full says enough */
    (void)ignored;
}

static void writer_fail(Writer *writer, int error) {
    pthread_mutex_lock(&writer->lock);
    writer->failure = error ? error : EIO;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    writer_tell(writer);
}

/* Under the lock. */
static void is_full(Writer *writer, int error) {
    if (writer->full != error)
        writer_tell(writer);
    writer->full = error;
    pthread_cond_broadcast(&writer->changed);
}

/* By a clock that nobody sets. */
static void wait_for(Writer *writer, pthread_cond_t *what, long milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
#if defined(__APPLE__)
    pthread_cond_timedwait_relative_np(what, &writer->lock, &time);
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    time.tv_sec += now.tv_sec + (time.tv_nsec + now.tv_nsec) / 1000000000;
    time.tv_nsec = (time.tv_nsec + now.tv_nsec) % 1000000000;
    pthread_cond_timedwait(what, &writer->lock, &time);
#endif
}

static void condition_init(pthread_cond_t *condition) {
    pthread_condattr_t how;
    pthread_condattr_init(&how);
#if !defined(__APPLE__)
    pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(condition, &how);
    pthread_condattr_destroy(&how);
}

/* ---- the preparer ---- */

/* What a broker before has left: as they were written from their beginning on, their size says enough. */
static void spares_find(Writer *writer) {
    char name[SEGMENT_NAME], ready[SEGMENT_NAME];
    struct stat status;
    unsigned which;
    for (which = 0; which < SPARES_MOST; which++) {
        spare_name(name, which);
        spare_name(ready, writer->made);
        if (fstatat(writer->directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISREG(status.st_mode) && (size_t)status.st_size == writer->segment_bytes
            && renameat(writer->directory, name, writer->directory, ready) == 0)
            writer->made++;
        else
            unlinkat(writer->directory, name, 0);
    }
}

/* Who stops has use for one only if the writer may still need it. Under the lock. */
static int needs_spare(const Writer *writer) {
    return writer->made - writer->taken < (writer->stopping ? writer->stopping == 1 : SPARES);
}

/* A piece of a file of zeros, unless nobody needs that any more. It is on the disk before the next is written, as the
 * writer's syncs wait for what is in front of them; not where the writer waits for the file. 0, or -1 and errno. */
static int fill_piece(Writer *writer, int file, size_t at, size_t size) {
    static const char zeros[ZEROS];
    int needed, starved;
    pthread_mutex_lock(&writer->lock);
    needed = needs_spare(writer);
    starved = writer->starved;
    pthread_mutex_unlock(&writer->lock);
    errno = ECANCELED;
    if (!needed || write_all(file, zeros, size, (off_t)at) < 0)
        return -1;
    return starved ? 0 : sync_data(file);
}

/* A file of zeros; 0, or -1 and errno, and then there is none. */
static int spare_make(Writer *writer, unsigned which) {
    char name[SEGMENT_NAME];
    size_t at, size;
    int error, file;
    spare_name(name, which);
    file = openat(writer->directory, name, O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return -1;
    for (at = 0; at < writer->segment_bytes; at += size) {
        size = writer->segment_bytes - at < ZEROS ? writer->segment_bytes - at : ZEROS;
        if (fill_piece(writer, file, at, size) < 0)
            break;
    }
    error = at < writer->segment_bytes || fsync(file) < 0 ? errno : 0;
    close(file);
    if (error == 0)
        return 0;
    unlinkat(writer->directory, name, 0);
    errno = error;
    return -1;
}

/* A segment becomes a spare without its head, where it is as long as others, and nobody may be reading it: readers hold
 * a lock on the directory. Whether it did. */
static int segment_recycle(Writer *writer, const char *name, const char *spare) {
    static const char zeros[SEGMENT_HEAD];
    struct stat status;
    int directory = openat(writer->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), file = -1, done = 0;
    if (directory >= 0 && flock(directory, LOCK_EX | LOCK_NB) == 0)
        file = openat(directory, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (file >= 0 && fstat(file, &status) == 0 && (size_t)status.st_size == writer->segment_bytes)
        done = write_all(file, zeros, SEGMENT_HEAD, 0) == 0 && sync_data(file) == 0
               && renameat(directory, name, directory, spare) == 0;
    if (file >= 0)
        close(file);
    if (directory >= 0)
        close(directory);
    return done;
}

/* The last of those that are gone is a spare, or deleted. Under the lock, which it gives up meanwhile; 0, or -1 and
 * errno. */
static int let_go_of_last(Writer *writer) {
    char name[SEGMENT_NAME], spare[SEGMENT_NAME];
    int result = 0, recycled, room = writer->made - writer->taken < SPARES_MOST;
    segment_name(name, writer->gone[--writer->gone_count]);
    spare_name(spare, writer->made);
    pthread_mutex_unlock(&writer->lock);
    recycled = room && segment_recycle(writer, name, spare);
    if (!recycled && unlinkat(writer->directory, name, 0) < 0 && errno != ENOENT)
        result = -1;
    pthread_mutex_lock(&writer->lock);
    writer->made += (unsigned)recycled;
    return result;
}

/* The reserve has so many bytes. 0, or -1 and errno, and then it has as many as before. */
static int reserve_change(Writer *writer, uint64_t before, uint64_t bytes) {
    int file = openat(writer->directory, RESERVE, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error = 0;
    if (file < 0)
        return -1;
    if (bytes > before)
        error = hold_space(file, before, bytes);
    if ((error || bytes < before) && ftruncate(file, (off_t)(error ? before : bytes)) < 0)
        error = errno;
    close(file);
    errno = error;
    return error ? -1 : 0;
}

/* What a broker before has held, which is wanted until somebody says how much is. */
static void reserve_find(Writer *writer) {
    struct stat status;
    if (fstatat(writer->directory, RESERVE, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
        writer->wanted = writer->reserved = (uint64_t)status.st_size;
}

/* By one segment, or to what is wanted; under the lock, which it gives up meanwhile. */
static int reserve_step(Writer *writer, uint64_t wanted) {
    uint64_t before = writer->reserved, size = writer->segment_bytes;
    uint64_t bytes = wanted > before + size ? before + size : wanted;
    int result;
    pthread_mutex_unlock(&writer->lock);
    result = reserve_change(writer, before, bytes);
    pthread_mutex_lock(&writer->lock);
    if (result == 0)
        writer->reserved = bytes;
    return result;
}

/* What is gone first; then a spare, or a part of the reserve, whichever there is too little of; 1: of neither. Under
 * the lock. */
static int prepare_more(Writer *writer) {
    uint64_t size = writer->segment_bytes, held = writer->reserved;
    unsigned which = writer->made;
    int made;
    if (writer->gone_count)
        return let_go_of_last(writer);
    if (needs_spare(writer)) {
        pthread_mutex_unlock(&writer->lock);
        made = spare_make(writer, which);
        pthread_mutex_lock(&writer->lock);
        writer->made += made == 0;
        if (made < 0 && errno == ECANCELED)
            return 0;
        if (made == 0 || !is_no_space(errno) || held == 0)
            return made;
        is_full(writer, errno);
        return reserve_step(writer, held > size ? held - size : 0);
    }
    if (writer->squeezed) {
        writer->squeezed = 0;
        if (held && reserve_step(writer, held > size ? held - size : 0) == 0)
            errno = ENOSPC;
        return -1;
    }
    if (writer->segment_count + SPARES_MOST + held / size >= SEGMENTS_MOST && writer->wanted >= held) {
        errno = EFBIG;
        return -1;
    }
    return held < writer->wanted || held > writer->wanted + size ? reserve_step(writer, writer->wanted) : 1;
}

/* One more than have to be ready gives way to what needs its space. Under the lock, which it gives up meanwhile;
 * whether there was one. */
static int give_spare_up(Writer *writer) {
    char name[SEGMENT_NAME];
    if (writer->made - writer->taken <= SPARES)
        return 0;
    spare_name(name, --writer->made);
    pthread_mutex_unlock(&writer->lock);
    unlinkat(writer->directory, name, 0);
    pthread_mutex_lock(&writer->lock);
    return 1;
}

static void *writer_prepare(void *owner) {
    Writer *writer = (Writer *)owner;
    int result, error;
    pthread_mutex_lock(&writer->lock);
    while ((writer->stopping < 2 || writer->gone_count) && !writer->failure) {
        result = prepare_more(writer);
        error = result < 0 ? errno : 0;
        if (is_no_space(error) && give_spare_up(writer))
            result = error = 0;
        if (error == EIO || error == EROFS) {
            pthread_mutex_unlock(&writer->lock);
            writer_fail(writer, error);
            return NULL;
        }
        if (result != 0)
            is_full(writer, error);
        else
            pthread_cond_broadcast(&writer->changed);
        if (error)
            wait_for(writer, &writer->changed, RETRY);
        else if (result)
            pthread_cond_wait(&writer->changed, &writer->lock);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

/* ---- the writer ---- */

static int is_room_for_more(const Writer *writer) {
    return writer->segment_count + writer->gone_count < SEGMENTS_MOST;
}

/* A spare becomes the next segment; it waits until there is one, unless nobody has time for that. Renaming takes as
 * long as the disk likes, so nobody else waits for it. */
static int take_spare(Writer *writer) {
    char name[SEGMENT_NAME], spare[SEGMENT_NAME];
    uint64_t number;
    int ready;
    pthread_mutex_lock(&writer->lock);
    while ((writer->made == writer->taken || (writer->gone_count && !is_room_for_more(writer)))
           && !writer->failure && !(writer->full && writer->stopping)) {
        writer->starved = 1;
        pthread_cond_wait(&writer->changed, &writer->lock);
    }
    writer->starved = 0;
    ready = writer->made != writer->taken && is_room_for_more(writer);
    number = segment_after(writer->segment_count ? writer->segments[writer->segment_count - 1] : 0);
    pthread_mutex_unlock(&writer->lock);
    spare_name(spare, writer->taken);
    segment_name(name, number);
    errno = ENOSPC;
    if (!ready || renameat(writer->directory, spare, writer->directory, name) < 0)
        return -1;
    pthread_mutex_lock(&writer->lock);
    writer->taken++;
    writer->segments[writer->segment_count++] = number;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    return openat(writer->directory, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* All of it. What goes beyond the end of the file, as a segment was long, may find no space: it waits for that, and the
 * reserve gives way. */
static int write_out(Writer *writer, const char *bytes, size_t length, size_t at) {
    int stopping;
    while (write_all(writer->file, bytes, length, (off_t)at) < 0) {
        if (!is_no_space(errno))
            return -1;
        pthread_mutex_lock(&writer->lock);
        writer->squeezed = 1;
        is_full(writer, ENOSPC);
        wait_for(writer, &writer->changed, RETRY);
        stopping = writer->stopping || writer->failure;
        pthread_mutex_unlock(&writer->lock);
        errno = ENOSPC;
        if (stopping)
            return -1;
    }
    return 0;
}

static void is_dirty(Writer *writer) {
    if (!writer->dirty)
        writer->dirty_since = milliseconds();
    writer->dirty = 1;
}

static inline int flags_now(const Writer *writer) {
    return writer->dirty ? 0 : RECORD_SYNCED;
}

/* The record that names all that there are, under the lock; returns its size. */
static size_t name_segments(Writer *writer, char *room) {
    Record *record = (Record *)room;
    memset(record, 0, RECORD_HEAD);
    record->length = (uint32_t)(writer->segment_count * sizeof(uint64_t));
    record->kind = RECORD_SEGMENTS;
    record->flags = RECORD_ASIDE;
    memcpy(record + 1, writer->segments, record->length);
    records_seal(room, record_size(record->length), writer->file_seed, flags_now(writer), &writer->sequence);
    return record_size(record->length);
}

/* Its head, and what says which segments there are. */
static int begin_segment(Writer *writer) {
    char begin[SEGMENT_HEAD + RECORD_HEAD + RECORD_MOST];
    uint64_t number;
    size_t size;
    pthread_mutex_lock(&writer->lock);
    number = writer->segments[writer->segment_count - 1];
    writer->file_seed = segment_seed(SEGMENT_VERSION, writer->seed, number);
    segment_head((SegmentHead *)begin, writer->id, number, writer->sequence);
    size = SEGMENT_HEAD + name_segments(writer, begin + SEGMENT_HEAD);
    writer->at = size;
    pthread_mutex_unlock(&writer->lock);
    is_dirty(writer);
    return write_out(writer, begin, size, 0);
}

/* What was written to the last one is durable before anything is to another. */
static int next_segment(Writer *writer) {
    if (writer->file >= 0 && (sync_data(writer->file) < 0 || close(writer->file) < 0))
        return -1;
    writer->file = take_spare(writer);
    if (writer->file < 0 || fsync(writer->directory) < 0)
        return -1;
    return begin_segment(writer);
}

/* All of it to one segment, however large that becomes. */
static int write_run(Writer *writer, char *run, size_t length, int fresh) {
    size_t last = 0;
    length = records_squeeze(run, length, &last);
    if (fresh && next_segment(writer) < 0)
        return -1;
    if (length == 0)
        return 0;
    ((Record *)(run + last))->flags |= RECORD_LAST;
    records_seal(run, length, writer->file_seed, flags_now(writer), &writer->sequence);
    if (write_out(writer, run, length, writer->at) < 0)
        return -1;
    is_dirty(writer);
    pthread_mutex_lock(&writer->lock);
    writer->at += length;
    pthread_mutex_unlock(&writer->lock);
    return 0;
}

static void leave_out(Writer *writer, uint64_t number) {
    size_t i, to = 0;
    for (i = 0; i < writer->segment_count; i++)
        if (writer->segments[i] != number)
            writer->segments[to++] = writer->segments[i];
    writer->segment_count = to;
}

/* Segments that nobody needs, now that the run is on the disk: first it is told that they are not missing. */
static int forget(Writer *writer) {
    char room[RECORD_HEAD + RECORD_MOST];
    size_t i, size, count = writer->forgotten_count;
    pthread_mutex_lock(&writer->lock);
    for (i = 0; i < count; i++)
        leave_out(writer, writer->forgotten[i]);
    size = name_segments(writer, room);
    writer->at += size;
    pthread_mutex_unlock(&writer->lock);
    if (write_out(writer, room, size, writer->at - size) < 0 || sync_data(writer->file) < 0)
        return -1;
    pthread_mutex_lock(&writer->lock);
    for (i = 0; i < count; i++)
        writer->gone[writer->gone_count++] = writer->forgotten[i];
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    writer->forgotten_count = 0;
    return 0;
}

/* Until there is something to write, or what was written and not synced has waited for long enough. */
static void wait_for_run(Writer *writer) {
    while (writer->run == NULL && !writer->stopping && writer->durable == writer->written)
        pthread_cond_wait(&writer->given, &writer->lock);
    if (writer->run == NULL && !writer->stopping)
        wait_for(writer, &writer->given, SYNC_LATER);
}

/* Writes it, if there is one, and syncs all that was written, if it is time for that. */
static int do_run(Writer *writer) {
    char *run = writer->run;
    uint64_t number = run != NULL ? writer->number : writer->written;
    int fresh = run != NULL && writer->fresh;
    int forgets = run != NULL && writer->forgotten_count > 0;
    int late = writer->dirty && milliseconds() - writer->dirty_since >= SYNC_LATER;
    int sync = run == NULL || writer->sync || forgets || late, result = 0;
    size_t length = writer->run_length;
    pthread_mutex_unlock(&writer->lock);
    if (run != NULL)
        result = write_run(writer, run, length, fresh);
    if (result == 0 && sync && writer->dirty)
        result = sync_data(writer->file);
    writer->dirty &= !sync;
    if (result == 0 && forgets)
        result = forget(writer);
    pthread_mutex_lock(&writer->lock);
    if (result < 0)
        return -1;
    writer->written = number;
    if (sync)
        writer->durable = number;
    if (run != NULL)
        writer->run = NULL;     /* another may have come while what was written before was synced */
    writer_tell(writer);
    return 0;
}

static void *writer_work(void *owner) {
    Writer *writer = (Writer *)owner;
    int result = 0;
    pthread_mutex_lock(&writer->lock);
    while (result == 0 && !(writer->stopping && writer->run == NULL && writer->durable == writer->written)) {
        wait_for_run(writer);
        result = do_run(writer);
    }
    pthread_mutex_unlock(&writer->lock);
    if (result < 0)
        writer_fail(writer, errno);
    return NULL;
}

/* ---- the loop ---- */

/* Starts both; `segments` and `sequence` say where it goes on. 0, or an error number. */
static int writer_start(Writer *writer) {
    sigset_t all, before;
    int error;
    pthread_mutex_init(&writer->lock, NULL);
    condition_init(&writer->given);
    condition_init(&writer->changed);
    writer->file = -1;
    reserve_find(writer);
    spares_find(writer);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);    /* signals are the interpreter's */
    error = pthread_create(&writer->preparing, NULL, writer_prepare, writer);
    if (error == 0) {
        writer->threads++;
        error = pthread_create(&writer->writing, NULL, writer_work, writer);
        writer->threads += error == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static inline uint64_t writer_number(Writer *writer, const uint64_t *which) {
    uint64_t number;
    pthread_mutex_lock(&writer->lock);
    number = *which;
    pthread_mutex_unlock(&writer->lock);
    return number;
}

static inline uint64_t writer_durable(Writer *writer) {
    return writer_number(writer, &writer->durable);
}

static inline uint64_t writer_written(Writer *writer) {
    return writer_number(writer, &writer->written);
}

/* Whether it has nothing to write. */
static inline int writer_idle(Writer *writer) {
    int idle;
    pthread_mutex_lock(&writer->lock);
    idle = writer->run == NULL && !writer->failure;
    pthread_mutex_unlock(&writer->lock);
    return idle;
}

/* It is idle and takes over a run of records, the group of that number; the memory is the loop's again when it is idle
 * again. */
static inline void writer_give(Writer *writer, char *run, size_t length, uint64_t number, int sync, int fresh) {
    pthread_mutex_lock(&writer->lock);
    writer->run = run;
    writer->run_length = length;
    writer->number = number;
    writer->sync = sync;
    writer->fresh = fresh;
    pthread_cond_signal(&writer->given);
    pthread_mutex_unlock(&writer->lock);
}

/* So many bytes shall be held for what is to come. */
static inline void writer_reserve(Writer *writer, uint64_t bytes) {
    uint64_t size = writer->segment_bytes;
    pthread_mutex_lock(&writer->lock);
    bytes = (bytes + size - 1) / size * size;
    if (bytes != writer->wanted)
        pthread_cond_broadcast(&writer->changed);
    writer->wanted = bytes;
    pthread_mutex_unlock(&writer->lock);
}

/* Whether it waits for space, and nothing is left that could give way. */
static inline int writer_stuck(Writer *writer) {
    int stuck;
    pthread_mutex_lock(&writer->lock);
    stuck = writer->full && writer->run != NULL && writer->reserved == 0
            && (writer->made == writer->taken || writer->squeezed);
    pthread_mutex_unlock(&writer->lock);
    return stuck;
}

/* With the next run, which is given when it is idle, that segment goes. 0, or -1: there is no memory. */
static int writer_forget(Writer *writer, uint64_t number) {
    uint64_t *forgotten = (uint64_t *)realloc(writer->forgotten, (writer->forgotten_count + 1) * sizeof(uint64_t));
    if (forgotten == NULL)
        return -1;
    writer->forgotten = forgotten;
    forgotten[writer->forgotten_count++] = number;
    return 0;
}

/* Which segments there are beside that one. */
static inline void writer_staying(Writer *writer, uint64_t number, Staying *staying) {
    size_t i;
    memset(staying, 0, sizeof(*staying));
    pthread_mutex_lock(&writer->lock);
    for (i = 0; i < writer->segment_count; i++)
        if (writer->segments[i] != number)
            staying_add(staying, writer->segments[i]);
    pthread_mutex_unlock(&writer->lock);
}

static inline uint64_t writer_at(Writer *writer) {
    uint64_t at;
    pthread_mutex_lock(&writer->lock);
    at = writer->at;
    pthread_mutex_unlock(&writer->lock);
    return at;
}

static void writer_end(Writer *writer, int stopping) {
    pthread_mutex_lock(&writer->lock);
    writer->stopping = stopping;
    pthread_cond_signal(&writer->given);
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

/* All that was given is written, and both have ended. 0, or the error number of what failed. */
static int writer_stop(Writer *writer) {
    writer_end(writer, 1);
    if (writer->threads > 1)
        pthread_join(writer->writing, NULL);
    writer_end(writer, 2);
    if (writer->threads > 0)
        pthread_join(writer->preparing, NULL);
    writer->threads = 0;
    if (writer->file >= 0)
        close(writer->file);
    writer->file = -1;
    return writer->failure;
}

#endif
