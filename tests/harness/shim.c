/* Stands between a process and its disk (LD_PRELOAD): notes what is done to files in one directory, and lets it fail.
 *
 * FASTBROKER_SHIM names a file of sizeof(Orders) bytes, which the test maps too: what is to happen, and what has.
 * FASTBROKER_SHIM_UNDER is the directory that all of it is about. FASTBROKER_SHIM_TRACE is where a trace goes, if one
 * is wanted:
 *
 *     | kind: 4 | flags: 4 | descriptor: 4 | length of the name: 4 | place: 8 | length of the bytes: 8 | name | bytes |
 *
 * Everything is done, and noted, by one thread at a time: so the trace has the order in which it was.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { OPENED = 1, WROTE, CUT, SYNCED, RENAMED, REMOVED, MARKED };
enum { ON_WRITE = 1, ON_SYNC = 2 };
enum { FILES = 4096 };

typedef struct Orders {
    _Atomic int64_t budget;         /* bytes of files that there is room for; below 0: without limit */
    _Atomic int64_t used;           /* bytes of files that there are, as far as these were written from here */
    _Atomic int32_t fails;          /* ON_WRITE or ON_SYNC, ... */
    _Atomic int32_t fails_after;    /* ... when there were so many more, ... */
    _Atomic int32_t fails_often;    /* ... so often, ... */
    _Atomic int32_t error;          /* ... with that; 0: by half of the bytes */
    _Atomic int32_t failed;         /* how often that was */
    _Atomic int32_t writes, syncs;  /* how many there were */
    _Atomic int32_t slow;           /* milliseconds that a sync takes longer */
    _Atomic int64_t clock;          /* seconds that the time of day is wrong by */
} Orders;

static Orders nobody = {.budget = -1}, *orders = &nobody;
static int trace = -1;
static char under[PATH_MAX];
static signed char ours[FILES];     /* descriptors: 1 of a file there, 2 of the directory */
static int64_t sizes[FILES];
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) \
    static __typeof__(&name) real; \
    if (real == NULL) \
        real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("FASTBROKER_SHIM"), *where = getenv("FASTBROKER_SHIM_UNDER");
    const char *noted = getenv("FASTBROKER_SHIM_TRACE");
    int descriptor = file != NULL && where != NULL ? (int)open(file, O_RDWR | O_CLOEXEC) : -1;
    if (descriptor < 0)
        return;
    orders = mmap(NULL, sizeof(Orders), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    snprintf(under, sizeof(under), "%s", where);
    if (noted != NULL)
        trace = open(noted, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* ---- the trace ---- */

static void put(const void *bytes, size_t length) {
    static ssize_t (*real)(int, const void *, size_t);
    if (real == NULL)
        real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    while (length) {
        ssize_t done = real(trace, bytes, length);
        if (done <= 0)
            abort();
        bytes = (const char *)bytes + done;
        length -= (size_t)done;
    }
}

static void note(uint32_t kind, uint32_t flags, int file, int64_t at, const char *name, const void *bytes, size_t length) {
    struct {
        uint32_t kind, flags;
        int32_t file;
        uint32_t name;
        int64_t at;
        uint64_t length;
    } head = {kind, flags, file, (uint32_t)strlen(name), at, length};
    if (trace < 0)
        return;
    put(&head, sizeof(head));
    put(name, head.name);
    put(bytes, length);
}

/* The test says what it was told, or has said. */
void shim_mark(const char *text, size_t length) {
    pthread_mutex_lock(&turn);
    note(MARKED, 0, 0, 0, "", text, length);
    pthread_mutex_unlock(&turn);
}

/* The process ends, and nothing is half noted. */
void shim_end(void) {
    pthread_mutex_lock(&turn);
    _exit(0);
}

/* ---- files ---- */

static int is_ours(int file) {
    return file >= 0 && file < FILES && ours[file] == 1;
}

static int is_there(int directory) {
    return directory >= 0 && directory < FILES && ours[directory] == 2;
}

static int should_fail(int what) {
    if (orders->fails != what || orders->fails_often <= 0 || atomic_fetch_sub(&orders->fails_after, 1) > 0)
        return 0;
    orders->fails_often--;
    orders->failed++;
    return 1;
}

/* What is known of a descriptor that was opened. */
static int opened(int file, int flags) {
    char path[PATH_MAX], link[64];
    struct stat status;
    ssize_t length;
    if (file < 0 || file >= FILES || under[0] == 0)
        return file;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof(path) - 1);
    ours[file] = 0;
    if (length <= 0 || strncmp(path, under, strlen(under)) != 0)
        return file;
    path[length] = 0;
    if ((size_t)length == strlen(under)) {
        ours[file] = 2;
        return file;
    }
    if (path[strlen(under)] != '/' || fstat(file, &status) < 0 || !S_ISREG(status.st_mode))
        return file;
    ours[file] = 1;
    sizes[file] = status.st_size;
    note(OPENED, (uint32_t)flags, file, 0, path + strlen(under) + 1, "", 0);
    return file;
}

static int64_t size_of(int directory, const char *name) {
    struct stat status;
    return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) ? status.st_size : 0;
}

static int open_there(int directory, const char *name, int flags, mode_t mode) {
    REAL(openat);
    int64_t before;
    int file;
    pthread_mutex_lock(&turn);
    before = flags & O_TRUNC ? size_of(directory, name) : 0;
    file = opened(real(directory, name, flags, mode), flags);
    if (is_ours(file))
        orders->used -= before;
    pthread_mutex_unlock(&turn);
    return file;
}

#define OPEN(function, parameters, directory) \
    int function parameters { \
        mode_t mode = 0; \
        if (flags & O_CREAT) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        return open_there(directory, name, flags, mode); \
    }

OPEN(openat, (int directory, const char *name, int flags, ...), directory)
OPEN(openat64, (int directory, const char *name, int flags, ...), directory)
OPEN(open, (const char *name, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *name, int flags, ...), AT_FDCWD)

int close(int file) {
    REAL(close);
    if (file >= 0 && file < FILES)
        ours[file] = 0;
    return real(file);
}

/* How many of these bytes there is room for; -1 and errno: none. */
static ssize_t room_for(int file, size_t length, off_t at) {
    int64_t more = (int64_t)at + (int64_t)length - sizes[file], left;
    if (orders->budget < 0 || more <= 0)
        return (ssize_t)length;
    left = orders->budget - orders->used;
    if (left >= more)
        return (ssize_t)length;
    if ((int64_t)length - more + left <= 0) {
        errno = ENOSPC;
        return -1;
    }
    return (ssize_t)((int64_t)length - more + left);
}

/* How many the disk takes. */
static ssize_t taken(int file, size_t length, off_t at) {
    if (!should_fail(ON_WRITE))
        return room_for(file, length, at);
    errno = orders->error;
    return orders->error ? -1 : (ssize_t)(length / 2 + 1);
}

static void has_written(int file, const void *bytes, ssize_t length, off_t at) {
    if (length <= 0)
        return;
    if (at + length > sizes[file]) {
        orders->used += at + length - sizes[file];
        sizes[file] = at + length;
    }
    note(WROTE, 0, file, at, "", bytes, (size_t)length);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) {
    REAL(pwrite);
    ssize_t done;
    if (!is_ours(file))
        return real(file, bytes, length, at);
    pthread_mutex_lock(&turn);
    orders->writes++;
    done = taken(file, length, at);
    if (done >= 0)
        done = real(file, bytes, (size_t)done, at);
    has_written(file, bytes, done, at);
    pthread_mutex_unlock(&turn);
    return done;
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off_t at) {
    return pwrite(file, bytes, length, at);
}

ssize_t write(int file, const void *bytes, size_t length) {
    REAL(write);
    ssize_t done;
    off_t at;
    if (!is_ours(file))
        return real(file, bytes, length);
    pthread_mutex_lock(&turn);
    at = lseek(file, 0, SEEK_CUR);
    done = taken(file, length, at);
    if (done >= 0)
        done = real(file, bytes, (size_t)done);
    has_written(file, bytes, done, at);
    pthread_mutex_unlock(&turn);
    return done;
}

int ftruncate(int file, off_t length) {
    REAL(ftruncate);
    int result;
    if (!is_ours(file))
        return real(file, length);
    pthread_mutex_lock(&turn);
    result = real(file, length);
    if (result == 0) {
        orders->used += length - sizes[file];
        sizes[file] = length;
        note(CUT, 0, file, length, "", "", 0);
    }
    pthread_mutex_unlock(&turn);
    return result;
}

int posix_fallocate(int file, off_t at, off_t length) {
    REAL(posix_fallocate);
    int result;
    if (!is_ours(file))
        return real(file, at, length);
    pthread_mutex_lock(&turn);
    if (room_for(file, (size_t)length, at) < (ssize_t)length)
        result = ENOSPC;
    else
        result = real(file, at, length);
    if (result == 0 && at + length > sizes[file]) {
        orders->used += at + length - sizes[file];
        sizes[file] = at + length;
    }
    pthread_mutex_unlock(&turn);
    return result;
}

int posix_fallocate64(int file, off_t at, off_t length) {
    return posix_fallocate(file, at, length);
}

int ftruncate64(int file, off_t length) {
    return ftruncate(file, length);
}

static int sync_file(int file, int (*real)(int)) {
    int result;
    if (!is_ours(file) && !is_there(file))
        return real(file);
    if (orders->slow)
        usleep((useconds_t)orders->slow * 1000);
    pthread_mutex_lock(&turn);
    orders->syncs++;
    errno = orders->error;
    result = should_fail(ON_SYNC) ? -1 : real(file);
    if (result == 0)
        note(SYNCED, is_there(file), file, 0, "", "", 0);
    pthread_mutex_unlock(&turn);
    return result;
}

int fsync(int file) {
    REAL(fsync);
    return sync_file(file, real);
}

int fdatasync(int file) {
    REAL(fdatasync);
    return sync_file(file, real);
}

/* ---- the directory ---- */

static const char *name_in(int directory, const char *name) {
    if (is_there(directory))
        return name;
    return under[0] && strncmp(name, under, strlen(under)) == 0 && name[strlen(under)] == '/' ? name + strlen(under) + 1
                                                                                              : NULL;
}

int renameat(int directory, const char *from, int to_directory, const char *to) {
    REAL(renameat);
    const char *name = name_in(directory, from), *new = name_in(to_directory, to);
    int result;
    if (name == NULL || new == NULL)
        return real(directory, from, to_directory, to);
    pthread_mutex_lock(&turn);
    result = real(directory, from, to_directory, to);
    if (result == 0)
        note(RENAMED, 0, 0, 0, name, new, strlen(new));
    pthread_mutex_unlock(&turn);
    return result;
}

int rename(const char *from, const char *to) {
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int directory, const char *path, int flags) {
    REAL(unlinkat);
    const char *name = name_in(directory, path);
    int64_t size;
    int result;
    if (name == NULL)
        return real(directory, path, flags);
    pthread_mutex_lock(&turn);
    size = size_of(directory, path);
    result = real(directory, path, flags);
    if (result == 0) {
        orders->used -= size;
        note(REMOVED, 0, 0, 0, name, "", 0);
    }
    pthread_mutex_unlock(&turn);
    return result;
}

int unlink(const char *path) {
    return unlinkat(AT_FDCWD, path, 0);
}

/* ---- the time of day ---- */

int clock_gettime(clockid_t which, struct timespec *time) {
    REAL(clock_gettime);
    int result = real(which, time);
    if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)
        time->tv_sec += orders->clock;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec time;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result != NULL)
        *result = now.tv_sec;
    return now.tv_sec;
}
