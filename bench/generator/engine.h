/* The load while it runs: all that its parts share. Each part has a header of its own, which says what others may ask of it.
 *
 * Nothing here prints or exits: what goes wrong is told to `fail`, and the loop ends. One thread does everything, and
 * nothing blocks but the wait for the next event.
 *
 * From what is called to who calls; a file names only what stands above it:
 *
 *     buffer.h clock.h histogram.h poller.h secure.h stamp.h tally.h load.h     tools, and what Python gives
 *     connection.h frames.h pace.h geometry.c                      what a load is made of
 *     seams.h engine.h                                             where loads differ; this
 *     failure.c names.c waiting.c                                  what went wrong; destinations; publishers that must wait
 *     plan.c window.c check.c receipts.c websocket.c tls.c         connections and streams; what is counted; what has come;
 *                                                                  what may lie around STOMP
 *     session.c compose.c                                          logging in and subscribing; writing messages
 *     jetstream.c                                                  what JetStream has beyond NATS
 *     publish.c                                                    handing them to the kernel
 *     transfer.c                                                   reading, writing, being hung up on
 *     dial.c fill.c publishers.c                                   opening and ending connections; sending what is to be there
 *                                                                  already; all who send, in turn
 *     stomp.c nats.c relay.c                                       the protocols
 *     flow.c trip.c connect.c churn.c idle.c replay.c schedule.c drain.c   the kinds of load
 *     report.c prepare.c                                           what is told in the end; what is needed in the beginning
 *     loop.c                                                       phases and the loop
 *     generator.pyx                                                Python's side
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "buffer.h"
#include "clock.h"
#include "connection.h"
#include "frames.h"
#include "geometry.h"
#include "histogram.h"
#include "load.h"
#include "pace.h"
#include "seams.h"
#include "stamp.h"
#include "tally.h"

typedef enum Phase { CONNECTING, READY, WARMING_UP, MEASURING, DRAINING, SETTLING, OVER } Phase;

typedef enum Ack { ACK_AUTO, ACK_CLIENT, ACK_CLIENT_INDIVIDUAL } Ack;

typedef struct Counts {
    uint64_t ns, cpu, sent, received, receipts, operations, waited;
} Counts;

struct Engine {
    Load load;
    const Protocol *protocol;
    const Carrier *carrier;
    bool websocket, is_local; /* is_local: a Unix socket */
    const Kind *kind;
    Ack ack;
    Geometry geometry;
    struct addrinfo *addresses;
    struct addrinfo local_address;
    struct sockaddr_un local_name;
    const struct addrinfo *address;
    bool reached; /* somebody answered there */
    int poller;
    char failure[1024];
    char first_turned_away[1024]; /* how, in words */
    char version[16], server[128]; /* what it said of itself last */

    Phase phase;
    uint64_t now, phase_end;
    uint64_t epoch;          /* stamps count from here */
    uint64_t progressed, progress; /* when there was progress, and the sum that showed it */
    Counts from, to;         /* the measured window */
    uint64_t from_time, to_time; /* in ticks */

    Connection *connections;
    uint32_t count, openable, opened, opening, up; /* all, may be opened, were, are being, are logged in */
    bool at_once;            /* opening them is what the load is about */
    uint64_t next_dial;
    Connection *again, *last_again; /* who comes back, in the order in which they do */
    Connection *publishers; /* those that send messages, asked for or not */
    uint32_t filled;        /* publishers whose share of the backlog is in the queues */
    uint32_t fan;           /* the most of all publishers */
    Tally *tallies;         /* of streams that consumers share */
    uint64_t tally_most;

    uint64_t due_at, accepted_at; /* all that is scheduled; when the server had taken it, or what is to be drained */
    uint64_t filled_from, drained_from, first_at; /* of a drain; when its first message came */
    const Connection **owners;    /* of each group, who got its first message */

    Frames frames;
    Pace pace;
    bool held; /* the window is full */
    uint64_t keys; /* frames of a WebSocket that were no messages */
    uint64_t spun;

    Buffer input, name, cipher;
    uint64_t arrival; /* when what is being handled was read */
    uint64_t same_time, same_count; /* messages with the same intended time, not in the histogram yet */

    uint64_t sent, due, received, receipts, operations; /* sent: begun */
    uint64_t duplicated, disordered, corrupt, hung_up, reconnects;
    uint64_t confirmed, carried; /* requests; connections */
    uint64_t begun, ended; /* connects, storms' connections, requests of a churn */
    uint64_t turns, slept_at; /* slept_at: when we last woke */
    uint64_t waited_ns, waiting, waiting_since; /* publishers for the kernel: altogether, how many, sum of since when */

    Histogram latency, receipt, connect, send_delay;
};

static inline bool failed(const Engine *engine) {
    return engine->failure[0] != '\0';
}

static inline bool running(const Engine *engine) {
    return engine->phase == WARMING_UP || engine->phase == MEASURING;
}

static inline uint64_t ticks_at(const Engine *engine, uint64_t ns) {
    return (ns - engine->epoch) / TICK;
}

static inline bool in_window(const Engine *engine, uint64_t ticks) {
    return ticks >= engine->from_time && ticks < engine->to_time;
}

static inline bool paced(const Engine *engine) {
    return engine->pace.interval > 0;
}

/* What is due is due until now, or until the end of the window when that is over. */
static inline uint64_t due_until(const Engine *engine) {
    return running(engine) ? engine->now : engine->to.ns;
}

#endif
