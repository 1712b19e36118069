/* Where loads differ: in the protocol they are spoken in, in what carries its bytes, and in what is done. Each is a table of
 * functions, and who calls them knows nothing of what is behind.
 *
 *     stomp.c nats.c relay.c              the protocols
 *     transfer.c tls.c                    what takes bytes to the server
 *     flow.c trip.c connect.c churn.c idle.c replay.c schedule.c drain.c    the kinds of load
 */
#ifndef BENCH_SEAMS_H
#define BENCH_SEAMS_H

#include <sys/types.h>

#include "buffer.h"
#include "connection.h"
#include "frames.h"

typedef struct Engine Engine;

/* A frame that came, up to its end; `body` is NULL if it has not the size it was sent with. */
typedef struct Message {
    const char *frame, *body, *end;
} Message;

typedef struct Protocol {
    const char *name;
    bool greets;    /* the server speaks first */
    bool is_stomp;  /* has queues, prefixes of destinations, acks, receipts, transactions */
    bool stores;    /* has queues, acks and receipts, whatever it calls them */
    bool subscribes;
    void (*log_in)(Engine *engine, Connection *c);
    /* These ask for a confirmation; it ends in a call of `confirmed`. */
    void (*subscribe)(Engine *engine, Connection *c, const Buffer *destination);
    void (*unsubscribe)(Engine *engine, Connection *c); /* what was asked for last */
    void (*leave)(Engine *engine, Connection *c);
    /* Sends the body of a request to where it wants its answer. */
    void (*answer)(Engine *engine, Connection *c, const Message *message);
    bool (*redelivered)(const Message *message);
    /* Appends one SEND, and BEGIN and COMMIT, and notes where to write what differs. */
    void (*encode)(Engine *engine, Buffer *opening, Buffer *sending, Buffer *closing);
    /* Handles the whole frames in it; returns how many bytes they were. */
    size_t (*scan)(Engine *engine, Connection *c, const char *bytes, size_t length);
} Protocol;

/* What takes bytes to the server and brings them back; both are as recv(2) and send(2). */
typedef struct Carrier {
    ssize_t (*receive)(Engine *engine, Connection *c, char *room, size_t size);
    ssize_t (*send)(Engine *engine, Connection *c, const char *bytes, size_t length);
} Carrier;

/* What is NULL in a kind does nothing, or is always so. */
typedef struct Kind {
    const char *name;
    bool comes_back; /* a client that is turned away does, and is counted; else that is the end of the load */
    bool (*plan)(Engine *engine); /* which connections there will be */
    uint32_t (*subscriptions)(const Engine *engine, const Connection *c);
    void (*subscription)(const Engine *engine, const Connection *c, uint32_t i, Buffer *destination);
    void (*address)(const Engine *engine, Frames *frames); /* where the messages go */
    void (*up)(Engine *engine, Connection *c);             /* it has logged in and subscribed */
    void (*confirmed)(Engine *engine, Connection *c);      /* a later request was */
    void (*left)(Engine *engine, Connection *c);           /* it is closed, as it was meant to be, or turned away */
    void (*message)(Engine *engine, Connection *c, const Message *message);
    uint64_t (*allowed)(Engine *engine, Connection *c); /* how many messages may begin now */
    bool (*prepared)(const Engine *engine);             /* it may go */
    void (*go)(Engine *engine);
    void (*turn)(Engine *engine);
    bool (*complete)(const Engine *engine); /* there is nothing more to measure; such a kind has no warm-up and no end */
    void (*drain)(Engine *engine);          /* the window is closed */
    bool (*settled)(Engine *engine);        /* everything due has come */
} Kind;

extern const Protocol stomp_protocol, nats_protocol, jetstream_protocol, relay_protocol;
extern const Carrier plain_carrier, tls_carrier;
extern const Kind flow_kind, ping_kind, request_kind, connect_kind, storm_kind, churn_kind, idle_kind, replay_kind,
    schedule_kind, drain_kind;

#endif
