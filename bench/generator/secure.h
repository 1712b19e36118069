/* TLS as Python's ssl does it, between two buffers of C. Each of these takes the GIL, so each is called for a chunk, never
 * for a message; a build needs no OpenSSL. fastbroker/bench/secure.py is behind it. */
#ifndef BENCH_SECURE_H
#define BENCH_SECURE_H

#include <stddef.h>
#include <sys/types.h>

enum { TLS_FAILED = -2, TLS_NEEDS_MORE = -1 };

typedef struct Secure {
    void *sessions;
    void *(*open)(void *sessions); /* or NULL */
    void (*close)(void *session);
    /* Takes in what has come; 1 when the handshake is over. */
    int (*shake)(void *session, const char *bytes, size_t length);
    /* Takes in what has come, and writes into the room what it says; 0 when the other side has ended. */
    ssize_t (*decrypt)(void *session, const char *bytes, size_t length, char *room, size_t size);
    int (*encrypt)(void *session, const char *bytes, size_t length);
    /* What must go to the other side now; it stays until the next call for this session. */
    const char *(*output)(void *session, size_t *length);
    const char *(*reason)(void *session); /* of a failure, for people */
} Secure;

#endif
