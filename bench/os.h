/* What the relay and the load generator both ask of the operating system. */
#ifndef BENCH_OS_H
#define BENCH_OS_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { EXIT_TROUBLE = 2 }; /* could not measure at all; 1 means measured and found wrong */

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_TROUBLE);
}

__attribute__((noreturn)) static inline void die_errno(const char *what)
{
    die("%s: %s", what, strerror(errno));
}

static inline void *must_alloc(void *memory)
{
    if (!memory)
        die("out of memory");
    return memory;
}

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A whole number from a command line, refused when it is anything else. */
static inline long must_number(const char *text, long least, long most)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < least || value > most)
        die("%s: expected a number from %ld to %ld", text, least, most);
    return value;
}

/* Ten thousand idle connections need more descriptors than the soft limit usually grants. */
static inline void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        die_errno("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        die_errno("setrlimit");
}

#endif
