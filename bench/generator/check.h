/* Whether each message came once, in order, as it was sent. */
#ifndef BENCH_CHECK_H
#define BENCH_CHECK_H

#include "engine.h"

bool check_prepare(Engine *engine);
void check_free(Engine *engine);
bool check_message(Engine *engine, Connection *c, const Message *message);
void message_came(Engine *engine, Connection *c, const Message *message);
void expectation_carry(Connection *c);
/* Of a subscriber with one stream: it all begins again; and how many have come since then, none of them missing. */
void check_anew(Connection *c);
uint64_t came_in_order(const Connection *c);
void flush_latency(Engine *engine);
uint64_t taken(const Engine *engine);

/* ---- those that come as expected, which must cost next to nothing ---- */

/* Messages of one read with the same intended time go into the histogram together. */
static inline void note_time(Engine *engine, uint64_t tail) {
    if (tail >> 8 != engine->same_time) {
        flush_latency(engine);
        engine->same_time = tail >> 8;
    }
    engine->same_count++;
}

/* Whether it is the message that should be next; if not, nothing has happened. */
static inline bool check_next(Engine *engine, Connection *c, const char *body) {
    uint64_t tail = load_text(body + 8);
    if (load_text(body) != c->next.head || (uint8_t)tail != c->next.last)
        return false;
    note_time(engine, tail);
    engine->received++;
    c->next.run++;
    if (++c->next.last > LAST_LETTER)
        expectation_carry(c);
    return true;
}

#endif
