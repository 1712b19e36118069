/* The limit of the disk: appends to a file that is there already, zeroed and synced, and syncs after each group.
 *
 *     disk FILE BYTES GROUP RATE SECONDS
 *
 * RATE 0: a group is GROUP messages of BYTES each, and the next one begins when it is synced. Else so many messages are due
 * each second, and a group is whatever is due when the one before is synced. The first half of a second does not count.
 *
 * It prints how many messages there were, in how many nanoseconds; then a line for each bucket of the histogram: how many
 * nanoseconds a group took from its write to the end of its sync, and how many messages were in such groups.
 *
 * A server that promises that a message survives does at least this, so its rate is the limit of this disk, and the share of
 * it that a server reaches is a number that travels between machines.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "generator/histogram.h"

enum { FILE_SIZE = 256 << 20, CHUNK = 1 << 20, LARGEST_GROUP = 16 << 20, EXIT_TROUBLE = 2 };

static const uint64_t SECOND_NS = UINT64_C(1000000000), WARM_UP_NS = UINT64_C(500000000), AWAKE_NS = 50000;

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(EXIT_TROUBLE);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static void sync_file(int fd)
{
#ifdef __APPLE__
    int trouble = fcntl(fd, F_FULLFSYNC); /* fsync leaves it in the disk's own memory */
#else
    int trouble = fdatasync(fd);
#endif
    if (trouble < 0)
        die("sync");
}

static void write_all(int fd, const char *bytes, size_t length, off_t at)
{
    while (length) {
        ssize_t took = pwrite(fd, bytes, length, at);
        if (took < 0)
            die("write");
        bytes += took;
        at += took;
        length -= (size_t)took;
    }
}

static int open_zeroed(const char *name, const char *zeros)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        die(name);
    for (off_t at = 0; at < FILE_SIZE; at += CHUNK)
        write_all(fd, zeros, CHUNK, at);
    if (fsync(fd) < 0)
        die("sync");
    return fd;
}

/* Sleeping may take that much longer than it was meant to, so the last bit is spent awake. */
static void wait_until(uint64_t due)
{
    uint64_t now = now_ns();
    if (due > now + AWAKE_NS) {
        uint64_t ns = due - now - AWAKE_NS;
        nanosleep(&(struct timespec){(time_t)(ns / SECOND_NS), (long)(ns % SECOND_NS)}, NULL);
    }
    while (now_ns() < due)
        continue;
}

/* How many are due and not written; at least one, which is waited for. */
static uint64_t due_now(uint64_t begin, double rate, uint64_t written, uint64_t most)
{
    uint64_t next = begin + (uint64_t)((double)written / rate * (double)SECOND_NS);
    wait_until(next);
    uint64_t due = (uint64_t)((double)(now_ns() - begin) / (double)SECOND_NS * rate) + 1;
    uint64_t count = due > written ? due - written : 1;
    return count < most ? count : most;
}

int main(int count, char **arguments)
{
    if (count != 6) {
        fprintf(stderr, "disk FILE BYTES GROUP RATE SECONDS\n");
        return EXIT_TROUBLE;
    }
    size_t bytes = strtoul(arguments[2], NULL, 10);
    uint64_t group = strtoul(arguments[3], NULL, 10), most = LARGEST_GROUP / (bytes ? bytes : 1);
    double rate = strtod(arguments[4], NULL), seconds = strtod(arguments[5], NULL);
    char *buffer = calloc(1, LARGEST_GROUP);
    Histogram histogram;
    if (buffer == NULL || histogram_init(&histogram) < 0 || !bytes || !group || group > most)
        die("a group of that size");
    int fd = open_zeroed(arguments[1], buffer);
    memset(buffer, 'x', LARGEST_GROUP);

    uint64_t begin = now_ns(), from = begin + WARM_UP_NS, until = from + (uint64_t)(seconds * (double)SECOND_NS);
    uint64_t written = 0, counted = 0, now = begin;
    off_t at = 0;
    while (now < until) {
        uint64_t messages = rate > 0 ? due_now(begin, rate, written, most) : group, start = now_ns();
        size_t length = messages * bytes;
        at = at + (off_t)length > FILE_SIZE ? 0 : at;
        write_all(fd, buffer, length, at);
        sync_file(fd);
        now = now_ns();
        at += (off_t)length;
        written += messages;
        if (start < from)
            continue;
        counted += messages;
        histogram_add(&histogram, now - start, messages);
    }
    printf("%llu %llu\n", (unsigned long long)counted, (unsigned long long)(now - from));
    for (size_t bucket = 0; bucket < BUCKETS; bucket++)
        if (histogram.counts[bucket])
            printf("%llu %llu\n", (unsigned long long)middle_of(bucket), (unsigned long long)histogram.counts[bucket]);
    return 0;
}
