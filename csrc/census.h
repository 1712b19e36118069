/* Floor 0: what is alive, how much memory it holds, and the ceiling over that.
 *
 * One Census per hub. Everything that is created counts itself up and everything freed counts itself down, so that a
 * test can ask whether all that came has gone, and the memory ceiling has one number to look at.
 *
 *     0 ........................... closed ....... reached ... limit
 *     | messages, and all else       | reserve x 2 | reserve |
 *
 * The reserve is a thirty-second of the memory that there may be. A SEND waits when only three of them are left. Two of
 * them are for those who free memory: logins, subscriptions, acknowledgements, COMMITs, and output on its way to
 * consumers; when they have used that up, too, nothing is subscribed to, and nothing is copied into an output that is
 * not empty. The last one is for frames that wait. Where memory is small they may have more, up to 8 MiB or half of it:
 * an ACK may stand behind them.
 */
#ifndef FASTBROKER_CENSUS_H
#define FASTBROKER_CENSUS_H

#include <stddef.h>
#include <stdint.h>

typedef struct Census {
    int64_t connections, sessions, subscriptions, queues, routes, messages, deliveries, transactions;
    int64_t memory;          /* bytes in messages, outputs, queues, routes, subscriptions, transactions, ... */
    int64_t input;           /* bytes received and not handled yet: cut-off and parked frames */
    int64_t work;            /* done without output, in bytes that would have cost as much */
    int64_t messages_in;     /* SEND frames accepted */
    int64_t messages_out;    /* MESSAGE frames written */
    int64_t bytes_out;       /* bytes of those */
    int64_t dropped;         /* messages that a slow consumer of a topic, or a full queue, lost by policy */
    int64_t dead_lettered;
    int64_t scheduled;       /* messages that are accepted and not published yet */
    int64_t dead_dropped;    /* of those: that went nowhere, or that their queue had no room for */
    int64_t replies_dropped; /* answers to clients that had gone */
    int64_t conflated;       /* messages that gave way to a newer one of the same last value or key */
    int64_t expired;         /* messages of queues whose time was over */
    uint64_t wall, steady;   /* where the clocks of a test stand; 0: they go on by themselves */
    struct Blocks *blocks;   /* where messages are */
} Census;

/* All that has been done: slices of a turn are measured by it. */
static inline int64_t census_spent(const Census *census) {
    return census->bytes_out + census->work;
}

/* ---- the ceiling ---- */

#define PARKED_LEAST ((int64_t)8 << 20)

typedef struct Ceiling {
    const Census *census;
    int64_t limit;   /* limits.memory */
    int64_t reserve;
    int64_t closed;  /* three reserves below the limit */
    int64_t parked;  /* all frames that wait may have so much */
} Ceiling;

static inline void ceiling_init(Ceiling *ceiling, const Census *census, int64_t limit) {
    ceiling->census = census;
    ceiling->limit = limit;
    ceiling->reserve = limit / 32;
    ceiling->closed = limit - 3 * ceiling->reserve;
    ceiling->parked = limit / 2 < PARKED_LEAST ? limit / 2 : PARKED_LEAST;
    if (ceiling->parked < ceiling->reserve)
        ceiling->parked = ceiling->reserve;
}

/* Whether frames that need memory have to wait. */
static inline int ceiling_closed(const Ceiling *ceiling) {
    return ceiling->census->memory + ceiling->census->input > ceiling->closed;
}

/* Whether frames that waited may begin to go on: not at the first byte, or it would be gone with the first frame. They
 * are input themselves, so that does not count. */
static inline int ceiling_open(const Ceiling *ceiling) {
    return ceiling->census->memory <= ceiling->closed - 2 * ceiling->reserve;
}

/* Whether frames that waited have to wait again. */
static inline int ceiling_closed_again(const Ceiling *ceiling) {
    return ceiling->census->memory > ceiling->closed;
}

/* Whether what is left for those who free memory is used up. */
static inline int ceiling_reached(const Ceiling *ceiling) {
    return ceiling->census->memory > ceiling->limit - ceiling->reserve;
}

/* Whether a client may have so much at once that no frame brought: the last reserve is only for what is little. */
static inline int ceiling_grants(const Ceiling *ceiling, int64_t bytes) {
    int64_t left = ceiling->limit - ceiling->census->memory;
    return bytes <= (bytes <= ceiling->reserve / 16 ? left : left - ceiling->reserve);
}

/* Whether more than their share of it is frames that wait for memory. */
static inline int ceiling_parked_full(const Ceiling *ceiling) {
    return ceiling->census->input > ceiling->parked;
}

/* Whether large frames that are under way have used up what there may be. */
static inline int ceiling_input_full(const Ceiling *ceiling) {
    const Census *census = ceiling->census;
    return census->input > ceiling->limit / 2 || census->memory + census->input > ceiling->limit;
}

/* ---- accounts ---- */

/* What is held for one client beside messages and output: charged to it, and with it to the census. */
typedef struct Account {
    int64_t bytes;
    int64_t *total;
} Account;

static inline void account_charge(Account *account, int64_t bytes) {
    account->bytes += bytes;
    *account->total += bytes;
}

#endif
