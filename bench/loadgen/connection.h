/* One connection to the server under test, of whichever protocol.
 *
 * It is set up with blocking calls, one reply awaited at a time, and then either stays so
 * (ping-pong, idle) or is switched to non-blocking for a flood.
 */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

typedef struct protocol protocol;

typedef struct {
    int fd;
    const protocol *protocol;
    uint64_t received;      /* whole messages */
    uint64_t sent_bytes;    /* of message frames, not of what is in `output` */
    buffer output;          /* ACK and PONG frames that wait for the next write */
    buffer rest;            /* the beginning of a frame whose end has not come yet */
    size_t expected_length; /* of the next frame: a guess the scanners verify, or a known length */
    uint32_t interest;      /* epoll events asked for */
    bool acknowledges;      /* whether each message is answered with an ACK */
} connection;

/* A blocking read of it gives up after `patience` seconds; 0 is never. */
void connection_open(connection *c, const protocol *p, const char *host, const char *port,
                     double patience);
void connection_close(connection *c);

/* Blocking: sends all of it. */
void connection_send(connection *c, const void *data, size_t length);

/* Blocking: sends a request and waits for a reply that starts so and ends with that byte. */
void connection_request(connection *c, const buffer *request, const char *reply, char terminator);

/* Reads once and counts what came; returns how many messages were completed by it. */
uint64_t connection_receive(connection *c);

/* Non-blocking send: how many bytes the kernel took. */
size_t connection_offer(connection *c, const char *data, size_t length);

/* Offers the waiting ACK and PONG frames. */
void connection_flush(connection *c);

/* Ends the run, showing what the server sent instead of what was expected. */
__attribute__((noreturn)) void connection_refuse(const char *why, const char *data, size_t length);

#endif
