/* What the workloads ask of a protocol. Each file that implements one draws its frames. */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include "connection.h"

typedef enum { PUBLISHER, SUBSCRIBER, PUBLISHER_AND_SUBSCRIBER } role;

typedef struct {
    const char *destination;
    const char *ack; /* STOMP's ack mode */
    int prefetch;    /* credit asked for when messages are acknowledged */
    int id;
} subscription;

struct protocol {
    const char *name;
    const char *topic_prefix;
    const char *queue_prefix; /* NULL: the protocol has no queues */

    /* Blocking: logs in and subscribes; when it returns the server has the subscription. */
    void (*start)(connection *c, role r, const subscription *s);

    /* Appends one complete frame that sends `body`, which has no NUL in it. */
    void (*encode)(buffer *out, const char *destination, const buffer *body, bool content_length);

    /* Counts the messages in `data` and answers what must be answered; returns the bytes used. */
    size_t (*scan)(connection *c, const char *data, size_t length);
};

extern const protocol stomp_protocol, nats_protocol, relay_protocol;

void stomp_encode(buffer *out, const char *destination, const buffer *body, bool content_length);

#endif
