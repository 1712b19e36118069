/* What is known of one connection of a load. */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include "buffer.h"
#include "tally.h"

typedef enum Role { PUBLISHER, SUBSCRIBER, SLOW_SUBSCRIBER, BYSTANDER, ASKER, RESPONDER, CLIENT } Role;

typedef enum State {
    CLOSED,
    DIALLING,
    SECURING,  /* TLS */
    SECURED,   /* and nothing has been said yet */
    UPGRADING, /* to a WebSocket */
    LOGGING_IN,
    SUBSCRIBING,
    UP,
    LEAVING,
    LEFT, /* and not closed yet */
} State;

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

typedef struct Connection {
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
    uint64_t since;   /* when that of its first try was */
    bool turned_away; /* the server did not want it, and it is not closed yet, or not back */
    bool carried;     /* bytes have gone through it, behind the handshake of TLS */
    bool let_in;      /* it has been logged in */
    struct Connection *next_again; /* who comes back after it */
    uint64_t again_at;             /* and when it does itself */

    uint32_t wanted;           /* subscriptions */
    uint32_t asked, confirmed; /* subscriptions, and what else is confirmed */
    uint64_t asked_at;         /* when the last of them was */
    uint64_t turn;             /* of a churn */
    uint32_t requests;         /* of JetStream: not answered, and it is not logged in before they are */

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
    uint32_t begun_wait; /* and its delay */
    uint64_t quota;      /* of the backlog */
    uint64_t paced_from; /* the first message that has an intended time */
    uint32_t streams;    /* so many streams it sends to, in turn */
    uint32_t fan;        /* how many copies of a message are due, or VARIES */
    uint64_t free_since;
    bool waits; /* for the kernel to take more */
    uint64_t waits_since, waits_turn;
    Tally receipts;
    uint64_t receipts_got;
} Connection;

/* What must go out before the next message. */
static inline size_t unsent(const Connection *c) {
    return buffer_length(&c->control) + buffer_length(&c->framed) + buffer_length(&c->cipher);
}

static inline bool sends(const Connection *c) {
    return c->streams > 0;
}

/* Whole or in part: what was begun will be finished, so it is due. */
static inline uint64_t begun_by(const Connection *c) {
    return c->sent + (c->begun > 0);
}

#endif
