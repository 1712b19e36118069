/* Floor 0: the journal's third thread, which reads in single segments while the broker runs, and what the loop has to
 * do with it.
 *
 *     reader_ask     | READER_FETCH     the messages at some places of a segment
 *     reader_answer  | READER_LOCATE    where all messages of a segment stand: Located, one behind the other
 *                    | READER_PICK      what a segment that is to go says of others: Records
 *
 * It has one task of each kind at a time. A byte in the writer's pipe says that one is done. What is fetched is
 *
 *     | length: 32 | 1: 32 | payload of the record ... 0 |  for each place, in their order; up to a multiple of 8
 *     | 0          | 0     |                                where it cannot be read, or is damaged
 */
#ifndef FASTBROKER_READER_H
#define FASTBROKER_READER_H

#include <pthread.h>
#include <signal.h>
#include <sys/file.h>

#include "csrc/locating.h"
#include "csrc/picking.h"

enum { READER_FETCH, READER_LOCATE, READER_PICK, READER_TASKS };

typedef struct Task {
    uint64_t segment;           /* 0: it is done */
    Buffer answer;              /* without bytes where there is no memory, or nothing can be read */
} Task;

typedef struct Reader {
    int directory;              /* descriptor */
    unsigned char id[DIRECTORY_ID];
    uint32_t seed;
    int tell;                   /* a pipe */
    pthread_t thread;
    int runs;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock. */
    int stopping;
    Task tasks[READER_TASKS];
    const uint32_t *places;     /* to fetch from, for whoever asked to keep */
    size_t place_count;
    Staying staying;            /* to pick for */
} Reader;

/* While it reads, what it reads stays what it is (segment_recycle). */
static void do_task(Reader *reader, int kind, uint64_t segment, Buffer *answer) {
    flock(reader->directory, LOCK_SH);
    if (kind == READER_FETCH)
        fetch_records(reader->directory, reader->seed, segment, reader->places, reader->place_count, answer);
    else if (kind == READER_LOCATE)
        locate_records(reader->directory, reader->id, reader->seed, segment, answer);
    else
        pick_records(reader->directory, reader->id, reader->seed, segment, &reader->staying, answer);
    flock(reader->directory, LOCK_UN);
}

/* Under the lock, which it gives up meanwhile; whether there was one. What is fetched comes first. */
static int work_on(Reader *reader) {
    ssize_t ignored;
    Buffer answer = {NULL, 0, 0};
    Task *task = reader->tasks;
    while (task < reader->tasks + READER_TASKS && task->segment == 0)
        task++;
    if (task == reader->tasks + READER_TASKS)
        return 0;
    pthread_mutex_unlock(&reader->lock);
    do_task(reader, (int)(task - reader->tasks), task->segment, &answer);
    pthread_mutex_lock(&reader->lock);
    task->answer = answer;
    task->segment = 0;
    ignored = write(reader->tell, "", 1);   /* a pipe that is full says enough */
    (void)ignored;
    return 1;
}

static void *reader_work(void *owner) {
    Reader *reader = (Reader *)owner;
    pthread_mutex_lock(&reader->lock);
    while (!reader->stopping)
        if (!work_on(reader))
            pthread_cond_wait(&reader->changed, &reader->lock);
    pthread_mutex_unlock(&reader->lock);
    return NULL;
}

/* ---- the loop ---- */

/* 0, or an error number. */
static inline int reader_start(Reader *reader) {
    sigset_t all, before;
    int error;
    pthread_mutex_init(&reader->lock, NULL);
    pthread_cond_init(&reader->changed, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);    /* signals are the interpreter's */
    error = pthread_create(&reader->thread, NULL, reader_work, reader);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    reader->runs = error == 0;
    return error;
}

static inline void reader_stop(Reader *reader) {
    int kind;
    if (reader->runs) {
        pthread_mutex_lock(&reader->lock);
        reader->stopping = 1;
        pthread_cond_signal(&reader->changed);
        pthread_mutex_unlock(&reader->lock);
        pthread_join(reader->thread, NULL);
    }
    reader->runs = 0;
    for (kind = 0; kind < READER_TASKS; kind++) {
        free(reader->tasks[kind].answer.bytes);
        reader->tasks[kind].answer.bytes = NULL;
    }
}

/* `places` are the caller's, and stay until it has fetched; `staying` is for picking. */
static inline void reader_ask(Reader *reader, int kind, uint64_t segment, const uint32_t *places, size_t count,
                              const Staying *staying) {
    pthread_mutex_lock(&reader->lock);
    reader->tasks[kind].segment = segment;
    if (kind == READER_FETCH) {
        reader->places = places;
        reader->place_count = count;
    } else if (kind == READER_PICK)
        reader->staying = *staying;
    pthread_cond_signal(&reader->changed);
    pthread_mutex_unlock(&reader->lock);
}

/* Whether it has done that; the bytes are for the caller to free. */
static inline int reader_answer(Reader *reader, int kind, char **bytes, size_t *length) {
    Task *task = &reader->tasks[kind];
    int done;
    pthread_mutex_lock(&reader->lock);
    done = task->segment == 0;
    *bytes = task->answer.bytes;
    *length = task->answer.length;
    if (done)
        task->answer.bytes = NULL;
    pthread_mutex_unlock(&reader->lock);
    return done;
}

#endif
