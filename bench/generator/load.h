/* A load and its target as C has them; fastbroker/bench/load.py says what each field means. The texts belong to whoever
 * made them. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#define UNBOUNDED (-1)

typedef struct Load {
    const char *host, *login, *passcode, *virtual_host, *topic_prefix, *queue_prefix;
    const char *credit_line;     /* the header line that asks for the credit, or "" */
    const char *priority_line;   /* of each SEND and SUBSCRIBE, or "" */
    const char *replay_line;     /* of a SUBSCRIBE, or "" */
    const char *queue_line;      /* of each SEND to a queue, and its SUBSCRIBE, or "" */
    const char *durable_lines;   /* of a SUBSCRIBE that is durable, or ""; {name} is whose it is */
    const char *selector_prefix; /* what a selector begins with */
    bool subscribe_receipts;
    int port;
    const char *scheme; /* tcp, unix, ws, tls, wss */
    const char *path;   /* of the socket of unix, of the WebSocket */
    const char *key, *accept; /* the WebSocket's key, and what proves that the server has read it */
    const struct Secure *secure; /* NULL: no TLS */
    uint64_t seed;            /* of what should not be guessed */
    const char *protocol, *kind, *ack; /* by name */
    const char *name, *pattern;
    bool queue, persistent, durable, content_length, verify, selecting;
    int64_t publishers, subscribers, destinations, bystanders, slow, connections;
    int64_t size, credit, receipts, transaction, window, backlog, priorities, groups, messages;
    double delay, rate, ramp, warm_up, seconds, patience;
} Load;

/* How many kinds of messages there are, sent in turn to one destination; 0: all are alike. */
static inline int64_t varieties(const Load *load) {
    return load->priorities ? load->priorities : load->groups ? load->groups : load->selecting ? load->subscribers : 0;
}

#endif
