/* Publishers send, subscribers receive: as fast as the server takes it, or at a rate. */
#include "check.h"
#include "fill.h"
#include "names.h"
#include "plan.h"
#include "publish.h"
#include "receipts.h"
#include "transfer.h"

#define BYSTANDERS_OF_ONE 10000 /* a server may allow a connection no more subscriptions */

/* ---- the plan ---- */

static bool plan_subscribers(Engine *engine) {
    const Load *load = &engine->load;
    return plan_connections(engine, SUBSCRIBER, load->subscribers) &&
           plan_connections(engine, SLOW_SUBSCRIBER, load->slow) &&
           plan_connections(engine, BYSTANDER, (load->bystanders + BYSTANDERS_OF_ONE - 1) / BYSTANDERS_OF_ONE);
}

static bool plan(Engine *engine) {
    const Load *load = &engine->load;
    int64_t various = varieties(load);
    if (!plan_streams(engine, load->publishers, various ? various : load->destinations, load->subscribers))
        return false;
    engine->geometry.varied = various > 0;
    engine->geometry.pattern = *load->pattern || (various && !load->selecting);
    engine->geometry.shared = load->queue && load->subscribers > load->destinations && !load->selecting;
    if (!plan_connections(engine, PUBLISHER, load->publishers) || !plan_subscribers(engine))
        return false;
    fill_share_out(engine, (uint64_t)load->backlog);
    return true;
}

/* Varieties all go to one. */
static uint32_t named(const Geometry *g) {
    return g->varied ? 1 : g->destinations;
}

static void address(const Engine *engine, Frames *frames) {
    frames->numbered = named(&engine->geometry) > 1;
    name_destination(engine, engine->load.queue, 0, named(&engine->geometry), &frames->destination);
}

/* ---- subscriptions ---- */

static uint32_t bystanders_of(const Engine *engine, const Connection *c) {
    int64_t left = engine->load.bystanders - (int64_t)c->number * BYSTANDERS_OF_ONE;
    return left < BYSTANDERS_OF_ONE ? (uint32_t)left : BYSTANDERS_OF_ONE;
}

static uint32_t subscriptions(const Engine *engine, const Connection *c) {
    const Geometry *g = &engine->geometry;
    if (c->role == PUBLISHER)
        return 0;
    if (c->role == BYSTANDER)
        return bystanders_of(engine, c);
    if (g->pattern)
        return 1;
    if (c->role == SLOW_SUBSCRIBER)
        return g->destinations;
    return g->subscribers > g->destinations ? 1 : (g->destinations - c->number + g->subscribers - 1) / g->subscribers;
}

static void subscription(const Engine *engine, const Connection *c, uint32_t i, Buffer *destination) {
    const Geometry *g = &engine->geometry;
    uint32_t number = c->role == SUBSCRIBER ? (c->number + i * g->subscribers) % g->destinations : i;
    if (c->role == BYSTANDER)
        name_numbered(engine, false, ".*", c->number * BYSTANDERS_OF_ONE + i, destination);
    else if (*engine->load.pattern)
        name_pattern(engine, engine->load.pattern, destination);
    else
        name_destination(engine, engine->load.queue, number, named(g), destination);
}

/* ---- the backlog ---- */

static bool prepared(const Engine *engine) {
    return engine->up == engine->count && (!engine->load.backlog || filled(engine));
}

/* ---- how much may be sent ---- */

/* Deliveries under way: due, and not come. */
static uint64_t under_way(const Engine *engine) {
    uint64_t came = engine->received - engine->duplicated;
    return engine->due > came ? engine->due - came : 0;
}

/* The most of them, and how few there must be for publishers that were held to go on. They are let go only when much is
 * free, so that they write much at a time. */
static uint64_t high_water(const Engine *engine) {
    uint64_t window = (uint64_t)engine->load.window, backlog = (uint64_t)engine->load.backlog;
    if (backlog && !window)
        window = backlog / 10 + 1;
    return (backlog + window) * engine->fan;
}

static uint64_t low_water(const Engine *engine) {
    uint64_t window = (uint64_t)engine->load.window, backlog = (uint64_t)engine->load.backlog;
    return (backlog + window / 2) * engine->fan;
}

static uint64_t window_left(Engine *engine) {
    uint64_t high = high_water(engine), now = under_way(engine);
    if (!high)
        return UNLIMITED;
    engine->held = engine->held || now + engine->fan > high;
    return engine->held ? 0 : (high - now) / engine->fan;
}

static void turn(Engine *engine) {
    if (engine->phase == CONNECTING && engine->load.backlog)
        fill_ask(engine);
    if (!engine->held || under_way(engine) > low_water(engine))
        return;
    engine->held = false;
    for (uint32_t i = 0; i < engine->geometry.publishers; i++)
        connection_watch(engine, &engine->publishers[i]);
}

/* A transaction that was begun is finished: what is held back of it would hold back what it already has. */
static uint64_t to_end_of_unit(const Engine *engine, const Connection *c, uint64_t count) {
    uint64_t inside = (begun_by(c) + count) % engine->frames.unit;
    return inside ? count + engine->frames.unit - inside : count;
}

static uint64_t left(Engine *engine, const Connection *c) {
    uint64_t window = window_left(engine), receipts = receipts_left(engine, c);
    return to_end_of_unit(engine, c, window < receipts ? window : receipts);
}

static uint64_t allowed_paced(Engine *engine, Connection *c) {
    uint64_t due = pace_due(&engine->pace, c, due_until(engine)), most = left(engine, c);
    if (due > most)
        c->limited = true;
    return due < most ? due : most;
}

static bool still_sends_late(const Engine *engine) {
    return engine->phase == DRAINING && paced(engine) && engine->now < engine->phase_end;
}

static uint64_t allowed(Engine *engine, Connection *c) {
    uint64_t count = 0;
    if (engine->phase == CONNECTING)
        return to_end_of_unit(engine, c, fill_left(c));
    if (running(engine) && !paced(engine))
        return left(engine, c);
    if (running(engine))
        return allowed_paced(engine, c);
    if (still_sends_late(engine))
        count = allowed_paced(engine, c);
    return engine->phase == READY ? 0 : to_end_of_unit(engine, c, count);
}

/* ---- the end ---- */

static bool settled(Engine *engine) {
    for (uint32_t i = 0; i < engine->geometry.publishers; i++)
        if (wants_to_write(engine, &engine->publishers[i]) || engine->publishers[i].limited)
            return false;
    return taken(engine) + engine->corrupt >= engine->due && receipts_open(engine) == 0;
}

static void on_message(Engine *engine, Connection *c, const Message *message) {
    check_message(engine, c, message);
}

const Kind flow_kind = {
    .name = "flow",
    .plan = plan,
    .subscriptions = subscriptions,
    .subscription = subscription,
    .address = address,
    .confirmed = fill_confirmed,
    .message = on_message,
    .allowed = allowed,
    .prepared = prepared,
    .turn = turn,
    .settled = settled,
};
