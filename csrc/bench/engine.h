/* What all files of the generator share: the engine, its connections, and what a protocol and a kind of load must do.
 *
 *     generator.pyx     Python's side             plan.c        whether the load makes sense, and what it needs
 *     engine.c          phases and the loop       window.c      what is counted in the measured window
 *     dial.c            opening connections       connection.c  reading, writing, being hung up on
 *     frames.c          ready-made SENDs          publish.c     handing them to the kernel
 *     pace.c            when each is meant to go  check.c       whether each came once, in order, unchanged
 *     flow.c trip.c login.c churn.c idle.c                      the kinds of load
 *     stomp.c nats.c relay.c                                    the protocols
 *     websocket.c tls.c                                         what may lie around STOMP
 *
 * Nothing here prints or exits: what goes wrong is told to `fail`, and the loop ends. One thread does everything, and
 * nothing blocks but the wait for the next event.
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "buffer.h"
#include "clock.h"
#include "histogram.h"
#include "load.h"
#include "report.h"
#include "stamp.h"
#include "tally.h"

typedef struct Engine Engine;
typedef struct Connection Connection;
typedef struct Frames Frames;

typedef enum Phase { CONNECTING, READY, WARMING_UP, MEASURING, DRAINING, SETTLING, OVER } Phase;

typedef enum Role { PUBLISHER, SUBSCRIBER, SLOW_SUBSCRIBER, BYSTANDER, ASKER, RESPONDER, CLIENT } Role;

typedef enum State {
    CLOSED,
    DIALLING,
    SECURING,  /* TLS */
    UPGRADING, /* to a WebSocket */
    LOGGING_IN,
    SUBSCRIBING,
    UP,
    LEAVING,
    LEFT, /* and not closed yet */
} State;

typedef enum Ack { ACK_AUTO, ACK_CLIENT, ACK_CLIENT_INDIVIDUAL } Ack;

#define VARIES UINT32_MAX

/* The message a subscriber should get next, as its stamp will look: most messages are recognised by two comparisons and
 * only added to `run`; `check.c` tells the tally later. */
typedef struct Expectation {
    uint64_t head;
    uint64_t run;
    Tally *tally;
    uint32_t stream;
    uint8_t last; /* what the tail must begin with */
} Expectation;

/* What is known of a WebSocket that is read. */
typedef struct Framing {
    uint64_t left;   /* bytes of the frame's payload that have not come */
    bool inside;     /* of a message whose last fragment has not come */
    bool closed;     /* CLOSE has come */
    uint8_t kept;    /* bytes of: */
    char start[127]; /* the beginning of a frame, up to the payload; of a control frame, that too */
} Framing;

struct Connection {
    int fd;
    uint8_t role, state;
    uint8_t interest;
    bool blocked;      /* the kernel did not take all that it was offered */
    bool limited;      /* our own window did not let it send */
    bool greeted;      /* nats */
    bool acknowledges; /* each message, or up to it */
    uint32_t number;   /* among those of its role */
    const struct addrinfo *address;
    uint64_t dialled; /* when its socket was made */

    uint32_t wanted;           /* subscriptions */
    uint32_t asked, confirmed; /* subscriptions, and what else is confirmed */
    uint64_t asked_at;         /* when the last of them was */
    uint64_t turn;             /* of a churn */

    Buffer rest; /* the beginning of a frame whose end has not come yet */
    size_t expected_length; /* of the next frame: a guess the scanners verify */
    size_t scanned;         /* so much of the rest has no end of a frame in it */
    size_t ack_at;          /* where in the last frame its `ack` header was */
    Expectation next;
    Tally *tallies;   /* of the streams that are due here */
    uint64_t *newest; /* if consumers share streams: the number of the last message of each that came here, plus one */
    uint64_t came;    /* messages that were due here and came */

    Buffer control;      /* frames that go out before the next message */
    Buffer framed;       /* WebSocket: those that are in its frames already */
    Framing framing;
    void *session; /* TLS */
    Buffer cipher; /* what the kernel has not taken of what TLS made */
    uint64_t sent;       /* messages that the kernel has whole */
    size_t begun;        /* bytes that it has of the next one */
    uint64_t begun_time; /* that one's */
    uint64_t quota;      /* of the backlog */
    uint64_t paced_from; /* the first message that has an intended time */
    uint32_t streams;    /* so many streams it sends to, in turn */
    uint32_t fan;        /* how many copies of a message are due; VARIES: that depends on its destination */
    uint64_t free_since;
    bool waits; /* for the kernel to take more */
    uint64_t waits_since, waits_turn;
    Tally receipts;
    uint64_t receipts_got;
};

/* A frame that came, up to its end; `body` is NULL if it has not the size it was sent with. */
typedef struct Message {
    const char *frame, *body, *end;
} Message;

typedef struct Protocol {
    const char *name;
    bool greets;    /* the server speaks first */
    bool is_stomp;  /* has queues, prefixes of destinations, acks, receipts, transactions */
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
    bool (*plan)(Engine *engine); /* which connections there will be */
    uint32_t (*subscriptions)(const Engine *engine, const Connection *c);
    void (*subscription)(const Engine *engine, const Connection *c, uint32_t i, Buffer *destination);
    void (*address)(const Engine *engine, Frames *frames); /* where the messages go */
    void (*up)(Engine *engine, Connection *c);             /* it has logged in and subscribed */
    void (*confirmed)(Engine *engine, Connection *c);      /* a later request was */
    void (*left)(Engine *engine, Connection *c);           /* it is closed, as it was meant to be */
    void (*message)(Engine *engine, Connection *c, const Message *message);
    uint64_t (*allowed)(Engine *engine, Connection *c); /* how many messages may begin now */
    bool (*prepared)(const Engine *engine);             /* it may go */
    void (*go)(Engine *engine);
    void (*turn)(Engine *engine);
    bool (*complete)(const Engine *engine); /* there is nothing more to measure; such a kind has no warm-up and no end */
    bool (*settled)(Engine *engine);        /* everything due has come */
} Kind;

typedef struct Geometry {
    uint32_t publishers, destinations, subscribers, streams;
    uint32_t per_destination; /* streams of one, at most */
    bool pattern;             /* each subscriber gets all streams */
    bool shared;              /* several consumers share the streams of a queue */
} Geometry;

/* Ready-made frames, one behind the other; only what differs is written into them before they are sent.
 *
 *     |BEGIN|SEND|SEND| ... |SEND|COMMIT|BEGIN|SEND| ...
 *     `------------ unit_bytes ---------´       without transactions a unit is one SEND
 */
struct Frames {
    Buffer bytes, destination, reply_to;
    bool numbered; /* the name ends in the number of the destination: reply_to's, or else destination's */
    uint32_t unit;   /* SENDs in a transaction, or 1 */
    uint32_t most;   /* SENDs in all of it */
    size_t opening, closing, length, unit_bytes;
    size_t opening_head, head, closing_head; /* WebSocket: so much of each is the head of its frame; else 0 */
    Buffer masked; /* WebSocket: what was sent last, as `bytes` has it, but masked */
    size_t body;    /* where in a SEND */
    size_t digits;  /* where the number of a destination is; 0: all messages go to the same */
    size_t receipt; /* where the id of its receipt is, in a SEND or a COMMIT; 0: none is asked for */
    const Connection *owner; /* whose messages are in it, from the first to the last that was written */
    uint64_t first, first_slot, count;
};

typedef struct Pace {
    double interval;    /* ns between two messages of all publishers; 0: nobody paces */
    uint64_t start;
    uint64_t next_tick;
    uint64_t due; /* when that is */
} Pace;

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
    Connection *publishers; /* those that send messages, asked for or not */
    uint32_t filled;        /* publishers whose share of the backlog is in the queues */
    uint32_t fan;           /* the most of all publishers */
    Tally *tallies;         /* of streams that consumers share */
    uint64_t tally_most;

    Frames frames;
    Pace pace;
    bool held; /* the window is full */
    uint64_t keys; /* frames of a WebSocket that were no messages */
    uint64_t spun;

    Buffer input, name, cipher;
    uint64_t arrival; /* when what is being handled was read */
    uint64_t same_time, same_count; /* messages with the same intended time, not in the histogram yet */

    uint64_t sent, due, received, receipts, operations; /* sent: begun */
    uint64_t duplicated, disordered, corrupt, hung_up;
    uint64_t confirmed;
    uint64_t begun, ended; /* connects, storms' connections, requests of a churn */
    uint64_t turns, slept_at; /* slept_at: when we last woke */
    uint64_t waited_ns, waiting, waiting_since; /* publishers for the kernel: altogether, how many, sum of since when */

    Histogram latency, receipt, connect, send_delay;
};

/* ---- engine.c ---- */

Engine *engine_new(const Load *load);
void engine_free(Engine *engine);
bool engine_step(Engine *engine, double seconds);
bool engine_go(Engine *engine);
void engine_stop(Engine *engine);

/* ---- failure.c ---- */

/* Keeps the first thing that went wrong; always false. */
__attribute__((format(printf, 2, 3))) bool fail(Engine *engine, const char *format, ...);
bool fail_memory(Engine *engine);
/* With what the server said. */
bool refuse(Engine *engine, const Connection *c, const char *did, const char *said, size_t length);

static inline bool failed(const Engine *engine) {
    return engine->failure[0] != '\0';
}

/* ---- plan.c ---- */

bool engine_plan(Engine *engine);
bool plan_connections(Engine *engine, Role role, int64_t count);
bool plan_streams(Engine *engine, int64_t publishers, int64_t destinations, int64_t subscribers);

/* ---- window.c ---- */

void window_open(Engine *engine);
void window_close(Engine *engine);
Report engine_report(const Engine *engine);
void record_since(Engine *engine, Histogram *histogram, uint64_t ns);

static inline bool running(const Engine *engine) {
    return engine->phase == WARMING_UP || engine->phase == MEASURING;
}

static inline uint64_t ticks_at(const Engine *engine, uint64_t ns) {
    return (ns - engine->epoch) / TICK;
}

static inline bool in_window(const Engine *engine, uint64_t ticks) {
    return ticks >= engine->from_time && ticks < engine->to_time;
}

/* ---- dial.c ---- */

bool resolve(Engine *engine);
void dial(Engine *engine, Connection *c);
uint64_t dial_some(Engine *engine);
void dialled(Engine *engine, Connection *c);
void open_for_stomp(Engine *engine, Connection *c);
void logged_in(Engine *engine, Connection *c);
void confirmed(Engine *engine, Connection *c);

/* ---- connection.c ---- */

bool connection_receive(Engine *engine, Connection *c);
void connection_write(Engine *engine, Connection *c);
void connection_write_failed(Engine *engine, Connection *c, int error);
void connection_watch(Engine *engine, Connection *c);
void connection_handle(Engine *engine, Connection *c, unsigned events);
void connection_close(Engine *engine, Connection *c);
void connection_free(Engine *engine, Connection *c);

extern const Carrier plain_carrier;

/* What must go out before the next message. */
static inline size_t unsent(const Connection *c) {
    return buffer_length(&c->control) + buffer_length(&c->framed) + buffer_length(&c->cipher);
}

/* ---- websocket.c ---- */

void websocket_wrap(Buffer *frame, size_t *head);
const char *websocket_masked(Engine *engine, const Connection *c, uint64_t slot, uint64_t count);
void websocket_frame_control(Engine *engine, Connection *c);
void websocket_ask(Engine *engine, Connection *c);
bool websocket_closed(Engine *engine, Connection *c);
void websocket_leave(Engine *engine, Connection *c);
size_t websocket_read(Engine *engine, Connection *c, char *bytes, size_t kept, size_t length);

/* ---- tls.c ---- */

void tls_begin(Engine *engine, Connection *c);
void tls_end(Engine *engine, Connection *c);

extern const Carrier tls_carrier;

/* ---- names.c ---- */

void name_append(const Engine *engine, bool queue, const char *suffix, Buffer *out);
void name_numbered(const Engine *engine, bool queue, const char *suffix, uint32_t number, Buffer *out);
void name_destination(const Engine *engine, bool queue, uint32_t number, uint32_t count, Buffer *out);
void name_pattern(const Engine *engine, const char *pattern, Buffer *out);

/* ---- frames.c ---- */

bool frames_make(Engine *engine);
void frames_free(Frames *frames);
void frames_write(Engine *engine, const Connection *c, uint32_t count, uint64_t now);
uint64_t message_ticks(const Engine *engine, const Connection *c, uint64_t number, uint64_t now);
size_t slice_at(const Frames *frames, uint64_t slot);
uint64_t slot_at(const Frames *frames, size_t position);

/* ---- publish.c ---- */

bool wants_to_write(Engine *engine, Connection *c);
void publish(Engine *engine, Connection *c);
void publish_all(Engine *engine);
void receipt_came(Engine *engine, Connection *c, const char *id, size_t length);
uint64_t receipts_asked(const Engine *engine, const Connection *c);
uint64_t receipts_open(const Engine *engine);
uint64_t waited_total(const Engine *engine);
void waiting_begins(Engine *engine, Connection *c);
void waiting_ends(Engine *engine, Connection *c);

static inline bool sends(const Connection *c) {
    return c->streams > 0;
}

/* Whole or in part: what was begun will be finished, so it is due. */
static inline uint64_t begun_by(const Connection *c) {
    return c->sent + (c->begun > 0);
}

/* ---- pace.c ---- */

void pace_go(Engine *engine);
uint64_t pace_intended(const Engine *engine, const Connection *c, uint64_t number);
uint64_t pace_due(const Engine *engine, const Connection *c);
void pace_turn(Engine *engine);

static inline bool paced(const Engine *engine) {
    return engine->pace.interval > 0;
}

/* ---- check.c; its inline half is check.h ---- */

bool check_prepare(Engine *engine);
void check_free(Engine *engine);
bool check_message(Engine *engine, Connection *c, const Message *message);
void message_came(Engine *engine, Connection *c, const Message *message);
void expectation_carry(Connection *c);
void flush_latency(Engine *engine);
uint64_t due_of(const Engine *engine, const Connection *c, uint64_t from, uint64_t count);
uint64_t taken(const Engine *engine);

/* ---- the protocols and the kinds ---- */

/* Relays are sent the same bytes as STOMP servers. */
void stomp_encode(Engine *engine, Buffer *opening, Buffer *sending, Buffer *closing);

extern const Protocol stomp_protocol, nats_protocol, relay_protocol;
extern const Kind flow_kind, ping_kind, request_kind, connect_kind, storm_kind, churn_kind, idle_kind;

#endif
