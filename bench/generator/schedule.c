/* Messages that are all due at one moment, long after they were sent. It is measured how fast the server takes them, and how
 * fast they come from that moment on; the time in their stamps is that moment, and what comes before it is corrupt.
 */
#include "check.h"
#include "fill.h"
#include "names.h"
#include "plan.h"

static bool plan(Engine *engine) {
    if (!plan_one_queue(engine))
        return false;
    engine->connections[0].quota = (uint64_t)engine->load.messages;
    return true;
}

static uint32_t subscriptions(const Engine *engine, const Connection *c) {
    return c->role == SUBSCRIBER;
}

static void subscription(const Engine *engine, const Connection *c, uint32_t i, Buffer *destination) {
    name_destination(engine, engine->load.queue, 0, 1, destination);
}

static void address(const Engine *engine, Frames *frames) {
    frames->scheduled = true;
    name_destination(engine, engine->load.queue, 0, 1, &frames->destination);
}

static void go(Engine *engine) {
    engine->due_at = engine->now + ns_of(engine->load.delay);
}

static uint64_t allowed(Engine *engine, Connection *c) {
    return running(engine) ? fill_left(c) : 0;
}

/* What is not due yet tries nobody's patience. */
static void turn(Engine *engine) {
    if (!running(engine))
        return;
    fill_ask(engine);
    if (engine->now < engine->due_at)
        engine->progressed = engine->now;
}

static void on_confirmed(Engine *engine, Connection *c) {
    fill_confirmed(engine, c);
    engine->accepted_at = engine->arrival;
}

static void on_message(Engine *engine, Connection *c, const Message *message) {
    check_message(engine, c, message);
}

static bool complete(const Engine *engine) {
    return filled(engine) && taken(engine) + engine->corrupt >= (uint64_t)engine->load.messages;
}

const Kind schedule_kind = {
    .name = "schedule",
    .plan = plan,
    .subscriptions = subscriptions,
    .subscription = subscription,
    .address = address,
    .confirmed = on_confirmed,
    .message = on_message,
    .allowed = allowed,
    .go = go,
    .turn = turn,
    .complete = complete,
};
