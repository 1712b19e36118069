/* Whether each message came once, in order, as it was sent. The check knows only the geometry of the load and the stamps.
 *
 * Every subscriber of a topic keeps a tally of each stream that is due to it. Consumers of one queue share the tallies; each
 * message must come to one of them, and to each of them in order. Those of a group must all come to one. What is scheduled is
 * due when its delay is over, from when the server has read it, and not in the order in which it was sent.
 */
#include "check.h"

#include "failure.h"

#define MOST_TALLIES (1u << 24)
#define MOST_MISSING (UINT64_C(1) << 20)
#define MOST_MISSING_SHARED (UINT64_C(1) << 26)

static bool was_sent(const Engine *engine, const Stamp *stamp) {
    const Geometry *g = &engine->geometry;
    const Connection *c = &engine->publishers[stamp->stream % g->publishers];
    uint64_t laps = begun_by(c) / c->streams, turn = stamp->stream / g->publishers;
    return stamp->number < laps + (turn < begun_by(c) % c->streams);
}

/* ---- beginning and end ---- */

static bool prepare_receiver(Engine *engine, Connection *c) {
    uint64_t streams = streams_due(&engine->geometry, c);
    if (streams == 0)
        return true;
    if (engine->geometry.shared)
        c->newest = calloc(streams, sizeof *c->newest);
    else
        c->tallies = calloc(streams, sizeof *c->tallies);
    return c->newest || c->tallies || fail_memory(engine);
}

static bool prepare_receivers(Engine *engine) {
    uint64_t tallies = 0;
    for (uint32_t i = 0; i < engine->count; i++)
        tallies += streams_due(&engine->geometry, &engine->connections[i]);
    if (tallies > MOST_TALLIES)
        return fail(engine, "so many subscribers to so many destinations cannot be checked: %llu pairs",
                    (unsigned long long)tallies);
    for (uint32_t i = 0; i < engine->count; i++)
        if (!prepare_receiver(engine, &engine->connections[i]))
            return false;
    return true;
}

static void prepare_sender(Engine *engine, Connection *c) {
    const Geometry *g = &engine->geometry;
    c->streams = (g->streams - c->number + g->publishers - 1) / g->publishers;
    c->fan = fan_of(g, c);
    uint32_t most = c->fan == VARIES ? g->subscribers : c->fan;
    engine->fan = engine->fan > most ? engine->fan : most;
}

bool check_prepare(Engine *engine) {
    const Geometry *g = &engine->geometry;
    engine->tally_most = g->shared || engine->frames.scheduled ? MOST_MISSING_SHARED : MOST_MISSING;
    for (uint32_t i = 0; i < g->publishers; i++)
        prepare_sender(engine, &engine->publishers[i]);
    if (g->shared) {
        engine->tallies = calloc(g->streams, sizeof *engine->tallies);
        engine->owners = calloc(g->destinations, sizeof *engine->owners);
        if (engine->tallies == NULL || engine->owners == NULL)
            return fail_memory(engine);
    }
    return prepare_receivers(engine);
}

static void free_tallies(Tally *tallies, uint64_t count) {
    for (uint64_t i = 0; tallies && i < count; i++)
        tally_free(&tallies[i]);
    free(tallies);
}

void check_free(Engine *engine) {
    for (uint32_t i = 0; i < engine->count; i++) {
        Connection *c = &engine->connections[i];
        free_tallies(c->tallies, streams_due(&engine->geometry, c));
        free(c->newest);
    }
    free_tallies(engine->tallies, engine->geometry.streams);
    free(engine->owners);
}

/* ---- when the messages were meant to be sent ---- */

void flush_latency(Engine *engine) {
    uint64_t bits, count = engine->same_count;
    engine->same_count = 0;
    if (count == 0)
        return;
    if (!bits_of(engine->same_time << 8 | '0', &bits) || engine->epoch + bits * TICK > engine->arrival)
        engine->corrupt += count;
    else if (in_window(engine, bits))
        histogram_add(&engine->latency, engine->arrival - (engine->epoch + bits * TICK), count);
}

/* ---- one message ---- */

/* How many of the due messages have come. */
uint64_t taken(const Engine *engine) {
    return engine->received - engine->duplicated - engine->corrupt;
}

static void settle_run(Connection *c) {
    if (c->next.run == 0)
        return;
    c->next.tally->base += c->next.run;
    c->next.tally->end += c->next.run;
    c->next.run = 0;
}

static void expect(Connection *c, Tally *tally, uint32_t stream) {
    c->next.tally = tally;
    c->next.stream = stream;
    c->next.head = stamp_head(stream, tally->end);
    c->next.last = (uint8_t)('0' + (tally->end & 63));
}

void expectation_carry(Connection *c) {
    settle_run(c);
    expect(c, c->next.tally, c->next.stream);
}

void check_anew(Connection *c) {
    settle_run(c);
    tally_free(c->tallies);
    c->next.head = 0;
}

uint64_t came_in_order(const Connection *c) {
    return c->tallies->base + c->next.run;
}

static bool is_intact(const Engine *engine, const Message *message, Stamp *stamp) {
    if (message->body == NULL || !stamp_read(message->body, stamp))
        return false;
    return !engine->load.verify || body_hash_fits(message->body, (size_t)engine->load.size);
}

/* Of one that came for the first time: whether it is older than what came before it. */
static bool is_disordered(Engine *engine, Connection *c, int64_t place, uint64_t number, Arrival arrival) {
    if (engine->frames.scheduled)
        return false;
    if (c->newest == NULL)
        return arrival == ARRIVED_LATE;
    bool older = number + 1 < c->newest[place];
    c->newest[place] = older ? c->newest[place] : number + 1;
    return older;
}

/* Whether it belongs to a group of which others have come to another consumer. */
static bool is_astray(Engine *engine, const Connection *c, uint32_t stream) {
    if (!engine->load.groups || engine->owners == NULL)
        return false;
    const Connection **owner = &engine->owners[stream % engine->geometry.destinations];
    *owner = *owner ? *owner : c;
    return *owner != c;
}

/* Only what is in order so far, and needs no second look, is recognised by its stamp alone. */
static void expect_next(Engine *engine, Connection *c, Tally *tally, uint32_t stream) {
    if (c->role == SUBSCRIBER && c->tallies && !engine->load.verify && tally->base == tally->end)
        expect(c, tally, stream);
    else
        c->next.head = 0;
}

static bool check_stamp(Engine *engine, Connection *c, const Message *message, Stamp *stamp, int64_t *place) {
    *place = is_intact(engine, message, stamp) ? place_of(&engine->geometry, c, stamp->stream) : -1;
    return *place >= 0 && was_sent(engine, stamp);
}

/* Counts it; true when it was due and had not come yet. */
bool check_message(Engine *engine, Connection *c, const Message *message) {
    Stamp stamp;
    int64_t place;
    settle_run(c);
    engine->received++;
    if (!check_stamp(engine, c, message, &stamp, &place)) {
        engine->corrupt++;
        return false;
    }
    Tally *tally = c->tallies ? &c->tallies[place] : &engine->tallies[stamp.stream];
    Arrival arrival = tally_take(tally, stamp.number, engine->tally_most);
    expect_next(engine, c, tally, stamp.stream);
    if (arrival == ARRIVED_AGAIN) {
        engine->duplicated++;
        return false;
    }
    if (is_disordered(engine, c, place, stamp.number, arrival) | is_astray(engine, c, stamp.stream))
        engine->disordered += !engine->load.queue || !engine->protocol->redelivered(message);
    note_time(engine, load_text(message->body + 8));
    c->came++;
    return true;
}

/* Subscriptions of all others match nothing that is sent; a slow subscriber is not listened to. */
void message_came(Engine *engine, Connection *c, const Message *message) {
    if (c->tallies || c->newest || c->role == RESPONDER)
        engine->kind->message(engine, c, message);
    else if (c->role != SLOW_SUBSCRIBER)
        refuse(engine, c, "sent a message that is none of theirs to", message->frame,
               (size_t)(message->end - message->frame));
}
