/* Floor 0: what the sender of a message asks for in its headers, in the words of several brokers.
 *
 *   property_of     "JMSXGroupID" -> PROPERTY_GROUP
 *   property_hash   a value that is only compared, as a number
 *   wall_now        the time of day, which expiry is told in
 *
 * A message without any of these has no Properties. The header lines themselves go to whoever gets it.
 */
#ifndef FASTBROKER_PROPERTY_H
#define FASTBROKER_PROPERTY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "csrc/census.h"
#include "csrc/table.h"

enum { PRIORITIES = 10, USUAL_PRIORITY = 4 };

/* Properties.flags */
enum {
    ASKS_RETAIN = 1,    /* the topic keeps it for those who come later */
    ASKS_FORGET = 2,    /* and what it kept is forgotten */
    ASKS_SOMEBODY = 4,  /* it is an error if nobody gets it */
    ASKS_INFO = 8,      /* the receipt says what became of it */
    CLOSES_GROUP = 16,  /* the last of its group */
    IS_DEAD = 32,       /* a dead letter: the broker's own, it does not die again */
    ASKS_SCHEDULE = 64, /* its header lines say when it comes, and when again */
    PERSISTS = 128      /* queues keep it in the journal */
};

typedef struct Properties {
    uint64_t expires;    /* time of day in milliseconds, 0: never */
    uint64_t delay;      /* milliseconds after it was accepted, by COMMIT in a transaction */
    uint64_t group;      /* hashes; 0: none */
    uint64_t duplicate;
    uint64_t last_value;
    uint16_t flags;
    uint8_t priority;
} Properties;

enum {
    PROPERTY_NONE, PROPERTY_EXPIRES, PROPERTY_TTL, PROPERTY_PRIORITY, PROPERTY_DELAY, PROPERTY_SCHEDULED_DELAY,
    PROPERTY_SCHEDULED_TIME, PROPERTY_SCHEDULED_PERIOD, PROPERTY_SCHEDULED_REPEAT, PROPERTY_SCHEDULED_CRON,
    PROPERTY_GROUP, PROPERTY_GROUP_SEQUENCE, PROPERTY_DUPLICATE, PROPERTY_LAST_VALUE, PROPERTY_RETAIN,
    PROPERTY_ACTIVEMQ_RETAIN, PROPERTY_MANDATORY, PROPERTY_RECEIPT_INFO, PROPERTY_PERSISTENT
};

#define NAMED(word, property) (length == sizeof(word) - 1 && memcmp(text, word, sizeof(word) - 1) == 0) return property

static inline int property_of(const char *text, size_t length) {
    if NAMED("priority", PROPERTY_PRIORITY);
    if NAMED("persistent", PROPERTY_PERSISTENT);
    if NAMED("expires", PROPERTY_EXPIRES);
    if NAMED("expiration", PROPERTY_TTL);
    if NAMED("ttl", PROPERTY_TTL);
    if NAMED("delay", PROPERTY_DELAY);
    if NAMED("AMQ_SCHEDULED_DELAY", PROPERTY_SCHEDULED_DELAY);
    if NAMED("AMQ_SCHEDULED_TIME", PROPERTY_SCHEDULED_TIME);
    if NAMED("AMQ_SCHEDULED_PERIOD", PROPERTY_SCHEDULED_PERIOD);
    if NAMED("AMQ_SCHEDULED_REPEAT", PROPERTY_SCHEDULED_REPEAT);
    if NAMED("AMQ_SCHEDULED_CRON", PROPERTY_SCHEDULED_CRON);
    if NAMED("JMSXGroupID", PROPERTY_GROUP);
    if NAMED("message_group", PROPERTY_GROUP);
    if NAMED("JMSXGroupSeq", PROPERTY_GROUP_SEQUENCE);
    if NAMED("_AMQ_DUPL_ID", PROPERTY_DUPLICATE);
    if NAMED("message-dedup-id", PROPERTY_DUPLICATE);
    if NAMED("_AMQ_LVQ_NAME", PROPERTY_LAST_VALUE);
    if NAMED("retain", PROPERTY_RETAIN);
    if NAMED("ActiveMQ.Retain", PROPERTY_ACTIVEMQ_RETAIN);
    if NAMED("mandatory", PROPERTY_MANDATORY);
    if NAMED("receipt-info", PROPERTY_RECEIPT_INFO);
    return PROPERTY_NONE;
}

#undef NAMED

/* Never 0. Values are compared by this alone, so the seed must be a secret: nobody can look for two that are alike. */
static inline uint64_t property_hash(const char *text, size_t length, uint64_t seed) {
    uint64_t hash = hash_bytes(text, length, seed);
    return hash ? hash : 1;
}

static inline uint64_t milliseconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

/* Milliseconds of a clock that nobody sets, and that goes on while the process stands still. */
static inline uint64_t steady_now(const Census *census) {
    return census->steady ? census->steady : milliseconds_of(CLOCK_MONOTONIC);
}

/* Milliseconds since 1970. */
static inline uint64_t wall_now(const Census *census) {
    return census->wall ? census->wall : milliseconds_of(CLOCK_REALTIME);
}

/* Those of a test stand still. */
static inline void clocks_set(Census *census, uint64_t wall, uint64_t steady) {
    census->wall = wall;
    census->steady = steady;
}

#endif
