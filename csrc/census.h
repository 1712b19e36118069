/* Floor 0: what is alive, and how much memory it holds.
 *
 * One Census per hub. Everything that is created counts itself up and everything freed counts itself down, so that a
 * test can ask whether all that came has gone, and the memory ceiling has one number to look at.
 */
#ifndef FASTBROKER_CENSUS_H
#define FASTBROKER_CENSUS_H

#include <stddef.h>
#include <stdint.h>

typedef struct Census {
    int64_t connections, sessions, subscriptions, queues, routes, messages, deliveries, transactions;
    int64_t memory;          /* bytes in messages, output buffers, queues and routes: what limits.memory is about */
    int64_t input;           /* bytes received and not handled yet: cut-off and parked frames */
    int64_t work;            /* done without output, in bytes that would have cost as much */
    int64_t messages_in;     /* SEND frames accepted */
    int64_t messages_out;    /* MESSAGE frames written */
    int64_t bytes_out;       /* bytes of those */
    int64_t dropped;         /* topic messages that a slow consumer lost by policy */
    int64_t dead_lettered;
} Census;

#endif
